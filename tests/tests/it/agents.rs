//! Real agents on a real pair: what an application sees.

use std::time::Duration;

use device_agent::{
    Agent, AgentError, Details, DeviceState, Event, EventKey, Level, RevokeReason, State, within,
};
use edge_ledger_core::ledger::{Kind, Posting};
use edge_ledger_store::Embedded;
use edge_ledger_tests::Pair;

const PATIENCE: Duration = Duration::from_secs(20);

fn key(text: &str) -> Details {
    Details {
        event_key: Some(text.parse().expect("a short key")),
        ..Details::default()
    }
}

async fn synced(agent: &Agent) -> anyhow::Result<()> {
    Ok(within(PATIENCE, agent.sync()).await?)
}

async fn wait_for(agent: &Agent, state: State) -> anyhow::Result<()> {
    let mut events = agent.events();
    let reached = async {
        while agent.status().state != state {
            events.next().await;
        }
        Ok(())
    };
    within(PATIENCE, reached).await?;
    Ok(())
}

/// Syncs until both show the same.
async fn agree(a: &Agent, b: &Agent) -> anyhow::Result<()> {
    synced(a).await?;
    synced(b).await?;
    synced(a).await?;
    assert_eq!(a.status().digest, b.status().digest);
    assert_eq!(a.balance(), b.balance());
    Ok(())
}

#[tokio::test]
async fn two_devices_share_one_balance() -> anyhow::Result<()> {
    let pair = Pair::start().await?;
    let phone = pair.first_device("phone").await?;
    let laptop = pair.link(&phone, "laptop", false).await?;
    phone.earn(100, key("shift")).await?;
    within(PATIENCE, phone.wait_acked(Level::Volatile)).await?;
    synced(&laptop).await?;
    assert_eq!(laptop.balance().balance, 100);
    laptop.spend(30, key("coffee")).await?;
    laptop.refund("coffee".parse()?, 10, String::new()).await?;
    agree(&laptop, &phone).await?;
    let balance = phone.balance();
    assert_eq!(
        (
            balance.balance,
            balance.credited,
            balance.debited,
            balance.refunded
        ),
        (80, 100, 30, 10)
    );
    let history = phone.history().await?;
    assert_eq!(history.len(), 3);
    assert_eq!(phone.devices().len(), 2);
    Ok(())
}

/// A process that was killed between the promise and the entry leaves its promise in the outbox,
/// and the next one has nothing else to send that an answer could come for.
#[tokio::test]
async fn what_a_killed_process_left_waiting_becomes_an_entry_at_the_next_start()
-> anyhow::Result<()> {
    let pair = Pair::start().await?;
    let phone = pair.first_device("phone").await?;
    phone.earn(10, key("told")).await?;
    synced(&phone).await?;
    phone.stop().await;
    let promised = Posting::new(Kind::Credit, "promised".parse()?, 5)?;
    let store = Embedded::open(&pair.home("phone").join("ledger.redb"))?;
    store.record(vec![promised.encode()]).await?;
    drop(store);
    let phone = pair.open("phone").await?;
    synced(&phone).await?;
    within(PATIENCE, phone.wait_acked(Level::Volatile)).await?;
    assert_eq!((phone.balance().balance, phone.balance().waiting), (15, 0));
    Ok(())
}

#[tokio::test]
async fn changes_reach_the_other_device_by_themselves() -> anyhow::Result<()> {
    let pair = Pair::start().await?;
    let phone = pair.first_device("phone").await?;
    let laptop = pair.link(&phone, "laptop", false).await?;
    synced(&phone).await?;
    synced(&laptop).await?;
    let mut events = laptop.events();
    phone.earn(7, key("a")).await?;
    let arrived = async {
        loop {
            if let Some(Event::EntriesKept { balance, .. }) = events.next().await {
                return Ok(balance);
            }
        }
    };
    assert_eq!(within(PATIENCE, arrived).await?, 7);
    assert_eq!(laptop.balance().balance, 7);
    Ok(())
}

