//! The Redis store: any number of processes of either service behind one standalone server.
//!
//! | key | type | holds |
//! | --- | --- | --- |
//! | `el:log:{I}` | hash | `version` of the log, its `length`, store `epoch`, `terms` of the operator |
//! | `el:statements:{I}` | list | the statements in order, each with what its receipt signs |
//! | `el:tips:{I}` | hash | by device: how its journal ends, with signatures |
//! | `el:entries:{I}:D` | hash | by place: the entries of the journal of device D |
//! | `el:nonce:{I}:N` | string | a redeemed nonce, until a minute after its end |
//! | `el:session:{I}:T` | string | a session by the hash of its token, until a minute after its end |
//! | `el:link:{S}` | hash | a link session with its messages, until a minute after its end |
//! | `el:fence:{g}` | string | nothing: a server that syncs once a second is waited for by it |
//! | `el:probe:{g}` | string | nothing: it tells whether the server takes writes |
//! | `el:probe:{g}:R` | string | nothing: it tells what the user may do; R is new each time |
//! | `el:feed:{I}`, `el:feed:{S}` | channel | hints for other processes, and what devices say |
//!
//! I, S, N and T stand for 64, D for 32, R for 16 hex digits. How values are laid out says `layout.rs`. All
//! keys of an identity have one hash tag, so that one script can touch them wherever they are.
//!
//! Entries lie in one hash per journal, keyed by their place: the parent of every kept entry is
//! kept, so the places have no gap, and ranges, membership and locators need no index beside it.
//! An entry costs its payload and about 200 bytes, of which hashes and signature are 128.
//!
//! Whether something may happen is decided in this process, by the rules of `core`, on what was
//! read. One script then compares what was decided under (the log's version or head, and how the
//! journals end), and carries it out and publishes a hint in the same step; otherwise it says what
//! is different, and the decision is made anew.
//!
//! An ack needs `appendonly yes` with `appendfsync always`, or `everysec` on a server that can be
//! waited for (`WAITAOF`, from 7.2 on; it then takes up to a second). `maxmemory-policy noeviction`
//! is needed in any case. All are looked at whenever the committer connects, and so is what the
//! user may do, by calls that change nothing. The user needs no more than
//!
//! ```text
//! ACL SETUSER edge-ledger on >PASSWORD resetkeys ~el:* resetchannels &el:feed:{*} -@all
//!   +evalsha +script|load +info +config|get +time +ping +psubscribe +publish +select
//!   +get +set +del +unlink +pexpire +hget +hset +hsetnx +hmget +hgetall +hdel +hincrby
//!   +lindex +lrange +rpush +scan
//! ```
//!
//! and `+waitaof` where it is waited for. Without `+config|get` the operator declares what `appendfsync` is
//! ([`declared_appendfsync`](RedisConfig::declared_appendfsync)).

mod adopt;
mod answer;
mod append;
mod change_set;
mod check;
#[cfg(any(test, feature = "testing"))]
pub mod commands;
mod committer;
mod config;
mod connection;
mod endings;
mod fault;
mod feed;
mod fence;
mod health;
mod identity_store;
mod journal;
mod keys;
mod layout;
mod ledger_store;
mod links;
mod log;
mod operator_store;
mod pages;
mod passes;
#[cfg(any(test, feature = "testing"))]
pub mod proxy;
mod rights;
mod script;
#[cfg(any(test, feature = "testing"))]
pub mod server;
mod signals;
mod stamp;
mod survey;
mod unfit;

use std::sync::Arc;

use edge_ledger_core::ledger::Level;
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};
use tokio::task::JoinSet;

pub use config::{AppendFsync, RedisConfig};
pub use fault::Unanswered;
pub use rights::Lack;
pub use unfit::ConnectError;

use crate::change::CHANGES_BEHIND_MAX;
use crate::{Change, Health, StoreError};
use committer::{Answer, Committer, QUEUE_WRITES_MAX, Write};
use connection::{Connector, Reader};
use endings::Endings;
use feed::Listener;
use fence::Fences;
use script::Call;
use stamp::Stamps;

/// The Redis store. Clones are handles to the same connections, which end with the last of them.
#[derive(Debug, Clone)]
pub struct RedisStore {
    open: Arc<Open>,
}

#[derive(Debug)]
struct Open {
    writes: mpsc::Sender<Write>,
    reader: Reader,
    feed: broadcast::Sender<Change>,
    stamps: Arc<Stamps>,
    endings: Endings,
    fences: Arc<Fences>,
    level: Level,
    health: watch::Receiver<Health>,
    _tasks: JoinSet<()>,
}

impl RedisStore {
    /// Connects to a server, and checks what its answers are worth. While the store is open it
    /// connects again by itself.
    ///
    /// # Errors
    /// [`ConnectError`] saying what to change.
    pub async fn connect(config: RedisConfig) -> Result<Self, ConnectError> {
        let connector = Arc::new(Connector::new(config)?);
        let (link, promise) = connector.open_first().await?;
        let (feed, _) = broadcast::channel(CHANGES_BEHIND_MAX);
        let stamps = Arc::new(Stamps::new());
        let mut tasks = JoinSet::new();

        let listener = Listener {
            connector: Arc::clone(&connector),
            stamps: Arc::clone(&stamps),
            feed: feed.clone(),
        };
        let broken = Arc::new(Notify::new());
        let listening = listener.subscribe(Arc::clone(&broken)).await;
        let listening = listening.map_err(|fault| connector.unfit("psubscribe", fault))?;
        tasks.spawn(listener.run(listening, broken));

        let fences = Arc::new(Fences::default());
        fences.reset(promise.fenced);
        let (writes, waiting) = mpsc::channel(QUEUE_WRITES_MAX);
        let (tell_health, health) = watch::channel(Health::Serving);
        let committer = Committer {
            connector: Arc::clone(&connector),
            link: Some(link),
            promise,
            fences: Arc::clone(&fences),
            stamps: Arc::clone(&stamps),
            feed: feed.clone(),
            health: tell_health,
        };
        tasks.spawn(committer.run(waiting));

        let open = Open {
            writes,
            reader: Reader::new(connector),
            feed,
            stamps,
            endings: Endings::default(),
            fences,
            level: promise.level,
            health,
            _tasks: tasks,
        };
        Ok(Self {
            open: Arc::new(open),
        })
    }

    /// Hands in a write, and waits until it is committed or refused. `judge` reads the answer; the
    /// change that it names is announced before anything else that is committed later.
    async fn write<T: Send + 'static>(
        &self,
        call: Call,
        judge: impl FnOnce(Answer) -> Result<(T, Option<Change>), StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let gone = || StoreError::Unavailable("the committer ended".to_owned());
        let (reply, decided) = oneshot::channel();
        let write = Write::new(call, move |answer, feed: &broadcast::Sender<Change>| {
            let judged = answer.and_then(judge).map(|(value, change)| {
                // Both fail when nobody listens, which is nobody's loss: it is committed.
                if let Some(change) = change {
                    let _ = feed.send(change);
                }
                value
            });
            let _ = reply.send(judged);
        });
        self.open.writes.send(write).await.map_err(|_| gone())?;
        decided.await.map_err(|_| gone())?
    }
}
