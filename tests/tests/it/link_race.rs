//! S-11: a link session is joined by one device, however many have its code.

use std::sync::{Mutex, PoisonError};

use device_agent::testing::link;
use device_agent::{Agent, AgentError, Confirmation, Decided, NewDevice, Options, Trust, join};
use edge_ledger_core::keys::SecretKey;
use edge_ledger_tests::{Pair, Replicas};

/// Two devices join by the same code at once: one is linked, the other is told that it came too
/// late, and its home is still nobody's.
async fn race(phone: &Agent, new: [NewDevice; 2]) -> anyhow::Result<()> {
    let before = phone.devices().len();
    let (linked, joined) = link(phone, false, async |invitation, show| {
        let show = Mutex::new(Some(show));
        // Only who has joined comes that far.
        let shown = |asks: &Confirmation| {
            let show = show.lock().unwrap_or_else(PoisonError::into_inner).take();
            show.expect("one number is shown")(asks);
        };
        let (one, other) = tokio::join!(
            join(&new[0], &invitation, Trust::FirstUse, &shown),
            join(&new[1], &invitation, Trust::FirstUse, &shown),
        );
        match (one, other) {
            (Ok(joined), Err(AgentError::Refused(late)))
            | (Err(AgentError::Refused(late)), Ok(joined)) => {
                assert_eq!(late.reason, "LINK_TAKEN");
                Ok(joined)
            }
            (one, other) => panic!("{:?}, {:?}", one.err(), other.err()),
        }
    })
    .await?;
    joined?;
    linked?;
    assert_eq!(phone.devices().len(), before + 1);
    let mut opened = 0;
    for new in new {
        opened += usize::from(Agent::open(&new.home, Options::default()).await.is_ok());
    }
    assert_eq!(opened, 1);
    Ok(())
}

#[tokio::test]
async fn s11_of_two_devices_that_race_to_join_one_joins() -> anyhow::Result<()> {
    let pair = Pair::start().await?;
    let phone = pair.first_device("phone").await?;
    for round in 0..4 {
        let new = [0, 1].map(|number| pair.new_device(&format!("{round}-{number}")));
        race(&phone, new).await?;
    }
    Ok(())
}

#[tokio::test]
async fn s11_also_at_different_replicas() -> anyhow::Result<()> {
    let replicas = Replicas::start(3).await?;
    let phone = replicas.first_device("phone").await?;
    for round in 0..4 {
        let new = [0, 1].map(|number| replicas.new_device(&format!("{round}-{number}")));
        race(&phone, new).await?;
    }
    Ok(())
}

/// The new device's key is swapped while the number is typed: the log gets the one that the number
/// was of.
#[tokio::test]
async fn the_statement_holds_the_key_that_was_approved() -> anyhow::Result<()> {
    let pair = Pair::start().await?;
    let phone = pair.first_device("phone").await?;
    let new = pair.new_device("laptop");
    let session = phone.link().await?;
    let invitation = session.link().parse()?;
    let (shows, shown) = tokio::sync::oneshot::channel();
    let joining = join(&new, &invitation, Trust::FirstUse, |asks| {
        // Whoever waits for it may have failed.
        let _ = shows.send(asks.number());
    });
    let swapped = SecretKey::from_seed([7; 32]);
    let deciding = async {
        let request = session.request(false).await?;
        let approved = request.joining().device;
        let number = shown.await?;
        std::fs::write(new.home.join("device.key"), "07".repeat(32))?;
        let decided = request.approve(&number).await?;
        assert!(matches!(decided, Decided::Linked(joined) if joined.device == approved));
        anyhow::Ok(approved)
    };
    let (joined, approved) = tokio::join!(joining, deciding);
    let approved = approved?;
    assert_eq!(joined?.device, approved);
    let devices = phone.devices();
    let added: Vec<_> = devices.iter().skip(1).map(|device| device.device).collect();
    assert_eq!(added, [approved]);
    assert_ne!(approved, swapped.public_key().device_id());
    // The other key opens nothing.
    assert!(Agent::open(&new.home, Options::default()).await.is_err());
    Ok(())
}

/// A link is for the deployment that it names, at the address that it names.
#[tokio::test]
async fn a_link_to_another_deployment_joins_nothing() -> anyhow::Result<()> {
    let (here, elsewhere) = (Pair::start().await?, Pair::start().await?);
    let phone = here.first_device("phone").await?;
    let ids = [&here, &elsewhere].map(|pair| pair.deployment.ledger_id().to_string());
    let urls = [&here, &elsewhere].map(|pair| pair.identity_url.clone());
    for (from, to, reason) in [
        // The relay is the right one, and offers another ledger than the link names.
        (&ids[0], &ids[1], None),
        // Another service knows nobody who would answer.
        (&urls[0], &urls[1], Some("LINK_GONE")),
    ] {
        let session = phone.link().await?;
        let text = session.link().replace(from.as_str(), to);
        assert_ne!(text, session.link());
        let invitation = text.parse()?;
        let new = here.new_device(if reason.is_none() {
            "ledger"
        } else {
            "address"
        });
        let mut waits = std::pin::pin!(session.request(false));
        let refused = tokio::select! {
            refused = join(&new, &invitation, Trust::FirstUse, |_| {}) => refused,
            _ = &mut waits => anyhow::bail!("somebody asks to join"),
        };
        match (refused, reason) {
            (Err(AgentError::Untrusted(_)), None) => assert!(waits.await.is_err()),
            (Err(AgentError::Refused(refusal)), Some(reason)) => {
                assert_eq!(refusal.reason, reason);
            }
            (other, _) => panic!("{other:?}"),
        }
    }
    assert_eq!(phone.devices().len(), 1);
    Ok(())
}
