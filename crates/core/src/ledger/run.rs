//! Runs: consecutive entries of one journal with the signature of the last, the unit of
//! transport and of verification.

use bytes::Bytes;

use crate::identity::{Cut, Point};
use crate::ids::{DeviceId, EntryHash};
use crate::keys::Signature;
use crate::ledger::entry::VerifiedEntry;

/// Bytes of a run beside its entries, at most.
pub(in crate::ledger) const RUN_ENVELOPE_BYTES: usize = 128;
/// Bytes of an entry beside its payload, at most: its format, and length and tag of the payload.
pub(in crate::ledger) const ENTRY_ENVELOPE_BYTES: usize = 7;

/// A run as it travels, not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The journal's device.
    pub device: DeviceId,
    /// Place of the first entry, 1 and up.
    pub first_seq: u64,
    /// Hash of the entry before the first.
    pub first_prev: EntryHash,
    /// The format of each payload. The signature covers entries of all formats below it, so a run
    /// may cross them; a cut can leave entries that only such a run can bring.
    pub formats: Vec<u16>,
    /// Encoded payloads in order.
    pub payloads: Vec<Bytes>,
    /// The device's signature of the last entry.
    pub signature: Signature,
}

impl Run {
    /// Bytes that it weighs in a frame, at most: 128, and 7 beside each payload.
    pub fn weight(&self) -> usize {
        let entry = |payload: &Bytes| payload.len() + ENTRY_ENVELOPE_BYTES;
        self.payloads.iter().map(entry).sum::<usize>() + RUN_ENVELOPE_BYTES
    }

    /// The point before the first entry.
    pub fn parent(&self) -> Point {
        Point {
            seq: self.first_seq.saturating_sub(1),
            hash: self.first_prev,
        }
    }
}

/// A run out of a store, with the point of its last entry, which travels only as a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRun {
    /// The run.
    pub run: Run,
    /// Its last entry.
    pub last: Point,
}

/// A run that passed the gate: at least one entry, each the parent of the next, and a checked
/// signature of the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedRun {
    pub(in crate::ledger) entries: Vec<VerifiedEntry>,
    pub(in crate::ledger) signature: Signature,
}

impl VerifiedRun {
    /// The entries in order; never empty.
    pub fn entries(&self) -> &[VerifiedEntry] {
        &self.entries
    }

    /// The journal's device.
    pub fn device(&self) -> DeviceId {
        self.entries[0].device
    }

    /// The point before the first entry.
    pub fn parent(&self) -> Point {
        self.entries[0].parent()
    }

    /// The last entry's point.
    pub fn last(&self) -> Point {
        self.entries[self.entries.len() - 1].point
    }

    /// The device's signature of the last entry.
    pub fn signature(&self) -> Signature {
        self.signature
    }

    /// Bytes that it takes in memory, roughly: tiny payloads cost more than they weigh.
    pub fn memory_bytes(&self) -> usize {
        self.payload_bytes() + self.entries.len() * size_of::<VerifiedEntry>()
    }

    /// Bytes of all payloads.
    pub fn payload_bytes(&self) -> usize {
        self.entries.iter().map(|e| e.payload.len()).sum()
    }

    /// The run as it travels.
    pub fn to_run(&self) -> Run {
        let first = &self.entries[0];
        Run {
            device: first.device,
            first_seq: first.point.seq,
            first_prev: first.prev,
            formats: self.entries.iter().map(|e| e.format).collect(),
            payloads: self.entries.iter().map(|e| e.payload.clone()).collect(),
            signature: self.signature,
        }
    }

    /// The run without its first entries, if any are left.
    pub fn after(mut self, count: usize) -> Option<Self> {
        self.entries.drain(..count.min(self.entries.len()));
        (!self.entries.is_empty()).then_some(self)
    }

    /// The part of the run that ends at the last point that a cut names, if it holds one. The
    /// cut carries the author's signature of that point, so the part is a run again.
    pub fn up_to_cut(&self, cut: &Cut) -> Option<Self> {
        let index = self.entries.iter().rposition(|e| cut.names(&e.point))?;
        let signature = cut.signature(&self.entries[index].point)?;
        Some(Self {
            entries: self.entries[..=index].to_vec(),
            signature,
        })
    }
}
