//! What a server must be before anything is promised on its word.

use std::collections::BTreeMap;

use edge_ledger_core::ledger::Level;
use redis::aio::MultiplexedConnection;
use redis::{RedisError, cmd};

use super::config::{AppendFsync, RedisConfig};
use super::fence;
use super::rights;
use super::unfit::{ConnectError, Place};

/// The oldest version whose scripts can say what they do.
const MAJOR_VERSION_MIN: u32 = 7;
/// The one policy that never drops what is kept.
const POLICY: &str = "noeviction";

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

/// Checks the server, and what its user may do; says what its answers are worth.
pub(super) async fn check(
    connection: &mut MultiplexedConnection,
    config: &RedisConfig,
    place: &Place,
) -> Result<Promise, ConnectError> {
    let promise = settings(connection, config, place).await?;
    rights::check(connection, place).await?;
    Ok(promise)
}

async fn settings(
    connection: &mut MultiplexedConnection,
    config: &RedisConfig,
    place: &Place,
) -> Result<Promise, ConnectError> {
    let info = info(connection)
        .await
        .map_err(|error| place.unfit("info", error))?;
    if info.get("loading").is_some_and(|loading| loading == "1") {
        let loaded = info.get("loading_loaded_perc");
        return Err(ConnectError::Loading {
            address: place.address.clone(),
            loaded: loaded.cloned().unwrap_or_else(|| "?".to_owned()),
        });
    }
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
