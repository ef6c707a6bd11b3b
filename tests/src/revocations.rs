//! F-20 as a run: devices of many identities have streams at replicas that are processes of their
//! own, and are revoked one after the other while others append without pause. How long is each
//! stream open after its revocation is committed?

use std::fmt;
use std::time::Duration;

use anyhow::Context as _;
use edge_ledger_core::ledger::Heads;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use crate::load::Report as Appended;
use crate::{Caller, Cluster, Deployment, Identity, Load, RawStream, refusal};

/// The longest that a stream may stay open before the run fails.
const PATIENCE: Duration = Duration::from_secs(20);
/// Identities that are made at once.
const TOGETHER: usize = 16;
/// Streams of one connection.
const STREAMS_PER_CONNECTION: usize = 50;
/// What 99 of 100 must hold.
const GOAL_P99: Duration = Duration::from_millis(100);
/// What all must hold.
const GOAL_MAX: Duration = Duration::from_secs(1);

/// What is done.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Devices that are revoked; each has a stream from the beginning.
    pub revocations: usize,
    /// Those of them that are of one identity, at most 15; another device of it revokes them.
    pub per_identity: usize,
    /// Processes of each service.
    pub replicas: usize,
    /// Further devices, each of an identity of its own, that append without pause.
    pub appending: usize,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            revocations: 1_000,
            per_identity: 10,
            replicas: 3,
            appending: 6,
        }
    }
}

/// How long something took, each time.
#[derive(Debug, Clone)]
pub struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// The time that so many of a hundred did not exceed.
    pub fn percentile(&self, percent: usize) -> Duration {
        let place = (self.0.len() * percent).div_ceil(100).max(1) - 1;
        self.0.get(place).copied().unwrap_or_default()
    }

    /// That which half of them, 99 of a hundred and all did not exceed.
    pub(crate) fn row(&self) -> [Duration; 3] {
        [50, 99, 100].map(|percent| self.percentile(percent))
    }
}

/// What was seen.
#[derive(Debug)]
pub struct Report {
    plan: Plan,
    /// From the answer to the statement to the end of the stream; 0 if that came first.
    pub after_answer: Times,
    /// From the call to the end of the stream.
    pub after_call: Times,
    /// How often the stream ended before the answer was there.
    pub before_answer: usize,
    /// What became of the devices that appended all the while.
    pub appended: Appended,
}

impl Report {
    /// Whether the times are what they should be.
    pub fn holds(&self) -> bool {
        let [_, p99, max] = self.after_answer.row();
        p99 <= GOAL_P99 && max <= GOAL_MAX
    }

