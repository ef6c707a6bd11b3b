//! How links end: every wait is bounded, and both sides are told.

use std::time::Duration;

use edge_ledger_chassis::Reason;
use identity_service::Limits;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request};

use crate::link::End;
use crate::person::Person;
use crate::world::{NAME, PATIENCE, World, assert_refused, dial};

#[tokio::test]
async fn closing_ends_both_sides_after_everything_was_delivered() {
    let world = World::start().await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    let token = person.session(&mut client).await;
    let mut opener = End::open(&mut client, &token, 1).await;
    opener.opened().await;
    let mut joiner = End::join(&mut client, 1).await;
    joiner.joined().await;
    opener.joined().await;
    opener.say("first").await;
    opener.say("last").await;
    let End {
        requests,
        mut responses,
    } = opener;
    drop(requests);
    assert_eq!(joiner.hear_text().await, "first");
    assert_eq!(joiner.hear_text().await, "last");
    joiner.refused(Code::NotFound, Reason::LinkGone).await;
    let end = timeout(PATIENCE, responses.message()).await.unwrap();
    assert!(end.unwrap().is_none(), "whoever closed politely ends OK");
    let mut late = End::join(&mut client, 1).await;
    late.refused(Code::NotFound, Reason::LinkGone).await;
}

#[tokio::test]
async fn a_side_that_breaks_off_is_reported_to_the_other() {
    let world = World::start().await;
    let replica = world.replica().await;
    let (mut here, mut there) = (world.client().await, dial(&replica, NAME).await);
    let person = Person::registered(&world, &mut here, 10).await;
    let token = person.session(&mut here).await;
    let mut opener = End::open(&mut here, &token, 1).await;
    opener.opened().await;
    let mut joiner = End::join(&mut there, 1).await;
    joiner.joined().await;
    opener.joined().await;
    joiner.say("I am off").await;
    assert_eq!(opener.hear_text().await, "I am off");
    drop(joiner);
    opener.refused(Code::NotFound, Reason::LinkGone).await;
}

#[tokio::test]
async fn a_code_dies_with_the_device_that_shows_it() {
    let world = World::start().await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    let token = person.session(&mut client).await;
    let mut opener = End::open(&mut client, &token, 1).await;
    opener.opened().await;
    drop(opener);
    // The name is free once the service has noticed.
    let reopened = async {
        loop {
            let mut again = End::open(&mut client, &token, 1).await;
            match again.hear().await {
                Ok(_) => break,
                Err(status) => {
                    assert_refused(&status, Code::FailedPrecondition, Reason::LinkTaken);
                }
            }
        }
    };
    timeout(PATIENCE, reopened).await.unwrap();
}

#[tokio::test]
async fn a_link_expires_by_the_clock_of_the_service() {
    let world = World::start().await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    let token = person.session(&mut client).await;
    let mut opener = End::open(&mut client, &token, 1).await;
    opener.opened().await;
    world.hands.advance_ms(120_000);
    let mut joiner = End::join(&mut client, 1).await;
    joiner.refused(Code::NotFound, Reason::LinkGone).await;
    opener
        .refused(Code::DeadlineExceeded, Reason::LinkExpired)
        .await;
    person.still_works(&mut client).await;
}

#[tokio::test]
async fn no_link_lasts_longer_than_its_life_though_the_clock_stands() {
    let limits = Limits {
        link_life: Duration::from_millis(300),
        ..Limits::default()
    };
    let world = World::with_limits(limits).await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    let token = person.session(&mut client).await;
    let mut opener = End::open(&mut client, &token, 1).await;
    opener.opened().await;
    let mut joiner = End::join(&mut client, 1).await;
    joiner.joined().await;
    opener.joined().await;
    opener
        .refused(Code::DeadlineExceeded, Reason::LinkExpired)
        .await;
    person.still_works(&mut client).await;
}

#[tokio::test]
async fn a_stream_that_says_nothing_is_ended() {
    let limits = Limits {
        link_first_message: Duration::from_millis(50),
        ..Limits::default()
    };
    let world = World::with_limits(limits).await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    let (_requests, silent) = mpsc::channel(1);
    let response = client.link(Request::new(ReceiverStream::new(silent))).await;
    let mut stream = response.unwrap().into_inner();
    let ended = timeout(PATIENCE, stream.message()).await.unwrap();
    assert_refused(
        &ended.unwrap_err(),
        Code::DeadlineExceeded,
        Reason::LinkExpired,
    );
    person.still_works(&mut client).await;
}

#[tokio::test]
async fn a_drain_ends_both_sides() {
    let world = World::start().await;
    let replica = world.replica().await;
    let (mut here, mut there) = (world.client().await, dial(&replica, NAME).await);
    let person = Person::registered(&world, &mut here, 10).await;
    let token = person.session(&mut here).await;
    let mut opener = End::open(&mut here, &token, 1).await;
    opener.opened().await;
    let mut joiner = End::join(&mut there, 1).await;
    joiner.joined().await;
    opener.joined().await;
    let (graceful, ended) = tokio::join!(replica.shutdown(PATIENCE), joiner.hear());
    assert!(graceful, "something had to be killed");
    assert_refused(&ended.unwrap_err(), Code::Unavailable, Reason::Draining);
    opener.refused(Code::NotFound, Reason::LinkGone).await;
    person.still_works(&mut here).await;
}
