//! S-40 and S-41 at the service: a store that cannot commit is said so, nothing is promised, and
//! all is well again when the server is. And replicas that do not hear each other.

use edge_ledger_chassis::Reason;
use tonic::{Code, Status};

use crate::link::End;
use crate::person::{Person, append, get_log, session};
use crate::signal::{Device, beacon, with_phone};
use crate::watch::{next, watch};
use crate::world::{Client, NAME, World, assert_refused, dial, key};

/// A person with a token from better times.
struct Times {
    world: World,
    client: Client,
    person: Person,
    token: String,
}

impl Times {
    async fn good() -> Self {
        let world = World::start().await;
        let mut client = world.client().await;
        let person = Person::registered(&world, &mut client, 10).await;
        let token = person.session(&mut client).await;
        Self {
            world,
            client,
            person,
            token,
        }
    }

    /// Neither a login nor a statement passes; both are refused in the same way.
    async fn refuses_writes(&mut self, code: Code, reason: Reason) {
        let refused =
            |result: Result<(), Status>| assert_refused(&result.unwrap_err(), code, reason);
        let login = session(&mut self.client, &self.person.log, &self.person.laptop);
        refused(login.await.map(drop));
        let renamed = self.person.rename("in bad times");
        refused(
            append(&mut self.client, &self.token, renamed)
                .await
                .map(drop),
        );
    }

    async fn reads(&mut self) -> Result<usize, Status> {
        let identity = self.person.id_bytes();
        let page = get_log(&mut self.client, &self.token, identity, 0).await?;
        Ok(page.statements.len())
    }

    /// What was refused has left nothing, and everything passes.
    async fn are_good_again(mut self) {
        assert_eq!(self.reads().await.unwrap(), 1);
        let renamed = self.person.rename("afterwards");
        self.person
            .append(&mut self.client, &self.token, renamed)
            .await;
        self.person.still_works(&mut self.client).await;
    }

    /// The same after a statement whose fate was not known: if it was carried out, its repetition
    /// gets its receipt.
    async fn are_good_again_whatever_happened(mut self) {
        let same = self.person.rename("in bad times");
        self.person
            .append(&mut self.client, &self.token, same)
            .await;
        assert_eq!(self.reads().await.unwrap(), 2);
        self.person.still_works(&mut self.client).await;
    }
}

#[tokio::test]
async fn s40_a_server_that_takes_no_writes() {
    let mut times = Times::good().await;
    times.world.place.server.command("REPLICAOF 127.0.0.1 1");
    times
        .refuses_writes(Code::Unavailable, Reason::StoreUnavailable)
        .await;
    times.world.place.server.command("REPLICAOF NO ONE");
    times.are_good_again().await;
}

#[tokio::test]
async fn s40_a_server_that_is_away() {
    let mut times = Times::good().await;
    times.world.place.server.kill();
    times
        .refuses_writes(Code::Unavailable, Reason::StoreUnavailable)
        .await;
    let status = times.reads().await.unwrap_err();
    assert_refused(&status, Code::Unavailable, Reason::StoreUnavailable);
    times.world.place.server.start_again();
    times.are_good_again().await;
}

#[tokio::test]
async fn s40_a_server_that_stands_still() {
    let mut times = Times::good().await;
    times.world.place.server.signal("STOP");
    times
        .refuses_writes(Code::Unavailable, Reason::StoreUnavailable)
        .await;
    times.world.place.server.signal("CONT");
    times.are_good_again_whatever_happened().await;
}

#[tokio::test]
async fn s41_a_server_that_is_full() {
    let mut times = Times::good().await;
    times.world.place.server.command("CONFIG SET maxmemory 1mb");
    times
        .refuses_writes(Code::ResourceExhausted, Reason::StorageFull)
        .await;
    assert_eq!(times.reads().await.unwrap(), 1, "reading goes on");
    times.world.place.server.command("CONFIG SET maxmemory 0");
    times.are_good_again().await;
}

/// Announcements are hints: without them it takes longer, and that is all.
#[tokio::test]
async fn s10_replicas_that_do_not_hear_each_other_still_agree() {
    let Times {
        world,
        mut client,
        mut person,
        token,
    } = Times::good().await;
    let deaf = world.replica().await;
    let mut there = dial(&deaf, NAME).await;
    let phone = key(30);
    person
        .append(&mut client, &token, person.add(&phone, "phone", false))
        .await;
    let phone_token = session(&mut there, &person.log, &phone).await.unwrap();
    let mut watching = watch(&mut there, &person, &phone_token, 2).await;
    world.place.deafen(1);

    let mut opener = End::open(&mut client, &token, 1).await;
    opener.opened().await;
    let mut joiner = End::join(&mut there, 1).await;
    joiner.joined().await;
    opener.joined().await;
    opener.say("hello").await;
    assert_eq!(joiner.hear_text().await, "hello");
    joiner.say("hello too").await;
    assert_eq!(opener.hear_text().await, "hello too");

    let id = phone.public_key().device_id();
    person.append(&mut client, &token, person.revoke(id)).await;
    // Calls know at once, and the stream brings the proof and ends.
    let refused = get_log(&mut there, &phone_token, person.id_bytes(), 0).await;
    assert_refused(
        &refused.unwrap_err(),
        Code::PermissionDenied,
        Reason::DeviceRevoked,
    );
    assert!(next(&mut watching).await.unwrap().is_some());
    let ended = next(&mut watching).await.unwrap_err();
    assert_refused(&ended, Code::PermissionDenied, Reason::DeviceRevoked);
}

/// It is cut off within seconds where nobody hears of its end, and says nothing from the first
/// moment on.
#[tokio::test]
async fn s10_a_revoked_device_signals_nothing_at_a_replica_that_hears_nothing() {
    let world = World::start().await;
    let replica = world.replica().await;
    let (mut person, phone_key) = with_phone(&world, 10).await;
    let mut laptop = Device::open(&world.server, &person, &person.laptop).await;
    let mut phone = Device::open(&replica, &person, &phone_key).await;
    phone.say(beacon(1)).await;
    laptop.hears(phone.beacon(1)).await;
    world.place.deafen(1);
    let mut client = world.client().await;
    let token = person.session(&mut client).await;
    let revoke = person.revoke(phone.id);
    person.append(&mut client, &token, revoke).await;
    for number in 2..20 {
        phone.say(beacon(number)).await;
    }
    phone
        .is_refused(Code::PermissionDenied, Reason::DeviceRevoked)
        .await;
    laptop.hears(phone.left()).await;
}