#[tokio::test]
async fn both_record_while_the_service_is_down_and_catch_up() -> anyhow::Result<()> {
    let mut pair = Pair::start().await?;
    let phone = pair.first_device("phone").await?;
    let laptop = pair.link(&phone, "laptop", false).await?;
    phone.earn(50, key("before")).await?;
    agree(&phone, &laptop).await?;
    pair.stop_ledger().await?;
    wait_for(&phone, State::Offline).await?;
    phone.earn(5, key("down 1")).await?;
    laptop.spend(20, key("down 2")).await?;
    assert_eq!(
        (phone.balance().balance, laptop.balance().balance),
        (55, 30)
    );
    assert!(matches!(
        within(Duration::from_millis(50), phone.sync()).await,
        Err(AgentError::TimedOut)
    ));
    pair.start_ledger().await?;
    agree(&phone, &laptop).await?;
    assert_eq!(phone.balance().balance, 35);
    Ok(())
}

#[tokio::test]
async fn a_key_counts_once_and_means_one_thing() -> anyhow::Result<()> {
    let pair = Pair::start().await?;
    let phone = pair.first_device("phone").await?;
    assert!(!phone.earn(10, key("k")).await?.repeated);
    assert!(phone.earn(10, key("k")).await?.repeated);
    assert!(matches!(
        phone.earn(11, key("k")).await,
        Err(AgentError::EventKeyConflict)
    ));
    assert!(matches!(
        phone.spend(11, key("d")).await,
        Err(AgentError::NoFunds {
            available: 10,
            asked: 11
        })
    ));
    phone.spend(4, key("d")).await?;
    let debit: EventKey = "d".parse()?;
    let unknown: EventKey = "x".parse()?;
    assert!(matches!(
        phone.refund(unknown, 1, String::new()).await,
        Err(AgentError::NothingToRefund)
    ));
    assert!(matches!(
        phone.refund(debit.clone(), 5, String::new()).await,
        Err(AgentError::RefundTotal { .. })
    ));
    phone.refund(debit.clone(), 1, String::new()).await?;
    phone.refund(debit.clone(), 4, String::new()).await?;
    assert!(phone.refund(debit, 4, String::new()).await?.repeated);
    assert_eq!(phone.balance().balance, 10);
    assert!(matches!(
        phone.earn(0, Details::default()).await,
        Err(AgentError::Posting(_))
    ));
    Ok(())
}

#[tokio::test]
async fn many_calls_at_once_are_all_recorded_once() -> anyhow::Result<()> {
    let pair = Pair::start().await?;
    let phone = pair.first_device("phone").await?;
    let laptop = pair.link(&phone, "laptop", false).await?;
    synced(&phone).await?;
    let mut calls = tokio::task::JoinSet::new();
    for i in 0..500 {
        let phone = phone.clone();
        calls.spawn(async move { phone.earn(1, key(&format!("call {i}"))).await });
    }
    while let Some(call) = calls.join_next().await {
        assert!(!call??.repeated);
    }
    within(PATIENCE, phone.wait_acked(Level::Volatile)).await?;
    agree(&phone, &laptop).await?;
    assert_eq!(laptop.balance().balance, 500);
    let entries = phone.status().tip.map_or(0, |tip| tip.seq);
    assert!(entries < 500, "{entries} entries: nothing was batched");
    Ok(())
}

#[tokio::test]
async fn a_device_goes_on_where_it_stopped() -> anyhow::Result<()> {
    let mut pair = Pair::start().await?;
    let phone = pair.first_device("phone").await?;
    phone.earn(9, key("k")).await?;
    synced(&phone).await?;
    let before = phone.status();
    phone.stop().await;
    assert!(matches!(
        phone.earn(1, Details::default()).await,
        Err(AgentError::Stopped)
    ));
    assert_eq!(phone.status().state, State::Stopped);
    pair.stop_ledger().await?;
    let phone = pair.open("phone").await?;
    let after = phone.status();
    assert_eq!(
        (after.digest, after.tip, after.acked),
        (before.digest, before.tip, before.acked)
    );
    assert!(phone.earn(9, key("k")).await?.repeated);
    Ok(())
}

