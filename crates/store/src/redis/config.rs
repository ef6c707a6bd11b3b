//! How to reach a server and what may be expected of it.

use std::fmt;
use std::time::Duration;

use super::connection::Connector;
use super::unfit::ConnectError;

/// How long a server may take to answer before the connection is given up.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a server that still loads its data is waited for at the start.
const LOAD_TIMEOUT: Duration = Duration::from_secs(60);

/// How often a server syncs its append-only file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendFsync {
    /// Before each answer: an ack survives a power cut.
    Always,
    /// Once a second.
    EverySecond,
    /// When the system likes to.
    Never,
}

impl AppendFsync {
    pub(super) fn from_setting(setting: &str) -> Option<Self> {
        match setting {
            "always" => Some(Self::Always),
            "everysec" => Some(Self::EverySecond),
            "no" => Some(Self::Never),
            _ => None,
        }
    }
}

impl fmt::Display for AppendFsync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Always => "always",
            Self::EverySecond => "everysec",
            Self::Never => "no",
        })
    }
}

/// A server, and what is accepted of it.
#[derive(Clone)]
pub struct RedisConfig {
    /// `redis://[user:password@]host[:port][/database]`, or `redis+unix:///path`.
    pub url: String,
    /// Accepts a server that may lose what it answered last: then nothing that it answers is an
    /// ack, and the store's level is [`Volatile`](edge_ledger_core::ledger::Level::Volatile).
    pub accept_loss_window: bool,
    /// What the operator says that `appendfsync` is. Used only where the server does not let us
    /// ask (`CONFIG GET`), since nothing else tells.
    pub declared_appendfsync: Option<AppendFsync>,
    /// How long the server may take to answer, beyond the time that it takes to sync where it is
    /// waited for.
    pub response_timeout: Duration,
    /// How long a server that still loads its data is waited for at the start.
    pub load_timeout: Duration,
}

impl RedisConfig {
    /// A server of which everything is expected.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            accept_loss_window: false,
            declared_appendfsync: None,
            response_timeout: RESPONSE_TIMEOUT,
            load_timeout: LOAD_TIMEOUT,
        }
    }
}

impl RedisConfig {
    /// Whether the URL can be used, as [`RedisStore::connect`](super::RedisStore::connect) reads
    /// it: nothing is asked of the network.
    ///
    /// # Errors
    /// [`ConnectError::Url`].
    pub fn check(&self) -> Result<(), ConnectError> {
        Connector::new(self.clone()).map(drop)
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a password.
        f.debug_struct("RedisConfig")
            .field("accept_loss_window", &self.accept_loss_window)
            .field("declared_appendfsync", &self.declared_appendfsync)
            .field("response_timeout", &self.response_timeout)
            .field("load_timeout", &self.load_timeout)
            .finish_non_exhaustive()
    }
}
