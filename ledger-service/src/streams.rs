//! Which stream serves a device: the one that was opened last.
//!
//! Not the one that says hello last: a hello may still be on its way when its connection is dead
//! and the device has come back. So streams are ordered by their origins, which count the openings
//! in this process. Of streams in other processes nothing is known here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use edge_ledger_core::ids::DeviceId;
use edge_ledger_store::Origin;
use tokio_util::sync::CancellationToken;

/// The streams of one identity in this process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Streams(Arc<Mutex<BTreeMap<DeviceId, Seat>>>);

#[derive(Debug)]
struct Seat {
    origin: Origin,
    superseded: CancellationToken,
}

/// A device's stream, as long as it lives.
#[derive(Debug)]
pub(crate) struct Seated {
    streams: Streams,
    device: DeviceId,
    origin: Origin,
    /// Told when a stream that was opened later takes over.
    pub(crate) superseded: CancellationToken,
}

impl Streams {
    /// A stream serves a device from here on: an older one is superseded, and so is this one if a
    /// newer one is there.
    pub(crate) fn seat(&self, device: DeviceId, origin: Origin) -> Seated {
        let superseded = CancellationToken::new();
        let seat = Seat {
            origin,
            superseded: superseded.clone(),
        };
        let mut seats = self.lock();
        match seats.get(&device) {
            Some(newer) if newer.origin.0 > origin.0 => superseded.cancel(),
            _ => {
                if let Some(older) = seats.insert(device, seat) {
                    older.superseded.cancel();
                }
            }
        }
        drop(seats);
        Seated {
            streams: self.clone(),
            device,
            origin,
            superseded,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<DeviceId, Seat>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        let mut seats = self.streams.lock();
        if seats
            .get(&self.device)
            .is_some_and(|seat| seat.origin == self.origin)
        {
            seats.remove(&self.device);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_that_was_opened_last_stays() {
        let streams = Streams::default();
        let device = DeviceId::from_bytes([1; 16]);
        let other = streams.seat(DeviceId::from_bytes([2; 16]), Origin(9));
        let first = streams.seat(device, Origin(1));
        let third = streams.seat(device, Origin(3));
        assert!(first.superseded.is_cancelled());
        // Its hello comes late.
        let second = streams.seat(device, Origin(2));
        assert!(second.superseded.is_cancelled());
        assert!(!third.superseded.is_cancelled() && !other.superseded.is_cancelled());
        drop((first, second));
        let fourth = streams.seat(device, Origin(4));
        assert!(third.superseded.is_cancelled() && !fourth.superseded.is_cancelled());
        drop((third, fourth, other));
        assert!(streams.lock().is_empty());
    }
}
