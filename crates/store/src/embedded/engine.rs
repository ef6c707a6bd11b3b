//! The open database, and opening it again after the engine refused everything.
//!
//! After one failed read or write redb answers nothing more until it is opened again. When the
//! disk was full that is harmless: what failed was a write of the group that is told so. After a
//! failed sync it would be wrong: the system forgets the pages that it could not write, and the
//! next sync passes. So the syncs are watched.

use std::fmt;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use redb::{BackendError, Builder, Database, DatabaseError, StorageBackend};

use super::fault::Fault;

/// Bytes of pages that an open store keeps in memory.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// Gives the storage of a database, each time that it is opened.
pub(super) type Storage = dyn Fn() -> Result<Arc<dyn StorageBackend>, DatabaseError> + Send + Sync;

/// The one open database of a store.
pub(super) struct Engine {
    database: RwLock<Slot>,
    storage: Box<Storage>,
    sync_failed: Arc<AtomicBool>,
}

struct Slot {
    state: State,
    /// How often it was opened.
    openings: u64,
}

enum State {
    Open(Database),
    /// It could not be opened again, and whoever needs it tries.
    Broken,
    /// For good.
    Closed,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Engine {
    pub(super) fn open(storage: Box<Storage>) -> Result<Self, Fault> {
        let slot = Slot {
            state: State::Broken,
            openings: 0,
        };
        let engine = Self {
            database: RwLock::new(slot),
            storage,
            sync_failed: Arc::default(),
        };
        engine.fill(&mut engine.slot())?;
        Ok(engine)
    }

    /// Closes the database, after every read that goes on has ended, and opens it again; unless
    /// that was done since it was opened for the `openings`-th time.
    pub(super) fn reopen(&self, openings: u64) -> Result<(), Fault> {
        let mut slot = self.slot();
        if slot.openings == openings && matches!(slot.state, State::Open(_)) {
            set_state(&mut slot, State::Broken);
        }
        self.fill(&mut slot)
    }

    /// Closes the database for good, after every read that goes on has ended.
    pub(super) fn close(&self) {
        set_state(&mut self.slot(), State::Closed);
    }

    /// Uses the database. A panic of the engine is a [`Fault::Panicked`].
    pub(super) fn with<T>(
        &self,
        act: impl FnOnce(&Database) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut slot = self.database.read().unwrap_or_else(PoisonError::into_inner);
        if matches!(slot.state, State::Broken) {
            drop(slot);
            self.fill(&mut self.slot())?;
            slot = self.database.read().unwrap_or_else(PoisonError::into_inner);
        }
        match &slot.state {
            State::Open(database) => guarded(|| act(database)),
            State::Broken | State::Closed => Err(Fault::Engine(redb::Error::DatabaseClosed)),
        }
    }

    /// How often the database was opened.
    pub(super) fn openings(&self) -> u64 {
        let slot = self.database.read().unwrap_or_else(PoisonError::into_inner);
        slot.openings
    }

    /// Whether a sync ever failed: then nothing may be promised before the process starts anew.
    pub(super) fn sync_failed(&self) -> bool {
        self.sync_failed.load(Ordering::Acquire)
    }

    fn slot(&self) -> RwLockWriteGuard<'_, Slot> {
        self.database
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn fill(&self, slot: &mut Slot) -> Result<(), Fault> {
        if matches!(slot.state, State::Broken) {
            let storage = Watched {
                storage: (self.storage)()?,
                sync_failed: Arc::clone(&self.sync_failed),
            };
            slot.state = State::Open(guarded(|| Ok(builder().create_with_backend(storage)?))?);
            slot.openings += 1;
        }
        Ok(())
    }
}

/// Gives up a database, which may fail as any use of it may, and is no loss then.
fn set_state(slot: &mut Slot, state: State) {
    let before = std::mem::replace(&mut slot.state, state);
    let _ = guarded(|| {
        drop(before);
        Ok(())
    });
}

/// The engine may panic over a file that something else wrote to.
fn guarded<T>(act: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or(Err(Fault::Panicked))
}

/// How databases are opened.
pub(super) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// A storage whose failed syncs are noticed.
#[derive(Debug)]
struct Watched {
    storage: Arc<dyn StorageBackend>,
    sync_failed: Arc<AtomicBool>,
}

type IoResult<T> = Result<T, std::io::Error>;

impl StorageBackend for Watched {
    fn sync_data(&self) -> IoResult<()> {
        let result = self.storage.sync_data();
        if result.is_err() {
            self.sync_failed.store(true, Ordering::Release);
        }
        result
    }

    fn len(&self) -> IoResult<u64> {
        self.storage.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> IoResult<()> {
        self.storage.read(offset, out)
    }

    fn set_len(&self, len: u64) -> IoResult<()> {
        self.storage.set_len(len)
    }

    fn write(&self, offset: u64, data: &[u8]) -> IoResult<()> {
        self.storage.write(offset, data)
    }

    fn close(&self) -> IoResult<()> {
        self.storage.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.storage.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.storage.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.storage.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.storage.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.storage.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.storage.query_lock_range(start, end)
    }
}
