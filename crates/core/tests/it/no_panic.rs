//! No bytes make core panic (F-27): pure noise, and sound objects with some bytes changed, also
//! such as are signed as they are, so that the check behind the signature sees them.

use std::sync::OnceLock;

use bytes::Bytes;
use edge_ledger_core::identity::log::next_hash;
use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{
    Act, Certificate, Challenge, Evidence, Genesis, IdentityLog, Point, Purpose,
    ReceiptedStatement, RotateReason, ServiceCertificate, SignedTip, Statement,
};
use edge_ledger_core::ids::{DeviceId, EntryHash, IdentityId};
use edge_ledger_core::keys::{PublicKey, Signature};
use edge_ledger_core::ledger::issuer::{Grant, proves};
use edge_ledger_core::ledger::{Admission, EventKey, Posting, Run, verify};
use edge_ledger_core::signal::Signal;
use edge_ledger_core::tags::Tag;
use proptest::prelude::*;

use crate::fixture::entries::{Pen, credit, debit, payload_at};
use crate::fixture::hands::{enrolment_key, recover, revoke_enrolment, rotate, set_recovery};
use crate::fixture::protobuf::{AS_ROOT, Writer, body_of, fields, signed_body, value};
use crate::fixture::tally::Tally;
use crate::fixture::{SERVICE_TIME_MS, World, cases, device_id, key, record, rename, revoke, tip};
use crate::signal::offer;

/// A change of some bytes.
#[derive(Debug, Clone)]
enum Change {
    Flip(usize, u8),
    Remove(usize, usize),
    Insert(usize, Vec<u8>),
    Repeat(usize, usize),
    Cut(usize),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        3 => (any::<usize>(), 1..=255_u8).prop_map(|(at, with)| Change::Flip(at, with)),
        1 => (any::<usize>(), 1..20_usize).prop_map(|(at, count)| Change::Remove(at, count)),
        1 => (any::<usize>(), prop::collection::vec(any::<u8>(), 1..20)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        1 => (any::<usize>(), 1..40_usize).prop_map(|(at, count)| Change::Repeat(at, count)),
        1 => any::<usize>().prop_map(Change::Cut),
    ];
    prop::collection::vec(change, 0..4)
}

fn changed(bytes: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for change in changes {
        let length = bytes.len().max(1);
        let part = |at: usize, count: usize| {
            let from = (at % length).min(bytes.len());
            from..(from + count).min(bytes.len())
        };
        match change {
            Change::Flip(at, with) => {
                if let Some(byte) = bytes.get_mut(at % length) {
                    *byte ^= with;
                }
            }
            Change::Remove(at, count) => drop(bytes.drain(part(*at, *count))),
            Change::Insert(at, more) => {
                let at = part(*at, 0).start;
                bytes.splice(at..at, more.iter().copied());
            }
            Change::Repeat(at, count) => {
                let range = part(*at, *count);
                let again = bytes[range.clone()].to_vec();
                bytes.splice(range.end..range.end, again);
            }
            Change::Cut(at) => bytes.truncate(at % length),
        }
    }
    bytes
}

/// Sound bytes of every kind.
struct Sound {
    world: World,
    log: IdentityLog,
    genesis: Bytes,
    certificate: Bytes,
    service_key: Bytes,
    statements: Vec<Bytes>,
    bodies: Vec<Bytes>,
    receipt: ReceiptParts,
    challenge: Bytes,
    proof: Bytes,
    payload: Bytes,
    evidence: Bytes,
    signal: Bytes,
    signal_body: Bytes,
}

