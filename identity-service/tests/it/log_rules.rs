//! S-11, S-12, S-14 and the other rules of a log, as statuses.

use bytes::Bytes;
use edge_ledger_chassis::Reason;
use edge_ledger_chassis::status::reason_of;
use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{Act, Point, RevokeReason, SignedTip};
use edge_ledger_core::ids::{DeviceId, EntryHash};
use edge_ledger_core::keys::SecretKey;
use edge_ledger_core::limits::RENAMES_PER_DEVICE_MAX;
use edge_ledger_proto::identity as wire;
use prost::Message as _;
use tonic::Code;

use crate::keys::bad_signatures;
use crate::person::{Person, append, session};
use crate::world::{Client, NAME, World, assert_refused, dial, key};

struct Scene {
    client: Client,
    person: Person,
    token: String,
    _world: World,
}

impl Scene {
    async fn open() -> Self {
        let world = World::start().await;
        let mut client = world.client().await;
        let person = Person::registered(&world, &mut client, 10).await;
        let token = person.session(&mut client).await;
        Self {
            client,
            person,
            token,
            _world: world,
        }
    }

    async fn add(&mut self, device: &SecretKey, admin: bool) {
        let add = self.person.add(device, "another", admin);
        self.person.append(&mut self.client, &self.token, add).await;
    }

    /// Sends a statement that must be refused and change nothing.
    fn refused(
        &mut self,
        statement: Bytes,
        code: Code,
        reason: Reason,
    ) -> impl Future<Output = ()> {
        let (mut client, token) = (self.client.clone(), self.token.clone());
        async move {
            let status = append(&mut client, &token, statement).await.unwrap_err();
            assert_refused(&status, code, reason);
        }
    }

    async fn close(mut self) {
        let rename = self.person.rename("still here");
        self.person
            .append(&mut self.client, &self.token, rename)
            .await;
    }
}

#[tokio::test]
async fn s11_a_certificate_that_the_new_device_did_not_sign() {
    let mut scene = Scene::open().await;
    let phone = key(30);
    let certificate = scene.person.certificate(&phone, "phone");
    for bad in bad_signatures(certificate.signature().as_bytes()) {
        let statement = wire::Statement::decode(&scene.person.add(&phone, "phone", false)[..]);
        let mut statement = statement.unwrap();
        let mut body = wire::StatementBody::decode(&statement.body[..]).unwrap();
        let Some(wire::statement_body::Act::AddDevice(add)) = &mut body.act else {
            panic!("another act");
        };
        add.certificate.as_mut().unwrap().signature = bad;
        statement.body = body.encode_to_vec().into();
        let bytes = statement.encode_to_vec().into();
        scene
            .refused(bytes, Code::PermissionDenied, Reason::LinkUnproven)
            .await;
    }
    scene.close().await;
}

#[tokio::test]
async fn s11_a_link_that_no_admin_signed() {
    let mut scene = Scene::open().await;
    let (kiosk, phone, stranger) = (key(30), key(31), key(32));
    scene.add(&kiosk, false).await;
    for signer in [&kiosk, &phone, &stranger] {
        let certificate = scene.person.certificate(&phone, "phone");
        let add = Act::AddDevice {
            certificate,
            admin: false,
        };
        let add = scene.person.sign(add, &[SigningAs::Device(signer)]);
        let bytes = add.bytes().clone();
        scene
            .refused(bytes, Code::PermissionDenied, Reason::LinkUnproven)
            .await;
    }
    let laptop = scene.person.laptop.public_key().device_id();
    let rename = Act::Rename {
        device: laptop,
        name: "mine".into(),
    };
    let rename = scene.person.sign(rename, &[SigningAs::Device(&kiosk)]);
    let bytes = rename.bytes().clone();
    scene
        .refused(bytes, Code::PermissionDenied, Reason::Forbidden)
        .await;
    scene.close().await;
}

#[tokio::test]
async fn s12_the_last_admin_stays() {
    let mut scene = Scene::open().await;
    let laptop = scene.person.laptop.public_key().device_id();
    scene.add(&key(30), false).await;
    let revoke = scene.person.revoke(laptop);
    scene
        .refused(revoke, Code::FailedPrecondition, Reason::LastAdmin)
        .await;
    scene.close().await;
}

