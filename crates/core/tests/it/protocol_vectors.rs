//! The protocol byte for byte: `tests/vectors/protocol_v1.json` of the workspace.
//!
//! With `EDGE_LEDGER_WRITE_VECTORS=1` the file is written, otherwise it is compared: a difference
//! is a change of the protocol.

mod peers;

use std::path::Path;

use edge_ledger_core::identity::genesis::next_key_hash;
use edge_ledger_core::identity::log::next_hash;
use edge_ledger_core::identity::pikey::{pikey_id, short_id};
use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_core::identity::{
    Act, Challenge, CreditPolicy, Evidence, IdentityLog, LogHead, Periods, Point, Purpose,
    ReceiptedStatement, RotateReason, ServiceCertificate, SignedTip, StatementRecord, rendezvous,
};
use edge_ledger_core::ids::{EntryHash, LogHash, StoreEpoch};
use edge_ledger_core::keys::Signature;
use edge_ledger_core::ledger::ack::AckBody;
use edge_ledger_core::ledger::issuer::Grant;
use edge_ledger_core::ledger::{Ack, Draft, Heads, Level, Posting, Run, Tip};
use edge_ledger_core::sync::{Hello, HelloBody, NewGreeting, Welcome, WelcomeBody, greet};
use edge_ledger_core::tags::Tag;
use serde_json::{Value, json};

use crate::fixture::entries::{Pen, credit, debit, refund};
use crate::fixture::hands::{enrolment_key, recover, revoke_enrolment, rotate};
use crate::fixture::line::forked;
use crate::fixture::{SERVICE_TIME_MS, World, device_id, key, record, rename, revoke, seed};

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/vectors/protocol_v1.json"
);
const WRITE: &str = "EDGE_LEDGER_WRITE_VECTORS";

const POSTING_CAP: u64 = 1_000_000;
const JOURNAL_CAP: u64 = 1_000_000_000;

fn hex_of(bytes: impl AsRef<[u8]>) -> String {
    hex::encode(bytes)
}

fn signature(signature: &Signature) -> String {
    hex_of(signature.as_bytes())
}

fn keys(world: &World) -> Value {
    let names = [
        "root",
        "next root",
        "service root",
        "next service root",
        "service",
        "issuer",
        "admin",
        "phone",
        "laptop",
        "third root",
        "words",
        "rescue",
        "after rescue",
        "token",
        "worker",
    ];
    let described = names.map(|name| {
        let public = key(name).public_key();
        json!({
            "name": name,
            "seed": hex_of(seed(name)),
            "public_key": hex_of(public.as_bytes()),
            "device_id": public.device_id().to_string(),
            "next_key_hash": hex_of(next_key_hash(&public)),
        })
    });
    json!({
        "keys": described,
        "identity_id": world.identity().to_string(),
        "pikey_id": hex_of(pikey_id(&world.identity())),
        "short_id": short_id(&world.identity()),
    })
}

fn genesis(world: &World) -> Value {
    let genesis = &world.genesis;
    json!({
        "service_root": hex_of(genesis.service_root().as_bytes()),
        "next_service_root_hash": hex_of(genesis.next_service_root_hash()),
        "unit": genesis.unit(),
        "decimals": genesis.decimals(),
        "self_reported": { "posting_cap": POSTING_CAP, "journal_cap": JOURNAL_CAP },
        "random": hex_of(&seed("deployment")[..16]),
        "probation_ms": genesis.periods().probation_ms,
        "veto_ms": genesis.periods().veto_ms,
        "bytes": hex_of(genesis.bytes()),
        "ledger_id": genesis.ledger_id().to_string(),
    })
}

fn tags(world: &World) -> Value {
    let describe = |tag: Tag| {
        let text = tag.as_bytes().strip_suffix(&[0]).expect("ends in zero");
        json!({
            "tag": String::from_utf8_lossy(text),
            "hash_of_abc": hex_of(tag.hash(world.ledger_id(), &[b"abc"])),
            "hash_of_abc_without_ledger_id": hex_of(tag.hash_unbound(&[b"abc"])),
            "root_signature_of_abc": signature(&world.root.sign_root(tag, world.ledger_id(), b"abc")),
        })
    };
    Tag::ALL.into_iter().map(describe).collect()
}

fn service_key(certificate: &ServiceCertificate) -> Value {
    json!({
        "public_key": hex_of(certificate.key().as_bytes()),
        "serial": certificate.serial(),
        "body": hex_of(certificate.body()),
        "signature": signature(certificate.signature()),
    })
}