fn sound() -> &'static Sound {
    static SOUND: OnceLock<Sound> = OnceLock::new();
    SOUND.get_or_init(|| {
        let world = World::uncapped();
        let log = world.log_with("admin", &["phone"]);
        let point = Point {
            seq: 3,
            hash: EntryHash::from_bytes([3; 32]),
        };
        let tips = vec![tip("phone", point)];
        let acts = [
            world.incept("admin"),
            world.add("laptop", true),
            revoke("phone", tips.clone()),
            world.replace("phone", "laptop", tips.clone()),
            rename("phone", "mine"),
            rotate("next root", "third root", RotateReason::Compromised),
            set_recovery("words"),
            recover("rescue", "after rescue"),
            Act::Veto { position: 2 },
            enrolment_key("token", 3, 1_000),
            revoke_enrolment("token"),
        ];
        let admin = key("admin");
        let statements = acts.map(|act| world.sign(&log, act, &[SigningAs::Device(&admin)]));
        let of = record(statements[2].clone(), tips);
        let hash = next_hash(world.ledger_id(), log.head().hash, &of);
        let receipt = ReceiptedStatement::sign(&world.service, &world.genesis, of, hash).parts();
        let other = record(statements[3].clone(), Vec::new());
        let hash = next_hash(world.ledger_id(), log.head().hash, &other);
        let other = ReceiptedStatement::sign(&world.service, &world.genesis, other, hash).parts();
        let evidence = Evidence::of(&world.genesis, &receipt, &other).expect("two receipts");
        let challenge = Challenge {
            nonce: [1; 32],
            purpose: Purpose::Identity,
            audience: "host:1".to_owned(),
            identity: world.identity(),
            device: device_id("phone"),
            expires_ms: 5,
        };
        let grant = Grant {
            identity: world.identity(),
            refund: false,
            event_key: credit("a", 1).event_key,
            amount: 1,
            beneficiary: Some(device_id("phone")),
        };
        let offer = offer(&world, "phone", "admin");
        let signal = Signal::sign(world.ledger_id(), &key("phone"), &offer).encode();
        Sound {
            evidence: evidence.bytes().clone(),
            signal_body: value(&fields(&signal)[0].1).into(),
            signal,
            genesis: world.genesis.bytes().clone(),
            certificate: world
                .certificate("phone", Some(device_id("admin")))
                .body()
                .clone(),
            service_key: world.service.certificate().body().clone(),
            bodies: statements.iter().map(|s| body_of(s).into()).collect(),
            statements: statements
                .iter()
                .map(|statement| statement.bytes().clone())
                .collect(),
            receipt,
            challenge: challenge.encode(),
            proof: grant
                .sign(world.ledger_id(), &world.issuer)
                .expect("an issuer"),
            payload: payload_at(
                9,
                &[
                    credit("a", 1),
                    debit("b", 2).with_memo("memo").expect("short"),
                ],
            ),
            world,
            log,
        }
    })
}

/// Gives bytes to everything that takes some. Says how many took them.
fn take(bytes: &[u8], number: u64) -> usize {
    let Sound { world, log, .. } = sound();
    let (ledger_id, phone) = (world.ledger_id(), key("phone"));
    let owned = || Bytes::copy_from_slice(bytes);
    let mut taken = 0;
    let mut count = |taken_it: bool| taken += usize::from(taken_it);

    count(Genesis::decode(owned()).is_ok());
    count(Challenge::decode(bytes).is_ok());
    count(Evidence::decode(owned()).is_ok());
    count(Posting::decode(owned()).is_ok());
    let by_phone = phone.sign(&Tag::Certificate.hash(ledger_id, &[bytes]));
    count(Certificate::verify(ledger_id, owned(), by_phone).is_ok());
    let by_root = world
        .service_root
        .sign(&Tag::ServiceKey.hash(ledger_id, &[bytes]));
    count(ServiceCertificate::verify(&world.genesis, owned(), by_root).is_ok());
    if let Ok(statement) = Statement::decode(ledger_id, owned()) {
        count(true);
        let _ = statement.verify(ledger_id);
        let _ = (log.check(&statement, SERVICE_TIME_MS), log.ends(&statement));
        let _ = world.empty_log().apply(record(statement, Vec::new()));
    }
    let root = world.root.public_key();
    let by_root = world.root.sign_root(Tag::Statement, ledger_id, bytes);
    let signed = signed_body(bytes, &[(AS_ROOT, root.as_bytes(), by_root)]);
    if let Ok(statement) = Statement::decode(ledger_id, signed.into()) {
        count(log.clone().apply(record(statement, Vec::new())).is_ok());
    }
    let mut receipt = sound().receipt.clone();
    receipt.statement = owned();
    count(verify_receipt(world, log, receipt));
    let mut receipt = sound().receipt.clone();
    receipt.signature = key("service").sign(&Tag::StatementReceipt.hash(ledger_id, &[bytes]));
    receipt.body = owned();
    count(verify_receipt(world, log, receipt));
    count(follows(log, bytes));
    let by_phone = phone.sign(&Tag::Signal.hash(ledger_id, &[bytes]));
    let signal = Writer::new().bytes(1, bytes).bytes(2, by_phone.as_bytes());
    count(follows(log, &signal.finish()));
    let mut posting = credit("a", 1);
    posting.issuer_proof = owned();
    count(proves(log, device_id("phone"), &posting));

    let pen = Pen::new(world, "phone");
    let hash = EntryHash::from_bytes(if number == 0 { [0; 32] } else { [1; 32] });
    let parent = Point { seq: number, hash };
    let format = if number.is_multiple_of(8) { 2 } else { 1 };
    let run = pen.run(format, parent, vec![owned(), owned()]);
    count(verify(pen.author(), &run).is_ok() && format == 1);
    taken
}

