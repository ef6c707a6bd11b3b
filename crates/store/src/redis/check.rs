//! What a server must be before anything is promised on its word.

use std::collections::BTreeMap;

use edge_ledger_core::ledger::Level;
use redis::aio::MultiplexedConnection;
use redis::{RedisError, cmd};

use super::config::{AppendFsync, RedisConfig};
use super::fault::Fault;
use super::fence;

/// The oldest version whose scripts can say what they do.
const MAJOR_VERSION_MIN: u32 = 7;
/// The one policy that never drops what is kept.
const POLICY: &str = "noeviction";

/// Why a server is not used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL cannot be read; it is not repeated here, since it may hold a password.
    #[error("the address of redis is no redis:// URL, or asks for what is not built in (TLS)")]
    Url,
    /// It cannot be reached, or does not let us in.
    #[error("cannot connect to redis at {address}: {why}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// What happened.
        why: String,
    },
    /// Its version is too old.
    #[error("redis {0} is too old: version 7.0 or later is needed")]
    TooOld(String),
    /// It is part of a set-up that this store does not know.
    #[error("redis runs in {0} mode: only a standalone server is supported")]
    Mode(String),
    /// It is a replica, which takes no writes.
    #[error("redis is a replica: name its primary")]
    Replica,
    /// It may drop keys when memory is full.
    #[error(
        "redis may drop what is kept (maxmemory-policy {0}): set `maxmemory-policy noeviction`, \
         and run `CONFIG SET maxmemory-policy noeviction` for the running server"
    )]
    Evicts(String),
    /// It may lose what it answered.
    #[error(
        "redis may lose what it answered ({found}): set `appendonly yes` and `appendfsync always` \
         (for the running server `CONFIG SET appendonly yes` and `CONFIG SET appendfsync always`); \
         or `appendfsync everysec` on redis 7.2 or later, and allow `WAITAOF` to this user; \
         or accept the loss window by name, and then nothing is acked"
    )]
    LossWindow {
        /// Its settings.
        found: String,
    },
    /// It does not let us ask for its settings.
    #[error(
        "redis does not tell {0}: allow `CONFIG GET` and `INFO` to this user, or declare \
         `appendfsync` in the configuration"
    )]
    Untold(&'static str),
}

/// What a server's answers are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Promise {
    pub(super) level: Level,
    /// Whether that holds only of what the server was waited for to sync.
    pub(super) fenced: bool,
}

impl Promise {
    const AT_ONCE: Self = Self {
        level: Level::Durable,
        fenced: false,
    };
    const WHEN_SYNCED: Self = Self {
        level: Level::Durable,
        fenced: true,
    };
    const NONE: Self = Self {
        level: Level::Volatile,
        fenced: false,
    };
}

/// Checks the server; says what its answers are worth.
pub(super) async fn check(
    connection: &mut MultiplexedConnection,
    config: &RedisConfig,
    address: &str,
) -> Result<Promise, ConnectError> {
    let info = info(connection)
        .await
        .map_err(|error| unreachable(address, error))?;
    let told = |name: &'static str| info.get(name).ok_or(ConnectError::Untold(name));
    let version = told("redis_version")?;
    let major = version.split('.').next().and_then(|part| part.parse().ok());
    if major.is_none_or(|major: u32| major < MAJOR_VERSION_MIN) {
        return Err(ConnectError::TooOld(version.clone()));
    }
    match told("redis_mode")?.as_str() {
        "standalone" => {}
        mode => return Err(ConnectError::Mode(mode.to_owned())),
    }
    if told("role")? != "master" {
        return Err(ConnectError::Replica);
    }
    // Unlike other settings, INFO tells these.
    let policy = told("maxmemory_policy")?;
    if policy != POLICY {
        return Err(ConnectError::Evicts(policy.clone()));
    }
    let promise = promise(connection, config, told("aof_enabled")? == "1").await;
    if let Err(ConnectError::LossWindow { found }) = &promise
        && config.accept_loss_window
    {
        tracing::warn!(%found, "redis may lose what it answered: nothing is acked");
        return Ok(Promise::NONE);
    }
    promise
}

async fn promise(
    connection: &mut MultiplexedConnection,
    config: &RedisConfig,
    append_only: bool,
) -> Result<Promise, ConnectError> {
    if !append_only {
        let found = "appendonly no".to_owned();
        return Err(ConnectError::LossWindow { found });
    }
    let asked: Result<BTreeMap<String, String>, RedisError> = cmd("CONFIG")
        .arg("GET")
        .arg("appendfsync")
        .query_async(connection)
        .await;
    let asked = asked.ok().and_then(|settings| {
        let setting = settings.get("appendfsync")?;
        AppendFsync::from_setting(setting)
    });
    match asked.or(config.declared_appendfsync) {
        Some(AppendFsync::Always) => Ok(Promise::AT_ONCE),
        Some(AppendFsync::EverySecond) if can_wait(connection).await => Ok(Promise::WHEN_SYNCED),
        Some(weaker) => {
            let found = format!("appendfsync {weaker}");
            Err(ConnectError::LossWindow { found })
        }
        None => Err(ConnectError::Untold("appendfsync")),
    }
}

/// Whether the server knows `WAITAOF`, and this user may call it: nothing but a call tells.
async fn can_wait(connection: &mut MultiplexedConnection) -> bool {
    // This connection wrote nothing, so that there is nothing to wait for.
    let answer = fence::wait(fence::SYNC_WITHIN)
        .query_async(connection)
        .await;
    fence::is_synced(answer)
}

async fn info(
    connection: &mut MultiplexedConnection,
) -> Result<BTreeMap<String, String>, RedisError> {
    let text: String = cmd("INFO").query_async(connection).await?;
    let facts = text.lines().filter_map(|line| line.split_once(':'));
    Ok(facts
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect())
}

pub(super) fn unreachable(address: &str, error: impl Into<Fault>) -> ConnectError {
    let why = match error.into() {
        Fault::Unanswered(why) => why,
        fault @ (Fault::NoScript | Fault::Refused(_)) => crate::StoreError::from(fault).to_string(),
    };
    ConnectError::Unreachable {
        address: address.to_owned(),
        why,
    }
}
