//! S-39 through real processes on a Redis of their own: told to end, a service is gone within five
//! seconds, with a thousand open streams, with acks that it owes, with clients that never read, and
//! with some that never got as far as a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use edge_ledger_chassis::KeysFolder;
use edge_ledger_chassis::keys::Choices;
use edge_ledger_chassis::limits::EXIT_WITHIN;
use edge_ledger_core::ids::{DeviceId, IdentityId};
use edge_ledger_core::ledger::posting::EventKey;
use edge_ledger_core::ledger::{Heads, Kind, Posting, Run};
use edge_ledger_core::sync::{Frame, GoAwayReason, Outcome};
use edge_ledger_store::LedgerStore as _;
use edge_ledger_store::redis::commands::acl_settings;
use edge_ledger_store::redis::server::{DURABLE, Server};
use edge_ledger_store::redis::{RedisConfig, RedisStore};
use edge_ledger_tests::service::Ended;
use edge_ledger_tests::{Deployment, Identity, RawStream, ServiceProcess, refusal};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Status, Streaming};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_types::StatusExt as _;

use crate::certificates::Authority;

const PAGE: &str = include_str!("../../../docs/two-services.md");
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(2);
const IDENTITIES: usize = 100;
const DEVICES: usize = 10;
/// Identities whose streams share a connection.
const TOGETHER: usize = 20;
/// Entries of each device: one that is acked before the end, one that the service has taken and
/// cannot commit yet, and one that is on its way when the service is told to end.
const ENTRIES: u64 = 3;
/// Entries of about 200 KiB that wait for those who never read.
const LARGE: u32 = 40;
/// More than all of them.
const WINDOW_BYTES: u32 = 64 << 20;

/// A deployment on Redis, whose services are processes.
struct Site {
    deployment: Deployment<RedisStore>,
    redis: Server,
    settings: Vec<(&'static str, String)>,
    folder: tempfile::TempDir,
}

impl Site {
    async fn start() -> anyhow::Result<Self> {
        let user = acl_settings(PAGE, "secret");
        let settings = DURABLE
            .iter()
            .copied()
            .chain(user.iter().map(String::as_str));
        let redis = Server::start_with(&settings.collect::<Vec<_>>());
        let folder = tempfile::tempdir()?;
        let dir = folder.path().join("keys");
        let keys = KeysFolder::open_or_init(&dir, &Choices::default())?;
        let store = RedisStore::connect(RedisConfig::new(redis.url())).await?;
        let mut deployment = Deployment::with_store(store)?;
        (deployment.genesis, deployment.signer) = (keys.genesis, keys.signer);
        let url = format!("redis://edge-ledger:secret@127.0.0.1:{}", redis.port());
        let settings = vec![
            ("server.listen", "127.0.0.1:0".to_owned()),
            ("keys.dir", dir.to_str().context("no text")?.to_owned()),
            ("store.kind", "redis".to_owned()),
            ("store.url", url),
            // As slow as the test makes it.
            ("store.response_timeout", "60s".to_owned()),
        ];
        Ok(Self {
            deployment,
            redis,
            settings,
            folder,
        })
    }

    fn service(&self, name: &str, more: &[(&str, &str)]) -> anyhow::Result<ServiceProcess> {
        let settings = self.settings.iter();
        let mut settings: Vec<_> = settings
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        settings.extend(more);
        ServiceProcess::start(name, &settings)
    }

    /// From now on Redis takes no write; reads that are scripts wait too.
    fn pause(&self) -> anyhow::Result<()> {
        let said = self.redis.command("CLIENT PAUSE 60000 WRITE");
        anyhow::ensure!(said.starts_with("+OK"), "{said}");
        Ok(())
    }

    /// Waits until the service has handed in something that Redis does not carry out.
    async fn waits_for_redis(&self) {
        let waits = |line: &str| {
            let parts = [" flags=b ", " cmd=evalsha ", " user=edge-ledger "];
            parts.iter().all(|part| line.contains(part))
        };
        while !self.redis.command("CLIENT LIST").lines().any(waits) {
            sleep(LOOK_EVERY).await;
        }
    }