fn verify_receipt(world: &World, log: &IdentityLog, parts: ReceiptParts) -> bool {
    let (identity, prev) = (world.identity(), log.head().hash);
    match ReceiptedStatement::verify(&world.genesis, identity, prev, parts) {
        Ok(receipted) => {
            let _ = log.clone().apply(receipted.into_record());
            true
        }
        Err(_) => false,
    }
}

/// Whether a signal to the admin would be followed.
fn follows(log: &IdentityLog, bytes: &[u8]) -> bool {
    let Ok(signal) = Signal::decode(bytes) else {
        return false;
    };
    signal.check(log, device_id("admin")).is_ok_and(|body| {
        let hash = signal.hash(log.ledger_id());
        let _ = (
            body.is_offer_by_hand(i64::MIN),
            body.is_offer_by_hand(i64::MAX),
        );
        let _ = (body.is_answer_to(&body, &hash), body.is_offer_to(&[]));
        true
    })
}

fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        1..4_u64,
        Just(u64::MAX - 2),
        Just(u64::MAX - 1),
        Just(u64::MAX),
        any::<u64>()
    ]
}

#[test]
fn noise_is_refused() {
    let noise = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..80),
        // Bytes that are often keys and lengths.
        prop::collection::vec(
            prop::sample::select(&[0, 1, 2, 8, 10, 16, 18, 26, 32, 34, 42, 74, 255][..]),
            0..60
        ),
    ];
    proptest!(cases(), |(bytes in noise, number in numbers())| {
        take(&bytes, number);
    });
}

#[test]
fn changed_objects_are_refused_or_taken_without_a_panic() {
    static TALLY: Tally = Tally::new(&["taken", "refused"]);
    proptest!(cases(), |(which in 0..33_usize, changes in changes(), number in numbers())| {
        let sound = sound();
        let bytes = match which {
            0 => &sound.genesis,
            1 => &sound.certificate,
            2 => &sound.service_key,
            3 => &sound.receipt.body,
            4 => &sound.challenge,
            5 => &sound.proof,
            6 | 7 => &sound.payload,
            8 => &sound.evidence,
            9..20 => &sound.statements[which - 9],
            20..31 => &sound.bodies[which - 20],
            31 => &sound.signal,
            _ => &sound.signal_body,
        };
        let taken = take(&changed(bytes, &changes), number) > 0;
        TALLY.count(if taken { "taken" } else { "refused" });
    });
    TALLY.require(500);
}

/// Runs of any header, keys and signatures of any bytes, and text that should be ids.
#[test]
fn any_header_key_and_text_is_refused_or_taken() {
    let parts = (
        any::<[u8; 16]>(),
        any::<u16>(),
        numbers(),
        any::<[u8; 32]>(),
        any::<[u8; 64]>(),
    );
    let payloads = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..4);
    proptest!(cases(), |(parts in parts, payloads in payloads, own in any::<bool>(), text in any::<String>())| {
        let (device, format, first_seq, hash, signature) = parts;
        let pen = Pen::new(&sound().world, "phone");
        let run = Run {
            device: if own { pen.device() } else { DeviceId::from_bytes(device) },
            formats: vec![if own { format % 3 } else { format }; payloads.len()],
            first_seq,
            first_prev: EntryHash::from_bytes(hash),
            payloads: payloads.into_iter().map(Bytes::from).collect(),
            signature: Signature::from_bytes(signature),
        };
        prop_assert!(verify(pen.author(), &run).is_err());
        let _ = (run.parent(), run.weight());
        let _ = Admission::default().admit(&sound().log, true, &run);
        let public = PublicKey::from_bytes(&hash);
        if let Ok(public) = public {
            let signature = Signature::from_bytes(signature);
            prop_assert!(public.verify(&hash, &signature).is_err());
            prop_assert!(public.verify_message(text.as_bytes(), &signature).is_err());
            let ledger_id = sound().world.ledger_id();
            prop_assert!(public.verify_root(Tag::Statement, ledger_id, text.as_bytes(), &signature).is_err());
            let point = Point { seq: first_seq, hash: EntryHash::from_bytes(hash) };
            let tip = SignedTip { device: run.device, point, signature };
            prop_assert!(tip.verify(ledger_id, &public).is_err());
        }
        let _ = (text.parse::<IdentityId>(), text.parse::<DeviceId>());
        if let Ok(key) = text.parse::<EventKey>() {
            prop_assert_eq!(key.to_string().parse::<EventKey>(), Ok(key), "shown as it is read");
        }
    });
}
