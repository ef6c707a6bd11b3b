//! No service at all, from the start: devices find each other on the network, or by codes that
//! people carry.

use std::time::Duration;

use device_agent::{Details, Path};
use tokio::time::Instant;

use super::people::People;

/// Stops everything, and opens the devices again where nobody answers.
async fn cold(people: &mut People) {
    people.converge().await;
    for agent in people.devices.drain(..) {
        agent.stop().await;
    }
    people.stop_services().await;
}

async fn open_all(people: &mut People, devices: usize) {
    for index in 0..devices {
        let agent = people.open(index).await;
        people.devices.push(agent);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_on_one_network_find_each_other_without_any_service() {
    let mut people = People::new(3).await;
    cold(&mut people).await;
    let began = Instant::now();
    open_all(&mut people, 3).await;
    people.have_met().await;
    println!("found each other after {} ms", began.elapsed().as_millis());
    people
        .earn_for(Duration::from_secs(2))
        .await
        .print("without any service");
    for agent in &people.devices {
        assert_eq!(agent.status().path, Path::Peers);
    }
    let all = people.devices[0].balance().balance;
    people.start_services().await;
    assert_eq!(people.converge().await, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_that_are_carried_by_hand_link_two_devices() {
    let mut people = People::new(2).await;
    cold(&mut people).await;
    for place in people.network.devices() {
        // No mDNS, so that they cannot find each other.
        place.filter("udp dport 5353");
    }
    open_all(&mut people, 2).await;
    let (one, other) = (people.devices[0].clone(), people.devices[1].clone());
    let offer = one.peer_offer().await.unwrap();
    let (author, answer) = other
        .peer_follow(offer.to_string().parse().unwrap())
        .await
        .unwrap();
    assert_eq!(author, one.status().device);
    let answer = answer.expect("an offer is answered");
    let again = other.peer_follow(offer).await;
    assert!(again.is_err(), "an offer is followed once");
    let (author, nothing) = one.peer_follow(answer).await.unwrap();
    assert_eq!((author, nothing), (other.status().device, None));
    people.have_met().await;
    one.earn(5, Details::default()).await.unwrap();
    people
        .until(1, "the entry is here", |s| s.balance.balance == 5)
        .await;
}
