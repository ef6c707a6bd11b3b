//! Homes that were restored, copied or rolled back: each ends with the right balance on every
//! device, nothing counted twice, and nobody asked.

use std::time::Duration;

use device_agent::testing::{copy_home, link};
use device_agent::{Agent, AgentError, Details, DeviceState, Event, Level, Security, within};
use edge_ledger_tests::Pair;

const PATIENCE: Duration = Duration::from_secs(20);
/// What the phone earns when its home was copied.
const AFTER_THE_COPY: &str = "after the copy";

fn key(text: &str) -> Details {
    Details {
        event_key: Some(text.parse().expect("a short key")),
        ..Details::default()
    }
}

async fn synced(agent: &Agent) -> anyhow::Result<()> {
    Ok(within(PATIENCE, agent.sync()).await?)
}

/// Waits until another key has taken the device's place.
async fn replaced(agent: &Agent) -> anyhow::Result<()> {
    let mut events = agent.events_from(0);
    let seen = async {
        while let Some(event) = events.next().await {
            if matches!(event, Event::Replaced { .. }) {
                return Ok(());
            }
        }
        Err(AgentError::Stopped)
    };
    Ok(within(PATIENCE, seen).await?)
}

/// A phone and a laptop that both know of 10 credits. The phone is stopped, and its home was copied.
async fn copied(pair: &Pair, copy: &str, laptop_is_admin: bool) -> anyhow::Result<Agent> {
    let phone = pair.first_device("phone").await?;
    let laptop = pair.link(&phone, "laptop", laptop_is_admin).await?;
    phone.earn(10, key("before the copy")).await?;
    synced(&phone).await?;
    phone.stop().await;
    copy_home(&pair.home("phone"), &pair.home(copy))?;
    Ok(laptop)
}

/// The phone earns 5 more and tells the service, and is stopped again: the copy is old.
async fn phone_goes_on(pair: &Pair) -> anyhow::Result<()> {
    let phone = pair.open("phone").await?;
    phone.earn(5, key(AFTER_THE_COPY)).await?;
    synced(&phone).await?;
    phone.stop().await;
    Ok(())
}

/// The service has no place for this device any more.
async fn refused(agent: &Agent) {
    let refused = within(PATIENCE, agent.sync()).await;
    let is_revoked =
        matches!(&refused, Err(AgentError::Refused(r)) if r.reason == "DEVICE_REVOKED");
    assert!(is_revoked, "{refused:?}: {:?}", agent.status());
}

/// All show the same, and that.
async fn agree(agents: &[&Agent], balance: i128) -> anyhow::Result<()> {
    for agent in agents.iter().chain(agents) {
        synced(agent).await?;
    }
    for agent in agents {
        assert_eq!(agent.balance().balance, balance);
        assert_eq!(agent.balance().waiting, 0);
        assert_eq!(agent.status().digest, agents[0].status().digest);
    }
    Ok(())
}

#[tokio::test]
async fn a_restored_home_repairs_itself_and_its_twin_is_told() -> anyhow::Result<()> {
    let pair = Pair::start().await?;
    let laptop = copied(&pair, "restored", true).await?;
    phone_goes_on(&pair).await?;
    let restored = pair.open("restored").await?;
    replaced(&restored).await?;
    restored.earn(1, key("goes on")).await?;
    within(PATIENCE, restored.wait_acked(Level::Volatile)).await?;
    agree(&[&restored, &laptop], 16).await?;
    // Rights move along the lineage: the phone was an admin.
    let devices = restored.devices();
    let this = devices.iter().find(|device| device.this);
    assert!(this.is_some_and(|device| device.admin && device.name == "phone"));
    assert!(matches!(devices[0].state, DeviceState::Replaced { .. }));
    // It is the same device after a restart.
    let id = restored.status().device;
    restored.stop().await;
    let restored = pair.open("restored").await?;
    assert_eq!(restored.status().device, id);
    restored.earn(1, key("and on")).await?;
    agree(&[&restored, &laptop], 17).await?;
    // The other copy of the home has lost its place.
    let twin = pair.open("phone").await?;
    refused(&twin).await;
    let tip = twin.status().tip;
    twin.earn(100, key("too late")).await?;
    // It signs nothing under a key that was ended, and shows what waits.
    assert_eq!((twin.status().tip, twin.balance().waiting), (tip, 1));
    twin.stop().await;
    let twin = pair.open("phone").await?;
    twin.earn(100, key("later still")).await?;
    assert_eq!((twin.status().tip, twin.balance().waiting), (tip, 2));
    assert_eq!(laptop.balance().balance, 17);
    Ok(())
}

