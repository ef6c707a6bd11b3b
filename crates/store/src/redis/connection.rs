//! Connections: how they are made, and the one that all reads share.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, FromRedisValue, IntoConnectionInfo as _,
    Pipeline, ProtocolVersion, PushInfo, RedisError, RedisResult, Value, cmd,
};
use tokio::sync::Mutex;

use super::check::{self, Promise};
use super::config::RedisConfig;
use super::fault::{Fault, Unanswered};
use super::fence::SYNC_WITHIN;
use super::script::Loaded;
use super::unfit::{ConnectError, Place};
use crate::StoreError;

/// How long the server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Times that a read is sent before it fails.
const READ_ATTEMPTS_MAX: u32 = 3;
/// The pause before a server that let nobody in is tried again.
const PAUSE: Duration = Duration::from_millis(50);
/// The pause before a server that loads its data is asked again.
const LOADING_PAUSE: Duration = Duration::from_millis(250);
/// Who asks where the address names nobody.
const NOBODY: &str = "default";

/// Makes connections to one server.
pub(super) struct Connector {
    config: RedisConfig,
    info: ConnectionInfo,
    place: Place,
}

/// A connection, and what its server calls the scripts.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) connection: MultiplexedConnection,
    pub(super) loaded: Loaded,
}

impl Connector {
    pub(super) fn new(config: RedisConfig) -> Result<Self, ConnectError> {
        let info = config.url.as_str().into_connection_info();
        let info = info.map_err(|_| ConnectError::Url)?;
        let settings = info.redis_settings().clone().set_skip_set_lib_name();
        let info = info.set_redis_settings(settings);
        let place = Place {
            address: info.addr().to_string(),
            user: info
                .redis_settings()
                .username()
                .unwrap_or(NOBODY)
                .to_owned(),
        };
        Client::open(info.clone()).map_err(|_| ConnectError::Url)?;
        Ok(Self {
            config,
            info,
            place,
        })
    }

