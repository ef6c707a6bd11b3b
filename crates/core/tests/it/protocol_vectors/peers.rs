//! What two devices say to find a channel to each other, and to open a session over it.

use edge_ledger_core::identity::{IdentityLog, LogHead};
use edge_ledger_core::ledger::Heads;
use edge_ledger_core::signal::{Signal, SignalBody, SignalKind};
use edge_ledger_core::sync::{Fingerprints, Greetings, HelloBody, PeerGreeting, say_hello};
use serde_json::{Value, json};

use super::{hex_of, signature};
use crate::fixture::{SERVICE_TIME_MS, World, device_id, key, seed};

pub(super) fn peers(world: &World, log: &IdentityLog, heads: &Heads) -> Value {
    let ledger_id = world.ledger_id();
    let greeting = |of: &str| PeerGreeting::new(ledger_id, seed(&format!("greeting of {of}")));
    let greetings = Greetings {
        ours: greeting("phone"),
        theirs: greeting("admin"),
    };
    let fingerprints = Fingerprints {
        ours: seed("certificate of phone"),
        theirs: seed("certificate of admin"),
    };
    let body = HelloBody {
        identity: world.identity(),
        key: key("phone").public_key(),
        log: LogHead::EMPTY,
        digest: heads.digest(log),
        nonce: seed("hello"),
    };
    let hello = say_hello(ledger_id, &key("phone"), &greetings, fingerprints, &body);
    let offer = signal(world, SignalKind::Offer, "admin", "phone", seed("beacon"));
    let hash = offer.hash(ledger_id);
    let answer = signal(world, SignalKind::Answer, "phone", "admin", hash);
    json!({
        "greetings": {
            "admin": hex_of(&greetings.theirs.body),
            "phone": hex_of(&greetings.ours.body),
        },
        "certificates": {
            "admin": hex_of(fingerprints.theirs),
            "phone": hex_of(fingerprints.ours),
        },
        "hello": { "body": hex_of(&hello.body), "proof": signature(&hello.proof) },
        "offer": { "bytes": hex_of(offer.encode()), "hash": hex_of(hash) },
        "answer": { "bytes": hex_of(answer.encode()) },
    })
}

fn signal(world: &World, kind: SignalKind, from: &str, to: &str, nonce: [u8; 32]) -> Signal {
    let fingerprint = seed(&format!("certificate of {from}"));
    let pairs: Vec<String> = fingerprint.iter().map(|b| format!("{b:02X}")).collect();
    let body = SignalBody {
        kind,
        identity: world.identity(),
        author: key(from).public_key(),
        to: Some(device_id(to)),
        nonce,
        connection: [0xc0; 16],
        fingerprint,
        sdp: format!("v=0\r\na=fingerprint:sha-256 {}\r\n", pairs.join(":")),
        made_ms: SERVICE_TIME_MS,
    };
    Signal::sign(world.ledger_id(), &key(from), &body)
}
