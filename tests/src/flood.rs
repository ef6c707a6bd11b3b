//! S-06 as a run: who has no session floods an identity service that is a process of its own, in the
//! name of somebody who calls it from another address all the while. What does that cost the service,
//! and who is held up by it?

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use edge_ledger_chassis::KeysFolder;
use edge_ledger_chassis::keys::Choices;
use edge_ledger_proto::identity as wire;
use edge_ledger_proto::identity::identity_service_client::IdentityServiceClient;
use edge_ledger_proto::identity::link_request::Message;
use edge_ledger_store::redis::server::Server;
use edge_ledger_store::redis::{RedisConfig, RedisStore};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use crate::revocations::{Times, milliseconds};
use crate::{Caller, Deployment, Identity, ServiceProcess, refusal};

/// The longest that one request may take before the run fails.
const PATIENCE: Duration = Duration::from_secs(20);
/// Addresses that flood.
const ADDRESSES: u8 = 8;
/// Requests of each of them that are under way at once, on one connection.
const AT_ONCE: usize = 16;
/// Of so many requests ...
const ROUND: usize = 10;
/// ... these join a link that nobody opened, ...
const JOINS: usize = 2;
/// ... these answer a challenge wrongly, and as many ask for one.
const OTHERS: usize = (ROUND - JOINS) / 2;
/// What is let through of each kind at once, and again each minute: one request of so many.
const LET_THROUGH: usize = 4;
/// How often the victim calls while it goes on.
const VICTIM_CALLS: usize = 200;
/// Where the victim calls from.
const VICTIM: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// What the service may grow by.
const GROWS_KIB_MAX: u64 = 8 * 1024;

/// What is done.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Requests of the flood.
    pub requests: usize,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            requests: 1_000_000,
        }
    }
}

/// How the service answered requests of a kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Answers {
    /// Answers on the merits: a challenge, or that there is no such link or challenge.
    pub answered: usize,
    /// Refusals because of the rate.
    pub held_back: usize,
}

/// What was seen.
#[derive(Debug)]
pub struct Report {
    /// Requests for a challenge.
    pub challenges: Answers,
    /// Answers to challenges that were none.
    pub proofs: Answers,
    /// Attempts to join a link.
    pub joins: Answers,
    /// How long the flood took.
    pub took: Duration,
    /// Resident memory of the service before and after it, and the most that it ever was.
    pub memory_kib: [u64; 3],
    /// Keys in Redis before and after it.
    pub keys: [u64; 2],
    /// How long the victim's calls took meanwhile.
    pub victim: Times,
    /// How often it called.
    pub victim_calls: usize,
}

impl Report {
    /// By how much the service grew.
    pub fn grew_kib(&self) -> u64 {
        let [before, after, _] = self.memory_kib;
        after.saturating_sub(before)
    }

    /// Whether the flood cost what it may, and no more.
    pub fn holds(&self) -> bool {
        self.grew_kib() <= GROWS_KIB_MAX && self.keys[0] == self.keys[1]
    }

