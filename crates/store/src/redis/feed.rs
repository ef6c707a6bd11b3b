//! Hints of other processes: what they commit is published by the scripts that commit it.
//!
//! A hint names its process and its kind; what it is about stands in the channel. This process
//! announces its own commits itself, with the verified runs, and passes over its own hints. Only
//! that a device opened a stream, and what devices say to each other, is heard here too.

use std::sync::Arc;
use std::time::Duration;

use edge_ledger_core::ids::{DeviceId, IdentityId};
use redis::aio::MultiplexedConnection;
use redis::{PushInfo, PushKind, Value, cmd};
use tokio::sync::{Notify, broadcast};

use super::RedisStore;
use super::connection::Connector;
use super::fault::Fault;
use super::keys::{CHANNELS, Keys, of_channel};
use super::signals::{self, SIGNAL};
use super::stamp::{Stamp, Stamps};
use crate::{Change, Origin};

/// How often the connection is tried: one that is dead without a sign is found out so.
const PING_EVERY: Duration = Duration::from_secs(5);
/// The pause before the server is tried again.
const PAUSE: Duration = Duration::from_millis(200);

/// What a hint is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hint {
    Entries,
    Log,
    Link,
}

impl Hint {
    fn code(self) -> u8 {
        match self {
            Self::Entries => b'e',
            Self::Log => b'l',
            Self::Link => b'k',
        }
    }

    /// The message that says it of this process.
    pub(super) fn message(self, origin: Stamp) -> Vec<u8> {
        [&origin[..], &[self.code()]].concat()
    }
}

/// The kind of a hint that a device opened a stream.
const OPENED: u8 = b'o';

impl RedisStore {
    /// Publishes that a device opened a stream. The order is the server's time, asked for before:
    /// a request that waited somewhere for long does not look like a later stream.
    pub(super) async fn publish_opened(
        &self,
        identity: IdentityId,
        device: DeviceId,
        stream: Origin,
    ) {
        let Some(order) = self.open.reader.time_us().await else {
            return;
        };
        let message = [
            &self.open.stamps.origin()[..],
            device.as_bytes(),
            &stream.0.to_be_bytes(),
            &order.to_be_bytes(),
            &[OPENED],
        ];
        let mut command = cmd("PUBLISH");
        command
            .arg(Keys::of(identity).channel())
            .arg(message.concat());
        let _: Option<i64> = self.open.reader.once(command).await;
    }
}

/// Listens to what other processes publish.
#[derive(Debug, Clone)]
pub(super) struct Listener {
    pub(super) connector: Arc<Connector>,
    pub(super) stamps: Arc<Stamps>,
    pub(super) feed: broadcast::Sender<Change>,
}

impl Listener {
    /// Subscribes. What is published from then on is heard until the connection breaks, of which
    /// `broken` tells.
    pub(super) async fn subscribe(
        &self,
        broken: Arc<Notify>,
    ) -> Result<MultiplexedConnection, Fault> {
        let listener = self.clone();
        let heard = move |push: PushInfo| {
            if push.kind == PushKind::PMessage {
                listener.hear(&push.data);
            } else if push.kind == PushKind::Disconnection {
                broken.notify_one();
            }
            Ok(())
        };
        let mut connection = self.connector.open_listening(heard).await?;
        connection.psubscribe(CHANNELS).await?;
        Ok(connection)
    }

    /// Keeps the subscription up, for ever. Whoever receives is told when there was none.
    pub(super) async fn run(self, mut connection: MultiplexedConnection, mut broken: Arc<Notify>) {
        loop {
            hold(&mut connection, &broken).await;
            tracing::warn!("the hints of other processes are cut off");
            (connection, broken) = self.subscribe_again().await;
            let _ = self.feed.send(Change::Lost);
        }
    }

    async fn subscribe_again(&self) -> (MultiplexedConnection, Arc<Notify>) {
        loop {
            let broken = Arc::new(Notify::new());
            match self.subscribe(Arc::clone(&broken)).await {
                Ok(connection) => return (connection, broken),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Takes in the pattern, the channel and the message of a hint.
    fn hear(&self, data: &[Value]) {
        let [_, Value::BulkString(channel), Value::BulkString(message)] = data else {
            return;
        };
        let (Some(about), Some((&code, origin))) = (of_channel(channel), message.split_last())
        else {
            return;
        };
        let identity = IdentityId::from_bytes(about);
        if code == OPENED {
            self.hear_opened(identity, origin);
            return;
        }
        if code == SIGNAL {
            if let Some(signal) = signals::decode(identity, origin) {
                let _ = self.feed.send(Change::Signal(signal));
            }
            return;
        }
        if origin == self.stamps.origin() {
            return;
        }
        let kinds = [Hint::Entries, Hint::Log, Hint::Link];
        let change = match kinds.into_iter().find(|hint| hint.code() == code) {
            Some(Hint::Entries) => Change::Elsewhere { identity },
            Some(Hint::Log) => Change::Log { identity },
            Some(Hint::Link) => Change::Link { session: about },
            // What a later version publishes: reading the store is never wrong.
            None => Change::Lost,
        };
        // Nobody listening is nobody's loss.
        let _ = self.feed.send(change);
    }

    fn hear_opened(&self, identity: IdentityId, message: &[u8]) {
        let Some((origin, rest)) = message.split_first_chunk::<{ size_of::<Stamp>() }>() else {
            return;
        };
        let Some((device, rest)) = rest.split_first_chunk::<16>() else {
            return;
        };
        let Some((stream, order)) = rest.split_first_chunk::<8>() else {
            return;
        };
        let Ok(order) = order.try_into() else { return };
        let own = self.stamps.is_own(origin);
        let _ = self.feed.send(Change::Opened {
            identity,
            device: DeviceId::from_bytes(*device),
            stream: own.then_some(Origin(u64::from_be_bytes(*stream))),
            order: u64::from_be_bytes(order),
        });
    }
}

/// Returns when the connection is broken.
async fn hold(connection: &mut MultiplexedConnection, broken: &Notify) {
    loop {
        if tokio::time::timeout(PING_EVERY, broken.notified())
            .await
            .is_ok()
        {
            return;
        }
        let pong: redis::RedisResult<String> = cmd("PING").query_async(connection).await;
        if pong.is_err() {
            return;
        }
    }
}
