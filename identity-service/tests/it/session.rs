//! S-08, S-09 and S-10: tokens, other people's logs, and revoked devices.

use bytes::Bytes;
use edge_ledger_chassis::Reason;
use edge_ledger_core::identity::Act;
use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_proto::identity as wire;
use tonic::{Code, Request};

use crate::person::{Person, append, get_log, session, with_token};
use crate::world::{NAME, World, assert_refused, dial, key};

#[tokio::test]
async fn s08_tokens_that_open_nothing() {
    let world = World::start().await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    let other = Person::registered(&world, &mut client, 20).await;
    let token = person.session(&mut client).await;
    let others = other.session(&mut client).await;
    // 32 bytes of identity and a bit of padding make 43 digits; the rest is the secret.
    let spliced = format!("{}{}", &others[..47], &token[47..]);
    let bad = [
        "",
        "x",
        "el1.",
        &token[4..],
        &token[..89],
        &format!("{token}A"),
        &spliced,
    ];
    for bad in bad {
        let status = get_log(&mut client, bad, person.id_bytes(), 0)
            .await
            .unwrap_err();
        assert_refused(&status, Code::Unauthenticated, Reason::SessionInvalid);
        let status = append(&mut client, bad, person.rename("x"))
            .await
            .unwrap_err();
        assert_refused(&status, Code::Unauthenticated, Reason::SessionInvalid);
    }
    get_log(&mut client, &token, person.id_bytes(), 0)
        .await
        .unwrap();
}

#[tokio::test]
async fn s08_a_token_must_be_a_bearers() {
    let world = World::start().await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    let token = person.session(&mut client).await;
    for value in [
        token.clone(),
        format!("Basic {token}"),
        format!("Bearer  {token}"),
    ] {
        let mut request = Request::new(wire::ListDevicesRequest {
            identity: person.id_bytes(),
        });
        request
            .metadata_mut()
            .insert("authorization", value.parse().unwrap());
        let status = client.list_devices(request).await.unwrap_err();
        assert_refused(&status, Code::Unauthenticated, Reason::SessionInvalid);
    }
    let request = wire::WatchLogRequest {
        identity: person.id_bytes(),
        after_position: 0,
    };
    let status = client.watch_log(request).await.unwrap_err();
    assert_refused(&status, Code::Unauthenticated, Reason::SessionInvalid);
    person.still_works(&mut client).await;
}

#[tokio::test]
async fn s08_a_session_ends_after_ten_minutes() {
    let world = World::start().await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    let token = person.session(&mut client).await;
    world.hands.advance_ms(599_999);
    get_log(&mut client, &token, person.id_bytes(), 0)
        .await
        .unwrap();
    world.hands.advance_ms(1);
    let status = get_log(&mut client, &token, person.id_bytes(), 0)
        .await
        .unwrap_err();
    assert_refused(&status, Code::Unauthenticated, Reason::SessionInvalid);
    person.still_works(&mut client).await;
}

#[tokio::test]
async fn s09_another_identity_gets_the_same_answer_whether_or_not_it_exists() {
    let world = World::start().await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    let other = Person::registered(&world, &mut client, 20).await;
    let token = person.session(&mut client).await;
    let nobody = Bytes::copy_from_slice(key(91).public_key().as_bytes());
    let mut said = Vec::new();
    for identity in [other.id_bytes(), nobody] {
        let status = get_log(&mut client, &token, identity.clone(), 0)
            .await
            .unwrap_err();
        assert_refused(&status, Code::PermissionDenied, Reason::Forbidden);
        said.push(status.message().to_owned());
        let request = wire::WatchLogRequest {
            identity: identity.clone(),
            after_position: 0,
        };
        let status = client
            .watch_log(with_token(request, &token))
            .await
            .unwrap_err();
        assert_refused(&status, Code::PermissionDenied, Reason::Forbidden);
        said.push(status.message().to_owned());
        let request = wire::ListDevicesRequest { identity };
        let status = client
            .list_devices(with_token(request, &token))
            .await
            .unwrap_err();
        assert_refused(&status, Code::PermissionDenied, Reason::Forbidden);
        said.push(status.message().to_owned());
    }
    let unknown = Person::new(&world.genesis, 60);
    for statement in [other.rename("x"), unknown.rename("x")] {
        let status = append(&mut client, &token, statement).await.unwrap_err();
        assert_refused(&status, Code::PermissionDenied, Reason::Forbidden);
        said.push(status.message().to_owned());
    }
    assert!(said.iter().all(|text| *text == said[0]), "{said:?}");
    get_log(&mut client, &token, person.id_bytes(), 0)
        .await
        .unwrap();
    other.still_works(&mut client).await;
}

#[tokio::test]
async fn s10_a_revoked_device_gets_nothing_any_more() {
    let world = World::start().await;
    let mut client = world.client().await;
    let mut person = Person::registered(&world, &mut client, 10).await;
    let token = person.session(&mut client).await;
    let phone = key(30);
    person
        .append(&mut client, &token, person.add(&phone, "phone", true))
        .await;
    let stolen = session(&mut client, &person.log, &phone).await.unwrap();
    let before = person.add(&key(31), "thief's", true);
    let revoke = person.revoke(phone.public_key().device_id());
    person.append(&mut client, &token, revoke).await;
    let status = get_log(&mut client, &stolen, person.id_bytes(), 0)
        .await
        .unwrap_err();
    assert_refused(&status, Code::PermissionDenied, Reason::DeviceRevoked);
    let status = append(&mut client, &stolen, before).await.unwrap_err();
    assert_refused(&status, Code::PermissionDenied, Reason::DeviceRevoked);
    let status = session(&mut client, &person.log, &phone).await.unwrap_err();
    assert_refused(&status, Code::PermissionDenied, Reason::DeviceRevoked);
    person.still_works(&mut client).await;
}

#[tokio::test]
async fn s10_a_thief_who_replaces_the_device_first_is_ended_with_it() {
    let world = World::start().await;
    let replica = world.replica().await;
    let (mut client, mut there) = (world.client().await, dial(&replica, NAME).await);
    let mut person = Person::registered(&world, &mut client, 10).await;
    let token = person.session(&mut client).await;
    let (phone, thiefs) = (key(30), key(31));
    person
        .append(&mut client, &token, person.add(&phone, "phone", true))
        .await;
    let stolen = session(&mut there, &person.log, &phone).await.unwrap();
    let replace = person.replace(&phone, &thiefs);
    person.append(&mut there, &stolen, replace).await;
    // The thief's key has the rights of the phone, until the owner revokes the phone.
    let thiefs_token = session(&mut there, &person.log, &thiefs).await.unwrap();
    let act = Act::AddDevice {
        certificate: person.certificate(&key(32), "the thief's other"),
        admin: true,
    };
    let add = person.sign(act, &[SigningAs::Device(&thiefs)]);
    let revoke = person.revoke(phone.public_key().device_id());
    person.append(&mut client, &token, revoke).await;
    for client in [&mut client, &mut there] {
        for token in [&stolen, &thiefs_token] {
            let status = append(client, token, add.bytes().clone())
                .await
                .unwrap_err();
            assert_refused(&status, Code::PermissionDenied, Reason::DeviceRevoked);
        }
        for key in [&phone, &thiefs] {
            let status = session(client, &person.log, key).await.unwrap_err();
            assert_refused(&status, Code::PermissionDenied, Reason::DeviceRevoked);
        }
    }
    person.still_works(&mut client).await;
}
