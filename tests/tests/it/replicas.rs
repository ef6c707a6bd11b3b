//! Any device at any replica: what one commits the others hear of, or read.

use std::time::Duration;

use device_agent::{Agent, Details, within};
use edge_ledger_core::identity::Point;
use edge_ledger_core::ledger::Heads;
use edge_ledger_core::sync::{Frame, Outcome};
use edge_ledger_store::LedgerStore as _;
use edge_ledger_tests::{Identity, RawStream, Replicas, refusal};
use futures::future::select_all;
use tonic::{Code, Status};

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

/// The status that ends a stream, and the names of the frames before it.
async fn last_words(stream: &mut RawStream) -> anyhow::Result<(Vec<&'static str>, Status)> {
    let mut names = Vec::new();
    loop {
        match stream.next().await? {
            Ok(frame) => names.push(frame.name()),
            Err(status) => return Ok((names, status)),
        }
    }
}

fn assert_revoked(status: &Status) {
    let revoked = (Code::PermissionDenied, "DEVICE_REVOKED".to_owned());
    assert_eq!(refusal(status), revoked, "{status}");
}

#[tokio::test]
async fn s10_a_revoked_device_is_cut_off_at_every_replica() -> anyhow::Result<()> {
    let replicas = Replicas::start(3).await?;
    let mut identity = Identity::create(&replicas.deployment, 4).await?;
    let mut streams = Vec::new();
    for replica in 0..3 {
        streams.push(replicas.raw(replica, &identity, 1 + replica).await?);
    }
    for device in 1..4 {
        identity.revoke(&replicas.deployment, device).await?;
    }
    for stream in &mut streams {
        assert_revoked(&stream.end().await?);
    }
    for replica in 0..3 {
        let mut again = RawStream::open(&replicas.ledger_url(replica)).await?;
        let key = &identity.devices[1].key;
        let hello = again.sign_hello(&identity, key, &Heads::default());
        again.send(Frame::Hello(hello)).await?;
        assert_revoked(&again.end().await?);
    }
    Ok(())
}

/// How a device that was revoked unheard comes to deal with the service again.
#[derive(Debug, Clone, Copy)]
enum Dealing {
    /// It pushes an entry.
    Pushes,
    /// Another device pushes one at the same replica.
    IsTold,
    /// It asks for what it lacks of another device.
    Asks,
    /// It compares digests.
    Compares,
    /// It comes anew.
    SaysHello,
}

#[tokio::test]
async fn s10_without_announcements_nothing_is_accepted_from_it_or_delivered_to_it()
-> anyhow::Result<()> {
    let replicas = Replicas::start(2).await?;
    replicas.deafen_ledger(0)?;
    for dealing in [
        Dealing::Pushes,
        Dealing::IsTold,
        Dealing::Asks,
        Dealing::Compares,
        Dealing::SaysHello,
    ] {
        let mut identity = Identity::create(&replicas.deployment, 3).await?;
        let mut thief = replicas.raw(0, &identity, 1).await?;
        let mut neighbour = replicas.raw(0, &identity, 2).await?;
        let mut far = replicas.raw(1, &identity, 0).await?;
        identity.revoke(&replicas.deployment, 1).await?;
        let elsewhere = identity.credit(0, "elsewhere", 5)?;
        assert_eq!(far.push_taken(vec![elsewhere]).await?, [Outcome::Kept]);
        let digest = Heads::default().digest(&identity.log);
        match dealing {
            Dealing::Pushes => {
                let run = identity.credit(1, "after", 5)?;
                thief.push(vec![run]).await?;
            }
            Dealing::IsTold => {
                let run = identity.credit(2, "beside it", 5)?;
                assert_eq!(neighbour.push_taken(vec![run]).await?, [Outcome::Kept]);
            }
            Dealing::Asks => thief.send(Frame::Heads(Heads::default())).await?,
            Dealing::Compares => {
                let ping_id = 1;
                thief.send(Frame::Ping { ping_id, digest }).await?;
            }
            Dealing::SaysHello => {
                thief = RawStream::open(&replicas.ledger_url(0)).await?;
                let key = &identity.devices[1].key;
                let hello = thief.sign_hello(&identity, key, &Heads::default());
                thief.send(Frame::Hello(hello)).await?;
            }
        }
        let (frames, status) = last_words(&mut thief).await?;
        assert_revoked(&status);
        // The proof of its end, and what became of its own frame.
        let fine = ["Statements", "Taken", "GoAway"];
        assert!(
            frames.iter().all(|name| fine.contains(name)),
            "{dealing:?}: {frames:?}"
        );
        let heads = replicas.deployment.store.heads(identity.log.identity());
        let kept = heads.await?.value.of(&identity.devices[1].id()).to_vec();
        assert_eq!(kept, Vec::<Point>::new(), "{dealing:?}");
    }
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
