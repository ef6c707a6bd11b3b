//! A simulated disk: it remembers what was synced, runs full, fails, and loses power.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use redb::StorageBackend;

/// Bytes that a disk writes in one piece.
const SECTOR_BYTES: usize = 512;
/// Long enough for a slow machine; nothing waits for it when all is well.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Disk {
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What a power cut leaves for sure.
    synced: Vec<u8>,
    /// What the system shows.
    now: Vec<u8>,
    /// Sectors and lengths that were written since the last sync.
    dirty: BTreeSet<usize>,
    /// Sectors that were ever written.
    taken: BTreeSet<usize>,
    /// How the disk fails.
    plan: Plan,
    syncs: usize,
    waiting: usize,
    /// Writes for which there was no room.
    refusals: usize,
}

/// How a disk fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Plan {
    #[default]
    Never,
    /// It has room for so many more sectors, and writes over those that it has.
    RoomFor(u64),
    /// It is full after so many writes, and writes over nothing (a copy-on-write file system).
    FullAfter(u64),
    /// A sync fails after so many, once, and the sectors that it should have written are
    /// forgotten, as Linux does.
    SyncFailsAfter(u64),
    /// The next read fails, once.
    ReadFails,
    /// No read works.
    ReadsFail,
    /// Everything fails after so many writes and syncs.
    DeadAfter(u64),
    /// Syncs wait until the plan changes.
    SyncsWait,
}

impl Disk {
    pub(super) fn set_plan(&self, plan: Plan) {
        self.state().plan = plan;
        self.freed.notify_all();
    }

    pub(super) fn syncs(&self) -> usize {
        self.state().syncs
    }

    pub(super) fn refusals(&self) -> usize {
        self.state().refusals
    }

    /// Waits until there was no room for so many writes.
    pub(super) fn wait_for_refusals(&self, count: usize) {
        let mut state = self.state();
        while state.refusals < count {
            let (woken, waited) = self.freed.wait_timeout(state, PATIENCE).unwrap();
            assert!(!waited.timed_out(), "nothing was written");
            state = woken;
        }
    }

    /// Waits until a sync waits.
    pub(super) fn wait_for_sync(&self) {
        let mut state = self.state();
        while state.waiting == 0 {
            state = self.wait(state);
        }
    }

    /// The disk after a power cut: of the sectors that were not synced, those survive for which
    /// `survives` says so.
    pub(super) fn after_power_cut(&self, mut survives: impl FnMut() -> bool) -> Self {
        let state = self.state();
        let mut left = state.synced.clone();
        if state.now.len() > left.len() && survives() {
            left.resize(state.now.len(), 0);
        }
        for sector in &state.dirty {
            let bytes = sector * SECTOR_BYTES..(sector + 1) * SECTOR_BYTES;
            let (Some(new), true) = (state.now.get(bytes.clone()), survives()) else {
                continue;
            };
            if let Some(old) = left.get_mut(bytes) {
                old.copy_from_slice(new);
            }
        }
        let state = State {
            synced: left.clone(),
            now: left,
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            ..Self::default()
        }
    }

    /// Notes it where an act failed for want of room.
    fn noted<T>(&self, state: &mut State, result: io::Result<T>) -> io::Result<T> {
        if matches!(&result, Err(error) if error.kind() == ErrorKind::StorageFull) {
            state.refusals += 1;
            self.freed.notify_all();
        }
        result
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.freed.wait(state).unwrap()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Plan {
    fn spend_write(&mut self) -> io::Result<()> {
        if let Self::FullAfter(left) = self {
            spend(left, ErrorKind::StorageFull)?;
        }
        self.spend_sync()
    }

    fn spend_sync(&mut self) -> io::Result<()> {
        if let Self::DeadAfter(left) = self {
            spend(left, ErrorKind::BrokenPipe)?;
        }
        Ok(())
    }
}

/// Counts one act down; an error when none is left.
fn spend(left: &mut u64, error: ErrorKind) -> io::Result<()> {
    *left = left.checked_sub(1).ok_or(error)?;
    Ok(())
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.state();
        if let Plan::DeadAfter(0) | Plan::ReadsFail | Plan::ReadFails = state.plan {
            if state.plan == Plan::ReadFails {
                state.plan = Plan::Never;
            }
            return Err(ErrorKind::BrokenPipe.into());
        }
        let from = offset as usize;
        let bytes = state.now.get(from..from + out.len());
        out.copy_from_slice(bytes.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        let spent = state.plan.spend_write();
        self.noted(&mut state, spent)?;
        state.now.resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        state.syncs += 1;
        while state.plan == Plan::SyncsWait {
            state.waiting += 1;
            self.freed.notify_all();
            state = self.wait(state);
            state.waiting -= 1;
        }
        if state.plan == Plan::SyncFailsAfter(0) {
            state.plan = Plan::Never;
            state.dirty.clear();
            return Err(io::Error::other("the disk did not write"));
        }
        if let Plan::SyncFailsAfter(left) = &mut state.plan {
            *left -= 1;
        }
        state.plan.spend_sync()?;
        let State {
            synced, now, dirty, ..
        } = &mut *state;
        synced.resize(now.len(), 0);
        for sector in std::mem::take(dirty) {
            let bytes = sector * SECTOR_BYTES..((sector + 1) * SECTOR_BYTES).min(now.len());
            if let (Some(old), Some(new)) = (synced.get_mut(bytes.clone()), now.get(bytes)) {
                old.copy_from_slice(new);
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let (from, to) = (offset as usize, offset as usize + data.len());
        let sectors = from / SECTOR_BYTES..=(to - 1) / SECTOR_BYTES;
        for sector in sectors.clone() {
            let State { taken, plan, .. } = &mut *state;
            if let (true, Plan::RoomFor(left)) = (!taken.contains(&sector), plan) {
                let spent = spend(left, ErrorKind::StorageFull);
                self.noted(&mut state, spent)?;
            }
            state.taken.insert(sector);
        }
        let spent = state.plan.spend_write();
        self.noted(&mut state, spent)?;
        let place = state
            .now
            .get_mut(from..to)
            .ok_or(ErrorKind::UnexpectedEof)?;
        place.copy_from_slice(data);
        state
            .dirty
            .extend(from / SECTOR_BYTES..=(to - 1) / SECTOR_BYTES);
        Ok(())
    }
}
