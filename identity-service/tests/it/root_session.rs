//! Sessions of the root key, which is no device: it reads the log and says what it signs.

use bytes::Bytes;
use edge_ledger_chassis::Reason;
use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{Act, Challenge, RevokeReason};
use edge_ledger_core::keys::SecretKey;
use edge_ledger_proto::identity::{AuthenticateRequest, GetChallengeResponse, WatchLogRequest};
use edge_ledger_proto::signal::GetIceServersRequest;
use edge_ledger_proto::signal::signal_service_client::SignalServiceClient;
use tonic::{Code, Status};

use crate::keys::bad_signatures;
use crate::person::{Person, answer, append, challenge, get_log, with_token};
use crate::world::{Client, NAME, World, assert_refused, channel, key};

fn root_answer(
    person: &Person,
    root: &SecretKey,
    given: &GetChallengeResponse,
) -> AuthenticateRequest {
    let proof = Challenge::prove_root(person.log.ledger_id(), &given.challenge, root);
    AuthenticateRequest {
        sealed: given.sealed.clone(),
        public_key: Bytes::copy_from_slice(root.public_key().as_bytes()),
        proof: Bytes::copy_from_slice(proof.as_bytes()),
    }
}

async fn root_session(client: &mut Client, person: &Person) -> Result<String, Status> {
    let given = challenge(client, person.identity(), &person.root).await?;
    let request = root_answer(person, &person.root, &given);
    Ok(client.authenticate(request).await?.into_inner().token)
}

#[tokio::test]
async fn the_root_reads_the_log_and_signs_a_device_in_when_all_are_ended() {
    let world = World::start().await;
    let mut client = world.client().await;
    let mut person = Person::registered(&world, &mut client, 10).await;
    let token = root_session(&mut client, &person).await.unwrap();
    let page = get_log(&mut client, &token, person.id_bytes(), 0)
        .await
        .unwrap();
    assert_eq!(page.statements.len(), 1);
    let watched = WatchLogRequest {
        identity: person.id_bytes(),
        after_position: 0,
    };
    let watched = client.watch_log(with_token(watched, &token)).await.unwrap();
    let first = watched.into_inner().message().await.unwrap();
    assert!(first.unwrap().statement.is_some());
    let phone = key(77);
    let certificate = person.certificate(&phone, "phone");
    let admin = true;
    let add = person.sign(
        Act::AddDevice { certificate, admin },
        &[SigningAs::Root(&person.root)],
    );
    person
        .append(&mut client, &token, add.bytes().clone())
        .await;
    let act = Act::Revoke {
        device: person.laptop.public_key().device_id(),
        reason: RevokeReason::Lost,
        tips: Vec::new(),
    };
    let revoke = person.sign(act, &[SigningAs::Root(&person.root)]);
    person
        .append(&mut client, &token, revoke.bytes().clone())
        .await;
    let session = crate::person::session(&mut client, &person.log, &phone).await;
    session.unwrap();
}

#[tokio::test]
async fn the_root_is_no_device_and_has_nothing_to_say_to_devices() {
    let world = World::start().await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    let token = root_session(&mut client, &person).await.unwrap();
    let mut signals = SignalServiceClient::new(channel(&world.server, NAME).await);
    let stream = signals.signal(with_token(tokio_stream::pending(), &token));
    let status = stream.await.unwrap_err();
    assert_refused(&status, Code::PermissionDenied, Reason::Forbidden);
    let servers = signals.get_ice_servers(with_token(GetIceServersRequest {}, &token));
    let status = servers.await.unwrap_err();
    assert_refused(&status, Code::PermissionDenied, Reason::Forbidden);
    person.still_works(&mut client).await;
}

#[tokio::test]
async fn nobody_else_opens_one_and_each_form_of_proof_is_for_its_own_key() {
    let world = World::start().await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    let stranger = Person::registered(&world, &mut client, 20).await;
    let invalid = async |client: &mut Client, request: AuthenticateRequest| {
        let status = client.authenticate(request).await.unwrap_err();
        assert_refused(&status, Code::Unauthenticated, Reason::ChallengeInvalid);
    };
    // The root key's plain signature proves nothing, and a device's Ed25519ph neither.
    let given = challenge(&mut client, person.identity(), &person.root)
        .await
        .unwrap();
    invalid(&mut client, answer(&person.log, &person.root, &given)).await;
    let good = root_answer(&person, &person.root, &given);
    for proof in bad_signatures(&good.proof) {
        let request = AuthenticateRequest {
            proof,
            ..good.clone()
        };
        invalid(&mut client, request).await;
    }
    let for_laptop = challenge(&mut client, person.identity(), &person.laptop)
        .await
        .unwrap();
    invalid(
        &mut client,
        root_answer(&person, &person.laptop, &for_laptop),
    )
    .await;
    // Another identity's root, and a root whose identity nobody registered.
    let foreign = challenge(&mut client, person.identity(), &stranger.root)
        .await
        .unwrap();
    invalid(&mut client, root_answer(&person, &stranger.root, &foreign)).await;
    let unknown = Person::new(&world.genesis, 60);
    let status = root_session(&mut client, &unknown).await.unwrap_err();
    assert_refused(&status, Code::Unauthenticated, Reason::ChallengeInvalid);
    // The challenge was burnt by none of them, and works once.
    client.authenticate(good.clone()).await.unwrap();
    invalid(&mut client, good).await;
}

#[tokio::test]
async fn a_root_session_is_for_its_own_identity_and_its_statements_are_checked() {
    let world = World::start().await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    let other = Person::registered(&world, &mut client, 20).await;
    let token = root_session(&mut client, &person).await.unwrap();
    let status = get_log(&mut client, &token, other.id_bytes(), 0)
        .await
        .unwrap_err();
    assert_refused(&status, Code::PermissionDenied, Reason::Forbidden);
    let certificate = person.certificate(&key(78), "phone");
    let admin = true;
    let unproven = person.sign(
        Act::AddDevice { certificate, admin },
        &[SigningAs::Device(&person.root)],
    );
    let status = append(&mut client, &token, unproven.bytes().clone())
        .await
        .unwrap_err();
    assert_refused(&status, Code::PermissionDenied, Reason::LinkUnproven);
    person.still_works(&mut client).await;
}
