//! Signalling: devices of one identity hear each other, at whichever replica, and nobody else does.

use bytes::Bytes;
use edge_ledger_chassis::Reason;
use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::keys::SecretKey;
use edge_ledger_proto::signal as wire;
use edge_ledger_proto::signal::signal_request::Message as Said;
use edge_ledger_proto::signal::signal_response::Message as Heard;
use edge_ledger_proto::signal::signal_service_client::SignalServiceClient;
use identity_service::{IceConfig, Limits, Server, TurnSecret};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;

use crate::person::{Person, session, with_token};
use crate::world::{Client, NAME, PATIENCE, World, assert_refused, channel, dial, key};

/// A device with its stream.
pub(crate) struct Device {
    pub(crate) id: DeviceId,
    said: mpsc::Sender<wire::SignalRequest>,
    pub(crate) heard: Streaming<wire::SignalResponse>,
}

fn bytes(id: DeviceId) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}

pub(crate) fn beacon(number: u8) -> Said {
    Said::Beacon(wire::Beacon {
        nonce: vec![number; 32].into(),
    })
}

pub(crate) fn signal(to: DeviceId, signal: impl Into<Bytes>) -> Said {
    Said::Signal(wire::OutgoingSignal {
        to: bytes(to),
        signal: signal.into(),
    })
}

impl Device {
    pub(crate) async fn try_open(
        channel: Channel,
        key: &SecretKey,
        token: &str,
    ) -> Result<Self, Status> {
        // As much as a device may say at once, and more.
        let (said, requests) = mpsc::channel(1_024);
        let mut client = SignalServiceClient::new(channel);
        let request = with_token(ReceiverStream::new(requests), token);
        let heard = client.signal(request).await?.into_inner();
        let id = key.public_key().device_id();
        Ok(Self { id, said, heard })
    }

    pub(crate) async fn open_over(channel: Channel, person: &Person, key: &SecretKey) -> Self {
        let mut client = Client::new(channel.clone());
        let token = session(&mut client, &person.log, key).await.unwrap();
        Self::try_open(channel, key, &token).await.unwrap()
    }

    pub(crate) async fn open(server: &Server, person: &Person, key: &SecretKey) -> Self {
        Self::open_over(channel(server, NAME).await, person, key).await
    }

    pub(crate) async fn say(&self, message: Said) {
        let message = Some(message);
        // A stream that has ended says why.
        let _ = self.said.send(wire::SignalRequest { message }).await;
    }

    pub(crate) async fn hear(&mut self) -> Result<Option<Heard>, Status> {
        let heard = timeout(PATIENCE, self.heard.message()).await.unwrap();
        Ok(heard?.and_then(|response| response.message))
    }

    #[track_caller]
    pub(crate) fn hears(&mut self, expected: Heard) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            assert_eq!(self.hear().await.unwrap(), Some(expected), "{place}");
        }
    }

    pub(crate) async fn is_refused(&mut self, code: Code, reason: Reason) -> Status {
        loop {
            if let Err(status) = self.hear().await {
                assert_refused(&status, code, reason);
                return status;
            }
        }
    }

    pub(crate) fn beacon(&self, number: u8) -> Heard {
        Heard::Beacon(wire::PeerBeacon {
            device: bytes(self.id),
            nonce: vec![number; 32].into(),
        })
    }

    pub(crate) fn signal(&self, signal: impl Into<Bytes>) -> Heard {
        Heard::Signal(wire::IncomingSignal {
            from: bytes(self.id),
            signal: signal.into(),
        })
    }

    pub(crate) fn left(&self) -> Heard {
        let device = bytes(self.id);
        Heard::Left(wire::Left { device })
    }
}

/// A person with a phone beside the laptop.
pub(crate) async fn with_phone(world: &World, seed: u8) -> (Person, SecretKey) {
    let mut client = world.client().await;
    let mut person = Person::registered(world, &mut client, seed).await;
    let token = person.session(&mut client).await;
    let phone = key(seed + 100);
    let add = person.add(&phone, "phone", false);
    person.append(&mut client, &token, add).await;
    (person, phone)
}

