//! S-24: what is signed as one object of one deployment and identity is nothing else.

use edge_ledger_core::identity::log::next_hash;
use edge_ledger_core::identity::service_key::ServiceSigner;
use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{
    Certificate, Challenge, CreditPolicy, LogHead, Point, Purpose, ReceiptedStatement,
    ServiceCertificate, ServiceRole, SignedTip, Statement,
};
use edge_ledger_core::ids::{
    DeviceId, Digest, EntryHash, IdentityId, LedgerId, LogHash, StoreEpoch,
};
use edge_ledger_core::keys::Signature;
use edge_ledger_core::ledger::ack::{AckBody, Level};
use edge_ledger_core::ledger::entry::Author;
use edge_ledger_core::ledger::issuer::{self, Grant};
use edge_ledger_core::ledger::{Ack, verify};
use edge_ledger_core::signal::Signal;
use edge_ledger_core::sync::{
    Fingerprints, Greetings, Hello, HelloBody, PeerGreeting, check_peer_hello, say_hello,
};
use edge_ledger_core::tags::Tag;

use crate::fixture::entries::{Pen, credit};
use crate::fixture::hands::recover;
use crate::fixture::protobuf::{
    AS_DEVICE, AS_ENROLMENT, AS_RECOVERY, AS_ROOT, Writer, fields, resigned, value,
};
use crate::fixture::{World, device_id, key, record, rename};

#[test]
fn every_pair_of_tags_and_deployments_is_apart() {
    let one = key("one");
    let public = one.public_key();
    let ledgers = [LedgerId::from_bytes([1; 16]), LedgerId::from_bytes([2; 16])];
    let places: Vec<(Tag, LedgerId)> = Tag::ALL
        .into_iter()
        .flat_map(|tag| ledgers.map(|ledger| (tag, ledger)))
        .collect();
    let body = b"the same body everywhere";
    for (signed_tag, signed_ledger) in &places {
        let plain = one.sign(&signed_tag.hash(*signed_ledger, &[body]));
        let unbound = one.sign(&signed_tag.hash_unbound(&[body]));
        let root = one.sign_root(*signed_tag, *signed_ledger, body);
        for (tag, ledger) in &places {
            let same = (tag, ledger) == (signed_tag, signed_ledger);
            let hash = tag.hash(*ledger, &[body]);
            assert_eq!(public.verify(&hash, &plain).is_ok(), same);
            assert_eq!(public.verify_root(*tag, *ledger, body, &root).is_ok(), same);
            assert!(public.verify(&hash, &unbound).is_err());
            assert!(public.verify(&hash, &root).is_err());
            assert!(public.verify_root(*tag, *ledger, body, &plain).is_err());
        }
    }
}

/// One signed object: its signature, and the check that would take it.
struct Object {
    name: &'static str,
    /// Objects of one deployment that say nothing of an identity are the same for all of them.
    of_identity: bool,
    signature: Signature,
    accepts: Box<dyn Fn(Signature) -> bool>,
}

