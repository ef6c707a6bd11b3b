//! The messages that open a stream.

use edge_ledger_core::identity::{LogHead, ServiceRole};
use edge_ledger_core::ids::{Digest, LogHash, StoreEpoch};
use edge_ledger_core::sync::{Hello, HelloBody, NewGreeting, Welcome, WelcomeBody, greet};
use edge_ledger_proto::ledger;

use crate::{World, is_set, read};

#[test]
fn greeting_hello_and_welcome() {
    let world = World::new();
    let new = NewGreeting {
        nonce: [21; 32],
        audience: "localhost:7420".into(),
    };
    let greeting = greet(&world.signer(ServiceRole::Service), world.ledger_id(), new);
    let body: ledger::GreetingBody = read(&greeting.body);
    all_set!(
        body,
        ledger::GreetingBody {
            nonce,
            audience,
            ledger_id,
            version
        }
    );
    let hello = HelloBody {
        identity: world.root.public_key().identity_id(),
        key: world.device.public_key(),
        log: LogHead {
            position: 22,
            hash: LogHash::from_bytes([23; 32]),
        },
        digest: Digest::from_bytes([24; 32]),
        nonce: [25; 32],
    };
    let hello = Hello::sign(world.ledger_id(), &greeting, &world.device, &hello);
    let body: ledger::HelloBody = read(&hello.body);
    all_set!(
        body,
        ledger::HelloBody {
            identity,
            public_key,
            log_position,
            log_hash,
            digest,
            version,
            nonce
        }
    );
    let signer = world.signer(ServiceRole::Service);
    let welcome = WelcomeBody {
        log: LogHead {
            position: 22,
            hash: LogHash::from_bytes([23; 32]),
        },
        digest: Digest::from_bytes([24; 32]),
        store_epoch: StoreEpoch::from_bytes([26; 16]),
    };
    let welcome = Welcome::sign(&signer, world.ledger_id(), &hello.proof, &welcome);
    let body: ledger::WelcomeBody = read(&welcome.body);
    all_set!(
        body,
        ledger::WelcomeBody {
            log_position,
            log_hash,
            digest,
            store_epoch
        }
    );
}
