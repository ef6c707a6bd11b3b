//! A deployment of its own for each test: keys, a store (in memory, if nothing else is asked for),
//! and its services.

use std::net::SocketAddr;
use std::sync::Arc;

use edge_ledger_chassis::{Clock, Limits, Signing};
use edge_ledger_core::identity::genesis::{GenesisSpec, next_key_hash};
use edge_ledger_core::identity::service_key::ServiceSigner;
use edge_ledger_core::identity::{CreditPolicy, Genesis, Periods, ServiceCertificate, ServiceRole};
use edge_ledger_core::ids::LedgerId;
use edge_ledger_core::keys::SecretKey;
use edge_ledger_store::{Embedded, IdentityStore, LedgerStore};

use super::PairError;

/// Keys and store of one deployment.
#[expect(missing_debug_implementations, reason = "holds keys")]
pub struct Deployment<S = Embedded> {
    /// The genesis.
    pub genesis: Genesis,
    /// The service keys.
    pub signer: Signing,
    /// Where everything is.
    pub store: S,
    /// Names that the services answer to beside their own addresses.
    pub audiences: Vec<String>,
    /// What tells the services the time.
    pub clock: Clock,
    seal: [u8; 32],
}

impl Deployment<Embedded> {
    /// A fresh deployment with an in-memory store.
    ///
    /// # Errors
    /// When its genesis cannot be made.
    pub fn new() -> Result<Self, PairError> {
        Self::with_store(Embedded::in_memory())
    }
}

impl<S: IdentityStore + LedgerStore + Clone + 'static> Deployment<S> {
    /// A fresh deployment over a store.
    ///
    /// # Errors
    /// When its genesis cannot be made.
    pub fn with_store(store: S) -> Result<Self, PairError> {
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
            periods: Periods::NONE,
        })?;
        let key = SecretKey::from_seed(rand::random());
        let certificate = ServiceCertificate::issue(
            &root,
            genesis.ledger_id(),
            &key.public_key(),
            ServiceRole::Service,
            1,
        );
        let signer = Signing::from(Arc::new(ServiceSigner::new(key, certificate)?));
        Ok(Self {
            genesis,
            signer,
            store,
            audiences: Vec::new(),
            clock: Clock::system(),
            seal: rand::random(),
        })
    }

    /// The same deployment seen through another store: that of a replica.
    pub fn replica(&self, store: S) -> Self {
        Self {
            genesis: self.genesis.clone(),
            signer: self.signer.clone(),
            store,
            audiences: self.audiences.clone(),
            clock: self.clock.clone(),
            seal: self.seal,
        }
    }

    /// The deployment's id.
    pub fn ledger_id(&self) -> LedgerId {
        self.genesis.ledger_id()
    }

    /// Starts a ledger service on a free port.
    ///
    /// # Errors
    /// When it cannot bind.
    pub async fn ledger_service(&self) -> Result<ledger_service::Server, PairError> {
        self.ledger_service_on(([127, 0, 0, 1], 0).into()).await
    }

    /// Starts a ledger service on a port.
    ///
    /// # Errors
    /// When it cannot bind.
    pub async fn ledger_service_on(
        &self,
        listen: SocketAddr,
    ) -> Result<ledger_service::Server, PairError> {
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
    ) -> Result<ledger_service::Server, PairError> {
        let config = ledger_service::Config {
            listen,
            audiences: self.audiences.clone(),
            genesis: self.genesis.clone(),
            signer: self.signer.clone(),
            identities: Arc::new(self.store.clone()),
            ledgers: Arc::new(self.store.clone()),
            clock: self.clock.clone(),
            limits,
            tls: None,
            reflection: true,
        };
        Ok(ledger_service::Server::bind(config).await?)
    }

    /// Starts an identity service on a free port, which names a ledger service to devices.
    ///
    /// # Errors
    /// When it cannot bind.
    pub async fn identity_service(
        &self,
        ledger_url: &str,
    ) -> Result<identity_service::Server, PairError> {
        let listen = ([127, 0, 0, 1], 0).into();
        self.identity_service_on(listen, vec![ledger_url.to_owned()])
            .await
    }

    /// Starts an identity service on a port, which names ledger services to devices.
    ///
    /// # Errors
    /// When it cannot bind.
    pub async fn identity_service_on(
        &self,
        listen: SocketAddr,
        ledger_urls: Vec<String>,
    ) -> Result<identity_service::Server, PairError> {
        let config = identity_service::Config {
            listen,
            audiences: self.audiences.clone(),
            ledger_urls,
            identity_urls: Vec::new(),
            store: Arc::new(self.store.clone()),
            genesis: self.genesis.clone(),
            signer: self.signer.clone(),
            sealing: self.seal.into(),
            clock: self.clock.clone(),
            limits: identity_service::Limits::default(),
            tls: None,
            ice: identity_service::IceConfig::default(),
            reflection: true,
        };
        Ok(identity_service::Server::bind(config).await?)
    }
}
