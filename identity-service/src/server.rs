//! The service as a whole: what it is made of, and how it starts and stops.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use edge_ledger_chassis::{
    Audiences, Clock, Listener, Sealing, Serving, Signing, Tls, health, reflection,
};
use edge_ledger_core::identity::service_key::ServiceSigner;
use edge_ledger_core::identity::{FormatError, Genesis, ServiceCertificate, ServiceRole};
use edge_ledger_proto::DESCRIPTOR_SET;
use edge_ledger_proto::identity::identity_service_server::{IdentityServiceServer, SERVICE_NAME};
use edge_ledger_proto::signal::signal_service_server::{self as signalling, SignalServiceServer};
use edge_ledger_store::IdentityStore;
use edge_ledger_telemetry::rpc::Methods;
use tonic::service::Routes;

use crate::announcements::Announcements;
use crate::authn::Authn;
use crate::challenge::Sealer;
use crate::limits::{Limits, REQUEST_BYTES_MAX, SIGNAL_REQUEST_BYTES_MAX};
use crate::link::{self, Links};
use crate::log::Logs;
use crate::rates::Rates;
use crate::registration::{Door, Invites};
use crate::rpc::Rpc;
use crate::sessions::Sessions;
use crate::signal::{IceConfig, Signals};
use crate::switchboard::Switchboard;

/// What a process serves.
const SERVICES: [&str; 2] = [SERVICE_NAME, signalling::SERVICE_NAME];

/// What a service is made of.
#[expect(missing_debug_implementations, reason = "holds keys")]
pub struct Config {
    /// Where to listen; port 0 for any that is free.
    pub listen: SocketAddr,
    /// Authorities (host and port) under which devices dial this service. A service that listens
    /// on loopback knows the names of loopback.
    pub audiences: Vec<String>,
    /// Addresses of the ledger service as devices shall dial them, in the order in which they
    /// shall try them.
    pub ledger_urls: Vec<String>,
    /// Further addresses of the identity service, likewise.
    pub identity_urls: Vec<String>,
    /// Where identities live.
    pub store: Arc<dyn IdentityStore>,
    /// The deployment.
    pub genesis: Genesis,
    /// Signs receipts.
    pub signer: Signing,
    /// Seals challenges and invites; the same on all replicas.
    pub sealing: Sealing,
    /// Tells the time.
    pub clock: Clock,
    /// The bounds.
    pub limits: Limits,
    /// Its certificate; none: plain HTTP/2.
    pub tls: Option<Tls>,
    /// Servers that help devices to find a path to each other.
    pub ice: IceConfig,
    /// Whether anybody may ask which calls there are (`grpc.reflection`).
    pub reflection: bool,
}

/// Why a service does not start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address cannot be listened on.
    #[error("cannot listen on {listen}")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The signing key is not one of this deployment's service keys.
    #[error("the service key does not belong to this deployment")]
    ServiceKey(#[source] FormatError),
}

/// A service that runs. Dropped, it ends at once.
#[derive(Debug)]
pub struct Server {
    serving: Serving,
    operators: Option<edge_ledger_operator::Server>,
}

impl Server {
    /// Starts the service.
    ///
    /// # Errors
    /// [`BindError`] saying why not.
    pub async fn bind(config: Config) -> Result<Self, BindError> {
        check_signer(&config.genesis, &config.signer.current()).map_err(BindError::ServiceKey)?;
        link::measured_from_the_start();
        let listen = config.listen;
        let listener = Listener::bind(listen)
            .await
            .map_err(|source| BindError::Listen { listen, source })?;
        let (limits, tls) = (config.limits.connections.clone(), config.tls.clone());
        let (store, reflects) = (config.store.health(), config.reflection);
        let stopping = listener.tasks().stopping();
        let measured = health::measured(store.clone(), stopping.clone());
        listener.tasks().spawn(measured);
        let following = config.signer.clone().follow(stopping.clone());
        listener.tasks().spawn(following);
        let following = config.sealing.clone().follow(stopping.clone());
        listener.tasks().spawn(following);
        let (identity, signals) = assemble(config, &listener);
        let identity =
            IdentityServiceServer::new(identity).max_decoding_message_size(REQUEST_BYTES_MAX);
        let signals =
            SignalServiceServer::new(signals).max_decoding_message_size(SIGNAL_REQUEST_BYTES_MAX);
        let mut routes = Routes::new(identity)
            .add_service(signals)
            .add_service(health::service(&SERVICES, store, stopping));
        if reflects {
            routes = reflection::add(routes, &SERVICES, DESCRIPTOR_SET);
        }
        let serving = listener.serve(routes, Methods::new(DESCRIPTOR_SET), limits, tls);
        Ok(Self {
            serving,
            operators: None,
        })
    }

