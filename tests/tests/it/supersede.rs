//! S-38: of two streams of one device the one that was opened last stays, and the other device
//! stays away for a minute.

use std::time::Duration;

use device_agent::testing::copy_home;
use device_agent::{Agent, AgentError, Event, Options, within};
use edge_ledger_core::ledger::Heads;
use edge_ledger_core::sync::{Frame, GoAwayReason, Outcome};
use edge_ledger_tests::{Deployment, Identity, Pair, RawStream, refusal};
use tonic::Code;
use tonic_types::StatusExt as _;

const PATIENCE: Duration = Duration::from_secs(20);

/// Reads up to the end: the farewell, and then the status.
async fn superseded(stream: &mut RawStream) -> anyhow::Result<()> {
    let reason = stream
        .until(|frame| match frame {
            Frame::GoAway { reason, .. } => Some(reason),
            _ => None,
        })
        .await?;
    assert_eq!(reason, GoAwayReason::Superseded);
    let status = stream.end().await?;
    assert_eq!(refusal(&status), (Code::Aborted, "SUPERSEDED".to_owned()));
    let retry = status.get_details_retry_info();
    assert_eq!(
        retry.and_then(|info| info.retry_delay),
        Some(Duration::from_secs(60))
    );
    Ok(())
}

#[tokio::test]
async fn s38_a_second_stream_of_a_device_takes_over() -> anyhow::Result<()> {
    let deployment = Deployment::new()?;
    let server = deployment.ledger_service().await?;
    let url = format!("http://{}", server.local_addr());
    let mut identity = Identity::create(&deployment, 1).await?;
    let mut first = RawStream::hello(&url, &identity, 0, &Heads::default()).await?;
    let mut second = RawStream::hello(&url, &identity, 0, &Heads::default()).await?;
    superseded(&mut first).await?;
    let run = identity.credit(0, "good", 1)?;
    assert_eq!(second.push_taken(vec![run]).await?, vec![Outcome::Kept]);
    Ok(())
}

#[tokio::test]
async fn s38_a_hello_that_comes_late_does_not_supersede_a_stream_that_was_opened_later()
-> anyhow::Result<()> {
    let deployment = Deployment::new()?;
    let server = deployment.ledger_service().await?;
    let url = format!("http://{}", server.local_addr());
    let mut identity = Identity::create(&deployment, 1).await?;
    let mut earlier = RawStream::open(&url).await?;
    let mut later = RawStream::hello(&url, &identity, 0, &Heads::default()).await?;
    earlier.say_hello(&identity, 0, &Heads::default()).await?;
    superseded(&mut earlier).await?;
    let run = identity.credit(0, "good", 1)?;
    assert_eq!(later.push_taken(vec![run]).await?, vec![Outcome::Kept]);
    Ok(())
}

#[tokio::test]
async fn s38_a_copy_of_a_device_is_kept_away_whatever_waits_for_it() -> anyhow::Result<()> {
    let pair = Pair::start().await?;
    let first = pair.first_device("phone").await?;
    within(PATIENCE, first.sync()).await?;
    let mut events = first.events();
    copy_home(&pair.home("phone"), &pair.home("copy"))?;
    let copy = Agent::open(&pair.home("copy"), Options::default()).await?;
    within(PATIENCE, copy.sync()).await?;
    let failed = async {
        loop {
            match events.next().await {
                Some(Event::SyncFailed { why, .. }) => return Ok(why),
                Some(_) => {}
                None => return Err(AgentError::Stopped),
            }
        }
    };
    let why = within(PATIENCE, failed).await?;
    assert!(why.contains("a copy of its folder"), "{why}");
    assert!(!why.contains("cannot be reached"), "{why}");
    // Whoever waits would be answered within milliseconds if it came back.
    let waits = within(Duration::from_millis(1_500), first.sync()).await;
    assert!(matches!(waits, Err(AgentError::TimedOut)), "{waits:?}");
    within(PATIENCE, copy.sync()).await?;
    Ok(())
}
