//! S-13, idempotence, and what an append records.

use edge_ledger_chassis::Reason;
use edge_ledger_core::identity::{Point, Statement, StatementRecord};
use edge_ledger_core::ledger::{Admission, Admitted, Draft, EventKey, Kind, Posting};
use edge_ledger_store::{IdentityStore as _, LedgerStore as _, Origin};
use tonic::Code;

use crate::person::{Person, append, register};
use crate::world::{NAME, World, assert_refused, dial, key};

#[tokio::test]
async fn s13_of_many_statements_for_one_place_one_wins() {
    let world = World::start().await;
    let replica = world.replica().await;
    let mut client = world.client().await;
    let mut person = Person::registered(&world, &mut client, 10).await;
    let token = person.session(&mut client).await;
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..16 {
        let server = if number % 2 == 0 {
            &world.server
        } else {
            &replica
        };
        let mut client = dial(server, NAME).await;
        let (token, statement) = (token.clone(), person.rename(&format!("name {number}")));
        calls.spawn(async move { append(&mut client, &token, statement).await });
    }
    let results = calls.join_all().await;
    let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    for status in lost.into_iter().filter_map(Result::err) {
        assert_refused(&status, Code::Aborted, Reason::VersionConflict);
    }
    person.take(won.into_iter().next().unwrap().unwrap());
    let next = person.rename("after reading the log again");
    person.append(&mut client, &token, next).await;
    assert_eq!(person.log.head().position, 3);
}

#[tokio::test]
async fn one_statement_sent_often_gets_one_place_and_one_receipt() {
    let world = World::start().await;
    let replica = world.replica().await;
    let mut client = world.client().await;
    let mut person = Person::registered(&world, &mut client, 10).await;
    let token = person.session(&mut client).await;
    let statement = person.rename("desk");
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..16 {
        let server = if number % 2 == 0 {
            &world.server
        } else {
            &replica
        };
        let mut client = dial(server, NAME).await;
        let (token, statement) = (token.clone(), statement.clone());
        calls.spawn(async move { append(&mut client, &token, statement).await.unwrap() });
    }
    let receipts = calls.join_all().await;
    assert!(receipts.iter().all(|receipt| *receipt == receipts[0]));
    person.take(receipts[0].clone());
    // Later too, when the log has gone on and the clock with it.
    person
        .append(&mut client, &token, person.rename("table"))
        .await;
    world.hands.advance_ms(9_000);
    assert_eq!(
        append(&mut client, &token, statement).await.unwrap(),
        receipts[0]
    );
    assert_eq!(person.log.head().position, 3);
}

#[tokio::test]
async fn a_statement_for_a_place_that_is_taken_or_not_yet_there() {
    let world = World::start().await;
    let mut client = world.client().await;
    let mut person = Person::registered(&world, &mut client, 10).await;
    let token = person.session(&mut client).await;
    let stale = person.rename("stale");
    let mut ahead = Person::new(&world.genesis, 10);
    ahead.log = person.log.clone();
    let never_sent = ahead.rename("never sent");
    let record = StatementRecord {
        statement: Statement::decode(world.ledger_id(), never_sent).unwrap(),
        service_time_ms: ahead.log.time(),
        tips: Vec::new(),
    };
    ahead.log.apply(record).unwrap();
    let ahead = ahead.rename("after what was never sent");
    let status = append(&mut client, &token, ahead.clone())
        .await
        .unwrap_err();
    assert_refused(&status, Code::Aborted, Reason::VersionConflict);
    person
        .append(&mut client, &token, person.rename("desk"))
        .await;
    // `ahead` is for the right place now, but it follows another statement.
    for statement in [stale, ahead] {
        let status = append(&mut client, &token, statement).await.unwrap_err();
        assert_refused(&status, Code::Aborted, Reason::VersionConflict);
    }
    person
        .append(&mut client, &token, person.rename("table"))
        .await;
}

#[tokio::test]
async fn a_root_key_opens_one_log() {
    let world = World::start().await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    let other = person_with_empty_log(&world).incept_with(&key(77));
    let status = register(&mut client, other.bytes().clone())
        .await
        .unwrap_err();
    assert_refused(&status, Code::Aborted, Reason::VersionConflict);
    // Whoever has not the root key learns nothing: the answer is that of an unknown identity.
    let rename = person_with_empty_log(&world).rename("x");
    let status = register(&mut client, rename).await.unwrap_err();
    assert_refused(&status, Code::InvalidArgument, Reason::BadMessage);
    person.still_works(&mut client).await;
}

/// The same person, who has forgotten the log.
fn person_with_empty_log(world: &World) -> Person {
    Person::new(&world.genesis, 10)
}

#[tokio::test]
async fn a_receipt_records_the_tips_that_are_kept_of_those_who_are_ended() {
    let world = World::start().await;
    let mut client = world.client().await;
    let mut person = Person::registered(&world, &mut client, 10).await;
    let token = person.session(&mut client).await;
    let phone = key(30);
    person
        .append(&mut client, &token, person.add(&phone, "phone", false))
        .await;
    let posting = Posting::new(Kind::Debit, EventKey::new("coffee").unwrap(), 3).unwrap();
    let draft = Draft {
        wall_ms: 0,
        postings: vec![posting],
    };
    let (ledger_id, identity) = (world.ledger_id(), person.identity());
    let run = draft
        .sign(ledger_id, identity, &phone, Point::START)
        .unwrap();
    let Admitted::Append(admissible) = Admission::default().admit(&person.log, false, &run) else {
        panic!("not admitted");
    };
    let version = world.store.log(identity, 0).await.unwrap().unwrap().version;
    world
        .store
        .append(identity, version, Origin(1), admissible)
        .await
        .unwrap();
    let phone = phone.public_key().device_id();
    person
        .append(&mut client, &token, person.revoke(phone))
        .await;
    let cut = person.log.cut(&phone).unwrap();
    assert_eq!(cut.last_seq(), 1);
    assert_eq!(
        cut.signature(&cut.points().next().unwrap()),
        Some(run.signature)
    );
}

#[tokio::test]
async fn a_statement_of_another_deployment_is_refused() {
    let world = World::start().await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    let spec = edge_ledger_core::identity::genesis::GenesisSpec {
        service_root: key(1).public_key(),
        next_service_root_hash: [0; 32],
        unit: "credit".into(),
        decimals: 0,
        policy: edge_ledger_core::identity::CreditPolicy::Issued,
        random: [200; 16],
        periods: edge_ledger_core::identity::Periods::NONE,
    };
    let elsewhere = edge_ledger_core::identity::Genesis::create(spec).unwrap();
    let foreign = Person::new(&elsewhere, 40).incept();
    let status = register(&mut client, foreign.bytes().clone())
        .await
        .unwrap_err();
    assert_refused(&status, Code::PermissionDenied, Reason::Forbidden);
    person.still_works(&mut client).await;
}