/// Every signed object, with one key in all roles but the root: if any two objects could stand
/// for each other, it would show here.
fn objects(deployment: &str, root: &str, one: &'static str) -> Vec<Object> {
    let mut world = World::named(deployment, CreditPolicy::Issued);
    world.root = key(root);
    let (ledger_id, identity) = (world.ledger_id(), world.identity());
    let signer = |role| {
        let root = &world.service_root;
        let public = key(one).public_key();
        let certificate = ServiceCertificate::issue(root, ledger_id, &public, role, 1);
        ServiceSigner::new(key(one), certificate).expect("the certificate is of this key")
    };
    (world.service, world.issuer) = (signer(ServiceRole::Service), signer(ServiceRole::Issuer));

    let log = world.log_of(one);
    let pen = Pen::new(&world, one);
    let (entry, end) = pen.entry(Point::START, &[credit("a", 1)]);
    let statement = world.sign(&log, rename(one, "mine"), &[SigningAs::Device(&pen.key)]);
    let by_root = world.sign(&log, rename(one, "mine"), &[SigningAs::Root(&world.root)]);
    let as_enrolment = [SigningAs::Enrolment(&pen.key)];
    let by_enrolment = world.sign(&log, world.add("worker", false), &as_enrolment);
    let as_recovery = [SigningAs::Recovery(&pen.key)];
    let by_recovery = world.sign(&log, recover("a", "b"), &as_recovery);
    let recorded = record(statement.clone(), Vec::new());
    let hash = next_hash(ledger_id, log.head().hash, &recorded);
    let mut objects: Vec<Object> = Vec::new();
    let mut object = |name, of_identity, signature, accepts: Box<dyn Fn(Signature) -> bool>| {
        objects.push(Object {
            name,
            of_identity,
            signature,
            accepts,
        });
    };

    let certificate = world.certificate(one, None);
    let body = certificate.body().clone();
    object(
        "certificate",
        true,
        *certificate.signature(),
        Box::new(move |s| Certificate::verify(ledger_id, body.clone(), s).is_ok()),
    );

    let signature_of = |statement: &Statement| {
        let signature = value(&fields(statement.bytes())[1].1);
        let bytes = value(&fields(&signature)[2].1);
        Signature::try_from(&bytes[..]).expect("64 bytes")
    };
    let signer_key = |kind| if kind == AS_ROOT { key(root) } else { key(one) };
    for (name, statement, kind) in [
        ("statement", statement.clone(), AS_DEVICE),
        ("root's statement", by_root, AS_ROOT),
        ("enrolment key's statement", by_enrolment, AS_ENROLMENT),
        ("recovery key's statement", by_recovery, AS_RECOVERY),
    ] {
        let signature = signature_of(&statement);
        let public = signer_key(kind).public_key();
        object(
            name,
            true,
            signature,
            Box::new(move |s| {
                let bytes = resigned(&statement, &[(kind, public.as_bytes(), s)]);
                Statement::decode(ledger_id, bytes.into())
                    .and_then(|statement| statement.verify(ledger_id))
                    .is_ok()
            }),
        );
    }

    let receipt = ReceiptedStatement::sign(&world.service, &world.genesis, recorded, hash).parts();
    let (genesis, prev) = (world.genesis.clone(), log.head().hash);
    object(
        "receipt",
        true,
        receipt.signature,
        Box::new(move |signature| {
            let mut parts = receipt.clone();
            parts.signature = signature;
            ReceiptedStatement::verify(&genesis, identity, prev, parts).is_ok()
        }),
    );

    let challenge = Challenge {
        nonce: [1; 32],
        purpose: Purpose::Identity,
        audience: "host:1".to_owned(),
        identity,
        device: device_id(one),
        expires_ms: 1,
    }
    .encode();
    let public = pen.public;
    object(
        "challenge",
        true,
        Challenge::prove(ledger_id, &challenge, &pen.key),
        Box::new(move |s| Challenge::check_proof(ledger_id, &challenge, &public, &s).is_ok()),
    );

    let ack = ack(&world, identity, device_id(one), end, log.head().hash);
    let service = world.service.certificate().clone();
    object(
        "ack",
        true,
        ack.signature,
        Box::new(move |signature| Ack { signature, ..ack }.verify(ledger_id, &service).is_ok()),
    );

    let grant = Grant {
        identity,
        refund: false,
        event_key: credit("a", 1).event_key,
        amount: 1,
        beneficiary: None,
    };
    let proof = grant.sign(ledger_id, &world.issuer).expect("an issuer");
    let proof_signature = value(&fields(&proof)[2].1);
    let (device, issuer) = (device_id(one), world.issuer.certificate().clone());
    object(
        "issuer proof",
        true,
        Signature::try_from(&proof_signature[..]).expect("64 bytes"),
        Box::new(move |s| {
            let mut posting = credit("a", 1);
            posting.issuer_proof = Writer::new()
                .bytes(1, issuer.body())
                .bytes(2, issuer.signature().as_bytes())
                .bytes(3, s.as_bytes())
                .finish()
                .into();
            issuer::proves(&log, device, &posting)
        }),
    );

    let (genesis, service) = (world.genesis.clone(), world.service.certificate().clone());
    object(
        "service key",
        false,
        *service.signature(),
        Box::new(move |s| ServiceCertificate::verify(&genesis, service.body().clone(), s).is_ok()),
    );

    object(
        "entry",
        true,
        entry.signature,
        Box::new(move |signature| {
            let mut run = entry.clone();
            run.signature = signature;
            let author = Author {
                ledger_id,
                identity,
                key: &public,
            };
            verify(author, &run).is_ok()
        }),
    );
    objects.push(signal(&world, one));
    objects.push(peer_hello(&world, one));
    objects
}

fn signal(world: &World, one: &str) -> Object {
    let body = crate::signal::offer(world, one, "other");
    let signal = Signal::sign(world.ledger_id(), &key(one), &body).encode();
    let parts: Vec<Vec<u8>> = fields(&signal).iter().map(|(_, f)| value(f)).collect();
    let log = world.empty_log();
    Object {
        name: "signal",
        of_identity: true,
        signature: Signature::try_from(&parts[1][..]).expect("64 bytes"),
        accepts: Box::new(move |s| {
            let bytes = Writer::new().bytes(1, &parts[0]).bytes(2, s.as_bytes());
            let signal = Signal::decode(&bytes.finish()).expect("the form is sound");
            signal.check(&log, device_id("other")).is_ok()
        }),
    }
}

fn peer_hello(world: &World, one: &str) -> Object {
    let ledger_id = world.ledger_id();
    let greeting = |nonce| PeerGreeting::new(ledger_id, [nonce; 32]);
    let ours = Greetings {
        ours: greeting(1),
        theirs: greeting(2),
    };
    let theirs = Greetings {
        ours: greeting(2),
        theirs: greeting(1),
    };
    let of = |ours, theirs| Fingerprints {
        ours: [ours; 32],
        theirs: [theirs; 32],
    };
    let body = HelloBody {
        identity: world.identity(),
        key: key(one).public_key(),
        log: LogHead::EMPTY,
        digest: Digest::from_bytes([3; 32]),
        nonce: [4; 32],
    };
    let hello = say_hello(ledger_id, &key(one), &ours, of(5, 6), &body);
    Object {
        name: "hello between devices",
        of_identity: true,
        signature: hello.proof,
        accepts: Box::new(move |proof| {
            let body = hello.body.clone();
            let hello = Hello { body, proof };
            check_peer_hello(&hello, ledger_id, &theirs, of(6, 5)).is_ok()
        }),
    }
}

