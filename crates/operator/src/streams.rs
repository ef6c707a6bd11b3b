//! The streams that devices have open in a process, for its operator.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use edge_ledger_core::ids::{DeviceId, IdentityId};

/// The open streams of one process. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Streams(Arc<Registry>);

#[derive(Debug, Default)]
struct Registry {
    next: AtomicU64,
    open: Mutex<BTreeMap<u64, Open>>,
}

#[derive(Debug)]
struct Open {
    identity: IdentityId,
    device: DeviceId,
    since_ms: i64,
    waiting: Arc<AtomicUsize>,
}

/// A stream that is open until this is dropped.
#[derive(Debug)]
pub struct OpenStream {
    streams: Streams,
    number: u64,
    waiting: Arc<AtomicUsize>,
}

/// What is told of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) number: u64,
    pub(crate) identity: IdentityId,
    pub(crate) device: DeviceId,
    pub(crate) since_ms: i64,
    pub(crate) waiting: usize,
}

impl Streams {
    /// A device opened a stream.
    pub fn open(&self, identity: IdentityId, device: DeviceId, since_ms: i64) -> OpenStream {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed) + 1;
        let waiting = Arc::new(AtomicUsize::new(0));
        let open = Open {
            identity,
            device,
            since_ms,
            waiting: Arc::clone(&waiting),
        };
        self.lock().insert(number, open);
        OpenStream {
            streams: self.clone(),
            number,
            waiting,
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.lock().len() as u64
    }

    /// So many that were opened after one, of one identity or of all, in the order of their opening.
    pub(crate) fn page(&self, of: Option<IdentityId>, after: u64, most: usize) -> Vec<Seen> {
        let open = self.lock();
        let later = open.range((Bound::Excluded(after), Bound::Unbounded));
        let seen = later.map(|(number, open)| Seen {
            number: *number,
            identity: open.identity,
            device: open.device,
            since_ms: open.since_ms,
            waiting: open.waiting.load(Ordering::Relaxed),
        });
        let fits = |seen: &Seen| of.is_none_or(|of| of == seen.identity);
        seen.filter(fits).take(most).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Open>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenStream {
    /// How many frames wait for the device to take them.
    pub fn set_waiting(&self, frames: usize) {
        self.waiting.store(frames, Ordering::Relaxed);
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.streams.lock().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_told_page_by_page_until_they_end() {
        let streams = Streams::default();
        let identity = |byte| IdentityId::from_bytes([byte; 32]);
        let device = DeviceId::from_bytes([1; 16]);
        let open: Vec<_> = (0..5)
            .map(|at| streams.open(identity(at % 2), device, i64::from(at)))
            .collect();
        open[3].set_waiting(7);
        let numbers = |of, after, most| -> Vec<u64> {
            let page = streams.page(of, after, most).into_iter();
            page.map(|seen| seen.number).collect()
        };
        assert_eq!(numbers(None, 0, 2), [1, 2]);
        assert_eq!(numbers(None, 2, 9), [3, 4, 5]);
        assert_eq!(numbers(Some(identity(1)), 0, 9), [2, 4]);
        assert_eq!(streams.page(None, 3, 1)[0].waiting, 7);
        drop(open);
        assert_eq!((streams.count(), numbers(None, 0, 9)), (0, Vec::new()));
    }
}
