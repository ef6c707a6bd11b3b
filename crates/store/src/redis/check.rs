//! What a server must be before anything is promised on its word.

use std::collections::BTreeMap;

use edge_ledger_core::ledger::Level;
use redis::aio::MultiplexedConnection;
use redis::{RedisError, cmd};

use super::config::{AppendFsync, RedisConfig};
use super::fault::Fault;
use super::fence;
use super::rights;
use super::unfit::{ConnectError, Place};

/// The oldest version whose scripts can say what they do.
const MAJOR_VERSION_MIN: u32 = 7;
/// When the file of the server's writes is synced.
const APPEND_FSYNC: &str = "appendfsync";
/// Whether that stops while the server writes its data anew.
const PAUSES: &str = "no-appendfsync-on-rewrite";
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
    let append_only = told("aof_enabled")? == "1";
    // One that was just told to keep such a file has none before it has written all of it anew.
    let begins = ["aof_rewrite_in_progress", "aof_rewrite_scheduled"];
    if append_only
        && begins
            .iter()
            .any(|name| info.get(*name).is_some_and(|is| is == "1"))
    {
        let address = place.address.clone();
        return Err(ConnectError::Rewriting { address });
    }
    let promise = promise(connection, config, place, append_only).await;
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
    place: &Place,
    append_only: bool,
) -> Result<Promise, ConnectError> {
    let loses = |found: &str| ConnectError::LossWindow {
        found: found.to_owned(),
    };
    if !append_only {
        return Err(loses("appendonly no"));
    }
    let asked = cmd("CONFIG")
        .arg("GET")
        .arg(APPEND_FSYNC)
        .arg(PAUSES)
        .query_async(connection)
        .await;
    let settings: BTreeMap<String, String> = match asked.map_err(Fault::from) {
        Ok(settings) => settings,
        // Whether it may be asked is not known.
        Err(fault @ Fault::Unanswered(_)) => return Err(place.unfit("config|get", fault)),
        Err(Fault::Denied(_) | Fault::NoScript | Fault::Refused(_)) => BTreeMap::new(),
    };
    let asked = settings.get(APPEND_FSYNC);
    let asked = asked.and_then(|setting| AppendFsync::from_setting(setting));
    match asked.or(config.declared_appendfsync) {
        Some(AppendFsync::Always) if settings.get(PAUSES).is_some_and(|is| is == "yes") => {
            Err(loses("no-appendfsync-on-rewrite yes"))
        }
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
