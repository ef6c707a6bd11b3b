//! S-13, idempotence, and what an append records.

use edge_ledger_chassis::Reason;
use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{Act, Point, Statement, StatementRecord};
use edge_ledger_core::ledger::{Admission, Admitted, Draft, EventKey, Kind, Posting};
use edge_ledger_store::{IdentityStore as _, LedgerStore as _, Origin};
use tonic::Code;

use crate::person::{Person, append, register, session};
use crate::world::{NAME, World, assert_refused, dial, key};

/// Admins who do not know of each other, at three replicas, round after round.
#[tokio::test]
async fn s13_of_many_statements_for_one_place_one_wins() {
    let world = World::start().await;
    let replicas = [world.replica().await, world.replica().await];
    let servers = [&world.server, &replicas[0], &replicas[1]];
    let mut client = world.client().await;
    let mut person = Person::registered(&world, &mut client, 10).await;
    let token = person.session(&mut client).await;
    for seed in 30..33 {
        let add = person.add(&key(seed), "an admin", true);
        person.append(&mut client, &token, add).await;
    }
    world.pass_probation();
    // The first is the key of the laptop again.
    let mut signers = Vec::new();
    for seed in [11, 30, 31, 32] {
        let own = session(&mut client, &person.log, &key(seed)).await;
        signers.push((key(seed), own.unwrap()));
    }
    for round in 0..4 {
        let mut calls = tokio::task::JoinSet::new();
        for number in 0..24 {
            let mut client = dial(servers[number % 3], NAME).await;
            let (signer, token) = &signers[number % signers.len()];
            let rename = Act::Rename {
                device: person.laptop.public_key().device_id(),
                name: format!("name {round}-{number}"),
            };
            let statement = person.sign(rename, &[SigningAs::Device(signer)]);
            let (token, bytes) = (token.clone(), statement.bytes().clone());
            calls.spawn(async move { append(&mut client, &token, bytes).await });
        }
        let results = calls.join_all().await;
        let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1);
        for status in lost.into_iter().filter_map(Result::err) {
            assert_refused(&status, Code::Aborted, Reason::VersionConflict);
        }
        person.take(won.into_iter().next().unwrap().unwrap());
    }
    let next = person.rename("after reading the log again");
    person.append(&mut client, &signers[0].1, next).await;
    assert_eq!(person.log.head().position, 1 + 3 + 4 + 1);
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

/// An answer may have been lost, and the old key has no session any more: the new one has.
#[tokio::test]
async fn a_replacement_that_is_sent_again_gets_the_same_receipt() {
    let world = World::start().await;
    let replica = world.replica().await;
    let mut client = world.client().await;
    let mut person = Person::registered(&world, &mut client, 10).await;
    let token = person.session(&mut client).await;
    let (phone, successor) = (key(30), key(31));
    let add = person.add(&phone, "phone", false);
    person.append(&mut client, &token, add).await;
    let old_token = session(&mut client, &person.log, &phone).await.unwrap();
    let replace = person.replace(&phone, &successor);
    let receipted = append(&mut client, &old_token, replace.clone()).await;
    let receipted = receipted.unwrap();
    person.take(receipted.clone());
    let rename = person.rename("the log goes on");
    person.append(&mut client, &token, rename).await;
    world.hands.advance_ms(9_000);
    for server in [&world.server, &replica] {
        let mut client = dial(server, NAME).await;
        let new_token = session(&mut client, &person.log, &successor).await;
        for token in [&new_token.unwrap(), &token] {
            let again = append(&mut client, token, replace.clone()).await;
            assert_eq!(again.unwrap(), receipted);
        }
        let status = append(&mut client, &old_token, replace.clone()).await;
        let status = status.unwrap_err();
        assert_refused(&status, Code::PermissionDenied, Reason::DeviceRevoked);
    }
    // Another key for the place is late, whoever brings it.
    let late = person.replace(&phone, &key(32));
    let status = append(&mut client, &token, late).await.unwrap_err();
    assert_refused(&status, Code::PermissionDenied, Reason::DeviceRevoked);
    assert_eq!(person.log.head().position, 4);
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