fn ack(
    world: &World,
    identity: IdentityId,
    device: DeviceId,
    point: Point,
    log_hash: LogHash,
) -> Ack {
    let body = AckBody {
        identity,
        device,
        point,
        log_position: 1,
        log_hash,
        level: Level::Durable,
        store_epoch: StoreEpoch::from_bytes([5; 16]),
        service_time_ms: 7,
        key_serial: world.service.certificate().serial(),
    };
    Ack::sign(&world.service, world.ledger_id(), body)
}

#[test]
fn no_object_stands_for_another_nor_elsewhere() {
    let places = [
        ("deployment", "root", "one"),
        ("another deployment", "root", "one"),
        ("deployment", "another root", "one"),
        ("deployment", "root", "another"),
    ];
    let all: Vec<(_, Vec<Object>)> = places
        .into_iter()
        .map(|place| (place, objects(place.0, place.1, place.2)))
        .collect();
    let mut checks = 0;
    for (signed_at, signed) in &all {
        for (checked_at, checked) in &all {
            for object in signed {
                for other in checked {
                    let same_place = signed_at == checked_at
                        || !object.of_identity
                            && (signed_at.0, signed_at.2) == (checked_at.0, checked_at.2);
                    let same = same_place && object.name == other.name;
                    assert_eq!(
                        (other.accepts)(object.signature),
                        same,
                        "{} of {signed_at:?} as {} of {checked_at:?}",
                        object.name,
                        other.name
                    );
                    checks += 1;
                }
            }
        }
    }
    assert_eq!(checks, (4 * 13_usize).pow(2));
}

/// The fields of an ack are not length-prefixed but all of fixed length: each one counts.
#[test]
fn every_field_of_an_ack_is_signed() {
    let world = World::uncapped();
    let point = Point {
        seq: 5,
        hash: EntryHash::from_bytes([6; 32]),
    };
    let sound = ack(
        &world,
        world.identity(),
        device_id("a"),
        point,
        LogHash::from_bytes([3; 32]),
    );
    let service = world.service.certificate().clone();
    assert_eq!(sound.verify(world.ledger_id(), &service), Ok(()));
    let changed = |change: &dyn Fn(&mut AckBody)| {
        let mut other = sound;
        change(&mut other.body);
        other.verify(world.ledger_id(), &service)
    };
    let changes: [&dyn Fn(&mut AckBody); 9] = [
        &|b| b.identity = IdentityId::from_bytes([0; 32]),
        &|b| b.device = device_id("b"),
        &|b| b.point.seq += 1,
        &|b| b.point.hash = EntryHash::ZERO,
        &|b| b.log_position += 1,
        &|b| b.log_hash = LogHash::ZERO,
        &|b| b.level = Level::Replicated,
        &|b| b.store_epoch = StoreEpoch::from_bytes([0; 16]),
        &|b| b.service_time_ms = -1,
    ];
    for change in changes {
        assert!(changed(change).is_err());
    }
    assert!(
        sound
            .verify(LedgerId::from_bytes([0; 16]), &service)
            .is_err()
    );
    let issue = |name: &str, serial| {
        let (role, public) = (ServiceRole::Service, key(name).public_key());
        ServiceCertificate::issue(
            &world.service_root,
            world.ledger_id(),
            &public,
            role,
            serial,
        )
    };
    let other_key = issue("issuer", service.serial());
    assert!(sound.verify(world.ledger_id(), &other_key).is_err());
    // The serial is signed: a second certificate of the key does not make it another ack.
    let again = issue("service", service.serial() + 1);
    assert!(sound.verify(world.ledger_id(), &again).is_err());
    let mut renumbered = sound;
    renumbered.body.key_serial = again.serial();
    assert!(renumbered.verify(world.ledger_id(), &again).is_err());
}

/// A tip is an entry's own signature, so it does stand for it: that is what a cut needs.
#[test]
fn a_tip_is_the_signature_of_its_entry() {
    let world = World::uncapped();
    let pen = Pen::new(&world, "phone");
    let (run, point) = pen.entry(Point::START, &[credit("a", 1)]);
    let tip = SignedTip {
        device: pen.device(),
        point,
        signature: run.signature,
    };
    let ledger_id = world.ledger_id();
    assert_eq!(tip.verify(ledger_id, &pen.public), Ok(()));
    let stranger = key("tablet").public_key();
    assert!(tip.verify(ledger_id, &stranger).is_err());
    let bare = SignedTip {
        signature: pen.key.sign(point.hash.as_bytes()),
        ..tip
    };
    assert!(bare.verify(ledger_id, &pen.public).is_err());
    let elsewhere = World::new(CreditPolicy::Issued).ledger_id();
    assert!(tip.verify(elsewhere, &pen.public).is_err());
}
