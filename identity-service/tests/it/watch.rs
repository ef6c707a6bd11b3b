//! Following a log.

use edge_ledger_chassis::Reason;
use edge_ledger_proto::identity as wire;
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};

use crate::person::{Person, get_log, session, with_token};
use crate::world::{Client, NAME, PATIENCE, World, assert_refused, dial, key};

type Stream = Streaming<wire::WatchLogResponse>;

pub(crate) async fn watch(client: &mut Client, person: &Person, token: &str, after: u64) -> Stream {
    let request = wire::WatchLogRequest {
        identity: person.id_bytes(),
        after_position: after,
    };
    let response = client.watch_log(with_token(request, token)).await;
    response.unwrap().into_inner()
}

pub(crate) async fn next(stream: &mut Stream) -> Result<Option<wire::ReceiptedStatement>, Status> {
    let message = timeout(PATIENCE, stream.message()).await.unwrap();
    Ok(message?.and_then(|message| message.statement))
}

#[tokio::test]
async fn a_watcher_gets_what_is_there_and_what_comes_from_any_replica() {
    let world = World::start().await;
    let replica = world.replica().await;
    let mut client = world.client().await;
    let mut person = Person::registered(&world, &mut client, 10).await;
    let token = person.session(&mut client).await;
    person
        .append(&mut client, &token, person.rename("second"))
        .await;
    let mut all = watch(&mut dial(&replica, NAME).await, &person, &token, 0).await;
    let mut later = watch(&mut client, &person, &token, 2).await;
    let mut reader = Person::new(&world.genesis, 10);
    for _ in 0..2 {
        reader.take(next(&mut all).await.unwrap().unwrap());
    }
    for name in ["third", "fourth"] {
        person
            .append(&mut client, &token, person.rename(name))
            .await;
        let told = next(&mut all).await.unwrap().unwrap();
        assert_eq!(next(&mut later).await.unwrap().unwrap(), told);
        reader.take(told);
    }
    assert_eq!(reader.log.head(), person.log.head());
}

#[tokio::test]
async fn s10_a_watcher_that_is_revoked_gets_the_proof_and_then_nothing() {
    let world = World::start().await;
    let mut client = world.client().await;
    let mut person = Person::registered(&world, &mut client, 10).await;
    let token = person.session(&mut client).await;
    let phone = key(30);
    person
        .append(&mut client, &token, person.add(&phone, "phone", false))
        .await;
    let phones = session(&mut client, &person.log, &phone).await.unwrap();
    let mut stream = watch(&mut client, &person, &phones, 2).await;
    let mut reader = person.log.clone();
    person
        .append(
            &mut client,
            &token,
            person.revoke(phone.public_key().device_id()),
        )
        .await;
    person
        .append(&mut client, &token, person.rename("not for the phone"))
        .await;
    let told = next(&mut stream).await.unwrap().unwrap();
    std::mem::swap(&mut reader, &mut person.log);
    person.take(told);
    std::mem::swap(&mut reader, &mut person.log);
    let status = next(&mut stream).await.unwrap_err();
    assert_refused(&status, Code::PermissionDenied, Reason::DeviceRevoked);
    person.still_works(&mut client).await;
}

#[tokio::test]
async fn s08_a_watcher_hears_no_longer_than_its_session() {
    let world = World::start().await;
    let mut client = world.client().await;
    let mut person = Person::registered(&world, &mut client, 10).await;
    let token = person.session(&mut client).await;
    let mut stream = watch(&mut client, &person, &token, 1).await;
    world.hands.advance_ms(600_000);
    let fresh = person.session(&mut client).await;
    person
        .append(&mut client, &fresh, person.rename("too late"))
        .await;
    let status = next(&mut stream).await.unwrap_err();
    assert_refused(&status, Code::Unauthenticated, Reason::SessionInvalid);
    get_log(&mut client, &fresh, person.id_bytes(), 0)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_drain_ends_watchers_politely() {
    let world = World::start().await;
    let replica = world.replica().await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    let token = person.session(&mut client).await;
    let mut stream = watch(&mut dial(&replica, NAME).await, &person, &token, 1).await;
    let ends = tokio::join!(replica.shutdown(PATIENCE), next(&mut stream));
    assert!(ends.0, "something had to be killed");
    assert_refused(&ends.1.unwrap_err(), Code::Unavailable, Reason::Draining);
    person.still_works(&mut client).await;
}
