//! S-39: a service that stops answers what it has taken, says farewell, and ends in time; its
//! devices lose and repeat nothing, and hardly notice.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use device_agent::{Agent, AgentError, Details, Event, Level, Options, within};
use edge_ledger_chassis::Limits;
use edge_ledger_core::ledger::posting::EventKey;
use edge_ledger_core::ledger::{Heads, Kind, Posting, Run};
use edge_ledger_core::sync::{Frame, GoAwayReason, Outcome};
use edge_ledger_store::LedgerStore as _;
use edge_ledger_tests::{Deployment, Identity, Pair, RawStream, refusal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::transport::Endpoint;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::kill::{check, confirmed, ports, recorder, two_devices, up};

const PATIENCE: Duration = Duration::from_secs(60);
const GRACE: Duration = Duration::from_secs(4);
const IDENTITIES: usize = 100;
const DEVICES: usize = 10;
/// Streams of one connection.
const TOGETHER: usize = 200;
/// Entries that each stream pushes without waiting.
const PUSHED: u64 = 4;

/// What a device saw of its stream until the end.
struct Seen {
    acked_seq: u64,
    taken: u64,
    farewell: bool,
    status: Status,
}

/// Pushes without waiting, and reads to the end.
async fn push_and_read(
    mut stream: RawStream,
    runs: Vec<Run>,
    own: edge_ledger_core::ids::DeviceId,
    acked: mpsc::Sender<()>,
) -> anyhow::Result<Seen> {
    for run in runs {
        // The service may have ended the stream by then.
        if stream.push(vec![run]).await.is_err() {
            break;
        }
    }
    let (mut acked_seq, mut taken, mut farewell) = (0, 0, false);
    loop {
        match stream.next().await? {
            Ok(Frame::Acks(acks)) => {
                assert!(!farewell, "an ack after the farewell");
                let own = acks.iter().filter(|ack| ack.device == own);
                acked_seq = own.map(|ack| ack.point.seq).fold(acked_seq, u64::max);
                let _ = acked.try_send(());
            }
            Ok(Frame::Taken { outcomes, .. }) => {
                assert_eq!(outcomes, [Outcome::Kept]);
                taken += 1;
            }
            Ok(Frame::GoAway { reason, .. }) => {
                assert_eq!(reason, GoAwayReason::Draining);
                farewell = true;
            }
            Ok(_) => {}
            Err(status) => {
                return Ok(Seen {
                    acked_seq,
                    taken,
                    farewell,
                    status,
                });
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

/// A device that says hello to a service that has megabytes for it, and reads none of them.
async fn never_reads(deployment: &Deployment, url: &str) -> anyhow::Result<RawStream> {
    let mut identity = Identity::create(deployment, 2).await?;
    let mut writer = RawStream::hello(url, &identity, 0, &Heads::default()).await?;
    for number in 0..40 {
        let run = large(&mut identity, number)?;
        assert_eq!(writer.push_taken(vec![run]).await?, [Outcome::Kept]);
    }
    let reader = RawStream::hello(url, &identity, 1, &Heads::default()).await?;
    // Asks for everything.
    reader.send(Frame::Heads(Heads::default())).await?;
    Ok(reader)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s39_a_thousand_streams_get_what_they_are_owed_and_a_silent_reader_holds_up_nobody()
-> anyhow::Result<()> {
    let deployment = Deployment::new()?;
    let server = deployment.ledger_service().await?;
    let url = format!("http://{}", server.local_addr());
    let silent = never_reads(&deployment, &url).await?;
    let mut streams = Vec::new();
    let mut channel = None;
    for index in 0..IDENTITIES {
        let mut identity = Identity::create(&deployment, DEVICES).await?;
        for device in 0..DEVICES {
            if (index * DEVICES + device).is_multiple_of(TOGETHER) {
                channel = Some(Endpoint::from_shared(url.clone())?.connect().await?);
            }
            let channel = channel.clone().expect("the first stream connects");
            let mut stream = RawStream::open_on(channel).await?;
            stream
                .say_hello(&identity, device, &Heads::default())
                .await?;
            let runs: Result<Vec<Run>, _> = (0..PUSHED)
                .map(|n| identity.credit(device, &format!("{device}-{n}"), 1))
                .collect();
            let (of, own) = (identity.log.identity(), identity.devices[device].id());
            streams.push((stream, runs?, of, own));
        }
    }
    let (acked, mut first_acks) = mpsc::channel(IDENTITIES * DEVICES);
    let mut tasks = JoinSet::new();
    for (stream, runs, of, own) in streams {
        let acked = acked.clone();
        tasks.spawn(async move { (of, own, push_and_read(stream, runs, own, acked).await) });
    }
    // In the middle of it all.
    for _ in 0..IDENTITIES {
        timeout(PATIENCE, first_acks.recv()).await?;
    }
    let graceful = timeout(GRACE + PATIENCE, server.shutdown(GRACE)).await?;
    assert!(!graceful, "somebody read for the silent one");
    drop(silent);
    let mut owed = 0;
    while let Some(ended) = timeout(PATIENCE, tasks.join_next()).await? {
        let (of, own, seen) = ended?;
        let seen = seen?;
        let kept = deployment.store.heads(of).await?.value;
        let kept_seq = kept.of(&own).first().map_or(0, |point| point.seq);
        assert_eq!(
            refusal(&seen.status),
            (Code::Unavailable, "DRAINING".to_owned())
        );
        assert!(seen.farewell && seen.status.get_details_retry_info().is_some());
        assert_eq!((seen.acked_seq, seen.taken), (kept_seq, kept_seq));
        owed += kept_seq;
    }
    assert!(owed >= IDENTITIES as u64);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s39_sigterm_under_load_loses_and_repeats_nothing() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let ports = ports()?;
    let mut pair = up(folder.path(), ports)?;
    let witness = two_devices(folder.path(), ports.0).await?;
    let mut keys = BTreeSet::new();
    let mut victim = recorder(&folder.path().join("victim"), 0)?;
    for round in 0..4 {
        confirmed(&mut victim, 40 + round * 23, &mut keys)?;
        assert_eq!(pair.terminate()?, Some(0));
        confirmed(&mut victim, 5, &mut keys)?;
        pair = up(folder.path(), ports)?;
    }
    keys.extend(victim.kill()?);
    check(folder.path(), &witness, &keys).await?;
    drop(pair);
    Ok(())
}

/// Reads what happened to an agent since it was looked at last.
async fn failures(events: &mut device_agent::Events) -> Vec<String> {
    let mut failures = Vec::new();
    while let Ok(Some(event)) = timeout(Duration::ZERO, events.next()).await {
        if let Event::SyncFailed { why, .. } = event {
            failures.push(why);
        }
    }
    failures
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_moves_from_connection_to_connection_and_the_application_does_not_notice()
-> anyhow::Result<()> {
    let pair = Pair::start().await?;
    let first = pair.first_device("phone").await?;
    first.stop().await;
    let limits = Limits {
        connection_age: Duration::from_millis(300),
        ..Limits::default()
    };
    let any = ([127, 0, 0, 1], 0).into();
    let restless = pair.deployment.ledger_service_with(any, limits).await?;
    let options = Options {
        ledger_url: Some(format!("http://{}", restless.local_addr())),
        ..Options::default()
    };
    let phone = Agent::open(&pair.home("phone"), options).await?;
    let mut events = phone.events();
    let mut connected = phone.events();
    let mut earned = 0;
    let mut moves = 0;
    while moves < 5 {
        phone.earn(1, Details::default()).await?;
        earned += 1;
        let acked = phone.wait_acked(Level::Volatile);
        within(PATIENCE, acked).await?;
        while let Ok(Some(event)) = timeout(Duration::ZERO, connected.next()).await {
            moves += u32::from(event == Event::Connected);
        }
    }
    within(PATIENCE, phone.sync()).await?;
    assert_eq!(phone.balance().balance, earned);
    assert_eq!(failures(&mut events).await, Vec::<String>::new());
    assert!(restless.shutdown(GRACE).await);
    let offline = within(Duration::from_millis(800), phone.sync()).await;
    assert!(matches!(offline, Err(AgentError::TimedOut)), "{offline:?}");
    assert!(!failures(&mut events).await.is_empty(), "now it is gone");
    Ok(())
}
