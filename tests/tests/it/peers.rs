//! Devices that go on with each other when the ledger service is away.

use std::time::Duration;

use device_agent::testing::Pair;
use device_agent::{Agent, Details, Level, Path, Status};

/// Nothing here waits for that long unless something is wrong.
const WITHIN: Duration = Duration::from_secs(30);

/// Waits until a device's status is as it shall be.
async fn until(agent: &Agent, what: &str, holds: impl Fn(&Status) -> bool) {
    let mut events = agent.events();
    let wait = async {
        while !holds(&agent.status()) {
            // Whatever changes is told, but for the passing of time.
            let _ = tokio::time::timeout(Duration::from_millis(50), events.next()).await;
        }
    };
    let waited = tokio::time::timeout(WITHIN, wait).await;
    assert!(waited.is_ok(), "{what}: {:#?}", agent.status());
}

async fn have_met(devices: &[&Agent]) {
    let others = devices.len() - 1;
    for agent in devices {
        until(agent, "all are linked", |s| {
            s.peers.iter().filter(|peer| peer.live).count() == others
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_go_from_device_to_device_while_the_ledger_service_is_away() {
    let mut pair = Pair::start().await.unwrap();
    let phone = pair.first_device("phone").await.unwrap();
    let laptop = pair.link(&phone, "laptop", false).await.unwrap();
    have_met(&[&phone, &laptop]).await;
    for agent in [&phone, &laptop] {
        until(agent, "the service is in use", |s| s.path == Path::Service).await;
    }

    pair.stop_ledger().await.unwrap();
    phone.earn(100, Details::default()).await.unwrap();
    until(&laptop, "the phone's entry is here", |s| {
        s.balance.balance == 100
    })
    .await;
    laptop.spend(30, Details::default()).await.unwrap();
    until(&phone, "the laptop's entry is here", |s| {
        s.balance.balance == 70
    })
    .await;
    for agent in [&phone, &laptop] {
        let status = agent.status();
        assert_eq!(status.path, Path::Peers);
        assert_eq!(status.unacked_entries(), 1, "a peer's word is no ack");
    }

    pair.start_ledger().await.unwrap();
    for agent in [&phone, &laptop] {
        tokio::time::timeout(WITHIN, agent.sync())
            .await
            .unwrap()
            .unwrap();
        tokio::time::timeout(WITHIN, agent.wait_acked(Level::Volatile))
            .await
            .unwrap()
            .unwrap();
        until(agent, "the service is in use", |s| s.path == Path::Service).await;
    }
    assert_eq!(phone.status().digest, laptop.status().digest);
}