#[tokio::test]
async fn devices_at_two_replicas_hear_each_other() {
    let world = World::start().await;
    let replica = world.replica().await;
    let (person, phone) = with_phone(&world, 10).await;
    let mut laptop = Device::open(&world.server, &person, &person.laptop).await;
    let mut phone = Device::open(&replica, &person, &phone).await;
    phone.say(beacon(1)).await;
    laptop.hears(phone.beacon(1)).await;
    laptop.say(beacon(2)).await;
    phone.hears(laptop.beacon(2)).await;
    phone.say(signal(laptop.id, "offer")).await;
    laptop.hears(phone.signal("offer")).await;
    // As large as it may be, and in order.
    for number in 0..8 {
        laptop.say(signal(phone.id, vec![number; 16 * 1024])).await;
    }
    for number in 0..8 {
        phone.hears(laptop.signal(vec![number; 16 * 1024])).await;
    }
    // What is for oneself, for nobody or for all zeros is for nobody; nobody hears itself.
    for to in [
        phone.id,
        DeviceId::from_bytes([0; 16]),
        DeviceId::from_bytes([7; 16]),
    ] {
        phone.say(signal(to, "lost")).await;
    }
    phone.say(signal(laptop.id, "last")).await;
    laptop.hears(phone.signal("last")).await;
    let left = phone.left();
    drop(phone);
    laptop.hears(left).await;
}

#[tokio::test]
async fn another_identity_hears_nothing_and_is_not_heard() {
    let world = World::start().await;
    let (person, phone) = with_phone(&world, 10).await;
    let (stranger, strange_phone) = with_phone(&world, 20).await;
    let mut laptop = Device::open(&world.server, &person, &person.laptop).await;
    let phone = Device::open(&world.server, &person, &phone).await;
    let mut strange = Device::open(&world.server, &stranger, &stranger.laptop).await;
    let mut strange_phone = Device::open(&world.server, &stranger, &strange_phone).await;
    strange.say(beacon(9)).await;
    strange.say(signal(laptop.id, "for another one")).await;
    strange.say(signal(strange_phone.id, "own")).await;
    // The stranger's own device hears it, so it was passed on.
    strange_phone.hears(strange.beacon(9)).await;
    strange_phone.hears(strange.signal("own")).await;
    phone.say(beacon(1)).await;
    laptop.hears(phone.beacon(1)).await;
    strange_phone.say(beacon(8)).await;
    strange.hears(strange_phone.beacon(8)).await;
}

#[tokio::test]
async fn s10_a_revoked_device_is_cut_off_at_every_replica() {
    let world = World::start().await;
    let replica = world.replica().await;
    let (mut person, phone_key) = with_phone(&world, 10).await;
    let mut laptop = Device::open(&world.server, &person, &person.laptop).await;
    let mut there = dial(&replica, NAME).await;
    let phones = session(&mut there, &person.log, &phone_key).await.unwrap();
    let there = channel(&replica, NAME).await;
    let mut phone = Device::try_open(there.clone(), &phone_key, &phones)
        .await
        .unwrap();
    phone.say(beacon(1)).await;
    laptop.hears(phone.beacon(1)).await;
    let mut client = world.client().await;
    let token = person.session(&mut client).await;
    let revoke = person.revoke(phone.id);
    person.append(&mut client, &token, revoke).await;
    // Whatever is heard first there, it is the end.
    phone.say(beacon(2)).await;
    phone
        .is_refused(Code::PermissionDenied, Reason::DeviceRevoked)
        .await;
    laptop.hears(phone.left()).await;
    let again = Device::try_open(there.clone(), &phone_key, &phones).await;
    let status = again.err().unwrap();
    assert_refused(&status, Code::PermissionDenied, Reason::DeviceRevoked);
    let mut ice = SignalServiceClient::new(there);
    let servers = ice.get_ice_servers(with_token(wire::GetIceServersRequest {}, &phones));
    let status = servers.await.unwrap_err();
    assert_refused(&status, Code::PermissionDenied, Reason::DeviceRevoked);
    // Nobody is left to hear it, and nothing of it is an error.
    laptop.say(signal(phone.id, "too late")).await;
    laptop.say(beacon(3)).await;
    person.still_works(&mut client).await;
}

