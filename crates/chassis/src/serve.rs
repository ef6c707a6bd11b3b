//! How a service accepts connections and ends them.
//!
//! tonic's own server has no deadline for a client that says nothing, and its shutdown waits for
//! ever for one that does not read. This loop bounds both: a connection has a time to its first
//! request and an age, an address has so many of them, and a drain has a grace after which everything left is ended.

mod addresses;
mod connection;
mod leaving;

pub use leaving::Leaving;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::DropGuard;
use tonic::service::Routes;

use crate::limits::{ACCEPT_RETRY, Limits};
use crate::status::Reason;
use crate::tasks::Tasks;
use crate::tls::Tls;
use addresses::Addresses;
pub(crate) use addresses::{is_trusted, site};
use edge_ledger_telemetry::meters::{self, meters};
use edge_ledger_telemetry::rpc::Methods;

/// Why a connection is closed at once.
const LIMIT: &str = "limit";
const ADDRESS_LIMIT: &str = "address_limit";

/// Who is at the other end, in each request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// Host and port as the client dialled them, in each request's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority(pub String);

/// A bound port on which nothing is served yet.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    local_addr: SocketAddr,
    tasks: Tasks,
}

impl Listener {
    /// Binds a port; 0 for any that is free.
    ///
    /// # Errors
    /// What the system says.
    pub async fn bind(listen: SocketAddr) -> io::Result<Self> {
        let tcp = TcpListener::bind(listen).await?;
        Ok(Self {
            local_addr: tcp.local_addr()?,
            tcp,
            tasks: Tasks::new(),
        })
    }

    /// The bound address.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The tasks that will end with the service.
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Starts to serve these methods; over TLS, if there is any.
    pub fn serve(
        self,
        routes: Routes,
        methods: Methods,
        limits: Limits,
        tls: Option<Tls>,
    ) -> Serving {
        measured_from_the_start();
        let tasks = self.tasks.clone();
        if let Some(tls) = tls.clone() {
            tasks.spawn(tls.follow(tasks.stopping()));
        }
        let connection = connection::Connection {
            routes: routes.prepare(),
            methods,
            limits: Arc::new(limits),
            tls,
            tasks: tasks.clone(),
        };
        tasks.spawn(accept(self.tcp, connection));
        let kill = tasks.kill_on_drop();
        Serving {
            local_addr: self.local_addr,
            tasks,
            _kill: kill,
        }
    }
}

/// A service that runs. Dropped, it ends at once; [`shutdown`](Self::shutdown) is the polite way.
#[derive(Debug)]
pub struct Serving {
    local_addr: SocketAddr,
    tasks: Tasks,
    _kill: DropGuard,
}

impl Serving {
    /// The bound address.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Stops accepting, lets open calls end, and ends what is left after the grace. Says whether
    /// every call was answered and all other work done; who does not take an answer is cut off.
    pub async fn shutdown(self, grace: Duration) -> bool {
        self.tasks.shutdown(grace).await
    }
}

async fn accept(tcp: TcpListener, connection: connection::Connection) {
    let limits = Arc::clone(&connection.limits);
    let slots = Arc::new(Semaphore::new(limits.connections_max));
    let addresses = Addresses::new(
        limits.connections_per_address_max,
        limits.trusted_proxies.clone(),
    );
    let tasks = connection.tasks.clone();
    let stopping = tasks.stopping();
    while let Some(accepted) = stopping.run_until_cancelled(tcp.accept()).await {
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            meters().connection_refused.add(1, &meters::reason(LIMIT));
            tracing::debug!("connection above the limit closed");
            continue;
        };
        let Some(place) = addresses.enter(peer.ip()) else {
            meters()
                .connection_refused
                .add(1, &meters::reason(ADDRESS_LIMIT));
            tracing::debug!("connection above the limit of its address closed");
            continue;
        };
        let connection = connection.clone();
        tasks.spawn_for_client(async move {
            let _held = (slot, place, Open::new());
            connection.serve(stream, Peer(peer)).await;
        });
    }
}

/// There is a series for everything that is watched from the start.
fn measured_from_the_start() {
    let meters = meters();
    meters.connection_active.add(0, &[]);
    for why in [LIMIT, ADDRESS_LIMIT] {
        meters.connection_refused.add(0, &meters::reason(why));
    }
    for reason in Reason::ALL {
        meters.refusals.add(0, &meters::reason(reason.as_str()));
    }
}

/// A connection that is open, as metrics count it.
struct Open;

impl Open {
    fn new() -> Self {
        meters().connection_active.add(1, &[]);
        Self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        meters().connection_active.add(-1, &[]);
    }
}
