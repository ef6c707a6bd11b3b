//! On the loopback interface, over real mDNS and TCP. Tests that run at the same time hear of each
//! other: they are strangers.

#[cfg(target_os = "linux")]
mod networks;
mod records;
mod strangers;

use std::time::Duration;

use super::*;

/// Far longer than any of it takes.
const SOON: Duration = Duration::from_secs(60);

type Heard = mpsc::Receiver<NearbyEvent>;

fn device(number: u8) -> DeviceId {
    DeviceId::from_bytes([number; 16])
}

/// A device of an identity on this machine, with a beacon out.
fn start(rendezvous: [u8; 32], number: u8) -> (Nearby, Heard) {
    let config = NearbyConfig {
        rendezvous,
        device: device(number),
        loopback_only: true,
    };
    let (nearby, heard) = Nearby::start(config).expect("it starts");
    nearby.beacon([number; 32]);
    (nearby, heard)
}

async fn next(heard: &mut Heard) -> NearbyEvent {
    let event = tokio::time::timeout(SOON, heard.recv()).await;
    event.expect("an event in time").expect("an event")
}

/// Waits for the beacon of a device; returns the connection that it came on.
async fn hear(heard: &mut Heard, number: u8) -> u64 {
    loop {
        if let NearbyEvent::Beacon {
            connection,
            device: of,
            nonce,
        } = next(heard).await
            && of == device(number)
        {
            assert_eq!(nonce, [number; 32]);
            return connection;
        }
    }
}

async fn hear_signal(heard: &mut Heard, signal: &[u8]) {
    loop {
        if let NearbyEvent::Signal { bytes, .. } = next(heard).await {
            assert_eq!(bytes, signal);
            return;
        }
    }
}

/// All that was said until it stopped.
async fn rest(mut heard: Heard) -> Vec<NearbyEvent> {
    let mut events = Vec::new();
    while let Some(event) = heard.recv().await {
        events.push(event);
    }
    events
}

#[tokio::test]
async fn two_of_one_identity_find_each_other_and_exchange_signals() {
    let rendezvous = rand::random();
    let (one, mut of_one) = start(rendezvous, 1);
    let (other, mut of_other) = start(rendezvous, 2);
    let (to_other, to_one) = tokio::join!(hear(&mut of_one, 2), hear(&mut of_other, 1));
    one.send(to_other, Bytes::from_static(b"offer"))
        .expect("sent");
    hear_signal(&mut of_other, b"offer").await;
    other
        .send(to_one, Bytes::from_static(b"answer"))
        .expect("sent");
    hear_signal(&mut of_one, b"answer").await;
    // A new beacon reaches who is there already.
    one.beacon([9; 32]);
    let renewed = async {
        loop {
            if let NearbyEvent::Beacon { nonce, .. } = next(&mut of_other).await
                && nonce == [9; 32]
            {
                return;
            }
        }
    };
    renewed.await;
    one.stop().await;
    loop {
        if let NearbyEvent::Gone { connection } = next(&mut of_other).await
            && connection == to_one
        {
            break;
        }
    }
    other.stop().await;
    rest(of_one).await;
}

#[tokio::test]
async fn two_identities_hear_nothing_of_each_other() {
    let (ours, theirs) = (rand::random(), rand::random());
    let (one, mut of_one) = start(ours, 1);
    let (stranger, mut of_stranger) = start(theirs, 11);
    let (other, mut of_other) = start(ours, 2);
    let (another, mut of_another) = start(theirs, 12);
    // By then each has heard of all others on the network.
    tokio::join!(
        hear(&mut of_one, 2),
        hear(&mut of_other, 1),
        hear(&mut of_stranger, 12),
        hear(&mut of_another, 11),
    );
    tokio::join!(one.stop(), other.stop(), stranger.stop(), another.stop());
    for (heard, own) in [
        (of_one, [1, 2]),
        (of_other, [1, 2]),
        (of_stranger, [11, 12]),
        (of_another, [11, 12]),
    ] {
        for event in rest(heard).await {
            if let NearbyEvent::Beacon { device: of, .. } = event {
                assert!(own.map(device).contains(&of), "{of}");
            }
        }
    }
}

#[tokio::test]
async fn it_stops_and_starts_again_at_any_time() {
    let rendezvous = rand::random();
    let (one, mut of_one) = start(rendezvous, 1);
    for number in 2..5 {
        let (other, mut of_other) = start(rendezvous, number);
        let (connection, _) = tokio::join!(hear(&mut of_one, number), hear(&mut of_other, 1));
        if number % 2 == 0 {
            other.stop().await;
        } else {
            drop(other);
        }
        while let Some(event) = of_other.recv().await {
            assert!(!matches!(event, NearbyEvent::Signal { .. }));
        }
        loop {
            if next(&mut of_one).await == (NearbyEvent::Gone { connection }) {
                break;
            }
        }
    }
    one.stop().await;
}