#[tokio::test]
async fn s38_a_newer_stream_takes_the_place_of_an_older_one() {
    let world = World::start().await;
    let replica = world.replica().await;
    let (person, phone_key) = with_phone(&world, 10).await;
    let mut laptop = Device::open(&world.server, &person, &person.laptop).await;
    let mut old = Device::open(&world.server, &person, &phone_key).await;
    for server in [&replica, &world.server, &world.server] {
        old.say(beacon(1)).await;
        laptop.hears(old.beacon(1)).await;
        let mut new = Device::open(server, &person, &phone_key).await;
        let status = old.is_refused(Code::Aborted, Reason::Superseded).await;
        let retry = status.get_details_retry_info().unwrap().retry_delay;
        assert_eq!(retry.map(|delay| delay.as_secs()), Some(60));
        // Others hear that the device begins anew, and answer it as one that they do not know.
        laptop.hears(old.left()).await;
        new.say(beacon(2)).await;
        laptop.hears(new.beacon(2)).await;
        laptop.say(signal(new.id, "for the new one")).await;
        new.hears(laptop.signal("for the new one")).await;
        old = new;
    }
}

#[tokio::test]
async fn s08_a_stream_needs_a_session_and_ends_with_it() {
    let world = World::start().await;
    let (person, phone) = with_phone(&world, 10).await;
    for token in ["", "el1.AAAA"] {
        let there = channel(&world.server, NAME).await;
        let refused = Device::try_open(there.clone(), &phone, token).await;
        let status = refused.err().unwrap();
        assert_refused(&status, Code::Unauthenticated, Reason::SessionInvalid);
        let mut ice = SignalServiceClient::new(there);
        let servers = ice.get_ice_servers(with_token(wire::GetIceServersRequest {}, token));
        let status = servers.await.unwrap_err();
        assert_refused(&status, Code::Unauthenticated, Reason::SessionInvalid);
    }
    let mut laptop = Device::open(&world.server, &person, &person.laptop).await;
    let mut phone = Device::open(&world.server, &person, &phone).await;
    phone.say(beacon(1)).await;
    laptop.hears(phone.beacon(1)).await;
    world.hands.advance_ms(600_000);
    for late in [&mut phone, &mut laptop] {
        late.say(beacon(2)).await;
        late.is_refused(Code::Unauthenticated, Reason::SessionInvalid)
            .await;
    }
    person.still_works(&mut world.client().await).await;
}

#[tokio::test]
async fn a_drain_ends_streams_politely() {
    let world = World::start().await;
    let replica = world.replica().await;
    let (person, phone) = with_phone(&world, 10).await;
    let mut laptop = Device::open(&world.server, &person, &person.laptop).await;
    let mut phone = Device::open(&replica, &person, &phone).await;
    phone.say(beacon(1)).await;
    laptop.hears(phone.beacon(1)).await;
    let ends = tokio::join!(
        replica.shutdown(PATIENCE),
        phone.is_refused(Code::Unavailable, Reason::Draining)
    );
    assert!(ends.0, "something had to be killed");
    laptop.hears(phone.left()).await;
}

#[tokio::test]
async fn servers_are_named_with_credentials_of_the_device_that_asks() {
    let ice = IceConfig {
        stun_urls: vec!["stun:stun.example:3478".to_owned()],
        turn_urls: vec!["turn:turn.example:3478".to_owned()],
        turn_secret: Some(TurnSecret::new(b"north".to_vec())),
    };
    for (ice, has_some) in [(IceConfig::default(), false), (ice, true)] {
        let world = World::with(Limits::default(), ice).await;
        let mut client = world.client().await;
        let person = Person::registered(&world, &mut client, 10).await;
        let token = person.session(&mut client).await;
        let mut ice = SignalServiceClient::new(channel(&world.server, NAME).await);
        let asked = ice.get_ice_servers(with_token(wire::GetIceServersRequest {}, &token));
        let told = asked.await.unwrap().into_inner();
        if has_some {
            assert_eq!(told.stun_urls, ["stun:stun.example:3478"]);
            assert_eq!(told.turn_urls, ["turn:turn.example:3478"]);
            let device = person.laptop.public_key().device_id();
            assert_eq!(told.username, format!("1800003600:{device}"));
            assert!(!told.password.is_empty());
        } else {
            assert_eq!(told, wire::GetIceServersResponse::default());
        }
    }
}