    /// The same as one object.
    pub fn to_json(&self) -> Value {
        let times = |times: &Times| {
            let [p50, p99, max] = times.row().map(milliseconds);
            json!({ "p50_ms": p50, "p99_ms": p99, "max_ms": max })
        };
        json!({
            "revocations": self.plan.revocations,
            "streams": self.plan.revocations,
            "replicas": self.plan.replicas,
            "after_answer": times(&self.after_answer),
            "after_call": times(&self.after_call),
            "before_answer": self.before_answer,
            "goal": { "p99_ms": milliseconds(GOAL_P99), "max_ms": milliseconds(GOAL_MAX) },
            "holds": self.holds(),
            "appending": {
                "devices": self.plan.appending,
                "acked": self.appended.acked,
                "lost": self.appended.lost,
                "duplicated": self.appended.duplicated,
            },
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan {
            revocations,
            replicas,
            appending,
            ..
        } = self.plan;
        writeln!(
            f,
            "{revocations} devices with streams at {replicas} replicas, revoked one after the other"
        )?;
        let appended = self.appended;
        writeln!(
            f,
            "beside {appending} devices that append without pause: {} acked, {} lost, {} twice\n",
            appended.acked, appended.lost, appended.duplicated
        )?;
        let title = "stream closed with DEVICE_REVOKED";
        writeln!(f, "{title:<34}{:>10}{:>10}{:>10}", "p50", "p99", "max")?;
        for (what, times) in [
            ("after the answer to the statement", &self.after_answer),
            ("after the call", &self.after_call),
        ] {
            let [p50, p99, max] = times
                .row()
                .map(|time| format!("{:.1} ms", milliseconds(time)));
            writeln!(f, "{what:<34}{p50:>10}{p99:>10}{max:>10}")?;
        }
        let verdict = if self.holds() { "held" } else { "MISSED" };
        let (p99, max) = (milliseconds(GOAL_P99), milliseconds(GOAL_MAX));
        writeln!(
            f,
            "\nbefore the answer was there: {} of {revocations}",
            self.before_answer
        )?;
        write!(f, "goal: p99 {p99:.0} ms, max {max:.0} ms: {verdict}")
    }
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}

/// An identity whose first device revokes the others.
struct Member {
    identity: Identity,
    admin: Caller,
    /// Of each other device: told when and how its stream ended.
    closed: Vec<oneshot::Receiver<(Instant, Status)>>,
}

/// Does it.
///
/// # Errors
/// When something does not work, a stream ends otherwise or stays open, or a revoked device is let
/// in again.
pub async fn run(plan: Plan) -> anyhow::Result<Report> {
    anyhow::ensure!(
        (1..=15).contains(&plan.per_identity),
        "1 to 15 per identity"
    );
    anyhow::ensure!(plan.revocations > 0 && plan.replicas > 0, "nothing to do");
    let cluster = Cluster::start(Cluster::redis_server(), plan.replicas).await?;
    let mut deployment = Deployment::with_store(cluster.store().await?)?;
    deployment.genesis = cluster.genesis.clone();
    let mut readers = JoinSet::new();
    let mut members = open_all(plan, &cluster, &deployment, &mut readers).await?;
    let url = cluster.ledger.balancer.url();
    let load = Load::start(&deployment, plan.appending, &url).await?;

    let (mut after_answer, mut after_call, mut before_answer) = (Vec::new(), Vec::new(), 0);
    let count = members.len();
    for number in 0..plan.revocations {
        let member = &mut members[number % count];
        let device = 1 + number / count;
        let revoke = member.identity.revocation(device)?;
        let called = Instant::now();
        let receipted = member.admin.append(&revoke).await?;
        let answered = Instant::now();
        let closed = timeout(PATIENCE, member.closed.remove(0)).await;
        let (closed, status) = closed.context("a stream stayed open")??;
        anyhow::ensure!(is_revoked(&status), "a stream ended otherwise: {status}");
        after_answer.push(closed.saturating_duration_since(answered));
        after_call.push(closed.saturating_duration_since(called));
        before_answer += usize::from(closed < answered);
        member.identity.follow(receipted)?;
        let elsewhere = &cluster.ledger.running[(number + 1) % plan.replicas];
        knock(&elsewhere.url(), &member.identity, device).await?;
    }
    let appended = load.stop_and_count(&deployment.store).await?;
    Ok(Report {
        plan,
        after_answer: Times::of(after_answer),
        after_call: Times::of(after_call),
        before_answer,
        appended,
    })
}

/// Makes the identities, and opens the streams of their devices at one replica after the other.
async fn open_all(
    plan: Plan,
    cluster: &Cluster,
    deployment: &Deployment<impl crate::identity::Store>,
    readers: &mut JoinSet<()>,
) -> anyhow::Result<Vec<Member>> {
    let count = plan.revocations.div_ceil(plan.per_identity);
    let made = (0..count).map(|number| {
        // They are revoked in turns, so that some may have one device less.
        let devices = (plan.revocations - number).div_ceil(count);
        Identity::create(deployment, 1 + devices)
    });
    let made: Vec<Identity> = stream::iter(made).buffered(TOGETHER).try_collect().await?;
    let (mut members, mut opened) = (Vec::new(), 0);
    let mut channels: Vec<Channel> = Vec::new();
    for (number, identity) in made.into_iter().enumerate() {
        let service = &cluster.identity.running[number % plan.replicas];
        let channel = Endpoint::from_shared(service.url())?.connect().await?;
        let admin = Caller::open(channel, &identity, 0).await?;
        let mut closed = Vec::new();
        for device in 1..identity.devices.len() {
            if opened % (plan.replicas * STREAMS_PER_CONNECTION) == 0 {
                channels = connect_all(cluster).await?;
            }
            let mut stream = RawStream::open_on(channels[opened % plan.replicas].clone()).await?;
            let nothing = Heads::default();
            stream.say_hello(&identity, device, &nothing).await?;
            let (ended, end) = oneshot::channel();
            readers.spawn(async move {
                if let Ok(status) = stream.closed().await {
                    let _ = ended.send((Instant::now(), status));
                }
            });
            closed.push(end);
            opened += 1;
        }
        members.push(Member {
            identity,
            admin,
            closed,
        });
    }
    Ok(members)
}

async fn connect_all(cluster: &Cluster) -> anyhow::Result<Vec<Channel>> {
    let mut channels = Vec::new();
    for service in &cluster.ledger.running {
        let endpoint = Endpoint::from_shared(service.url())?.tcp_nodelay(true);
        channels.push(endpoint.connect().await?);
    }
    Ok(channels)
}

/// A revoked device comes anew, and must not be let in.
async fn knock(url: &str, identity: &Identity, device: usize) -> anyhow::Result<()> {
    let mut stream = RawStream::open(url).await?;
    let key = &identity.devices[device].key;
    let hello = stream.sign_hello(identity, key, &Heads::default());
    stream
        .send(edge_ledger_core::sync::Frame::Hello(hello))
        .await?;
    let status = stream.end().await?;
    anyhow::ensure!(is_revoked(&status), "it was let in again: {status}");
    Ok(())
}

fn is_revoked(status: &Status) -> bool {
    refusal(status).1 == "DEVICE_REVOKED"
}
