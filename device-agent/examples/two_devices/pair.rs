//! Both services in this process, on a store in memory: `edge-ledger up` does the same for real.

use std::sync::Arc;
use std::time::Duration;

use edge_ledger_chassis::{Clock, Limits};
use edge_ledger_core::identity::genesis::{GenesisSpec, next_key_hash};
use edge_ledger_core::identity::service_key::ServiceSigner;
use edge_ledger_core::identity::{CreditPolicy, Genesis, ServiceCertificate, ServiceRole};
use edge_ledger_core::keys::SecretKey;
use edge_ledger_store::Embedded;

/// A running pair.
pub(crate) struct Pair {
    pub(crate) identity_url: String,
    identity: identity_service::Server,
    ledger: ledger_service::Server,
}

/// Starts a deployment of its own on free ports of loopback.
pub(crate) async fn start() -> anyhow::Result<Pair> {
    let root = SecretKey::from_seed(rand::random());
    let genesis = Genesis::create(GenesisSpec {
        service_root: root.public_key(),
        next_service_root_hash: next_key_hash(&SecretKey::from_seed(rand::random()).public_key()),
        unit: "credit".to_owned(),
        decimals: 0,
        policy: CreditPolicy::SelfReported {
            posting_cap: 1_000,
            journal_cap: 1_000_000,
        },
        random: rand::random(),
    })?;
    let key = SecretKey::from_seed(rand::random());
    let (public_key, role) = (key.public_key(), ServiceRole::Service);
    let certificate = ServiceCertificate::issue(&root, genesis.ledger_id(), &public_key, role, 1);
    let signer = Arc::new(ServiceSigner::new(key, certificate)?);
    let store = Arc::new(Embedded::in_memory());
    let listen = ([127, 0, 0, 1], 0).into();
    let ledger = ledger_service::Server::bind(ledger_service::Config {
        listen,
        audiences: Vec::new(),
        genesis: genesis.clone(),
        signer: signer.clone(),
        identities: store.clone(),
        ledgers: store.clone(),
        clock: Clock::system(),
        limits: Limits::default(),
        tls: None,
        reflection: true,
    })
    .await?;
    let identity = identity_service::Server::bind(identity_service::Config {
        listen,
        audiences: Vec::new(),
        ledger_url: format!("http://{}", ledger.local_addr()),
        store,
        genesis,
        signer,
        sealing_key: identity_service::SealingKey::from_bytes(rand::random()),
        clock: Clock::system(),
        limits: identity_service::Limits::default(),
        tls: None,
        reflection: true,
    })
    .await?;
    Ok(Pair {
        identity_url: format!("http://{}", identity.local_addr()),
        identity,
        ledger,
    })
}

impl Pair {
    pub(crate) async fn stop(self) {
        self.identity.shutdown(Duration::from_secs(1)).await;
        self.ledger.shutdown(Duration::from_secs(1)).await;
    }
}