    /// The same as one object.
    pub fn to_json(&self) -> Value {
        let answers = |answers: Answers| {
            let Answers {
                answered,
                held_back,
            } = answers;
            json!({ "answered": answered, "rate_limited": held_back })
        };
        let [before, after, most] = self.memory_kib;
        let [p50, p99, max] = self.victim.row().map(milliseconds);
        json!({
            "challenges": answers(self.challenges),
            "proofs": answers(self.proofs),
            "joins": answers(self.joins),
            "took_s": self.took.as_secs_f64(),
            "rss_kib": { "before": before, "after": after, "most": most },
            "redis_keys": { "before": self.keys[0], "after": self.keys[1] },
            "victim": { "calls": self.victim_calls, "p50_ms": p50, "p99_ms": p99, "max_ms": max },
            "goal": { "rss_grows_kib": GROWS_KIB_MAX, "redis_keys_more": 0 },
            "holds": self.holds(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let took = self.took.as_secs_f64();
        writeln!(
            f,
            "a flood of {took:.1} s without a session, from {ADDRESSES} addresses\n"
        )?;
        writeln!(f, "{:<34}{:>12}{:>14}", "", "answered", "rate limited")?;
        for (what, answers) in [
            ("requests for a challenge", self.challenges),
            ("wrong answers to one", self.proofs),
            ("attempts to join a link", self.joins),
        ] {
            let Answers {
                answered,
                held_back,
            } = answers;
            writeln!(f, "{what:<34}{answered:>12}{held_back:>14}")?;
        }
        let [before, after, most] = self.memory_kib;
        writeln!(
            f,
            "\nresident memory: {before} KiB before, {after} KiB after, {most} KiB at most"
        )?;
        writeln!(
            f,
            "keys in Redis: {} before, {} after",
            self.keys[0], self.keys[1]
        )?;
        let [p50, p99, max] = self.victim.row().map(milliseconds);
        writeln!(
            f,
            "the victim, elsewhere: {} of {} calls served, p50 {p50:.1} ms, p99 {p99:.1} ms, max \
             {max:.1} ms; and then it logged in",
            self.victim_calls, self.victim_calls
        )?;
        let verdict = if self.holds() { "held" } else { "MISSED" };
        write!(
            f,
            "goal: {GROWS_KIB_MAX} KiB more at most, and not one key more: {verdict}"
        )
    }
}

/// Does it.
///
/// # Errors
/// When something does not work, the flood is answered otherwise than it should be, or the victim is
/// not served.
pub async fn run(plan: Plan) -> anyhow::Result<Report> {
    anyhow::ensure!(plan.requests >= VICTIM_CALLS, "too few requests");
    let redis = Server::start();
    let folder = tempfile::tempdir()?;
    let dir = folder.path().join("keys");
    let keys = KeysFolder::open_or_init(&dir, &Choices::default())?;
    let store = RedisStore::connect(RedisConfig::new(redis.url())).await?;
    let mut deployment = Deployment::with_store(store)?;
    (deployment.genesis, deployment.signer) = (keys.genesis, keys.signer);
    let identity = Identity::create(&deployment, 1).await?;
    let each = |share: usize| {
        let all = plan.requests / ROUND * share / usize::from(ADDRESSES);
        (all / LET_THROUGH).clamp(1, 1_000_000).to_string()
    };
    let (challenges, joins) = (each(OTHERS), each(JOINS));
    let url = redis.url();
    let settings = [
        ("server.listen", "127.0.0.1:0"),
        ("keys.dir", dir.to_str().context("no text")?),
        ("store.kind", "redis"),
        ("store.url", &url),
        // Loopback, whose addresses call here, is counted like others.
        ("limits.trusted_proxies", "192.0.2.0/24"),
        ("identity.challenges_per_minute", &challenges),
        ("identity.joins_per_minute", &joins),
    ];
    let service = ServiceProcess::start("identity-service", &settings)?;

    let mut victim = Victim::connect(&service.url(), &identity).await?;
    victim.call().await?;
    let before = (service.memory_kib("VmRSS")?, count(&redis)?);
    let began = Instant::now();
    let (mut flood, done) = Flood::start(plan.requests, &service.url(), &identity).await?;
    let times = victim.call_through(plan.requests, done).await;
    let kinds = flood.end().await?;
    let took = began.elapsed();
    let after = (service.memory_kib("VmRSS")?, count(&redis)?);
    let most = service.memory_kib("VmHWM")?;
    let times = times?;
    Caller::open(victim.channel.clone(), &identity, 0).await?;
    let ended = service.drain()?;
    anyhow::ensure!(ended.code == Some(0), "{ended:?}");
    let [challenges, proofs, joins] = kinds;
    Ok(Report {
        challenges,
        proofs,
        joins,
        took,
        memory_kib: [before.0, after.0, most],
        keys: [before.1, after.1],
        victim_calls: times.len(),
        victim: Times::of(times),
    })
}

/// Keys that are there, without the one by which services see whether Redis takes writes: it comes
/// and goes.
fn count(redis: &Server) -> anyhow::Result<u64> {
    let count = "return redis.call('DBSIZE') - redis.call('EXISTS', 'el:probe:{g}')";
    let said = redis.command(&format!("EVAL \"{count}\" 0"));
    let count = said.trim().strip_prefix(':');
    Ok(count.with_context(|| said.clone())?.parse()?)
}

async fn connect(url: &str, from: IpAddr) -> anyhow::Result<Channel> {
    let endpoint = Endpoint::from_shared(url.to_owned())?.tcp_nodelay(true);
    Ok(endpoint.local_address(Some(from)).connect().await?)
}

/// What anybody asks for who wants to speak for the first device.
fn for_a_challenge(identity: &Identity) -> wire::GetChallengeRequest {
    let key = identity.devices[0].key.public_key();
    wire::GetChallengeRequest {
        identity: Bytes::copy_from_slice(identity.log.identity().as_bytes()),
        public_key: Bytes::copy_from_slice(key.as_bytes()),
        purpose: wire::ChallengePurpose::Identity.into(),
    }
}

/// In whose name the flood asks, and who calls from elsewhere.
struct Victim {
    channel: Channel,
    asks: wire::GetChallengeRequest,
}

impl Victim {
    async fn connect(url: &str, identity: &Identity) -> anyhow::Result<Self> {
        Ok(Self {
            channel: connect(url, VICTIM).await?,
            asks: for_a_challenge(identity),
        })
    }

    /// How long it took to be served.
    async fn call(&mut self) -> anyhow::Result<Duration> {
        let called = Instant::now();
        let mut client = IdentityServiceClient::new(self.channel.clone());
        let given = timeout(PATIENCE, client.get_challenge(self.asks.clone())).await?;
        given.context("the victim was not served")?;
        Ok(called.elapsed())
    }

    /// Calls again and again, evenly over the requests of the flood.
    async fn call_through(
        &mut self,
        requests: usize,
        mut done: watch::Receiver<usize>,
    ) -> anyhow::Result<Vec<Duration>> {
        let mut times = Vec::new();
        for call in 0..VICTIM_CALLS {
            let due = requests / VICTIM_CALLS * call;
            // What goes wrong with the flood, it says itself.
            if done.wait_for(|done| *done >= due).await.is_err() {
                break;
            }
            times.push(self.call().await?);
        }
        Ok(times)
    }
}

/// What each connection of the flood takes its requests from.
struct Supply {
    requests: usize,
    next: AtomicUsize,
    done: watch::Sender<usize>,
    asks: wire::GetChallengeRequest,
}

/// A flood that goes on.
struct Flood(JoinSet<anyhow::Result<[Answers; 3]>>);

impl Flood {
    /// Starts it; also says how many requests are answered.
    async fn start(
        requests: usize,
        url: &str,
        identity: &Identity,
    ) -> anyhow::Result<(Self, watch::Receiver<usize>)> {
        let (sender, done) = watch::channel(0);
        let supply = Arc::new(Supply {
            requests,
            next: AtomicUsize::new(0),
            done: sender,
            asks: for_a_challenge(identity),
        });
        let mut tasks = JoinSet::new();
        for address in 1..=ADDRESSES {
            let from = IpAddr::V4(Ipv4Addr::new(127, 0, 1, address));
            let client = IdentityServiceClient::new(connect(url, from).await?);
            for _ in 0..AT_ONCE {
                tasks.spawn(ask(client.clone(), Arc::clone(&supply)));
            }
        }
        Ok((Self(tasks), done))
    }

    async fn end(&mut self) -> anyhow::Result<[Answers; 3]> {
        let mut all = [Answers::default(); 3];
        while let Some(ended) = self.0.join_next().await {
            for (all, one) in all.iter_mut().zip(ended??) {
                all.answered += one.answered;
                all.held_back += one.held_back;
            }
        }
        Ok(all)
    }
}

/// Makes one request after the other as long as there are any.
async fn ask(
    mut client: IdentityServiceClient<Channel>,
    supply: Arc<Supply>,
) -> anyhow::Result<[Answers; 3]> {
    let mut kinds = [Answers::default(); 3];
    loop {
        let number = supply.next.fetch_add(1, Ordering::Relaxed);
        if number >= supply.requests {
            return Ok(kinds);
        }
        let (kind, expected, answer) = match number % ROUND {
            0..JOINS => {
                let answer = timeout(PATIENCE, join(&mut client)).await?;
                (2, "LINK_GONE", answer)
            }
            place if place < JOINS + OTHERS => {
                let wrong = wire::AuthenticateRequest {
                    sealed: Bytes::copy_from_slice(&rand::random::<[u8; 32]>()),
                    public_key: supply.asks.public_key.clone(),
                    proof: Bytes::from_static(&[7; 64]),
                };
                let answer = timeout(PATIENCE, client.authenticate(wrong)).await?;
                (1, "CHALLENGE_INVALID", answer.map(drop))
            }
            _ => {
                let asks = supply.asks.clone();
                let answer = timeout(PATIENCE, client.get_challenge(asks)).await?;
                (0, "", answer.map(drop))
            }
        };
        let reason = answer.map_or_else(|status| refusal(&status).1, |()| String::new());
        match reason.as_str() {
            "RATE_LIMITED" => kinds[kind].held_back += 1,
            reason if reason == expected => kinds[kind].answered += 1,
            other => anyhow::bail!("request {number} was answered with {other:?}"),
        }
        supply.done.send_modify(|done| *done += 1);
    }
}

/// Guesses the name of a link.
async fn join(client: &mut IdentityServiceClient<Channel>) -> Result<(), Status> {
    let session = Bytes::copy_from_slice(&rand::random::<[u8; 32]>());
    let (requests, stream) = tokio::sync::mpsc::channel(1);
    let first = wire::LinkRequest {
        message: Some(Message::Join(wire::JoinLink { session })),
    };
    // There is room for it.
    let _ = requests.try_send(first);
    let mut answers = client.link(ReceiverStream::new(stream)).await?.into_inner();
    answers.message().await.map(drop)
}
