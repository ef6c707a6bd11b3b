//! Why a service does not start, and what to do about it.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use edge_ledger_core::identity::FormatError;
use edge_ledger_store::redis::{ConnectError, Unanswered};
use edge_ledger_telemetry::export::ExportError;

/// Why a service does not start whose configuration is sound.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The system refused something that every process needs.
    #[error("the system refuses what a service needs")]
    System(#[source] io::Error),
    /// The service key is not one of the deployment's.
    #[error("the service key does not belong to this deployment")]
    ServiceKey(#[source] FormatError),
    /// The store is not fit, or not there.
    #[error("the store cannot be used")]
    Store(#[from] ConnectError),
    /// The environment says something of telemetry that cannot be done.
    #[error("its telemetry cannot be sent as the environment says")]
    Telemetry(#[from] ExportError),
    /// The admin port cannot be listened on.
    #[error("it cannot answer probes on {listen}")]
    AdminListen {
        /// The address.
        listen: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The address cannot be listened on.
    #[error("it cannot listen on {listen}")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Nor can the address of operators.
    #[error("it cannot listen to operators on {listen}")]
    Operators {
        /// The address.
        listen: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

impl StartError {
    /// For programs; never renamed.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::System(_) => "SYSTEM",
            Self::ServiceKey(_) => "KEYS_FOREIGN",
            Self::Store(ConnectError::Unreachable { .. }) => "STORE_UNREACHABLE",
            Self::Store(ConnectError::Loading { .. } | ConnectError::Rewriting { .. }) => {
                "STORE_LOADING"
            }
            Self::Store(_) => "STORE_UNFIT",
            Self::Telemetry(_) => "TELEMETRY",
            Self::Listen { source, .. }
            | Self::AdminListen { source, .. }
            | Self::Operators { source, .. }
                if source.kind() == ErrorKind::AddrInUse =>
            {
                "PORT_IN_USE"
            }
            Self::Listen { .. } | Self::AdminListen { .. } | Self::Operators { .. } => {
                "CANNOT_LISTEN"
            }
        }
    }

    /// What an operator can do.
    pub fn what_to_do(&self) -> &'static str {
        match self {
            Self::System(_) => "look at the limits of the process (`ulimit -a`), and start again",
            Self::ServiceKey(_) => "set keys.dir to a folder whose files belong together",
            Self::Store(error) => of_store(error),
            Self::Listen { source, .. } if source.kind() == ErrorKind::AddrInUse => {
                "end what listens there, or set server.listen to another port"
            }
            Self::Telemetry(_) => {
                "set the OTEL_… variable so, or take it away; docs/telemetry.md lists them"
            }
            Self::AdminListen { source, .. } if source.kind() == ErrorKind::AddrInUse => {
                "end what listens there, or set admin.listen to another port"
            }
            Self::AdminListen { .. } => "set admin.listen to an address of this machine",
            Self::Listen { .. } => "set server.listen to an address of this machine",
            Self::Operators { .. } => {
                "end what listens there, or set operator.listen to another address of this machine"
            }
        }
    }
}

fn of_store(error: &ConnectError) -> &'static str {
    match error {
        ConnectError::Url => {
            "write `redis://[user:password@]host[:port][/database]` into store.url, or into the \
             file of store.url_file"
        }
        ConnectError::Unreachable { why, .. } => of_silence(why),
        ConnectError::NotLetIn { .. } => {
            "write the user and the password into store.url, or into the file of store.url_file; \
             docs/redis.md says which user to make"
        }
        ConnectError::NoDatabase { .. } => {
            "name no database in store.url, or one below `databases` of redis.conf"
        }
        ConnectError::Denied { .. } => {
            "give the user what docs/redis.md lists, and start the service again"
        }
        ConnectError::NoCommand { .. } => {
            "take rename-command out of redis.conf, and limit users by an ACL as docs/redis.md \
             does; then start Redis and the service again"
        }
        ConnectError::Loading { .. } | ConnectError::Rewriting { .. } => {
            "start the service again later; store.load_timeout says how long it waits by itself"
        }
        ConnectError::TooOld(_) => "start a newer Redis",
        ConnectError::Mode(_) => "set store.url to a standalone server",
        ConnectError::Replica => "set store.url to the primary",
        ConnectError::Evicts(_) => "set it in redis.conf too, and start the service again",
        ConnectError::LossWindow { .. } => {
            "set all of them in redis.conf too, and start the service again; or set \
             store.accept_loss_window = true"
        }
        ConnectError::Untold(_) => {
            "give the user what the documentation lists, or set store.declared_appendfsync"
        }
    }
}

fn of_silence(why: &Unanswered) -> &'static str {
    match why {
        Unanswered::Refused => {
            "start Redis there, or set store.url to the host and the port where it listens (`bind` \
             and `port` in redis.conf)"
        }
        Unanswered::Silent => {
            "look whether something between here and there drops packets (a firewall), and whether \
             Redis is stopped or overloaded; store.response_timeout says how long it may take"
        }
        Unanswered::Name(_) => "mend the host in store.url, or make its name known to this machine",
        Unanswered::Cut | Unanswered::Other(_) => {
            "look whether store.url leads to a Redis, and what that one logs"
        }
    }
}
