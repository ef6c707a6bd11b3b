//! What an application is told, in one numbered stream that can be read again from any cursor.
//!
//! | event of the JavaScript service | here |
//! | --- | --- |
//! | `started`, `stopped` | [`Event::StateChanged`] |
//! | `authenticated` | [`Event::Connected`] |
//! | `synced` | [`Event::Synced`] |
//! | `sync_error` | [`Event::SyncFailed`] |
//! | `state_merged` | [`Event::EntriesKept`] |
//! | `device_linked` | [`Event::DeviceLinked`] |
//! | `peer_registered` | [`Event::PeerConnected`] |

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use edge_ledger_core::identity::{Point, RevokeReason};
use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::ledger::Level;
use tokio::sync::Notify;

use crate::limits::EVENTS_KEPT_MAX;
use crate::status::{Path, State};

/// Something that happened to this device, its identity or its balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The agent is in another state.
    StateChanged {
        /// The new one.
        state: State,
    },
    /// The ledger service proved itself, and this device was let in.
    Connected,
    /// Both sides told each other everything.
    Synced {
        /// Balance after it, in minor units.
        balance: i128,
    },
    /// A stream could not be opened, or ended; it is tried again.
    SyncFailed {
        /// Why.
        why: String,
        /// Whether only a person can change that.
        permanent: bool,
    },
    /// A service is used at another of its addresses.
    AddressChanged {
        /// Which: `identity` or `ledger`.
        service: &'static str,
        /// The address.
        url: String,
    },
    /// Entries of other devices (or lost ones of this device) were kept.
    EntriesKept {
        /// How many.
        entries: u64,
        /// Balance after it, in minor units.
        balance: i128,
    },
    /// This device's journal is kept by the service up to an entry.
    Acked {
        /// The entry; it covers all before it.
        point: Point,
        /// What it survives.
        level: Level,
    },
    /// The service refused entries of this device.
    Refused {
        /// The last entry of the refused run.
        point: Point,
        /// Why.
        why: String,
    },
    /// The identity log grew: devices were linked, renamed, replaced or revoked.
    DevicesChanged {
        /// The log's new position.
        log_position: u64,
    },
    /// A device was linked, by whoever may. Tell the person, and offer to revoke it at once: who did
    /// not link it has been robbed.
    DeviceLinked {
        /// The new device.
        device: DeviceId,
        /// Its name.
        name: String,
        /// Its platform.
        platform: String,
        /// Whether it may sign statements about others.
        admin: bool,
    },
    /// A device was cut off.
    DeviceRevoked {
        /// The device, the last of its lineage.
        device: DeviceId,
        /// Its name.
        name: String,
        /// Why, for people.
        reason: RevokeReason,
    },
    /// The identity's keys changed, or are about to. Tell the person, who may have to act.
    KeysChanged {
        /// What changed.
        change: KeyChange,
    },
    /// This device's home was an old copy, or has a twin: a new key and journal took its place.
    /// What had not been told to anybody is signed again under it.
    Replaced {
        /// The device that ended.
        old: DeviceId,
        /// The one that goes on in its place.
        new: DeviceId,
    },
    /// A device signed two entries for one place of its journal.
    Forked {
        /// Whose journal.
        device: DeviceId,
    },
    /// The service's identity log contradicts this device's: two receipts for one position prove
    /// it. Tell the person, who has to take the file to whoever runs the service.
    LogForked {
        /// The position.
        position: u64,
        /// The file of the evidence, in the home folder.
        file: PathBuf,
    },
    /// Entries go another way now.
    PathChanged {
        /// Which.
        path: Path,
    },
    /// Another device of the identity is linked directly: the two have let each other in.
    PeerConnected {
        /// The device.
        device: DeviceId,
    },
    /// The direct link to another device ended; another one is tried.
    PeerLost {
        /// The device.
        device: DeviceId,
        /// Why.
        why: String,
    },
    /// The reader was too slow: events before the next one are gone.
    Missed {
        /// How many.
        events: u64,
    },
}

/// A change of an identity's keys that its people should know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyChange {
    /// The committed key is the root now.
    RootRotated,
    /// Another branch of the identity log was taken over: what it said of devices and keys holds.
    ForkSettled,
    /// A recovery key was set; an earlier one is worth nothing any more.
    RecoverySet,
    /// A recovery waits for its veto time. If nobody of you asked for it, veto it.
    RecoveryAsked {
        /// Log position, by which it is vetoed.
        position: u64,
        /// Service time at which it takes effect, in milliseconds since 1970.
        effective_ms: i64,
    },
    /// A recovery was vetoed.
    RecoveryVetoed,
    /// A key may add devices from here on.
    EnrolmentKeyAdded {
        /// Its name.
        name: String,
        /// How many devices it may add.
        uses: u32,
    },
    /// A key adds no devices any more.
    EnrolmentKeyRevoked {
        /// Its name.
        name: String,
    },
}

/// The events of one agent, bounded: the oldest go first.
#[derive(Debug, Clone, Default)]
pub(crate) struct EventLog(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    kept: Mutex<Kept>,
    grown: Notify,
}

#[derive(Debug, Default)]
struct Kept {
    first: u64,
    events: VecDeque<Event>,
    closed: bool,
}

impl EventLog {
    pub(crate) fn push(&self, event: Event) {
        let mut kept = self.lock();
        if kept.events.len() >= EVENTS_KEPT_MAX {
            kept.events.pop_front();
            kept.first += 1;
        }
        kept.events.push_back(event);
        drop(kept);
        self.0.grown.notify_waiters();
    }

    /// No more events will come.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.0.grown.notify_waiters();
    }

    pub(crate) fn reader(&self, cursor: Option<u64>) -> Events {
        let cursor = cursor.unwrap_or_else(|| {
            let kept = self.lock();
            kept.first + kept.events.len() as u64
        });
        Events {
            log: self.clone(),
            cursor,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reader of events.
#[derive(Debug)]
pub struct Events {
    log: EventLog,
    cursor: u64,
}

impl Events {
    /// The number of the next event: a new reader that starts here misses nothing.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Waits for the next event; `None` once the agent is stopped and all were read.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let log = self.log.clone();
            let grown = log.0.grown.notified();
            tokio::pin!(grown);
            grown.as_mut().enable();
            {
                let kept = log.lock();
                if self.cursor < kept.first {
                    let events = kept.first - self.cursor;
                    self.cursor = kept.first;
                    return Some(Event::Missed { events });
                }
                let index = usize::try_from(self.cursor - kept.first).unwrap_or(usize::MAX);
                if let Some(event) = kept.events.get(index) {
                    self.cursor += 1;
                    return Some(event.clone());
                }
                if kept.closed {
                    return None;
                }
            }
            grown.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_reader_is_told_what_it_missed_and_a_cursor_replays() {
        let log = EventLog::default();
        let mut reader = log.reader(Some(0));
        for log_position in 0..EVENTS_KEPT_MAX as u64 + 5 {
            log.push(Event::DevicesChanged { log_position });
        }
        assert_eq!(reader.next().await, Some(Event::Missed { events: 5 }));
        assert_eq!(
            reader.next().await,
            Some(Event::DevicesChanged { log_position: 5 })
        );
        let mut again = log.reader(Some(reader.cursor() - 1));
        assert_eq!(
            again.next().await,
            Some(Event::DevicesChanged { log_position: 5 })
        );
        log.close();
        let mut at_the_end = log.reader(None);
        assert_eq!(at_the_end.next().await, None);
    }
}
