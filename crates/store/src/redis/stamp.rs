//! Stamps: what tells one write from every other one.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Tells one write, or one process in one of its eras, from every other.
pub(super) type Stamp = [u8; 16];

/// A number that no other process has, nor this one again.
pub(super) fn fresh() -> u64 {
    RandomState::new().hash_one(0)
}

/// Makes stamps, and says which process a published hint is from.
///
/// A stamp has to be another one, not a secret: the hasher's random keys are enough.
#[derive(Debug)]
pub(super) struct Stamps {
    process: u64,
    writes: AtomicU64,
    era: AtomicU64,
}

impl Stamps {
    pub(super) fn new() -> Self {
        Self {
            process: fresh(),
            writes: AtomicU64::new(0),
            era: AtomicU64::new(0),
        }
    }

    /// A stamp that no other write has.
    pub(super) fn write(&self) -> Stamp {
        self.of(self.writes.fetch_add(1, Ordering::Relaxed))
    }

    /// The name of this process in the hints that it publishes.
    pub(super) fn origin(&self) -> Stamp {
        self.of(self.era.load(Ordering::Relaxed))
    }

    /// Whether a hint is from this process, in whichever era.
    pub(super) fn is_own(&self, origin: &[u8]) -> bool {
        origin.starts_with(&self.process.to_be_bytes())
    }

    /// Begins an era: hints from before it are another process' from now on. So what a write that
    /// nobody waits for any more may still do is heard here too.
    pub(super) fn disown(&self) {
        self.era.fetch_add(1, Ordering::Relaxed);
    }

    fn of(&self, count: u64) -> Stamp {
        let mut stamp = [0; 16];
        stamp[..8].copy_from_slice(&self.process.to_be_bytes());
        stamp[8..].copy_from_slice(&count.to_be_bytes());
        stamp
    }
}
