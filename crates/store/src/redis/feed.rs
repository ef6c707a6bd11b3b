//! Hints of other processes: what they commit is published by the scripts that commit it.
//!
//! A hint names its process and its kind; what it is about stands in the channel. This process
//! announces its own commits itself, with the verified runs, and passes over its own hints.

use std::sync::Arc;
use std::time::Duration;

use edge_ledger_core::ids::IdentityId;
use redis::aio::MultiplexedConnection;
use redis::{PushInfo, PushKind, Value, cmd};
use tokio::sync::{Notify, broadcast};

use super::connection::Connector;
use super::fault::Fault;
use super::keys::{CHANNELS, of_channel};
use super::stamp::{Stamp, Stamps};
use crate::Change;

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
        if origin == self.stamps.origin() {
            return;
        }
        let identity = IdentityId::from_bytes(about);
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
