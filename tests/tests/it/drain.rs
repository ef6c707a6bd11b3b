//! S-39: the devices of a service that stops, or of a connection that ends, lose and repeat nothing,
//! and hardly notice.

use std::collections::BTreeSet;
use std::time::Duration;

use device_agent::{Agent, AgentError, Details, Event, Level, Options, within};
use edge_ledger_chassis::Limits;
use edge_ledger_tests::Pair;
use tokio::time::timeout;

use crate::kill::{check, confirmed, ports, recorder, two_devices, up};

const PATIENCE: Duration = Duration::from_secs(60);
const GRACE: Duration = Duration::from_secs(4);

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
        ledger_urls: Some(format!("http://{}", restless.local_addr()).into()),
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
