//! A deployment of its own for each test: keys, an in-memory store, and a ledger service.

use std::net::SocketAddr;
use std::sync::Arc;

use edge_ledger_chassis::{Clock, Limits};
use edge_ledger_core::identity::genesis::{GenesisSpec, next_key_hash};
use edge_ledger_core::identity::service_key::ServiceSigner;
use edge_ledger_core::identity::{CreditPolicy, Genesis, ServiceCertificate, ServiceRole};
use edge_ledger_core::ids::LedgerId;
use edge_ledger_core::keys::SecretKey;
use edge_ledger_store::Embedded;
use ledger_service::{Config, Server};

/// Keys and store of one deployment.
#[expect(missing_debug_implementations, reason = "holds keys")]
pub struct Deployment {
    /// The genesis.
    pub genesis: Genesis,
    /// The service key.
    pub signer: Arc<ServiceSigner>,
    /// Where everything is.
    pub store: Embedded,
}

impl Deployment {
    /// A fresh deployment with an in-memory store.
    ///
    /// # Errors
    /// When its genesis cannot be made.
    pub fn new() -> anyhow::Result<Self> {
        Self::with_store(Embedded::in_memory())
    }

    /// A fresh deployment over a store.
    ///
    /// # Errors
    /// When its genesis cannot be made.
    pub fn with_store(store: Embedded) -> anyhow::Result<Self> {
        let root = SecretKey::from_seed(rand::random());
        let next = SecretKey::from_seed(rand::random());
        let genesis = Genesis::create(GenesisSpec {
            service_root: root.public_key(),
            next_service_root_hash: next_key_hash(&next.public_key()),
            unit: "credit".to_owned(),
            decimals: 0,
            policy: CreditPolicy::SelfReported {
                posting_cap: 1_000_000,
                journal_cap: 100_000_000,
            },
            random: rand::random(),
        })?;
        let key = SecretKey::from_seed(rand::random());
        let certificate = ServiceCertificate::issue(
            &root,
            genesis.ledger_id(),
            &key.public_key(),
            ServiceRole::Service,
            1,
        );
        let signer = Arc::new(ServiceSigner::new(key, certificate)?);
        Ok(Self {
            genesis,
            signer,
            store,
        })
    }

    /// The deployment's id.
    pub fn ledger_id(&self) -> LedgerId {
        self.genesis.ledger_id()
    }

    /// Starts a ledger service on a free port.
    ///
    /// # Errors
    /// When it cannot bind.
    pub async fn ledger_service(&self) -> anyhow::Result<Server> {
        self.ledger_service_on(([127, 0, 0, 1], 0).into()).await
    }

    /// Starts a ledger service on a port.
    ///
    /// # Errors
    /// When it cannot bind.
    pub async fn ledger_service_on(&self, listen: SocketAddr) -> anyhow::Result<Server> {
        self.ledger_service_with(listen, Limits::default()).await
    }

    /// Starts a ledger service on a port, with its own bounds of connections.
    ///
    /// # Errors
    /// When it cannot bind.
    pub async fn ledger_service_with(
        &self,
        listen: SocketAddr,
        limits: Limits,
    ) -> anyhow::Result<Server> {
        let config = Config {
            listen,
            audiences: Vec::new(),
            genesis: self.genesis.clone(),
            signer: self.signer.clone(),
            identities: Arc::new(self.store.clone()),
            ledgers: Arc::new(self.store.clone()),
            clock: Clock::system(),
            limits,
            tls: None,
            reflection: true,
        };
        Ok(Server::bind(config).await?)
    }
}