    /// Answers operators too, on a listener of its own.
    ///
    /// # Errors
    /// [`edge_ledger_operator::BindError`] when its port cannot be had.
    pub async fn with_operators(
        mut self,
        config: edge_ledger_operator::Config,
    ) -> Result<Self, edge_ledger_operator::BindError> {
        self.operators = Some(edge_ledger_operator::Server::bind(config).await?);
        Ok(self)
    }

    /// The bound address.
    pub fn local_addr(&self) -> SocketAddr {
        self.serving.local_addr()
    }

    /// Says that it takes no more work, then lets nobody in; open calls have the grace to end. Says
    /// whether all were answered.
    pub async fn shutdown(self, grace: Duration) -> bool {
        let operators = async {
            match self.operators {
                Some(operators) => operators.shutdown(grace).await,
                None => true,
            }
        };
        let (served, answered) = tokio::join!(self.serving.shutdown(grace), operators);
        served && answered
    }
}

fn check_signer(genesis: &Genesis, signer: &ServiceSigner) -> Result<(), FormatError> {
    let certificate = signer.certificate();
    ServiceCertificate::verify(
        genesis,
        certificate.body().clone(),
        *certificate.signature(),
    )?;
    if certificate.role() == ServiceRole::Service {
        Ok(())
    } else {
        Err(FormatError::Field("the role of the service key"))
    }
}

fn assemble(config: Config, listener: &Listener) -> (Rpc, Signals) {
    let Config {
        store,
        genesis,
        signer,
        clock,
        ..
    } = config;
    let tasks = listener.tasks().clone();
    let announcements = Announcements::start(&tasks, store.changes());
    let rates = Arc::new(Rates::new(&config.limits));
    let door = Door {
        registration: config.limits.registration,
        invites: Invites::new(config.sealing.clone(), genesis.ledger_id()),
        store: Arc::clone(&store),
        clock: clock.clone(),
    };
    let sealer = Sealer::new(config.sealing, genesis.ledger_id());
    let logs = Arc::new(Logs::new(
        Arc::clone(&store),
        genesis,
        signer.clone(),
        clock.clone(),
    ));
    let authn = Arc::new(Authn {
        audiences: Audiences::new(config.audiences, listener.local_addr()),
        sealer,
        sessions: Sessions {
            store: Arc::clone(&store),
            clock: clock.clone(),
        },
        logs: Arc::clone(&logs),
        store: Arc::clone(&store),
        clock: clock.clone(),
    });
    let signals = Signals {
        authn: Arc::clone(&authn),
        logs: Arc::clone(&logs),
        switchboard: Switchboard::start(&tasks, store.changes()),
        store: Arc::clone(&store),
        announcements: announcements.clone(),
        rates: Arc::clone(&rates),
        clock: clock.clone(),
        tasks: tasks.clone(),
        ice: Arc::new(config.ice),
    };
    let links = Links {
        store,
        authn: Arc::clone(&authn),
        announcements: announcements.clone(),
        clock: clock.clone(),
        tasks,
        limits: config.limits,
        rates: Arc::clone(&rates),
    };
    let rpc = Rpc {
        authn,
        logs,
        links,
        rates,
        door,
        announcements,
        signer,
        ledger_urls: config.ledger_urls,
        identity_urls: config.identity_urls,
        clock,
    };
    (rpc, signals)
}