fn tip_of(tip: &SignedTip) -> Value {
    json!({
        "device": tip.device.to_string(),
        "seq": tip.point.seq,
        "hash": tip.point.hash.to_string(),
        "signature": signature(&tip.signature),
    })
}

/// One statement: signed, receipted and applied.
fn stated(
    world: &World,
    log: &mut IdentityLog,
    (what, act): (&str, Act),
    signers: &[&str],
    tips: Vec<SignedTip>,
) -> Value {
    let head = log.head();
    let statement = world.signed(log, act, signers);
    let record = record(statement.clone(), tips.clone());
    let (hash, receipt) = receipted(world, log, record.clone());
    log.apply(record).expect("the statement may be the next");
    assert_eq!(log.head().hash, hash);
    json!({
        "act": what,
        "signers": signers,
        "position": head.position + 1,
        "expected_head": head.hash.to_string(),
        "statement": hex_of(statement.bytes()),
        "log_hash": hash.to_string(),
        "receipt": {
            "service_time_ms": SERVICE_TIME_MS,
            "tips": tips.iter().map(tip_of).collect::<Vec<_>>(),
            "body": hex_of(&receipt.body),
            "signature": signature(&receipt.signature),
        },
    })
}

fn receipted(world: &World, log: &IdentityLog, record: StatementRecord) -> (LogHash, ReceiptParts) {
    let hash = next_hash(world.ledger_id(), log.head().hash, &record);
    let receipt = ReceiptedStatement::sign(&world.service, &world.genesis, record, hash);
    (hash, receipt.parts())
}

fn device_acts(world: &World, log: &mut IdentityLog, tip: SignedTip) -> Vec<Value> {
    let mut state = |what_act, signers: &[&str], tips| stated(world, log, what_act, signers, tips);
    vec![
        state(("incept", world.incept("admin")), &["root:root"], vec![]),
        state(
            ("add_device", world.add("phone", false)),
            &["admin"],
            vec![],
        ),
        state(("rename", rename("phone", "pocket")), &["admin"], vec![]),
        state(
            ("replace", world.replace("phone", "laptop", vec![tip])),
            &["phone", "laptop"],
            vec![tip],
        ),
        state(("revoke", revoke("laptop", vec![])), &["admin"], vec![tip]),
    ]
}

fn key_acts(world: &World, log: &mut IdentityLog) -> Vec<Value> {
    let mut state = |what_act, signers: &[&str]| stated(world, log, what_act, signers, vec![]);
    let lengthened = Act::SetRecovery {
        key: key("words").public_key(),
        veto_ms: Some(2 * Periods::default().veto_ms),
    };
    let rotation = rotate("next root", "third root", RotateReason::Routine);
    vec![
        state(
            ("set_recovery", lengthened),
            &["root:root", "recovery:words"],
        ),
        state(
            ("enrolment_key", enrolment_key("token", 3, 3_600_000)),
            &["admin", "enrolment:token"],
        ),
        state(
            ("add_device", world.add("worker", false)),
            &["enrolment:token"],
        ),
        state(("revoke_enrolment", revoke_enrolment("token")), &["admin"]),
        state(
            ("recover", recover("rescue", "after rescue")),
            &["recovery:words", "root:rescue"],
        ),
        state(("veto", Act::Veto { position: 10 }), &["admin"]),
        state(("rotate_root", rotation), &["root:next root"]),
    ]
}

/// Two receipts for position 2.
fn evidence(world: &World) -> Value {
    let log = world.log_of("admin");
    let receipts = ["one", "other"].map(|name| {
        let statement = world.signed(&log, rename("admin", name), &["admin"]);
        receipted(world, &log, record(statement, Vec::new())).1
    });
    let evidence = Evidence::of(&world.genesis, &receipts[0], &receipts[1]);
    let evidence = evidence.expect("the receipts contradict each other");
    json!({
        "position": evidence.position(),
        "log_hashes": evidence.hashes().map(|hash| hash.to_string()),
        "bytes": hex_of(evidence.bytes()),
    })
}

