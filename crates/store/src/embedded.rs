//! The embedded store: one file, or the same engine in memory, behind both seams.
//!
//! For one process: it holds the file's lock. The pair of services run by `edge-ledger up` share
//! one, and a device agent has its own, with an [outbox](Embedded::record) beside the journals.
//!
//! The file is a redb database. One thread commits everything in groups, each with a sync; what
//! it replied and announced survives a power cut. Reads see the last commit. They run on tokio's
//! blocking threads, because a page that is not in memory costs a read of the disk; in memory
//! both run where they are called.

mod committer;
mod desk;
mod engine;
mod entry;
mod expiry;
mod facts;
mod fault;
mod identity_store;
mod journal;
mod layout;
mod ledger_store;
mod links;
mod log;
mod operator_store;
mod outbox;
mod passes;
mod place;
mod renewal;
mod tables;
#[cfg(test)]
mod tests;
mod write;

use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use edge_ledger_core::ledger::Level;
use redb::backends::InMemoryBackend;
use redb::{ReadableTable as _, StorageBackend};
use tokio::sync::{broadcast, watch};

pub use outbox::OUTBOX_POSTINGS_MAX;
pub use place::OpenError;
pub use renewal::Renewal;

use crate::change::CHANGES_BEHIND_MAX;
use crate::{Change, Health, StoreError};
use committer::Committer;
use desk::Desk;
use engine::{Engine, Storage};
use fault::Fault;
use tables::{Snapshot, Tables};
use write::Decision;

/// The layout of the file that this code writes and reads.
const FORMAT: &[u8] = &[1];
/// Its name among the facts about the file.
const FORMAT_NAME: &str = "format";
/// How often a store that is full looks whether there is room again.
const PROBE_EVERY: Duration = Duration::from_secs(2);

/// The embedded store. Clones are handles to the same one; when the last is dropped, what was
/// handed in is committed and the file is closed, which may block for as long as a sync takes.
#[derive(Debug, Clone)]
pub struct Embedded {
    open: Arc<Open>,
}

#[derive(Debug)]
struct Open {
    desk: Desk,
    engine: Arc<Engine>,
    feed: broadcast::Sender<Change>,
    health: watch::Receiver<Health>,
    level: Level,
    /// Counts the streams that were opened.
    streams: AtomicU64,
}

impl Embedded {
    /// Opens the store in a file; makes the file, and the folders above it, if there is none.
    /// Blocks for a few milliseconds, also after a crash.
    ///
    /// # Errors
    /// [`OpenError`] saying why not.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        place::prepare(path)?;
        let file = path.to_owned();
        let storage = Box::new(move || place::storage(&file));
        Self::with_storage(path, Level::Durable, storage, PROBE_EVERY)
    }

    /// Opens an empty store in memory: the same engine without a file, for tests and trials.
    /// Nothing survives the last handle, and [`level`](crate::LedgerStore::level) says so.
    pub fn in_memory() -> Self {
        let memory: Arc<dyn StorageBackend> = Arc::new(InMemoryBackend::new());
        let storage = Box::new(move || Ok(Arc::clone(&memory)));
        Self::with_storage(Path::new("memory"), Level::Volatile, storage, PROBE_EVERY)
            .expect("memory is neither locked nor damaged nor full")
    }

    /// How the store is, and every change of it. Whoever runs a service ends the process when it
    /// says [`Health::Failed`]; what was promised is in the file when it starts anew.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.open.health.clone()
    }

    /// Whether a sync or commit failed, so that no write is accepted any more.
    pub fn poisoned(&self) -> bool {
        *self.open.health.borrow() == Health::Failed
    }

    fn with_storage(
        path: &Path,
        level: Level,
        storage: Box<Storage>,
        probe_every: Duration,
    ) -> Result<Self, OpenError> {
        let fault = |fault| OpenError::fault(path, fault);
        let engine = Engine::open(storage).map_err(fault)?;
        let format = engine.with(prepare_tables).map_err(fault)?;
        if format != FORMAT {
            return Err(OpenError::Newer(path.to_owned()));
        }
        let engine = Arc::new(engine);
        let (feed, _) = broadcast::channel(CHANGES_BEHIND_MAX);
        let (health_sender, health) = watch::channel(Health::Serving);
        let committer = Committer {
            engine: Arc::clone(&engine),
            feed: feed.clone(),
            health: health_sender,
        };
        let desk = match level {
            Level::Volatile => Desk::Caller(Mutex::new(committer)),
            Level::Durable | Level::Replicated => {
                Desk::with_thread(committer, probe_every).map_err(OpenError::io(path))?
            }
        };
        let open = Open {
            desk,
            engine,
            feed,
            health,
            level,
            streams: AtomicU64::new(0),
        };
        Ok(Self {
            open: Arc::new(open),
        })
    }

    async fn write<T, F>(&self, bytes: usize, act: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Tables<'_>) -> Result<Decision<T>, Fault> + Send + 'static,
    {
        self.open.desk.write(bytes, act).await
    }

    async fn read<T, F>(&self, act: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Snapshot) -> Result<T, Fault> + Send + 'static,
    {
        let engine = Arc::clone(&self.open.engine);
        let read = move || read(&engine, act);
        let result = match self.open.desk {
            Desk::Caller(_) => read(),
            Desk::Thread { .. } => {
                let ended = |_| StoreError::Unavailable("the runtime ends".to_owned());
                tokio::task::spawn_blocking(read).await.map_err(ended)?
            }
        };
        Ok(result?)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.desk.finish();
        self.engine.close();
    }
}

/// Reads the state of one moment. After one failed read the engine refuses all others, so it is
/// opened again; what was meant for this one is tried once more.
fn read<T>(engine: &Engine, act: impl Fn(&Snapshot) -> Result<T, Fault>) -> Result<T, Fault> {
    let openings = engine.openings();
    let attempt = || engine.with(|database| act(&Snapshot::of(database)?));
    let result = attempt();
    let failed = matches!(&result, Err(fault) if fault.is_latched() || fault.is_io());
    if !failed || engine.sync_failed() {
        return result;
    }
    engine.reopen(openings)?;
    attempt()
}

/// Creates what tables are missing; says which layout the file has.
fn prepare_tables(database: &redb::Database) -> Result<Vec<u8>, Fault> {
    let transaction = database.begin_write()?;
    let mut tables = Tables::open(&transaction)?;
    let found = tables
        .globals
        .get(FORMAT_NAME)?
        .map(|value| value.value().to_vec());
    if let Some(format) = found {
        return Ok(format);
    }
    tables.globals.insert(FORMAT_NAME, FORMAT)?;
    drop(tables);
    transaction.commit()?;
    Ok(FORMAT.to_vec())
}
