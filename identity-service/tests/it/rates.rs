//! S-06: how often an address may call, what a flood costs, and who is not held up by it.

use std::num::NonZeroU32;

use edge_ledger_chassis::Reason;
use identity_service::Limits;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::link::End;
use crate::person::{Person, challenge, register};
use crate::world::{NAME, World, assert_refused, dial_from};

/// Limits under which loopback is an address like any other.
fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    limits.connections.trusted_proxies.clear();
    change(&mut limits);
    limits
}

const FEW: NonZeroU32 = NonZeroU32::new(3).unwrap();

#[tokio::test]
async fn a_flood_of_challenges_is_told_when_to_come_back() {
    let world = World::with_limits(limits(|limits| limits.challenges_per_minute = FEW)).await;
    let mut client = world.client().await;
    let person = Person::new(&world.genesis, 10);
    for _ in 0..FEW.get() {
        let given = challenge(&mut client, person.identity(), &person.laptop).await;
        given.unwrap();
    }
    let refused = challenge(&mut client, person.identity(), &person.laptop).await;
    let refused = refused.unwrap_err();
    assert_refused(&refused, Code::ResourceExhausted, Reason::RateLimited);
    let retry = refused.get_details_retry_info().unwrap();
    assert!(retry.retry_delay.is_some_and(|delay| !delay.is_zero()));
}

/// The limit is one of addresses: a victim's identity and device are not locked out by whoever
/// asks in their name.
#[tokio::test]
async fn a_flood_in_the_name_of_a_victim_does_not_hold_it_up() {
    let world = World::with_limits(limits(|limits| limits.challenges_per_minute = FEW)).await;
    let mut flood = world.client().await;
    let person = Person::registered(&world, &mut flood, 10).await;
    while challenge(&mut flood, person.identity(), &person.laptop)
        .await
        .is_ok()
    {}
    let elsewhere = "127.0.0.2".parse().unwrap();
    let mut honest = dial_from(&world.server, NAME, elsewhere).await;
    person.session(&mut honest).await;
}

#[tokio::test]
async fn codes_cannot_be_guessed_in_a_row() {
    let world = World::with_limits(limits(|limits| limits.joins_per_minute = FEW)).await;
    let mut client = world.client().await;
    for name in 0..3 {
        let mut guess = End::join(&mut client, name).await;
        guess.refused(Code::NotFound, Reason::LinkGone).await;
    }
    let mut guess = End::join(&mut client, 9).await;
    guess
        .refused(Code::ResourceExhausted, Reason::RateLimited)
        .await;
}

#[tokio::test]
async fn identities_are_registered_so_often() {
    let few = limits(|limits| limits.registrations_per_minute = FEW);
    let world = World::with_limits(few).await;
    let mut client = world.client().await;
    for seed in 10..13 {
        let incept = Person::new(&world.genesis, seed).incept().bytes().clone();
        register(&mut client, incept).await.unwrap();
    }
    let incept = Person::new(&world.genesis, 13).incept().bytes().clone();
    let refused = register(&mut client, incept).await.unwrap_err();
    assert_refused(&refused, Code::ResourceExhausted, Reason::RateLimited);
}
