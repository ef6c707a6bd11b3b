//! Enrolment, probation, rotation and recovery through the service: sessions and statuses.

use bytes::Bytes;
use edge_ledger_chassis::Reason;
use edge_ledger_core::identity::genesis::next_key_hash;
use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{Act, Challenge, Periods, RotateReason};
use edge_ledger_core::keys::{PublicKey, SecretKey};
use edge_ledger_proto::identity as wire;
use tonic::{Code, Status};

use crate::person::{Person, append, challenge, get_log, session};
use crate::world::{Client, World, assert_refused, key};

struct Scene {
    world: World,
    client: Client,
    person: Person,
    token: String,
}

impl Scene {
    async fn open() -> Self {
        let world = World::start().await;
        let mut client = world.client().await;
        let person = Person::registered(&world, &mut client, 10).await;
        let token = person.session(&mut client).await;
        Self {
            world,
            client,
            person,
            token,
        }
    }

    fn sign(&self, act: Act, keys: &[SigningAs<'_>]) -> Bytes {
        self.person.sign(act, keys).bytes().clone()
    }

    async fn told(&mut self, statement: Bytes) {
        let person = &mut self.person;
        person
            .append(&mut self.client, &self.token, statement)
            .await;
    }

    async fn refused(&mut self, statement: Bytes, code: Code, reason: Reason) {
        let head = self.person.log.head();
        let answer = append(&mut self.client, &self.token, statement).await;
        assert_refused(&answer.unwrap_err(), code, reason);
        // The log is as it was, and goes on.
        let (client, token, id) = (&mut self.client, &self.token, self.person.id_bytes());
        let page = get_log(client, token, id, head.position).await.unwrap();
        assert!(page.statements.is_empty());
    }

    /// The session lasts 10 minutes, so it is opened anew.
    async fn wait(&mut self, ms: u64) {
        self.advance(ms);
        self.token = self.person.session(&mut self.client).await;
    }

    fn advance(&self, ms: u64) {
        self.world.hands.advance_ms(u32::try_from(ms).unwrap());
    }

    async fn session_of(&mut self, key: &SecretKey) -> Result<String, Status> {
        session(&mut self.client, &self.person.log, key).await
    }

    async fn root_session_of(&mut self, key: &SecretKey) -> Result<String, Status> {
        let (client, log) = (&mut self.client, &self.person.log);
        let given = challenge(client, log.identity(), key).await?;
        let proof = Challenge::prove_root(log.ledger_id(), &given.challenge, key);
        let request = wire::AuthenticateRequest {
            sealed: given.sealed,
            public_key: Bytes::copy_from_slice(key.public_key().as_bytes()),
            proof: Bytes::copy_from_slice(proof.as_bytes()),
        };
        Ok(client.authenticate(request).await?.into_inner().token)
    }

    fn enrolment_key(&self, key: PublicKey, uses: u32, life_ms: i64) -> Act {
        Act::EnrolmentKey {
            key,
            uses,
            expires_ms: self.person.log.time() + life_ms,
            name: "ci".into(),
        }
    }

    fn add(&self, device: &SecretKey, admin: bool) -> Act {
        let certificate = self.person.certificate(device, "another");
        Act::AddDevice { certificate, admin }
    }
}

fn recover(root: &SecretKey, next: &SecretKey) -> Act {
    Act::Recover {
        root: root.public_key(),
        next_root_hash: next_key_hash(&next.public_key()),
    }
}

#[tokio::test]
async fn s11_an_admin_in_probation_signs_about_nobody_else() {
    let mut scene = Scene::open().await;
    let phone = key(30);
    let add = scene.add(&phone, true);
    let add = scene.person.say(add);
    scene.told(add).await;
    let about_laptop = Act::Rename {
        device: scene.person.laptop.public_key().device_id(),
        name: "thief's".into(),
    };
    let early = scene.sign(about_laptop.clone(), &[SigningAs::Device(&phone)]);
    let (code, reason) = (Code::PermissionDenied, Reason::Probation);
    scene.refused(early.clone(), code, reason).await;
    let probation_ms = Periods::default().probation_ms;
    scene.wait(probation_ms - 1).await;
    scene.refused(early.clone(), code, reason).await;
    scene.wait(1).await;
    scene.told(early).await;
}

#[tokio::test]
async fn an_enrolment_key_alone_brings_devices_in_until_it_is_used_up() {
    let mut scene = Scene::open().await;
    let (token, one, two) = (key(40), key(41), key(42));
    let act = scene.enrolment_key(token.public_key(), 1, 1_000);
    let laptop = key(11);
    let keys = [SigningAs::Device(&laptop), SigningAs::Enrolment(&token)];
    let made = scene.sign(act, &keys);
    scene.told(made).await;
    // Nothing but the file with the key.
    let opened = scene.session_of(&token).await.unwrap();
    let by_token = [SigningAs::Enrolment(&token)];
    let admin = scene.sign(scene.add(&one, true), &by_token);
    let answer = append(&mut scene.client, &opened, admin).await;
    let (denied, unproven) = (Code::PermissionDenied, Reason::LinkUnproven);
    assert_refused(&answer.unwrap_err(), denied, unproven);
    let add = scene.sign(scene.add(&one, false), &by_token);
    let answer = append(&mut scene.client, &opened, add.clone())
        .await
        .unwrap();
    // An answer that was lost can be asked for again.
    let again = append(&mut scene.client, &opened, add).await.unwrap();
    assert_eq!(answer, again);
    scene.person.take(answer);
    let second = scene.sign(scene.add(&two, false), &by_token);
    let (code, reason) = (Code::PermissionDenied, Reason::EnrolmentEnded);
    scene.refused(second, code, reason).await;
    let status = scene.session_of(&token).await.unwrap_err();
    assert_refused(&status, code, reason);
    assert!(scene.session_of(&one).await.is_ok());
}

#[tokio::test]
async fn an_enrolment_key_that_expired_or_was_ended_opens_nothing() {
    let mut scene = Scene::open().await;
    let (short, ended, laptop) = (key(40), key(43), key(11));
    for (key, life_ms) in [(&short, 10), (&ended, 1_000_000)] {
        let act = scene.enrolment_key(key.public_key(), 5, life_ms);
        let keys = [SigningAs::Device(&laptop), SigningAs::Enrolment(key)];
        let made = scene.sign(act, &keys);
        scene.told(made).await;
    }
    let opened = scene.session_of(&ended).await.unwrap();
    let key = ended.public_key();
    let end = scene.person.say(Act::RevokeEnrolment { key });
    scene.told(end).await;
    let id = scene.person.id_bytes();
    let status = get_log(&mut scene.client, &opened, id, 0)
        .await
        .unwrap_err();
    assert_refused(&status, Code::PermissionDenied, Reason::EnrolmentEnded);
    scene.world.hands.advance_ms(11);
    for key in [&short, &ended] {
        let status = scene.session_of(key).await.unwrap_err();
        assert_refused(&status, Code::PermissionDenied, Reason::EnrolmentEnded);
        let add = scene.sign(
            scene.add(&self::key(44), false),
            &[SigningAs::Enrolment(key)],
        );
        scene
            .refused(add, Code::PermissionDenied, Reason::EnrolmentEnded)
            .await;
    }
    let again = scene.person.say(Act::RevokeEnrolment { key });
    scene
        .refused(again, Code::PermissionDenied, Reason::EnrolmentEnded)
        .await;
    let key = self::key(45).public_key();
    let unknown = scene.person.say(Act::RevokeEnrolment { key });
    scene
        .refused(unknown, Code::NotFound, Reason::UnknownEnrolment)
        .await;
}

#[tokio::test]
async fn after_a_rotation_the_old_root_opens_no_session() {
    let mut scene = Scene::open().await;
    let (old, new) = (key(10), key(250));
    let before = scene.root_session_of(&old).await.unwrap();
    assert!(scene.root_session_of(&new).await.is_err(), "not yet");
    let act = Act::RotateRoot {
        root: new.public_key(),
        next_root_hash: next_key_hash(&key(251).public_key()),
        reason: RotateReason::Compromised,
    };
    let by_old = scene.sign(act.clone(), &[SigningAs::Root(&old)]);
    scene
        .refused(by_old, Code::PermissionDenied, Reason::Forbidden)
        .await;
    let rotate = scene.sign(act, &[SigningAs::Root(&new)]);
    scene.told(rotate).await;
    let status = scene.root_session_of(&old).await.unwrap_err();
    assert_refused(&status, Code::Unauthenticated, Reason::ChallengeInvalid);
    let id = scene.person.id_bytes();
    let status = get_log(&mut scene.client, &before, id, 0)
        .await
        .unwrap_err();
    assert_refused(&status, Code::PermissionDenied, Reason::DeviceRevoked);
    assert!(scene.root_session_of(&new).await.is_ok());
    let reused = scene.add(&old, false);
    let reused = scene.person.say(reused);
    scene
        .refused(reused, Code::InvalidArgument, Reason::KeyReused)
        .await;
}

/// All that is left are the words: they open a session, and bring a root when the veto time is over.
#[tokio::test]
async fn a_recovery_holds_after_the_veto_time_unless_it_is_vetoed() {
    let mut scene = Scene::open().await;
    let (root, words, rescue) = (key(10), key(50), key(51));
    let set = Act::SetRecovery {
        key: words.public_key(),
        veto_ms: None,
    };
    let keys = [SigningAs::Root(&root), SigningAs::Recovery(&words)];
    let set = scene.sign(set, &keys);
    scene.told(set).await;
    scene.token = scene.root_session_of(&words).await.unwrap();

    let keys = [SigningAs::Recovery(&words), SigningAs::Root(&rescue)];
    let asked = scene.sign(recover(&rescue, &key(52)), &keys);
    scene.told(asked).await;
    let position = scene.person.log.head().position;
    let other = key(53);
    let keys = [SigningAs::Recovery(&words), SigningAs::Root(&other)];
    let second = scene.sign(recover(&other, &key(54)), &keys);
    let pending = (Code::FailedPrecondition, Reason::RecoveryPending);
    scene.refused(second, pending.0, pending.1).await;
    let veto = scene.person.say(Act::Veto { position });
    scene.told(veto).await;
    let again = scene.person.say(Act::Veto { position });
    let none = (Code::FailedPrecondition, Reason::NoRecovery);
    scene.refused(again, none.0, none.1).await;

    let asked = scene.sign(recover(&other, &key(54)), &keys);
    scene.told(asked).await;
    assert!(scene.root_session_of(&other).await.is_err());
    let veto_ms = Periods::default().veto_ms;
    scene.advance(veto_ms - 1);
    assert!(scene.root_session_of(&other).await.is_err());
    assert!(scene.root_session_of(&root).await.is_ok());
    scene.world.hands.advance_ms(1);
    assert!(scene.root_session_of(&root).await.is_err());
    scene.token = scene.root_session_of(&other).await.unwrap();
    let phone = key(55);
    let add = scene.sign(scene.add(&phone, true), &[SigningAs::Root(&other)]);
    scene.told(add).await;
    // It has no probation: what was lost can be cut off at once.
    let device = scene.person.laptop.public_key().device_id();
    let lost = Act::Revoke {
        device,
        reason: edge_ledger_core::identity::RevokeReason::Lost,
        tips: Vec::new(),
    };
    let lost = scene.sign(lost, &[SigningAs::Device(&phone)]);
    scene.told(lost).await;
}

/// Replicas have clocks of their own; the log has one.
#[tokio::test]
async fn receipts_never_go_back_in_time() {
    let mut scene = Scene::open().await;
    let first = scene.person.log.time();
    scene.world.hands.advance_ms(500);
    let rename = scene.person.rename("desk");
    scene.told(rename).await;
    assert_eq!(scene.person.log.time(), first + 500);
    scene.world.hands.set_wall_ms(first - 1_000);
    let rename = scene.person.rename("table");
    scene.told(rename).await;
    assert_eq!(scene.person.log.time(), first + 500, "it stands still");
    scene.world.hands.set_wall_ms(first + 501);
    let rename = scene.person.rename("shelf");
    scene.told(rename).await;
    assert_eq!(scene.person.log.time(), first + 501);
}

/// What a page of the log says is all that a device needs to come to the same end.
#[tokio::test]
async fn a_device_that_reads_the_log_knows_the_same_root() {
    let mut scene = Scene::open().await;
    let new = key(250);
    let act = Act::RotateRoot {
        root: new.public_key(),
        next_root_hash: next_key_hash(&key(251).public_key()),
        reason: RotateReason::Routine,
    };
    let rotate = scene.sign(act, &[SigningAs::Root(&new)]);
    scene.told(rotate).await;
    let mut reader = Person::new(&scene.world.genesis, 10);
    let (client, token) = (&mut scene.client, &scene.token);
    let page = get_log(client, token, reader.id_bytes(), 0).await.unwrap();
    let statements: Vec<wire::ReceiptedStatement> = page.statements;
    for statement in statements {
        reader.take(statement);
    }
    assert_eq!(reader.log.head(), scene.person.log.head());
    assert!(reader.log.is_root(&new.public_key(), reader.log.time()));
}