    fn go_on(&self) -> anyhow::Result<()> {
        let said = self.redis.command("CLIENT UNPAUSE");
        anyhow::ensure!(said.starts_with("+OK"), "{said}");
        Ok(())
    }
}

/// A device with an open stream, and the entries that it makes.
struct Device {
    identity: IdentityId,
    id: DeviceId,
    /// Its place in the identity.
    place: usize,
    stream: RawStream,
    runs: Vec<Run>,
}

/// An identity whose devices have open streams, and got an ack each.
async fn identity(
    deployment: &Deployment<RedisStore>,
    channel: Channel,
) -> anyhow::Result<(Identity, Vec<Device>)> {
    let mut identity = Identity::create(deployment, DEVICES).await?;
    let mut devices = Vec::new();
    for place in 0..DEVICES {
        let mut stream = RawStream::open_on(channel.clone()).await?;
        stream
            .say_hello(&identity, place, &Heads::default())
            .await?;
        let runs = (0..ENTRIES).map(|n| identity.credit(place, &format!("{place}-{n}"), 1));
        let runs = runs.collect::<anyhow::Result<Vec<Run>>>()?;
        let id = identity.devices[place].id();
        stream.push(vec![runs[0].clone()]).await?;
        while acked_seq(&stream.acks().await?, id) < 1 {}
        devices.push(Device {
            identity: identity.log.identity(),
            id,
            place,
            stream,
            runs,
        });
    }
    Ok((identity, devices))
}

fn acked_seq(acks: &[edge_ledger_core::sync::AckParts], device: DeviceId) -> u64 {
    let own = acks.iter().filter(|ack| ack.device == device);
    own.map(|ack| ack.point.seq).max().unwrap_or(0)
}

/// What a device saw of its stream until the end.
struct Seen {
    device: Device,
    acked_seq: u64,
    /// Entries that were said to be kept.
    taken: u64,
    farewell: bool,
    status: Status,
}

/// Sends what is left, and reads to the end.
async fn read_to_the_end(device: Device, not_serving: Arc<AtomicBool>) -> anyhow::Result<Seen> {
    let id = device.id;
    let mut seen = Seen {
        device,
        acked_seq: 1,
        taken: 1,
        farewell: false,
        status: Status::ok(""),
    };
    let Device { stream, runs, .. } = &mut seen.device;
    for run in &runs[2..] {
        // The service may have ended the stream by then.
        let _ = stream.push(vec![run.clone()]).await;
    }
    loop {
        match stream.next().await? {
            Ok(Frame::Acks(acks)) => {
                assert!(!seen.farewell, "an ack after the farewell");
                let acked = acked_seq(&acks, id);
                // Redis goes on only then.
                let told = not_serving.load(Ordering::SeqCst);
                assert!(acked < 2 || told, "acked before it said that it ends");
                seen.acked_seq = seen.acked_seq.max(acked);
            }
            Ok(Frame::Taken { outcomes, .. }) => {
                assert_eq!(outcomes, [Outcome::Kept]);
                seen.taken += 1;
            }
            Ok(Frame::GoAway { reason, .. }) => {
                assert_eq!(reason, GoAwayReason::Draining);
                seen.farewell = true;
            }
            Ok(_) => {}
            Err(status) => {
                seen.status = status;
                return Ok(seen);
            }
        }
    }
}

/// An entry of about 200 KiB.
fn large(identity: &mut Identity, number: u32) -> anyhow::Result<Run> {
    let posting = |index: u32| {
        let key = EventKey::new(Bytes::from(format!("{number}-{index}")))?;
        Posting::new(Kind::Credit, key, 1)?.with_memo("x".repeat(128))
    };
    let postings: Result<Vec<Posting>, _> = (0..1_000).map(posting).collect();
    identity.entry(0, postings?)
}

/// An identity with megabytes that two of its devices lack.
async fn heavy(site: &Site, url: &str) -> anyhow::Result<Identity> {
    let mut identity = Identity::create(&site.deployment, 3).await?;
    let mut writer = RawStream::hello(url, &identity, 0, &Heads::default()).await?;
    for number in 0..LARGE {
        let run = large(&mut identity, number)?;
        assert_eq!(writer.push_taken(vec![run]).await?, [Outcome::Kept]);
    }
    Ok(identity)
}

/// Asks for everything, and reads no further than the beginning.
async fn ask_for_all(
    channel: Channel,
    identity: &Identity,
    device: usize,
) -> anyhow::Result<RawStream> {
    let mut stream = RawStream::open_on(channel).await?;
    stream
        .say_hello(identity, device, &Heads::default())
        .await?;
    stream.send(Frame::Heads(Heads::default())).await?;
    let begins = |frame| matches!(frame, Frame::Runs { .. }).then_some(());
    stream.until(begins).await?;
    Ok(stream)
}

/// A client whose machine stands still: nobody reads its end of the connection, into which goes
/// what the systems of both ends take.
struct Frozen {
    until: std::sync::mpsc::Sender<()>,
    machine: std::thread::JoinHandle<anyhow::Result<()>>,
}

impl Frozen {
    /// Returns when it stands still.
    fn start(url: String, identity: Identity) -> anyhow::Result<Self> {
        let (until, thawed) = std::sync::mpsc::channel();
        let (frozen, is_frozen) = std::sync::mpsc::channel();
        let machine = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build()?;
            let asked = runtime.block_on(async {
                let endpoint = Endpoint::from_shared(url)?
                    .initial_stream_window_size(WINDOW_BYTES)
                    .initial_connection_window_size(WINDOW_BYTES);
                ask_for_all(endpoint.connect().await?, &identity, 2).await
            })?;
            frozen.send(())?;
            // Nobody drives its runtime.
            let _ = thawed.recv();
            drop(asked);
            anyhow::Ok(())
        });
        is_frozen.recv().context("it never stood still")?;
        Ok(Self { until, machine })
    }

    fn thaw(self) -> anyhow::Result<()> {
        drop(self.until);
        let ended = self.machine.join();
        ended.map_err(|_| anyhow::anyhow!("a panic"))?
    }
}