#[tokio::test]
async fn a_copy_that_went_its_own_way_offline_keeps_both_ways() -> anyhow::Result<()> {
    let mut pair = Pair::start().await?;
    let laptop = copied(&pair, "rolled back", false).await?;
    phone_goes_on(&pair).await?;
    pair.stop_ledger().await?;
    // The machine goes back to an older state of its disk, and on from there without a service.
    let back = pair.open("rolled back").await?;
    back.earn(7, key("offline")).await?;
    back.earn(5, key(AFTER_THE_COPY)).await?;
    pair.start_ledger().await?;
    replaced(&back).await?;
    agree(&[&back, &laptop], 22).await?;
    Ok(())
}

#[tokio::test]
async fn of_two_copies_that_run_at_once_one_goes_on_and_nothing_is_lost() -> anyhow::Result<()> {
    let pair = Pair::start().await?;
    let laptop = copied(&pair, "copy", true).await?;
    let phone = pair.open("phone").await?;
    phone.earn(1, key("from the phone")).await?;
    within(PATIENCE, phone.wait_acked(Level::Volatile)).await?;
    // The copy signs the same place of the journal before it hears of anything.
    let copy = pair.open("copy").await?;
    copy.earn(2, key("from the copy")).await?;
    replaced(&copy).await?;
    agree(&[&copy, &laptop], 13).await?;
    // The other one was sent away when the copy came; when it comes back its place is taken.
    phone.stop().await;
    let phone = pair.open("phone").await?;
    refused(&phone).await;
    copy.earn(4, key("goes on")).await?;
    agree(&[&copy, &laptop], 17).await?;
    Ok(())
}

#[tokio::test]
async fn a_replacement_that_was_cut_short_goes_on_at_the_next_start() -> anyhow::Result<()> {
    let mut pair = Pair::start().await?;
    let laptop = copied(&pair, "restored", false).await?;
    phone_goes_on(&pair).await?;
    // It hears that it is old, makes its new key, and cannot tell anybody.
    pair.stop_identity().await?;
    let restored = pair.open("restored").await?;
    let successor = pair.home("restored").join("device-2.key");
    let made = async {
        let mut events = restored.events_from(0);
        while !successor.exists() {
            events.next().await;
        }
        Ok(())
    };
    within(PATIENCE, made).await?;
    restored.earn(1, key("waits")).await?;
    assert_eq!(restored.balance().waiting, 1);
    restored.stop().await;
    let before = std::fs::read(&successor)?;
    pair.start_identity().await?;
    let restored = pair.open("restored").await?;
    replaced(&restored).await?;
    agree(&[&restored, &laptop], 16).await?;
    assert_eq!(std::fs::read(&successor)?, before, "made once");
    assert!(!pair.home("restored").join("device-3.key").exists());
    Ok(())
}

/// The home of the phone with an entry that nobody was told, whose place a copy has taken.
async fn phone_without_a_place(pair: &mut Pair) -> anyhow::Result<(Agent, Agent)> {
    let laptop = copied(pair, "copy", true).await?;
    phone_goes_on(pair).await?;
    pair.stop_ledger().await?;
    let phone = pair.open("phone").await?;
    phone.earn(30, key("told to nobody")).await?;
    phone.stop().await;
    pair.start_ledger().await?;
    let copy = pair.open("copy").await?;
    replaced(&copy).await?;
    agree(&[&copy, &laptop], 15).await?;
    Ok((copy, laptop))
}

async fn rejoin(pair: &Pair, by: &Agent) -> anyhow::Result<Result<(), AgentError>> {
    let home = pair.home("phone");
    let (linked, joined) = link(by, false, async |invitation, show| {
        device_agent::rejoin(&home, &invitation, &Security::default(), show).await
    })
    .await?;
    Ok(joined.and(linked).map(|_| ()))
}

#[tokio::test]
async fn the_second_copy_joins_again_and_brings_what_it_had_told_nobody() -> anyhow::Result<()> {
    let mut pair = Pair::start().await?;
    let (copy, laptop) = phone_without_a_place(&mut pair).await?;
    let phone = pair.open("phone").await?;
    refused(&phone).await;
    assert_eq!(phone.balance().balance, 45, "as it knows it");
    phone.stop().await;
    rejoin(&pair, &laptop).await??;
    let phone = pair.open("phone").await?;
    agree(&[&phone, &laptop], 45).await?;
    phone.earn(1, key("goes on")).await?;
    agree(&[&phone, &laptop], 46).await?;
    // A person gave the phone a place of its own in the lineage: the copy keeps its own.
    agree(&[&phone, &copy, &laptop], 46).await?;
    Ok(())
}

#[tokio::test]
async fn a_device_that_was_revoked_does_not_come_back_by_joining_again() -> anyhow::Result<()> {
    let mut pair = Pair::start().await?;
    let (copy, laptop) = phone_without_a_place(&mut pair).await?;
    laptop
        .revoke(copy.status().device, device_agent::RevokeReason::Lost)
        .await?;
    assert!(matches!(
        rejoin(&pair, &laptop).await?,
        Err(AgentError::LinkEnded(_))
    ));
    synced(&laptop).await?;
    assert_eq!(laptop.balance().balance, 15);
    Ok(())
}
