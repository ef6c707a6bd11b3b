//! Who may register an identity.

use edge_ledger_chassis::{Reason, Sealing};
use edge_ledger_core::ids::LedgerId;
use identity_service::{Invites, Limits, Registration};
use tonic::Code;

use crate::person::{Person, register, register_invited};
use crate::world::{NAME, World, assert_refused, dial};

async fn world(registration: Registration) -> World {
    World::with_limits(Limits {
        registration,
        ..Limits::default()
    })
    .await
}

/// The invites of a world, whose services seal with the key 4.
fn invites(ledger_id: LedgerId) -> Invites {
    Invites::new(Sealing::from([4; 32]), ledger_id)
}

#[tokio::test]
async fn a_closed_service_registers_nobody_and_serves_who_is_there() {
    let world = world(Registration::Closed).await;
    let mut client = world.client().await;
    let incept = Person::new(&world.genesis, 10).incept().bytes().clone();
    let refused = register(&mut client, incept).await.unwrap_err();
    assert_refused(&refused, Code::PermissionDenied, Reason::RegistrationClosed);
}

#[tokio::test]
async fn an_invite_is_good_for_one_identity_on_any_replica() {
    let world = world(Registration::Invite).await;
    let replica = world.replica().await;
    let (mut here, mut there) = (world.client().await, dial(&replica, NAME).await);
    let invite = invites(world.ledger_id()).make(1_800_000_060_000);
    let incept = |seed| Person::new(&world.genesis, seed).incept().bytes().clone();
    let first = register_invited(&mut here, incept(10), &invite)
        .await
        .unwrap();
    // Whoever lost the answer asks again, and needs no other invite.
    for again in [invite.as_str(), ""] {
        let told = register_invited(&mut there, incept(10), again).await;
        assert_eq!(told.unwrap(), first);
    }
    for client in [&mut here, &mut there] {
        let refused = register_invited(client, incept(13), &invite).await;
        assert_refused(
            &refused.unwrap_err(),
            Code::PermissionDenied,
            Reason::InviteInvalid,
        );
    }
}

#[tokio::test]
async fn what_is_no_invite_of_this_service_registers_nobody() {
    let world = world(Registration::Invite).await;
    let mut client = world.client().await;
    let elsewhere = invites(LedgerId::from_bytes([9; 16])).make(i64::MAX);
    let foreign = Invites::new(Sealing::from([5; 32]), world.ledger_id());
    let over = invites(world.ledger_id()).make(1_800_000_000_000);
    for invite in [
        "",
        "el-invite-1-",
        &"x".repeat(10_000),
        &elsewhere,
        &foreign.make(i64::MAX),
        &over,
    ] {
        let incept = Person::new(&world.genesis, 10).incept().bytes().clone();
        let refused = register_invited(&mut client, incept, invite).await;
        assert_refused(
            &refused.unwrap_err(),
            Code::PermissionDenied,
            Reason::InviteInvalid,
        );
    }
    let good = invites(world.ledger_id()).make(1_800_000_000_001);
    let incept = Person::new(&world.genesis, 10).incept().bytes().clone();
    register_invited(&mut client, incept, &good).await.unwrap();
}