async fn watch_health(url: &str) -> anyhow::Result<Streaming<HealthCheckResponse>> {
    let channel = Endpoint::from_shared(url.to_owned())?.connect().await?;
    let mut client = HealthClient::new(channel);
    let mut watch = client
        .watch(HealthCheckRequest::default())
        .await?
        .into_inner();
    assert_eq!(next_health(&mut watch).await?, Ok(ServingStatus::Serving));
    Ok(watch)
}

async fn next_health(
    watch: &mut Streaming<HealthCheckResponse>,
) -> anyhow::Result<Result<ServingStatus, (Code, String)>> {
    match timeout(PATIENCE, watch.message()).await? {
        Ok(said) => Ok(Ok(said.context("it ended OK")?.status())),
        Err(status) => Ok(Err(refusal(&status))),
    }
}

/// Whether somebody had to be cut off when the grace was over.
fn was_cut_off(ended: &Ended) -> bool {
    ended
        .log
        .iter()
        .any(|line| line.contains("what is left is ended"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s39_a_thousand_streams_get_what_they_are_owed_and_who_never_reads_holds_up_nobody()
-> anyhow::Result<()> {
    let site = Site::start().await?;
    let mut service = site.service("ledger-service", &[])?;
    let url = service.url();
    let heavy = heavy(&site, &url).await?;
    let (mut channels, mut identities, mut devices) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..IDENTITIES / TOGETHER {
        let channel = Endpoint::from_shared(url.clone())?.connect().await?;
        let opened = (0..TOGETHER).map(|_| identity(&site.deployment, channel.clone()));
        for (identity, streams) in futures::future::try_join_all(opened).await? {
            identities.push(identity);
            devices.extend(streams);
        }
        channels.push(channel);
    }
    assert_eq!(devices.len(), 1_000);
    let mut watch = watch_health(&url).await?;
    let mut half = TcpStream::connect(service.address()).await?;
    half.write_all(b"PRI * HT").await?;
    let reader = Endpoint::from_shared(url.clone())?.connect().await?;
    let reader = ask_for_all(reader, &heavy, 1).await?;
    let frozen = Frozen::start(url, heavy)?;

    site.pause()?;
    for device in &mut devices {
        device.stream.push(vec![device.runs[1].clone()]).await?;
    }
    for channel in channels {
        // Greeted after what came before it was received.
        RawStream::open_on(channel).await?;
    }
    timeout(PATIENCE, site.waits_for_redis()).await?;
    let (not_serving, mut reading) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
    for device in devices {
        reading.spawn(read_to_the_end(device, Arc::clone(&not_serving)));
    }
    let told = Instant::now();
    service.signal("TERM")?;
    service.wait_for("drains")?;
    let ending = tokio::task::spawn_blocking(move || {
        let ended = service.end_within(EXIT_WITHIN.saturating_sub(told.elapsed()));
        (ended, told.elapsed())
    });
    assert_eq!(
        next_health(&mut watch).await?,
        Ok(ServingStatus::NotServing)
    );
    not_serving.store(true, Ordering::SeqCst);
    site.go_on()?;
    let draining = (Code::Unavailable, "DRAINING".to_owned());
    assert_eq!(next_health(&mut watch).await?, Err(draining.clone()));
    let mut seen = Vec::new();
    while let Some(ended) = timeout(PATIENCE, reading.join_next()).await? {
        seen.push(ended??);
    }
    let (ended, took) = ending.await?;
    let ended = ended?;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(was_cut_off(&ended), "somebody read for those who do not");
    drop((reader, half));
    frozen.thaw()?;

    for seen in &seen {
        assert_eq!(refusal(&seen.status), draining);
        assert!(seen.farewell && seen.status.get_details_retry_info().is_some());
        let kept_seq = kept_seq(&site, &seen.device).await?;
        assert_eq!((seen.acked_seq, seen.taken), (kept_seq, kept_seq));
    }
    let owed = seen.iter().filter(|seen| seen.acked_seq > 1).count();
    assert!(owed > 0, "nothing was owed");
    println!(
        "{owed} of {} streams were owed an ack, and got it; the process was gone after {took:?}",
        seen.len()
    );
    push_the_rest(&site, &identities, seen).await
}

/// How far the store keeps a device's journal.
async fn kept_seq(site: &Site, device: &Device) -> anyhow::Result<u64> {
    let heads = site.deployment.store.heads(device.identity).await?.value;
    let [tip] = heads.of(&device.id) else {
        anyhow::bail!("no end of a journal, or several");
    };
    Ok(tip.seq)
}

/// What was not acked is taken by the next process.
async fn push_the_rest(
    site: &Site,
    identities: &[Identity],
    seen: Vec<Seen>,
) -> anyhow::Result<()> {
    let service = site.service("ledger-service", &[])?;
    let channel = Endpoint::from_shared(service.url())?.connect().await?;
    for seen in seen.into_iter().filter(|seen| seen.acked_seq < ENTRIES) {
        let device = &seen.device;
        let is_its = |identity: &&Identity| identity.log.identity() == device.identity;
        let identity = identities.iter().find(is_its).context("no identity")?;
        let mut stream = RawStream::open_on(channel.clone()).await?;
        stream
            .say_hello(identity, device.place, &Heads::default())
            .await?;
        for run in &device.runs[usize::try_from(seen.acked_seq)?..] {
            let outcomes = stream.push_taken(vec![run.clone()]).await?;
            assert_eq!(outcomes, [Outcome::Kept]);
        }
        assert_eq!(kept_seq(site, device).await?, ENTRIES);
    }
    let ended = service.drain()?;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s39_who_stalls_before_a_request_does_not_use_up_the_grace() -> anyhow::Result<()> {
    let site = Site::start().await?;
    let authority = Authority::new()?;
    let certified = authority.certify(site.folder.path(), "127.0.0.1", true)?;
    let authority = std::fs::read(authority.file(site.folder.path())?)?;
    let path = |path: &std::path::Path| path.to_str().map(ToOwned::to_owned).context("no text");
    let files = (path(&certified.certificate)?, path(&certified.key)?);
    let tls = [
        ("tls.certificate_file", files.0.as_str()),
        ("tls.key_file", files.1.as_str()),
    ];
    let ledger_url = ("identity.ledger_urls", "http://127.0.0.1:1");
    let trusted = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority));
    // The beginning of HTTP/2, and of a handshake.
    let (preface, hello) = (&b"PRI * HT"[..], &[22, 3, 1, 0, 200, 1][..]);
    for (name, settings, half) in [
        ("ledger-service", &[][..], preface),
        ("ledger-service", &tls, hello),
        ("identity-service", &[ledger_url], preface),
        ("identity-service", &[ledger_url, tls[0], tls[1]], hello),
    ] {
        let service = site.service(name, settings)?;
        let mut stalled = Vec::new();
        for said in [&b""[..], half] {
            let mut tcp = TcpStream::connect(service.address()).await?;
            tcp.write_all(said).await?;
            stalled.push(tcp);
        }
        // Served only after those were accepted.
        let mut endpoint = Endpoint::from_shared(service.url())?;
        if half == hello {
            endpoint = endpoint.tls_config(trusted.clone())?;
        }
        let mut client = HealthClient::new(endpoint.connect().await?);
        let said = client.check(HealthCheckRequest::default()).await?;
        assert_eq!(said.into_inner().status(), ServingStatus::Serving);
        let ended = service.drain()?;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(!was_cut_off(&ended), "{ended:?}");
        drop(stalled);
    }
    Ok(())
}