#[tokio::test]
async fn a_second_process_cannot_open_the_home() -> anyhow::Result<()> {
    let pair = Pair::start().await?;
    let _phone = pair.first_device("phone").await?;
    let again = pair
        .open("phone")
        .await
        .err()
        .map(|error| error.to_string());
    assert!(again.is_some_and(|why| why.contains("another process")));
    Ok(())
}

#[tokio::test]
async fn a_revoked_device_is_told_and_what_it_had_acked_stays() -> anyhow::Result<()> {
    let pair = Pair::start().await?;
    let phone = pair.first_device("phone").await?;
    let laptop = pair.link(&phone, "laptop", false).await?;
    laptop.earn(20, key("kept")).await?;
    synced(&laptop).await?;
    synced(&phone).await?;
    let id = laptop.status().device;
    phone.revoke(id, RevokeReason::Lost).await?;
    wait_for(&laptop, State::Degraded).await?;
    let refused = within(PATIENCE, laptop.sync()).await;
    assert!(
        matches!(refused, Err(AgentError::Refused(ref r)) if r.reason == "DEVICE_REVOKED"),
        "{refused:?}"
    );
    synced(&phone).await?;
    assert_eq!(phone.balance().balance, 20);
    let states: Vec<DeviceState> = phone.devices().into_iter().map(|d| d.state).collect();
    assert_eq!(states, [DeviceState::Active, DeviceState::Revoked]);
    Ok(())
}

#[tokio::test]
async fn the_last_admin_stays_and_only_admins_revoke_others() -> anyhow::Result<()> {
    let pair = Pair::start().await?;
    let phone = pair.first_device("phone").await?;
    let laptop = pair.link(&phone, "laptop", false).await?;
    let (first, second) = (phone.status().device, laptop.status().device);
    let refused = phone.revoke(first, RevokeReason::Retired).await;
    assert!(
        matches!(refused, Err(AgentError::Refused(ref r)) if r.reason == "LAST_ADMIN"),
        "{refused:?}"
    );
    let refused = laptop.revoke(first, RevokeReason::Lost).await;
    assert!(
        matches!(refused, Err(AgentError::Refused(ref r)) if r.reason == "FORBIDDEN"),
        "{refused:?}"
    );
    laptop.rename(second, "desk").await?;
    synced(&phone).await?;
    assert_eq!(phone.devices()[1].name, "desk");
    Ok(())
}

#[tokio::test]
async fn what_the_devices_hold_survives_the_service() -> anyhow::Result<()> {
    let mut pair = Pair::start().await?;
    let phone = pair.first_device("phone").await?;
    let laptop = pair.link(&phone, "laptop", false).await?;
    phone.earn(70, key("a")).await?;
    laptop.earn(7, key("b")).await?;
    agree(&phone, &laptop).await?;
    pair.stop_ledger().await?;
    pair.deployment.store = Embedded::in_memory();
    pair.start_ledger().await?;
    synced(&phone).await?;
    agree(&phone, &laptop).await?;
    assert_eq!(laptop.balance().balance, 77);
    phone.earn(1, key("c")).await?;
    agree(&phone, &laptop).await?;
    assert_eq!(laptop.balance().balance, 78);
    Ok(())
}

#[tokio::test]
async fn a_code_works_once_and_a_wrong_one_links_nobody() -> anyhow::Result<()> {
    let pair = Pair::start().await?;
    let phone = pair.first_device("phone").await?;
    let session = phone.link().await?;
    let code: device_agent::Invitation = session.code().parse()?;
    let (first, second) = (pair.new_device("one"), pair.new_device("two"));
    let (shows, shown) = tokio::sync::oneshot::channel();
    let show = |asks: &device_agent::Confirmation| drop(shows.send(asks.number()));
    let linking = async {
        let request = session.request(false).await?;
        request.approve(&shown.await.unwrap_or_default()).await
    };
    let (linked, one) = tokio::join!(
        linking,
        device_agent::join(&first, &code, device_agent::Trust::FirstUse, show)
    );
    one?;
    linked?;
    let trust = device_agent::Trust::FirstUse;
    let again = device_agent::join(&second, &code, trust, |_| {}).await;
    assert!(again.is_err());
    assert_eq!(phone.devices().len(), 2);
    Ok(())
}