/// Each signs at the same head, at a replica of its own.
#[tokio::test]
async fn s12_of_two_admins_who_end_each_other_one_stays() {
    let world = World::start().await;
    let replica = world.replica().await;
    let (mut here, mut there) = (world.client().await, dial(&replica, NAME).await);
    for seed in [10, 13, 16, 19] {
        let mut person = Person::registered(&world, &mut here, seed).await;
        let token = person.session(&mut here).await;
        let phone = key(seed + 2);
        let add = person.add(&phone, "phone", true);
        person.append(&mut here, &token, add).await;
        world.pass_probation();
        let token = person.session(&mut here).await;
        let phones = session(&mut there, &person.log, &phone).await.unwrap();
        let by_laptop = person.revoke(phone.public_key().device_id());
        let act = Act::Revoke {
            device: person.laptop.public_key().device_id(),
            reason: RevokeReason::Compromised,
            tips: Vec::new(),
        };
        let by_phone = person.sign(act, &[SigningAs::Device(&phone)]);
        let results = tokio::join!(
            append(&mut here, &token, by_laptop),
            append(&mut there, &phones, by_phone.bytes().clone()),
        );
        let (taken, late) = match results {
            (Ok(taken), Err(late)) | (Err(late), Ok(taken)) => (taken, late),
            both => panic!("{both:?}"),
        };
        let reason = reason_of(&late);
        let reasons = [Reason::VersionConflict, Reason::DeviceRevoked];
        assert!(
            reasons
                .iter()
                .any(|known| reason.as_deref() == Some(known.as_str())),
            "{late}"
        );
        person.take(taken);
        assert_eq!(person.log.head().position, 3);
    }
}

#[tokio::test]
async fn s14_one_device_more_than_the_limit() {
    let mut scene = Scene::open().await;
    for seed in 30..45 {
        scene.add(&key(seed), false).await;
    }
    let add = scene.person.add(&key(45), "one more", false);
    scene
        .refused(add.clone(), Code::ResourceExhausted, Reason::DeviceLimit)
        .await;
    let revoke = scene.person.revoke(key(30).public_key().device_id());
    scene
        .person
        .append(&mut scene.client, &scene.token, revoke)
        .await;
    scene.add(&key(45), false).await;
    session(&mut scene.client, &scene.person.log, &key(45))
        .await
        .unwrap();
    scene.close().await;
}

#[tokio::test]
async fn a_key_enters_a_log_once() {
    let mut scene = Scene::open().await;
    scene.add(&key(30), false).await;
    let root = SecretKey::from_seed([10; 32]);
    for device in [&key(30), &root] {
        let add = scene.person.add(device, "again", false);
        scene
            .refused(add, Code::InvalidArgument, Reason::KeyReused)
            .await;
    }
    scene.close().await;
}

#[tokio::test]
async fn devices_that_are_unknown_or_ended() {
    let mut scene = Scene::open().await;
    let unknown = scene.person.revoke(DeviceId::from_bytes([9; 16]));
    scene
        .refused(unknown, Code::NotFound, Reason::UnknownDevice)
        .await;
    let phone = key(30);
    scene.add(&phone, true).await;
    let revoke = scene.person.revoke(phone.public_key().device_id());
    scene
        .person
        .append(&mut scene.client, &scene.token, revoke)
        .await;
    let rename = Act::Rename {
        device: phone.public_key().device_id(),
        name: "gone".into(),
    };
    let by_laptop = scene.person.say(rename);
    scene
        .refused(by_laptop, Code::PermissionDenied, Reason::DeviceRevoked)
        .await;
    let certificate = scene.person.certificate(&key(31), "thief's");
    let add = Act::AddDevice {
        certificate,
        admin: true,
    };
    let by_phone = scene.person.sign(add, &[SigningAs::Device(&phone)]);
    let bytes = by_phone.bytes().clone();
    scene
        .refused(bytes, Code::PermissionDenied, Reason::DeviceRevoked)
        .await;
    scene.close().await;
}

#[tokio::test]
async fn tips_that_their_device_did_not_sign() {
    let mut scene = Scene::open().await;
    let phone = key(30);
    scene.add(&phone, false).await;
    let hash = EntryHash::from_bytes([7; 32]);
    let point = Point { seq: 1, hash };
    let ledger_id = scene.person.log.ledger_id();
    let tip = SignedTip {
        device: phone.public_key().device_id(),
        point,
        signature: point.sign(ledger_id, &scene.person.laptop),
    };
    let revoke = Act::Revoke {
        device: phone.public_key().device_id(),
        reason: RevokeReason::Lost,
        tips: vec![tip],
    };
    let revoke = scene.person.say(revoke);
    scene
        .refused(revoke, Code::Unauthenticated, Reason::BadSignature)
        .await;
    scene.close().await;
}

#[tokio::test]
async fn more_renamings_than_a_device_may_have() {
    let mut scene = Scene::open().await;
    for number in 0..RENAMES_PER_DEVICE_MAX {
        let rename = scene.person.rename(&format!("name {number}"));
        let person = &mut scene.person;
        person.append(&mut scene.client, &scene.token, rename).await;
    }
    let bytes = scene.person.rename("one more");
    scene
        .refused(bytes, Code::ResourceExhausted, Reason::StatementLimit)
        .await;
    // None of it is in the way of a revocation.
    let phone = key(30);
    scene.add(&phone, false).await;
    let revoke = scene.person.revoke(phone.public_key().device_id());
    let person = &mut scene.person;
    person.append(&mut scene.client, &scene.token, revoke).await;
}
