//! S-62 at the relay: what is malformed, too large or too much, and who does not read.

use bytes::Bytes;
use edge_ledger_chassis::Reason;
use edge_ledger_core::ids::DeviceId;
use edge_ledger_proto::signal as wire;
use edge_ledger_proto::signal::signal_request::Message as Said;
use tokio::time::timeout;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::person::session;
use crate::signal::{Device, beacon, signal, with_phone};
use crate::world::{Client, NAME, PATIENCE, World, assert_refused, channel, key, narrow_channel};

#[tokio::test]
async fn what_makes_no_sense_ends_the_stream_and_nothing_else() {
    let world = World::start().await;
    let (person, phone) = with_phone(&world, 10).await;
    let mut laptop = Device::open(&world.server, &person, &person.laptop).await;
    let to = laptop.id;
    let beacon_of = |bytes: usize| {
        let nonce = vec![1; bytes].into();
        Said::Beacon(wire::Beacon { nonce })
    };
    let to_nobody = |bytes: usize| {
        let to = vec![1; bytes].into();
        let signal = Bytes::from_static(b"x");
        Said::Signal(wire::OutgoingSignal { to, signal })
    };
    let (invalid, exhausted) = (Code::InvalidArgument, Code::ResourceExhausted);
    for (number, (message, code, reason)) in [
        (beacon_of(31), invalid, Reason::BadMessage),
        (beacon_of(33), invalid, Reason::BadMessage),
        (to_nobody(15), invalid, Reason::KeyFormat),
        (to_nobody(17), invalid, Reason::KeyFormat),
        (signal(to, ""), invalid, Reason::BadMessage),
        (
            signal(to, vec![1; 16 * 1024 + 1]),
            exhausted,
            Reason::MessageTooLarge,
        ),
        (
            signal(to, vec![1; 64 * 1024]),
            exhausted,
            Reason::MessageTooLarge,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let mut device = Device::open(&world.server, &person, &phone).await;
        let number = u8::try_from(number).unwrap();
        device.say(beacon(number)).await;
        laptop.hears(device.beacon(number)).await;
        device.say(message).await;
        device.say(signal(to, "afterwards")).await;
        device.is_refused(code, reason).await;
        laptop.hears(device.left()).await;
    }
    let device = Device::open(&world.server, &person, &phone).await;
    device.say(signal(to, vec![1; 16 * 1024])).await;
    laptop.hears(device.signal(vec![1; 16 * 1024])).await;
}

#[tokio::test]
async fn a_flood_ends_at_the_limit_and_coming_back_does_not_help() {
    let world = World::start().await;
    let (mut person, phone_key) = with_phone(&world, 10).await;
    let mut laptop = Device::open(&world.server, &person, &person.laptop).await;
    let mut phone = Device::open(&world.server, &person, &phone_key).await;
    for _ in 0..1_000 {
        phone
            .say(signal(DeviceId::from_bytes([9; 16]), "flood"))
            .await;
    }
    let (code, reason) = (Code::ResourceExhausted, Reason::RateLimited);
    let status = phone.is_refused(code, reason).await;
    let retry = status.get_details_retry_info().unwrap();
    assert!(retry.retry_delay.is_some_and(|delay| !delay.is_zero()));
    // Its next streams are counted too.
    let there = channel(&world.server, NAME).await;
    let mut client = Client::new(there.clone());
    let token = session(&mut client, &person.log, &phone_key).await.unwrap();
    let refused = async {
        loop {
            let again = Device::try_open(there.clone(), &phone_key, &token).await;
            if let Err(status) = again {
                return status;
            }
        }
    };
    let status = timeout(PATIENCE, refused).await.unwrap();
    assert_refused(&status, code, reason);
    // Others are not held up.
    laptop.say(beacon(3)).await;
    let third = key(200);
    let token = person.session(&mut client).await;
    let add = person.add(&third, "third", false);
    person.append(&mut client, &token, add).await;
    let mut third = Device::open(&world.server, &person, &third).await;
    laptop.say(signal(third.id, "still here")).await;
    third.hears(laptop.signal("still here")).await;
    while laptop.hear().await.unwrap() != Some(phone.left()) {}
}

#[tokio::test]
async fn s37_a_device_that_does_not_read_is_cut_off() {
    let world = World::start().await;
    let replica = world.replica().await;
    let (mut person, phone_key) = with_phone(&world, 10).await;
    let mut client = world.client().await;
    let token = person.session(&mut client).await;
    let third_key = key(200);
    let add = person.add(&third_key, "third", false);
    person.append(&mut client, &token, add).await;

    let narrow = narrow_channel(&replica, NAME, 1_024).await;
    let mut silent = Device::open_over(narrow, &person, &phone_key).await;
    let mut laptop = Device::open(&world.server, &person, &person.laptop).await;
    silent.say(beacon(1)).await;
    laptop.hears(silent.beacon(1)).await;
    let mut third = Device::open(&world.server, &person, &third_key).await;
    third.say(beacon(2)).await;
    laptop.hears(third.beacon(2)).await;
    // Two of them, since none may say so much at once.
    for _ in 0..50 {
        for device in [&laptop, &third] {
            device.say(signal(silent.id, vec![1; 16 * 1024])).await;
        }
    }
    for device in [&mut laptop, &mut third] {
        device.hears(silent.left()).await;
    }
    // What waited for it was dropped.
    let mut heard = 0;
    let status = loop {
        match silent.hear().await {
            Ok(_) => heard += 1,
            Err(status) => break status,
        }
    };
    assert_refused(&status, Code::ResourceExhausted, Reason::SlowConsumer);
    assert!(heard <= 4, "{heard} were kept for it");
    laptop.say(signal(third.id, "go on")).await;
    third.hears(laptop.signal("go on")).await;
}
