//! F-10, F-11, F-13: the ledger service is cut off, datagrams are lost, and nothing arrives at all.

use std::time::Duration;

use device_agent::{Details, Event, Path};
use tokio::time::Instant;

use super::network::address;
use super::people::{People, WITHIN};

#[tokio::test(flavor = "multi_thread")]
async fn f10_devices_go_on_for_a_minute_while_the_ledger_service_is_cut_off() {
    let people = People::new(3).await;
    people.have_met().await;
    people
        .earn_for(Duration::from_secs(1))
        .await
        .print("with the service");

    people.cut_ledger_off();
    // The first entry finds out that nobody takes it any more.
    let began = Instant::now();
    let before = people.devices[0].balance().balance;
    people.devices[1].earn(1, Details::default()).await.unwrap();
    people
        .until(0, "the entry that found out", |s| {
            s.balance.balance == before + 1
        })
        .await;
    println!(
        "gone over to peers within {} ms",
        began.elapsed().as_millis()
    );
    people
        .earn_for(Duration::from_secs(60))
        .await
        .print("by WebRTC");
    let all = people.devices[0].balance().balance;
    for agent in &people.devices {
        assert!(
            agent.status().unacked_entries() > 0,
            "a peer's word is no ack"
        );
    }

    people.network.service().heal();
    let began = Instant::now();
    assert_eq!(people.converge().await, all);
    println!(
        "the service had everything after {} ms",
        began.elapsed().as_millis()
    );
    for index in 0..3 {
        people
            .until(index, "back at the service", |s| s.path == Path::Service)
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f11_a_third_of_all_datagrams_is_lost_and_no_link_dies_of_it() {
    let people = People::without_ledger(2).await;
    for place in people.network.devices() {
        place.filter("meta l4proto udp numgen random mod 100 < 30");
    }
    let mut events = people.devices[0].events();
    let mut told = people.earn_for(Duration::from_secs(20)).await;
    told.print("30 % lost");
    while let Ok(Some(event)) = tokio::time::timeout(Duration::ZERO, events.next()).await {
        assert!(!matches!(event, Event::PeerLost { .. }), "{event:?}");
    }
    let all = people.devices[0].balance().balance;
    for place in people.network.devices() {
        place.heal();
    }
    people.network.service().heal();
    assert_eq!(people.converge().await, all);
}

/// Drops all datagrams of one device at another, or both ways, and sees the link die and come back.
async fn black_hole(both_ways: bool) {
    let people = People::without_ledger(2).await;
    people
        .earn_for(Duration::from_secs(2))
        .await
        .print("before");
    let all = people.devices[0].balance().balance;

    let [one, other] = people.network.devices() else {
        panic!("two devices")
    };
    let (began, mut events) = (Instant::now(), people.devices[0].events());
    one.filter(&format!("ip saddr {} meta l4proto udp", other.address()));
    if both_ways {
        other.filter(&format!("ip saddr {} meta l4proto udp", one.address()));
    }
    let lost = async {
        while let Some(event) = events.next().await {
            if matches!(event, Event::PeerLost { .. }) {
                return;
            }
        }
    };
    tokio::time::timeout(WITHIN, lost)
        .await
        .expect("the dead link is noticed");
    println!(
        "the dead link was noticed after {} ms",
        began.elapsed().as_millis()
    );
    people.devices[0].earn(1, Details::default()).await.unwrap();
    people.devices[1].earn(1, Details::default()).await.unwrap();

    one.heal();
    if both_ways {
        other.heal();
    }
    let began = Instant::now();
    for index in 0..2 {
        people
            .until(index, "a new link", |s| s.balance.balance == all + 2)
            .await;
    }
    println!(
        "a new link had everything after {} ms",
        began.elapsed().as_millis()
    );
    people.network.service().heal();
    assert_eq!(people.converge().await, all + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn f11_a_link_dies_that_hears_nothing_and_another_one_is_made() {
    black_hole(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f11_a_link_dies_that_is_deaf_at_one_end_and_another_one_is_made() {
    black_hole(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_changes_its_network_has_a_new_path_within_seconds() {
    let mut people = People::without_ledger(2).await;
    people
        .earn_for(Duration::from_secs(1))
        .await
        .print("before");
    let all = people.devices[0].balance().balance;
    let began = Instant::now();
    people.network.device_mut(1).move_to(99);
    assert_eq!(people.network.devices()[1].address(), address(99));
    people.devices[1].earn(1, Details::default()).await.unwrap();
    people
        .until(0, "the entry from the other network", |s| {
            s.balance.balance == all + 1
        })
        .await;
    println!("a new path after {} ms", began.elapsed().as_millis());
    people.network.service().heal();
    assert_eq!(people.converge().await, all + 1);
}
