//! Who is listening here, by identity: what the store passes on of a device goes to the streams of
//! the others.
//!
//! One task reads the store's feed. A device that does not read what it hears is cut off: nothing
//! waits for it beyond its queue.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use edge_ledger_chassis::Tasks;
use edge_ledger_core::ids::{DeviceId, IdentityId};
use edge_ledger_store::{Change, ChangeFeed, DeviceSignal, SignalWord};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use crate::limits::SIGNALS_OUTBOUND_MAX;

/// Of two streams of one device, the one with the greater place stays.
pub(crate) type Place = (i64, u64);

struct Listening {
    number: u64,
    device: DeviceId,
    place: Place,
    /// Dropped when it takes no more, or gave way.
    heard: mpsc::Sender<DeviceSignal>,
}

type Streams = Mutex<BTreeMap<IdentityId, Vec<Listening>>>;

/// Passes on what devices say.
#[derive(Clone, Default)]
pub(crate) struct Switchboard {
    streams: Arc<Streams>,
    numbers: Arc<AtomicU64>,
}

/// One stream's place at the switchboard, until it is dropped.
pub(crate) struct Line {
    identity: IdentityId,
    number: u64,
    heard: mpsc::Receiver<DeviceSignal>,
    streams: Arc<Streams>,
}

impl Switchboard {
    /// Reads a feed until the service stops.
    pub(crate) fn start(tasks: &Tasks, mut feed: ChangeFeed) -> Self {
        let switchboard = Self::default();
        let (reader, stopping) = (switchboard.clone(), tasks.stopping());
        tasks.spawn(async move {
            while let Some(change) = stopping.run_until_cancelled(feed.recv()).await {
                match change {
                    Ok(Change::Signal(signal)) => reader.pass_on(&signal),
                    // What was missed is said again by whoever needs it to be heard.
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => break,
                }
            }
        });
        switchboard
    }

    /// Listens for a device from now on.
    pub(crate) fn line(&self, identity: IdentityId, device: DeviceId, place: Place) -> Line {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (sender, heard) = mpsc::channel(SIGNALS_OUTBOUND_MAX);
        lock(&self.streams)
            .entry(identity)
            .or_default()
            .push(Listening {
                number,
                device,
                place,
                heard: sender,
            });
        Line {
            identity,
            number,
            heard,
            streams: Arc::clone(&self.streams),
        }
    }

    fn pass_on(&self, signal: &DeviceSignal) {
        let mut streams = lock(&self.streams);
        let Some(listening) = streams.get_mut(&signal.identity) else {
            return;
        };
        listening.retain(|stream| {
            let own = stream.device == signal.from;
            match &signal.word {
                SignalWord::Opened { place } => {
                    !own || *place <= stream.place || {
                        // It is told, if it reads at all.
                        let _ = stream.heard.try_send(signal.clone());
                        false
                    }
                }
                _ if own || signal.to.is_some_and(|to| to != stream.device) => true,
                _ => stream.heard.try_send(signal.clone()).is_ok(),
            }
        });
    }
}

impl Line {
    /// What other devices say, and last that another stream of this one was opened. `None` when the
    /// stream was cut off, because it does not read.
    pub(crate) async fn heard(&mut self) -> Option<DeviceSignal> {
        self.heard.recv().await
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut streams = lock(&self.streams);
        if let Some(listening) = streams.get_mut(&self.identity) {
            listening.retain(|stream| stream.number != self.number);
            if listening.is_empty() {
                streams.remove(&self.identity);
            }
        }
    }
}

fn lock(streams: &Streams) -> MutexGuard<'_, BTreeMap<IdentityId, Vec<Listening>>> {
    streams.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(from: u8, to: Option<u8>, word: SignalWord) -> DeviceSignal {
        DeviceSignal {
            identity: IdentityId::from_bytes([1; 32]),
            from: DeviceId::from_bytes([from; 16]),
            to: to.map(|to| DeviceId::from_bytes([to; 16])),
            word,
        }
    }

    fn beacon(from: u8) -> DeviceSignal {
        signal(from, None, SignalWord::Beacon { nonce: [from; 32] })
    }

    fn line(switchboard: &Switchboard, device: u8, place: Place) -> Line {
        let identity = IdentityId::from_bytes([1; 32]);
        switchboard.line(identity, DeviceId::from_bytes([device; 16]), place)
    }

    #[test]
    fn others_hear_it_or_the_one_it_is_for_and_nobody_else() {
        let switchboard = Switchboard::default();
        let (mut one, mut two) = (line(&switchboard, 1, (0, 0)), line(&switchboard, 2, (0, 0)));
        let foreign = IdentityId::from_bytes([9; 32]);
        let mut other = switchboard.line(foreign, DeviceId::from_bytes([2; 16]), (0, 0));
        switchboard.pass_on(&beacon(1));
        assert_eq!(two.heard.try_recv().unwrap(), beacon(1));
        let word = SignalWord::Signal(bytes::Bytes::from_static(b"offer"));
        switchboard.pass_on(&signal(3, Some(1), word.clone()));
        assert_eq!(one.heard.try_recv().unwrap().word, word);
        for line in [&mut one, &mut two, &mut other] {
            assert!(line.heard.try_recv().is_err());
        }
        drop((one, two, other));
        assert!(lock(&switchboard.streams).is_empty());
    }

    #[test]
    fn the_stream_that_was_opened_last_stays_whatever_is_heard_first() {
        let switchboard = Switchboard::default();
        let (mut old, mut new) = (line(&switchboard, 1, (5, 9)), line(&switchboard, 1, (6, 0)));
        for place in [(6, 0), (5, 9)] {
            switchboard.pass_on(&signal(1, None, SignalWord::Opened { place }));
        }
        assert!(matches!(
            old.heard.try_recv().unwrap().word,
            SignalWord::Opened { .. }
        ));
        switchboard.pass_on(&beacon(2));
        assert_eq!(new.heard.try_recv().unwrap(), beacon(2));
        assert!(old.heard.try_recv().is_err());
    }

    #[test]
    fn who_does_not_read_is_cut_off_and_the_others_go_on() {
        let switchboard = Switchboard::default();
        let (mut slow, mut fast) = (line(&switchboard, 1, (0, 0)), line(&switchboard, 2, (0, 0)));
        for _ in 0..=SIGNALS_OUTBOUND_MAX {
            switchboard.pass_on(&beacon(3));
            assert!(fast.heard.try_recv().is_ok());
        }
        for _ in 0..SIGNALS_OUTBOUND_MAX {
            assert!(slow.heard.try_recv().is_ok());
        }
        assert_eq!(
            slow.heard.try_recv(),
            Err(mpsc::error::TryRecvError::Disconnected)
        );
    }
}
