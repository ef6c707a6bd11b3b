//! Any device at any replica: what one commits the others hear of, or read.

use std::time::Duration;

use device_agent::{Agent, Details, within};
use edge_ledger_core::sync::Outcome;
use edge_ledger_tests::{Identity, Replicas, refusal};
use futures::future::select_all;
use tonic::Code;

const PATIENCE: Duration = Duration::from_secs(30);

fn key(text: &str) -> Details {
    Details {
        event_key: Some(text.parse().expect("a short key")),
        ..Details::default()
    }
}

/// Two devices, linked through different replicas, each at a ledger service of its own.
async fn apart(replicas: &Replicas) -> anyhow::Result<(Agent, Agent)> {
    let phone = replicas.first_device("phone").await?;
    let laptop = replicas.link(&phone, "laptop").await?;
    phone.stop().await;
    laptop.stop().await;
    let phone = replicas.open("phone", Some(0)).await?;
    let laptop = replicas.open("laptop", Some(1)).await?;
    within(PATIENCE, phone.sync()).await?;
    within(PATIENCE, laptop.sync()).await?;
    Ok((phone, laptop))
}

/// Waits until a device shows a balance, without asking anybody for it.
async fn shows(agent: &Agent, balance: i128) -> anyhow::Result<()> {
    let mut events = agent.events();
    let shown = async {
        while agent.balance().balance != balance {
            events.next().await;
        }
        Ok(())
    };
    Ok(within(PATIENCE, shown).await?)
}

#[tokio::test]
async fn devices_at_different_replicas_hear_of_each_other() -> anyhow::Result<()> {
    let replicas = Replicas::start(2).await?;
    let (phone, laptop) = apart(&replicas).await?;
    phone.earn(100, key("shift")).await?;
    shows(&laptop, 100).await?;
    laptop.spend(30, key("coffee")).await?;
    shows(&phone, 70).await?;
    // A statement too.
    let id = laptop.status().device;
    let mut events = laptop.events();
    phone.rename(id, "desk").await?;
    let told = async {
        while !laptop.devices().iter().any(|device| device.name == "desk") {
            events.next().await;
        }
        Ok(())
    };
    within(PATIENCE, told).await?;
    Ok(())
}

#[tokio::test]
async fn who_was_cut_off_from_announcements_reads_what_it_missed() -> anyhow::Result<()> {
    let replicas = Replicas::start(2).await?;
    let (phone, laptop) = apart(&replicas).await?;
    for round in 0..20 {
        replicas.redis.command("CLIENT KILL TYPE pubsub");
        phone.earn(1, key(&format!("round {round}"))).await?;
    }
    shows(&laptop, 20).await?;
    // Without any, a device that asks gets everything.
    replicas.deafen_ledger(1)?;
    phone.earn(5, key("unheard")).await?;
    within(PATIENCE, phone.sync()).await?;
    within(PATIENCE, laptop.sync()).await?;
    assert_eq!(laptop.balance().balance, 25);
    assert_eq!(laptop.status().digest, phone.status().digest);
    Ok(())
}

#[tokio::test]
async fn s38_of_the_streams_of_a_device_at_several_replicas_the_latest_stays() -> anyhow::Result<()>
{
    let replicas = Replicas::start(3).await?;
    let mut identity = Identity::create(&replicas.deployment, 1).await?;
    let superseded = (Code::Aborted, "SUPERSEDED".to_owned());
    let mut first = replicas.raw(0, &identity, 0).await?;
    let mut second = replicas.raw(1, &identity, 0).await?;
    assert_eq!(refusal(&first.end().await?), superseded);
    let run = identity.credit(0, "still here", 1)?;
    assert_eq!(second.push_taken(vec![run]).await?, [Outcome::Kept]);

    // At once: all but one end, whatever the order is.
    for round in 0..8 {
        let streams = tokio::try_join!(
            replicas.raw(0, &identity, 0),
            replicas.raw(1, &identity, 0),
            replicas.raw(2, &identity, 0)
        )?;
        let mut left = vec![streams.0, streams.1, streams.2];
        while left.len() > 1 {
            let ends = left.iter_mut().map(|stream| Box::pin(stream.end()));
            let (status, index, rest) = select_all(ends).await;
            drop(rest);
            assert_eq!(refusal(&status?), superseded);
            left.remove(index);
        }
        let run = identity.credit(0, &format!("round {round}"), 1)?;
        assert_eq!(left[0].push_taken(vec![run]).await?, [Outcome::Kept]);
    }
    Ok(())
}
