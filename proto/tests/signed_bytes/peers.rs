//! What devices say to each other.

use edge_ledger_core::signal::{Signal, SignalBody, SignalKind};
use edge_ledger_core::sync::PeerGreeting;
use edge_ledger_proto::{ledger, signal};

use crate::{World, is_set, key, read};

#[test]
fn the_greeting_of_a_device() {
    let greeting = PeerGreeting::new(World::new().ledger_id(), [41; 32]);
    let body: ledger::PeerGreetingBody = read(&greeting.body);
    all_set!(
        body,
        ledger::PeerGreetingBody {
            nonce,
            ledger_id,
            version
        }
    );
}

#[test]
fn a_signal() {
    let world = World::new();
    for (kind, number) in [
        (SignalKind::Offer, signal::SignalKind::Offer),
        (SignalKind::Answer, signal::SignalKind::Answer),
    ] {
        let body = SignalBody {
            kind,
            identity: world.root.public_key().identity_id(),
            author: world.device.public_key(),
            to: Some(key(42).public_key().device_id()),
            nonce: [43; 32],
            connection: [44; 16],
            fingerprint: [45; 32],
            sdp: "v=0".to_owned(),
            made_ms: -46,
        };
        let signed = Signal::sign(world.ledger_id(), &world.device, &body);
        let whole: signal::Signal = read(&signed.encode());
        all_set!(whole, signal::Signal { body, signature });
        let body: signal::SignalBody = read(&whole.body);
        assert_eq!(body.kind(), number);
        all_set!(
            body,
            signal::SignalBody {
                kind,
                identity,
                public_key,
                to,
                nonce,
                connection,
                fingerprint,
                sdp,
                made_ms
            }
        );
    }
}
