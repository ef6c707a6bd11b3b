//! The change feed: what was committed, announced after the commit.
//!
//! It is a hint. Whoever misses a part (a slow receiver is told so) reads the store.

use std::sync::Arc;

use bytes::Bytes;
use edge_ledger_core::ids::{DeviceId, IdentityId};
use edge_ledger_core::ledger::VerifiedRun;
use edge_ledger_core::limits::SIGNAL_BYTES_MAX;
use tokio::sync::broadcast;

use crate::LogVersion;

/// Who caused a change, so that it need not be told: any number that is unique in the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin(pub u64);

/// Something that was committed.
#[derive(Debug, Clone)]
pub enum Change {
    /// Entries of an identity.
    Entries {
        /// Whose.
        identity: IdentityId,
        /// The version of the log that they were admitted under: whoever knows an older one reads
        /// the log again before it passes them on.
        version: LogVersion,
        /// By whom.
        origin: Origin,
        /// The runs of which at least one entry is new.
        runs: Arc<[VerifiedRun]>,
    },
    /// The log of an identity.
    Log {
        /// Whose.
        identity: IdentityId,
    },
    /// Messages of a link session.
    Link {
        /// The session.
        session: [u8; 32],
    },
    /// Entries of an identity, committed by another process: whoever wants them reads the store.
    Elsewhere {
        /// Whose.
        identity: IdentityId,
    },
    /// A device opened a stream. Nothing was committed.
    Opened {
        /// Whose device.
        identity: IdentityId,
        /// Which.
        device: DeviceId,
        /// Which stream of this process; `None` for one at another process.
        stream: Option<Origin>,
        /// Of two streams of a device, the one with the higher number was opened later.
        order: u64,
    },
    /// What a device says to others of its identity. Nothing was committed.
    Signal(DeviceSignal),
    /// What other processes committed may have gone unheard: as if the receiver were behind.
    Lost,
}

/// What a device says to others of its identity that are there, at whatever process. It is passed
/// on once or not at all, and kept nowhere. One that says more than
/// [`SIGNAL_BYTES_MAX`] is not passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceSignal {
    /// Whose devices.
    pub identity: IdentityId,
    /// Who says it.
    pub from: DeviceId,
    /// To whom; `None` for all others.
    pub to: Option<DeviceId>,
    /// What.
    pub word: SignalWord,
}

/// What a device can say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignalWord {
    /// It opened a stream; of two streams the one with the greater place stays.
    Opened {
        /// Its place.
        place: StreamPlace,
    },
    /// It is there.
    Beacon {
        /// What a call of it has to name.
        nonce: [u8; 32],
    },
    /// Something for one device, at most 16 KiB.
    Signal(Bytes),
    /// A stream of it ended, and it did not give way to another one.
    Left {
        /// The place of that stream: a later one may be there.
        place: StreamPlace,
    },
}

/// Which of a device's streams was opened later: a number of the store's
/// ([`stream_number`](crate::IdentityStore::stream_number)), then a random one.
pub type StreamPlace = (u64, u64);

impl DeviceSignal {
    /// Whether it is small enough to be passed on.
    pub(crate) fn fits(&self) -> bool {
        match &self.word {
            SignalWord::Signal(bytes) => bytes.len() <= SIGNAL_BYTES_MAX,
            SignalWord::Opened { .. } | SignalWord::Beacon { .. } | SignalWord::Left { .. } => true,
        }
    }
}

/// The receiving end of a change feed.
pub type ChangeFeed = broadcast::Receiver<Change>;

/// Changes that a receiver may be behind before it is told that it missed some.
pub const CHANGES_BEHIND_MAX: usize = 4_096;