    fn settings(&self) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(self.config.response_timeout))
    }

    /// Why the server cannot be used if it does not answer to this command as it should.
    pub(super) fn unfit(&self, command: &'static str, fault: Fault) -> ConnectError {
        self.place.unfit(command, fault)
    }

    /// Connects for reading.
    pub(super) async fn open(&self) -> Result<Link, Fault> {
        let mut connection = self.connect(self.info.clone(), self.settings()).await?;
        let loaded = Loaded::into_server(&mut connection).await?;
        Ok(Link { connection, loaded })
    }

    /// The same at the start: a server that still loads its data, or writes it anew, is waited for.
    pub(super) async fn open_first(&self) -> Result<(Link, Promise), ConnectError> {
        let mut patience = pin!(tokio::time::sleep(self.config.load_timeout));
        let mut waits = false;
        loop {
            let error = match self.open_checked().await {
                Err(error @ (ConnectError::Loading { .. } | ConnectError::Rewriting { .. })) => {
                    error
                }
                opened => return opened,
            };
            if !waits {
                tracing::info!(%error, "waits for redis");
                waits = true;
            }
            tokio::select! {
                biased;
                () = &mut patience => return Err(error),
                () = tokio::time::sleep(LOADING_PAUSE) => {}
            }
        }
    }

    /// Connects for writing: checks first what the server's answers are worth, and that its user
    /// may do what is needed.
    pub(super) async fn open_checked(&self) -> Result<(Link, Promise), ConnectError> {
        let mut connection = self
            .connect(self.info.clone(), self.settings())
            .await
            .map_err(|error| self.not_connected(error))?;
        let promise = check::check(&mut connection, &self.config, &self.place).await?;
        if promise.fenced {
            connection.set_response_timeout(self.config.response_timeout + SYNC_WITHIN);
        }
        let loaded = Loaded::into_server(&mut connection)
            .await
            .map_err(|error| self.place.unfit("script|load", error))?;
        Ok((Link { connection, loaded }, promise))
    }

    fn not_connected(&self, error: RedisError) -> ConnectError {
        if error.detail().is_some_and(|told| told.contains("DB index")) {
            return ConnectError::NoDatabase {
                address: self.place.address.clone(),
                database: self.info.redis_settings().db(),
            };
        }
        // What else is sent to connect, everybody may.
        self.place.unfit("select", error)
    }

    /// Connects for listening: what the server pushes goes to `heard`, which must not block.
    pub(super) async fn open_listening(
        &self,
        heard: impl Fn(PushInfo) -> Result<(), ()> + Send + Sync + 'static,
    ) -> Result<MultiplexedConnection, Fault> {
        let redis = self.info.redis_settings().clone();
        let redis = redis.set_protocol(ProtocolVersion::RESP3);
        let info = self.info.clone().set_redis_settings(redis);
        let settings = self.settings().set_push_sender(heard);
        Ok(self.connect(info, settings).await?)
    }

    async fn connect(
        &self,
        info: ConnectionInfo,
        settings: AsyncConnectionConfig,
    ) -> RedisResult<MultiplexedConnection> {
        Client::open(info)?
            .get_multiplexed_async_connection_with_config(&settings)
            .await
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// The connection that all reads share: a write that waits for the disk does not hold them up.
pub(super) struct Reader {
    connector: Arc<Connector>,
    open: Mutex<Open>,
    /// Counts the attempts to connect that failed.
    failures: AtomicU64,
}

#[derive(Default)]
struct Open {
    link: Option<Link>,
    /// Counts the connections, so that one that failed is given up once.
    count: u64,
}

impl Reader {
    pub(super) fn new(connector: Arc<Connector>) -> Self {
        Self {
            connector,
            open: Mutex::default(),
            failures: AtomicU64::new(0),
        }
    }

    /// Sends commands, again if nobody answers: reading twice does no harm.
    pub(super) async fn ask(
        &self,
        commands: impl Fn(&Loaded) -> Pipeline,
    ) -> Result<Vec<Value>, StoreError> {
        let mut fault = Fault::Unanswered(Unanswered::Other("no attempt".to_owned()));
        for _ in 0..READ_ATTEMPTS_MAX {
            let (mut link, count) = match self.link().await {
                Ok(link) => link,
                Err(failed) => {
                    fault = failed;
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            match values(commands(&link.loaded), &mut link.connection).await {
                Ok(values) => return Ok(values),
                Err(failed @ (Fault::Refused(_) | Fault::Denied(_))) => return Err(failed.into()),
                Err(failed @ (Fault::NoScript | Fault::Unanswered(_))) => {
                    // A new connection loads the scripts too.
                    self.give_up(count).await;
                    fault = failed;
                }
            }
        }
        Err(fault.into())
    }

    /// Sends a command once: for what need not succeed.
    pub(super) async fn once<T: FromRedisValue>(&self, command: Cmd) -> Option<T> {
        let (mut link, _) = self.link().await.ok()?;
        command.query_async(&mut link.connection).await.ok()
    }

    /// The server's time, in microseconds since 1970.
    pub(super) async fn time_us(&self) -> Option<u64> {
        let (seconds, micros): (u64, u64) = self.once(cmd("TIME")).await?;
        seconds.checked_mul(1_000_000)?.checked_add(micros)
    }

    async fn link(&self) -> Result<(Link, u64), Fault> {
        let failures = self.failures.load(Ordering::Relaxed);
        let mut open = self.open.lock().await;
        if let Some(link) = &open.link {
            return Ok((link.clone(), open.count));
        }
        if self.failures.load(Ordering::Relaxed) != failures {
            // Who had the lock before just tried: if all who wait did, one after the other, the
            // last would wait for ever.
            let why = Unanswered::Other("no connection".to_owned());
            return Err(Fault::Unanswered(why));
        }
        match self.connector.open().await {
            Ok(link) => {
                open.count += 1;
                Ok((open.link.insert(link).clone(), open.count))
            }
            Err(fault) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                Err(fault)
            }
        }
    }

    async fn give_up(&self, count: u64) {
        let mut open = self.open.lock().await;
        if open.count == count {
            open.link = None;
        }
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.connector.fmt(f)
    }
}

async fn values(
    mut commands: Pipeline,
    connection: &mut MultiplexedConnection,
) -> Result<Vec<Value>, Fault> {
    let answers: Vec<RedisResult<Value>> = commands.ignore_errors().query_async(connection).await?;
    answers
        .into_iter()
        .map(|answer| answer.map_err(Fault::from))
        .collect()
}
