//! S-03, S-04 and S-05: challenges and their answers.

use bytes::Bytes;
use edge_ledger_chassis::Reason;
use edge_ledger_core::identity::Challenge;
use edge_ledger_core::ids::LedgerId;
use edge_ledger_proto::identity::{AuthenticateRequest, ChallengePurpose, GetChallengeRequest};
use tonic::Code;

use crate::keys::bad_signatures;
use crate::person::{Person, answer, challenge, session};
use crate::world::{Client, NAME, World, assert_refused, dial, key};

async fn assert_invalid(client: &mut Client, request: AuthenticateRequest) {
    let status = client.authenticate(request).await.unwrap_err();
    assert_refused(&status, Code::Unauthenticated, Reason::ChallengeInvalid);
}

#[tokio::test]
async fn s03_proofs_that_do_not_fit_burn_nothing() {
    let world = World::start().await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    let given = challenge(&mut client, person.identity(), &person.laptop)
        .await
        .unwrap();
    let good = answer(&person.log, &person.laptop, &given);
    for proof in bad_signatures(&good.proof) {
        let request = AuthenticateRequest {
            proof,
            ..good.clone()
        };
        assert_invalid(&mut client, request).await;
    }
    client.authenticate(good).await.unwrap();
}

#[tokio::test]
async fn s04_unknown_or_changed() {
    let world = World::start().await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    let given = challenge(&mut client, person.identity(), &person.laptop)
        .await
        .unwrap();
    let good = answer(&person.log, &person.laptop, &given);
    let mut changed = good.sealed.to_vec();
    changed[40] ^= 1;
    let sealed = [
        Bytes::new(),
        Bytes::from(vec![0; 16]),
        Bytes::from(vec![0; 2_000]),
        good.sealed.slice(1..),
        changed.into(),
        given.challenge,
    ];
    for sealed in sealed {
        let request = AuthenticateRequest {
            sealed,
            ..good.clone()
        };
        assert_invalid(&mut client, request).await;
    }
    client.authenticate(good).await.unwrap();
}

#[tokio::test]
async fn s04_expired_or_used() {
    let world = World::start().await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    let given = challenge(&mut client, person.identity(), &person.laptop)
        .await
        .unwrap();
    world.hands.advance_ms(60_000);
    assert_invalid(&mut client, answer(&person.log, &person.laptop, &given)).await;
    let given = challenge(&mut client, person.identity(), &person.laptop)
        .await
        .unwrap();
    world.hands.advance_ms(59_999);
    let good = answer(&person.log, &person.laptop, &given);
    client.authenticate(good.clone()).await.unwrap();
    assert_invalid(&mut client, good.clone()).await;
    world.hands.advance_ms(1);
    assert_invalid(&mut client, good).await;
    person.still_works(&mut client).await;
}

#[tokio::test]
async fn s04_of_somebody_else() {
    let world = World::start().await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    let other = Person::registered(&world, &mut client, 20).await;
    let given = challenge(&mut client, person.identity(), &person.laptop)
        .await
        .unwrap();
    // The challenge of one device, answered by another.
    assert_invalid(&mut client, answer(&other.log, &other.laptop, &given)).await;
    // The key of the device, but signed by another.
    let mut stolen = answer(&other.log, &other.laptop, &given);
    stolen.public_key = Bytes::copy_from_slice(person.laptop.public_key().as_bytes());
    assert_invalid(&mut client, stolen).await;
    // A device that is in nobody's log, one of another log, and an identity that nobody has.
    let stranger = key(90);
    let nobody = key(91).public_key().identity_id();
    for (identity, device) in [
        (person.identity(), &stranger),
        (person.identity(), &other.laptop),
        (nobody, &stranger),
    ] {
        let given = challenge(&mut client, identity, device).await.unwrap();
        assert_invalid(&mut client, answer(&person.log, device, &given)).await;
    }
    client
        .authenticate(answer(&person.log, &person.laptop, &given))
        .await
        .unwrap();
}

#[tokio::test]
async fn s04_of_another_audience_or_deployment() {
    let world = World::start().await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    let local = format!("localhost:{}", world.server.local_addr().port());
    let given = challenge(&mut client, person.identity(), &person.laptop)
        .await
        .unwrap();
    let good = answer(&person.log, &person.laptop, &given);
    assert_invalid(&mut dial(&world.server, &local).await, good.clone()).await;
    let elsewhere = world.replica_with([99; 32].into()).await;
    assert_invalid(&mut dial(&elsewhere, NAME).await, good.clone()).await;
    let other = LedgerId::from_bytes([9; 16]);
    let proof = Challenge::prove(other, &given.challenge, &person.laptop);
    let foreign = AuthenticateRequest {
        proof: Bytes::copy_from_slice(proof.as_bytes()),
        ..good.clone()
    };
    assert_invalid(&mut client, foreign).await;
    client.authenticate(good).await.unwrap();
}

#[tokio::test]
async fn s04_of_another_purpose() {
    let world = World::start().await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    for purpose in [ChallengePurpose::Unspecified.into(), 2, 3, 4, -1] {
        let request = GetChallengeRequest {
            identity: person.id_bytes(),
            public_key: Bytes::copy_from_slice(person.laptop.public_key().as_bytes()),
            purpose,
        };
        let status = client.get_challenge(request).await.unwrap_err();
        assert_refused(&status, Code::InvalidArgument, Reason::BadMessage);
    }
    person.still_works(&mut client).await;
}

#[tokio::test]
async fn s05_one_answer_sent_often_and_to_several_replicas_passes_once() {
    let world = World::start().await;
    let replicas = [world.replica().await, world.replica().await];
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    let given = challenge(&mut client, person.identity(), &person.laptop)
        .await
        .unwrap();
    let good = answer(&person.log, &person.laptop, &given);
    let clients = [
        client.clone(),
        dial(&replicas[0], NAME).await,
        dial(&replicas[1], NAME).await,
    ];
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..1_000 {
        let (mut client, request) = (clients[number % 3].clone(), good.clone());
        calls.spawn(async move { client.authenticate(request).await });
    }
    let results = calls.join_all().await;
    assert_eq!(results.len(), 1_000);
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    for status in results.into_iter().filter_map(Result::err) {
        assert_refused(&status, Code::Unauthenticated, Reason::ChallengeInvalid);
    }
    person.still_works(&mut client).await;
}

#[tokio::test]
async fn a_service_answers_only_to_its_names() {
    let world = World::start().await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    let mut lured = dial(&world.server, "evil.example").await;
    let status = session(&mut lured, &person.log, &person.laptop)
        .await
        .unwrap_err();
    assert_refused(&status, Code::FailedPrecondition, Reason::AudienceUnknown);
    person.still_works(&mut client).await;
}
