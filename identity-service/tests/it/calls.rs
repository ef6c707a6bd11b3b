//! Each call when all is well.

use edge_ledger_core::identity::{Challenge, Genesis, Purpose, ServiceCertificate};
use edge_ledger_proto::convert::certificate_parts;
use edge_ledger_proto::identity as wire;

use crate::person::{Person, append, challenge, get_log, register, session, with_token};
use crate::world::{NAME, World, dial, key};

#[tokio::test]
async fn a_newcomer_learns_the_deployment_and_can_check_it() {
    let world = World::start().await;
    let mut client = world.client().await;
    let answer = client.get_deployment(wire::GetDeploymentRequest {}).await;
    let answer = answer.unwrap().into_inner();
    let genesis = Genesis::decode(answer.genesis).unwrap();
    assert_eq!(genesis.ledger_id(), world.ledger_id());
    let (body, signature) = certificate_parts("certificate", answer.certificate).unwrap();
    ServiceCertificate::verify(&genesis, body, signature).unwrap();
    assert_eq!(answer.ledger_urls, ["http://127.0.0.1:7420"]);
    assert_eq!(answer.identity_urls, ["http://127.0.0.2:7410"]);
}

#[tokio::test]
async fn a_challenge_says_whom_it_is_for_and_as_whom_the_service_was_dialled() {
    let world = World::start().await;
    let person = Person::new(&world.genesis, 10);
    for name in [
        NAME,
        &format!("localhost:{}", world.server.local_addr().port()),
    ] {
        let mut client = dial(&world.server, name).await;
        let given = challenge(&mut client, person.identity(), &person.laptop).await;
        let said = Challenge::decode(&given.unwrap().challenge).unwrap();
        assert_eq!(said.audience, name);
        assert_eq!(said.identity, person.identity());
        assert_eq!(said.device, person.laptop.public_key().device_id());
        assert_eq!(said.purpose, Purpose::Identity);
        assert_eq!(said.expires_ms, 1_800_000_060_000);
    }
}

#[tokio::test]
async fn registering_is_idempotent_across_replicas() {
    let world = World::start().await;
    let mut client = world.client().await;
    let mut person = Person::new(&world.genesis, 10);
    let incept = person.incept().bytes().clone();
    let first = register(&mut client, incept.clone()).await.unwrap();
    world.hands.advance_ms(5_000);
    let again = register(&mut client, incept.clone()).await.unwrap();
    let replica = world.replica().await;
    let there = register(&mut dial(&replica, NAME).await, incept).await;
    assert_eq!(first, again);
    assert_eq!(first, there.unwrap());
    person.take(first);
    person.still_works(&mut client).await;
}

#[tokio::test]
async fn devices_come_and_go() {
    let world = World::start().await;
    let mut client = world.client().await;
    let mut person = Person::registered(&world, &mut client, 10).await;
    let token = person.session(&mut client).await;
    let (phone, kiosk) = (key(20), key(21));
    for (device, name, admin) in [(&phone, "phone", true), (&kiosk, "kiosk", false)] {
        let add = person.add(device, name, admin);
        person.append(&mut client, &token, add).await;
    }
    let rename = person.rename("old laptop");
    person.append(&mut client, &token, rename).await;
    let revoke = person.revoke(kiosk.public_key().device_id());
    person.append(&mut client, &token, revoke).await;
    let request = wire::ListDevicesRequest {
        identity: person.id_bytes(),
    };
    let phone_token = session(&mut client, &person.log, &phone).await.unwrap();
    let listed = client.list_devices(with_token(request, &phone_token)).await;
    let devices = listed.unwrap().into_inner().devices;
    let rows: Vec<_> = devices
        .iter()
        .map(|d| (d.name.as_str(), d.admin, d.state(), d.added_at))
        .collect();
    let (active, revoked) = (wire::DeviceState::Active, wire::DeviceState::Revoked);
    let expected = [
        ("old laptop", true, active, 1),
        ("phone", true, active, 2),
        ("kiosk", false, revoked, 3),
    ];
    assert_eq!(rows, expected);
    assert_eq!(devices[1].public_key, phone.public_key().as_bytes()[..]);
    assert_eq!(devices[0].probation_ends_ms, 0);
    let record = person.log.device(&phone.public_key().device_id()).unwrap();
    let ends_ms = record.probation_ends_ms.unwrap();
    assert!(ends_ms > 0);
    assert_eq!(devices[1].probation_ends_ms, ends_ms);
}

#[tokio::test]
async fn a_log_is_read_in_pages() {
    let world = World::start().await;
    let mut client = world.client().await;
    let mut person = Person::registered(&world, &mut client, 10).await;
    let token = person.session(&mut client).await;
    let phones: Vec<_> = (40..50).map(key).collect();
    for phone in &phones {
        let add = person.add(phone, "phone", false);
        person.append(&mut client, &token, add).await;
    }
    // The first statement opened the log.
    for number in phones.len()..256 {
        let phone = phones[number % phones.len()].public_key().device_id();
        let rename = person.rename_other(phone, &format!("phone {number}"));
        person.append(&mut client, &token, rename).await;
    }
    let page = get_log(&mut client, &token, person.id_bytes(), 0)
        .await
        .unwrap();
    assert_eq!((page.statements.len(), page.more), (256, true));
    let rest = get_log(&mut client, &token, person.id_bytes(), 256)
        .await
        .unwrap();
    assert_eq!((rest.statements.len(), rest.more), (1, false));
    let none = get_log(&mut client, &token, person.id_bytes(), u64::MAX)
        .await
        .unwrap();
    assert_eq!((none.statements.len(), none.more), (0, false));
    let mut reader = Person::new(&world.genesis, 10);
    for statement in page.statements.into_iter().chain(rest.statements) {
        reader.take(statement);
    }
    assert_eq!(reader.log.head(), person.log.head());
}

#[tokio::test]
async fn a_second_replica_knows_what_the_first_was_told() {
    let world = World::start().await;
    let replica = world.replica().await;
    let (mut here, mut there) = (world.client().await, dial(&replica, NAME).await);
    let mut person = Person::registered(&world, &mut here, 10).await;
    let token = person.session(&mut here).await;
    person
        .append(&mut there, &token, person.rename("first"))
        .await;
    person
        .append(&mut here, &token, person.rename("second"))
        .await;
    let before = person.log.head();
    let third = person.rename("third");
    person.append(&mut there, &token, third.clone()).await;
    assert_eq!(person.log.head().position, before.position + 1);
    append(&mut here, &token, third).await.unwrap();
    person.still_works(&mut there).await;
}