fn entry(
    pen: &Pen<'_>,
    parent: Point,
    wall_ms: i64,
    postings: Vec<Posting>,
) -> (Run, Point, Value) {
    let (ledger_id, identity) = (pen.world.ledger_id(), pen.world.identity());
    let draft = Draft { wall_ms, postings };
    let run = draft
        .sign(ledger_id, identity, &pen.key, parent)
        .expect("within the limits");
    let point = pen.verified(&run).last();
    let postings = draft.postings.iter().map(|posting| {
        json!({
            "kind": format!("{:?}", posting.kind).to_lowercase(),
            "event_key": posting.event_key.to_string(),
            "amount": posting.amount,
            "memo": posting.memo,
            "issuer_proof": hex_of(&posting.issuer_proof),
        })
    });
    let value = json!({
        "device": pen.device().to_string(),
        "format": run.formats[0],
        "seq": point.seq,
        "prev": run.first_prev.to_string(),
        "wall_ms": wall_ms,
        "postings": postings.collect::<Vec<_>>(),
        "payload": hex_of(&run.payloads[0]),
        "hash": point.hash.to_string(),
        "signature": signature(&run.signature),
    });
    (run, point, value)
}

fn ack(world: &World, log: &IdentityLog, pen: &Pen<'_>, point: Point) -> Value {
    let levels = [Level::Volatile, Level::Durable, Level::Replicated];
    let acks = levels.map(|level| {
        let body = AckBody {
            identity: world.identity(),
            device: pen.device(),
            point,
            log_position: log.head().position,
            log_hash: log.head().hash,
            level,
            store_epoch: StoreEpoch::from_bytes([0xe0; 16]),
            service_time_ms: SERVICE_TIME_MS,
            key_serial: world.service.certificate().serial(),
        };
        let ack = Ack::sign(&world.service, world.ledger_id(), body);
        json!({
            "level": level.code(),
            "device": pen.device().to_string(),
            "seq": point.seq,
            "hash": point.hash.to_string(),
            "log_position": body.log_position,
            "log_hash": body.log_hash.to_string(),
            "store_epoch": body.store_epoch.to_string(),
            "service_time_ms": body.service_time_ms,
            "signed_hash": hex_of(body.hash(world.ledger_id())),
            "key_serial": body.key_serial,
            "signature": signature(&ack.signature),
        })
    });
    Value::from(acks.to_vec())
}

fn digests(log: &IdentityLog, tips: &[Tip]) -> Value {
    let full = |name: &str| {
        let device = device_id(name);
        let branch = move |branch| Tip {
            device,
            point: Point {
                seq: 3,
                hash: EntryHash::from_bytes([branch; 32]),
            },
        };
        let all = tips.iter().copied().filter(move |tip| tip.device != device);
        all.chain((0..8).map(branch)).collect()
    };
    let sets = [
        ("nothing", Vec::new()),
        ("one tip of each", tips.to_vec()),
        ("a journal with 8 tips", full("admin")),
        ("an ended journal with 8 tips", full("laptop")),
    ];
    let digests = sets.map(|(what, tips)| {
        let heads = Heads::new(tips);
        let tips = heads.tips().map(|tip| {
            json!({
                "device": tip.device.to_string(),
                "seq": tip.point.seq,
                "hash": tip.point.hash.to_string(),
            })
        });
        json!({
            "what": what,
            "tips": tips.collect::<Vec<_>>(),
            "digest": heads.digest(log).to_string(),
        })
    });
    Value::from(digests.to_vec())
}

fn challenge(world: &World) -> Value {
    let challenge = Challenge {
        nonce: seed("nonce"),
        purpose: Purpose::Identity,
        audience: "ledger.example:7443".to_owned(),
        identity: world.identity(),
        device: device_id("phone"),
        expires_ms: SERVICE_TIME_MS + 60_000,
    };
    let bytes = challenge.encode();
    json!({
        "nonce": hex_of(challenge.nonce),
        "audience": challenge.audience,
        "expires_ms": challenge.expires_ms,
        "bytes": hex_of(&bytes),
        "proof": signature(&Challenge::prove(world.ledger_id(), &bytes, &key("phone"))),
    })
}

/// The three messages that open a stream, by the service, a device and the service.
fn handshake(world: &World, log: &IdentityLog, heads: &Heads) -> Value {
    let (ledger_id, phone) = (world.ledger_id(), key("phone"));
    let new = NewGreeting {
        nonce: seed("greeting"),
        audience: "ledger.example:7443".to_owned(),
    };
    let greeting = greet(&world.service, ledger_id, new);
    let digest = heads.digest(log);
    let hello = HelloBody {
        identity: world.identity(),
        key: phone.public_key(),
        log: LogHead::EMPTY,
        digest,
        nonce: seed("hello"),
    };
    let hello = Hello::sign(ledger_id, &greeting, &phone, &hello);
    let welcome = WelcomeBody {
        log: log.head(),
        digest,
        store_epoch: StoreEpoch::from_bytes([0xe0; 16]),
    };
    let welcome = Welcome::sign(&world.service, ledger_id, &hello.proof, &welcome);
    json!({
        "greeting": { "body": hex_of(&greeting.body), "signature": signature(&greeting.signature) },
        "hello": { "body": hex_of(&hello.body), "proof": signature(&hello.proof) },
        "welcome": { "body": hex_of(&welcome.body), "signature": signature(&welcome.signature) },
    })
}

