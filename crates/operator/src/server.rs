//! The listener: what it is made of, and how it starts and stops.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use edge_ledger_chassis::limits::Bound;
use edge_ledger_chassis::run::{Parts, StartError};
use edge_ledger_chassis::{Clock, Limits, Listener, OperatorToken, Serving, Signing, Tls};
use edge_ledger_core::identity::Genesis;
use edge_ledger_proto::DESCRIPTOR_SET;
use edge_ledger_proto::admin::admin_service_server::AdminServiceServer;
use edge_ledger_store::{IdentityStore, LedgerStore, OperatorStore};
use edge_ledger_telemetry::rpc::Methods;
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;

use crate::gate::Gate;
use crate::limits::{CONNECTIONS_MAX, ITEM_BYTES_MAX};
use crate::rpc::Rpc;

/// What the process is that it belongs to.
#[derive(Debug, Clone)]
pub struct About {
    /// Names of its services.
    pub services: Vec<&'static str>,
    /// What its store is called.
    pub store: &'static str,
    /// The bounds that it keeps to.
    pub bounds: Vec<Bound>,
}

/// What the listener needs.
#[expect(missing_debug_implementations, reason = "holds keys")]
pub struct Config {
    /// Where to listen; port 0 for any that is free.
    pub listen: SocketAddr,
    /// What lets operators in.
    pub token: OperatorToken,
    /// The certificate of the service; none: plain HTTP/2.
    pub tls: Option<Tls>,
    /// The process.
    pub about: About,
    /// The deployment.
    pub genesis: Genesis,
    /// The keys that sign.
    pub signer: Signing,
    /// Whether it may make new service keys in their folder.
    pub rotates: bool,
    /// Where the identity logs are.
    pub identities: Arc<dyn IdentityStore>,
    /// Where the journals are; the same place.
    pub ledgers: Arc<dyn LedgerStore>,
    /// Where the operator's words are; the same place.
    pub terms: Arc<dyn OperatorStore>,
    /// The clock.
    pub clock: Clock,
}

impl Config {
    /// What the listener beside a service needs that is a process of its own, if there is to be
    /// one.
    pub fn of_process<K>(
        parts: &Parts<K>,
        service: &'static str,
        bounds: Vec<Bound>,
    ) -> Option<Self> {
        let (listen, token) = parts.operator.clone()?;
        let store = Arc::new(parts.store.clone());
        Some(Self {
            listen,
            token,
            tls: parts.tls.clone(),
            about: About {
                services: vec![service],
                store: "redis",
                bounds,
            },
            genesis: parts.genesis.clone(),
            signer: parts.signer.clone(),
            rotates: false,
            identities: store.clone(),
            ledgers: store.clone(),
            terms: store,
            clock: parts.clock.clone(),
        })
    }
}

/// Why the listener did not start.
#[derive(Debug, thiserror::Error)]
#[error("operators cannot be listened to on {listen}")]
pub struct BindError {
    /// Where it was to listen.
    pub listen: SocketAddr,
    /// What the system says.
    #[source]
    pub source: io::Error,
}

impl From<BindError> for StartError {
    fn from(BindError { listen, source }: BindError) -> Self {
        Self::Operators { listen, source }
    }
}

/// A listener that answers operators. Dropped, it ends at once.
#[derive(Debug)]
pub struct Server {
    serving: Serving,
}

impl Server {
    /// Binds the port and serves.
    ///
    /// # Errors
    /// [`BindError`] when the port cannot be had.
    pub async fn bind(config: Config) -> Result<Self, BindError> {
        let listen = config.listen;
        let listener = Listener::bind(listen).await;
        let listener = listener.map_err(|source| BindError { listen, source })?;
        let (token, tls) = (config.token.clone(), config.tls.clone());
        let tasks = listener.tasks();
        tasks.spawn(token.clone().follow(tasks.stopping()));
        let gate = Gate::new(token);
        let service = AdminServiceServer::new(Rpc::new(config, tasks.clone()))
            .max_decoding_message_size(ITEM_BYTES_MAX);
        let routes = Routes::new(InterceptedService::new(service, gate));
        let limits = Limits {
            connections_max: CONNECTIONS_MAX,
            trusted_proxies: Vec::new(),
            ..Limits::default()
        };
        let address = listener.local_addr();
        tracing::info!(%address, tls = tls.is_some(), "answers operators");
        Ok(Self {
            serving: listener.serve(routes, Methods::new(DESCRIPTOR_SET), limits, tls),
        })
    }

    /// The bound address.
    pub fn local_addr(&self) -> SocketAddr {
        self.serving.local_addr()
    }

    /// Lets nobody in any more; calls have the grace to end. Says whether all were answered.
    pub async fn shutdown(self, grace: Duration) -> bool {
        self.serving.shutdown(grace).await
    }
}
