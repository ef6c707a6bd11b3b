//! Starts and stops the service.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use edge_ledger_chassis::{
    Audiences, Clock, Limits, Listener, Serving, Signing, Tls, health, reflection,
};
use edge_ledger_core::identity::Genesis;
use edge_ledger_proto::DESCRIPTOR_SET;
use edge_ledger_proto::ledger::ledger_service_server::SERVICE_NAME;
use edge_ledger_store::{IdentityStore, LedgerStore};
use edge_ledger_telemetry::rpc::Methods;
use tonic::service::Routes;

use crate::ledgers::{Ledgers, Shared};
use crate::{fanout, measure, rpc};

/// What a ledger service needs.
#[expect(missing_debug_implementations, reason = "holds a service key")]
pub struct Config {
    /// Where to listen; port 0 for any that is free.
    pub listen: SocketAddr,
    /// Hosts and ports under which devices dial it, beside the bound address itself.
    pub audiences: Vec<String>,
    /// The deployment.
    pub genesis: Genesis,
    /// The key that signs greetings, receipts and acks.
    pub signer: Signing,
    /// Where the identity logs are.
    pub identities: Arc<dyn IdentityStore>,
    /// Where the journals are; the same place.
    pub ledgers: Arc<dyn LedgerStore>,
    /// The clock.
    pub clock: Clock,
    /// Bounds of connections.
    pub limits: Limits,
    /// Its certificate; none: plain HTTP/2.
    pub tls: Option<Tls>,
    /// Whether anybody may ask which calls there are (`grpc.reflection`).
    pub reflection: bool,
}

/// Why a service did not start.
#[derive(Debug, thiserror::Error)]
#[error("the ledger service cannot listen on {listen}")]
pub struct BindError {
    /// Where it was to listen.
    pub listen: SocketAddr,
    /// What the system says.
    #[source]
    pub source: std::io::Error,
}

/// A ledger service that runs. Dropped, it ends at once.
#[derive(Debug)]
pub struct Server {
    serving: Serving,
    operators: Option<edge_ledger_operator::Server>,
}

impl Server {
    /// Binds the port and serves.
    ///
    /// # Errors
    /// [`BindError`] when the port cannot be had.
    pub async fn bind(config: Config) -> Result<Self, BindError> {
        let bind_error = |source| BindError {
            listen: config.listen,
            source,
        };
        measure::begin();
        let listener = Listener::bind(config.listen).await.map_err(bind_error)?;
        let audiences = Audiences::new(config.audiences, listener.local_addr());
        let following = config.signer.clone();
        let (feed, store) = (config.ledgers.changes(), config.ledgers.health());
        let ledgers = Arc::new(Ledgers::new(Arc::new(Shared {
            genesis: config.genesis,
            identities: config.identities,
            ledgers: config.ledgers,
            signer: config.signer,
            clock: config.clock,
            tasks: listener.tasks().clone(),
        })));
        let stopping = listener.tasks().stopping();
        let measured = health::measured(store.clone(), stopping.clone());
        listener.tasks().spawn(measured);
        listener.tasks().spawn(following.follow(stopping.clone()));
        listener
            .tasks()
            .spawn(fanout::run(feed, ledgers.clone(), stopping.clone()));
        // 0 is the origin of nobody.
        let service = rpc::service(rpc::Rpc {
            ledgers,
            audiences,
            next_origin: AtomicU64::new(1),
        });
        let mut routes =
            Routes::new(service).add_service(health::service(&[SERVICE_NAME], store, stopping));
        if config.reflection {
            routes = reflection::add(routes, &[SERVICE_NAME], DESCRIPTOR_SET);
        }
        let serving = listener.serve(
            routes,
            Methods::new(DESCRIPTOR_SET),
            config.limits,
            config.tls,
        );
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

    /// Says that it takes no more work, then lets nobody in; each session reads no more, answers
    /// what it has taken once that is committed, and ends. What is left after the grace is cut
    /// off. Says whether everything was answered: a device that does not read is cut off too, and
    /// misses nothing that it cannot ask for again.
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