fn issuer_proofs(world: &World) -> Value {
    let grants = [(false, None), (true, Some(device_id("phone")))];
    let proofs = grants.map(|(refund, beneficiary)| {
        let grant = Grant {
            identity: world.identity(),
            refund,
            event_key: credit("task-1", 1).event_key,
            amount: 250,
            beneficiary,
        };
        let proof = grant
            .sign(world.ledger_id(), &world.issuer)
            .expect("the key is an issuer's");
        json!({
            "refund": refund,
            "event_key": "task-1",
            "amount": 250,
            "beneficiary": beneficiary.map(|device| device.to_string()),
            "proof": hex_of(proof),
        })
    });
    Value::from(proofs.to_vec())
}

/// A position that was given twice, and the statement that takes one branch over into the other.
fn fork(world: &World) -> Value {
    let (other, healed) = forked(world);
    json!({
        "abandoned": other.log.head().hash.to_string(),
        "statement": hex_of(&healed.told.last().expect("it was said").statement),
        "position": healed.log.head().position,
        "log_hash": healed.log.head().hash.to_string(),
    })
}

fn vectors() -> Value {
    let policy = CreditPolicy::SelfReported {
        posting_cap: POSTING_CAP,
        journal_cap: JOURNAL_CAP,
    };
    let world = World::made("deployment", policy, Periods::default());
    let (admin, phone) = (Pen::new(&world, "admin"), Pen::new(&world, "phone"));
    let memo = credit("task-1", 250)
        .with_memo("a task, π")
        .expect("a short memo");
    let (_, first, first_entry) = entry(&phone, Point::START, SERVICE_TIME_MS, vec![memo]);
    let spend = vec![debit("purchase-1", 100), refund("purchase-1", 40)];
    let (run, second, second_entry) = entry(&phone, first, -1, spend);
    let (_, other, other_entry) = entry(&admin, Point::START, 0, vec![credit("task-2", 1)]);
    let tip = SignedTip {
        device: phone.device(),
        point: second,
        signature: run.signature,
    };

    let mut log = world.empty_log();
    let mut statements = device_acts(&world, &mut log, tip);
    statements.extend(key_acts(&world, &mut log));
    let tips = [(phone.device(), second), (admin.device(), other)]
        .map(|(device, point)| Tip { device, point });
    json!({
        "version": 1,
        "genesis": genesis(&world),
        "identity": keys(&world),
        "tags": tags(&world),
        "rendezvous": hex_of(rendezvous(&log).expect("the log is open")),
        "service_keys": {
            "service": service_key(world.service.certificate()),
            "issuer": service_key(world.issuer.certificate()),
        },
        "certificate": {
            "of": "phone",
            "name": "the phone",
            "platform": "test",
            "body": hex_of(world.certificate("phone", None).body()),
            "signature": signature(world.certificate("phone", None).signature()),
        },
        "statements": statements,
        "entries": [first_entry, second_entry, other_entry],
        "acks": ack(&world, &log, &phone, second),
        "digests": digests(&log, &tips),
        "challenge": challenge(&world),
        "handshake": handshake(&world, &log, &Heads::new(tips)),
        "peers": peers::peers(&world, &log, &Heads::new(tips)),
        "issuer_proofs": issuer_proofs(&world),
        "evidence": evidence(&world),
        "fork": fork(&world),
    })
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the vectors are a file")]
fn the_protocol_is_what_its_vectors_say() {
    let made = vectors();
    if std::env::var_os(WRITE).is_some_and(|value| value == "1") {
        let text = serde_json::to_string_pretty(&made).expect("json") + "\n";
        std::fs::write(Path::new(FILE), text).expect("the vectors can be written");
        return;
    }
    let text = std::fs::read_to_string(FILE).expect("the vectors are there");
    let kept: Value = serde_json::from_str(&text).expect("json");
    let parts = made.as_object().expect("an object");
    for (part, made) in parts {
        assert_eq!(&kept[part], made, "{part}; {WRITE}=1 writes them anew");
    }
    assert_eq!(kept, made);
}
