//! Pages: kept entries joined into runs that end at a signature, about one frame of them.

use bytes::Bytes;

use crate::identity::Point;
use crate::ids::{DeviceId, EntryHash};
use crate::keys::Signature;
use crate::ledger::run::{ENTRY_ENVELOPE_BYTES, KeptRun, RUN_ENVELOPE_BYTES, Run};
use crate::limits::{FRAME_RUNS_MAX, PAGE_BYTES_MAX, RUN_BYTES_MAX};

/// One kept entry as a store reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The journal's device.
    pub device: DeviceId,
    /// The payload's format.
    pub format: u16,
    /// The entry.
    pub point: Point,
    /// Hash of its parent.
    pub prev: EntryHash,
    /// The verbatim payload.
    pub payload: Bytes,
    /// The device's signature of the entry, where a checked one is known.
    pub signature: Option<Signature>,
}

impl Row {
    fn weight(&self) -> usize {
        self.payload.len() + ENTRY_ENVELOPE_BYTES
    }
}

/// Builds one page. At least one run is taken, since no run weighs more than a frame.
///
/// An entry without a signature of its own travels with one that follows it. Where there is none
/// that a run can reach (a cut dropped it, and the next is too far above), the entry and what
/// stands on it are left out: nobody could verify them.
#[derive(Debug)]
pub struct PageBuilder {
    runs: Vec<KeptRun>,
    tail: Vec<Row>,
    tail_bytes: usize,
    budget: usize,
    left_out: Option<(DeviceId, EntryHash)>,
}

impl Default for PageBuilder {
    fn default() -> Self {
        Self {
            runs: Vec::new(),
            tail: Vec::new(),
            tail_bytes: 0,
            budget: PAGE_BYTES_MAX,
            left_out: None,
        }
    }
}

impl PageBuilder {
    /// Adds the next entry, parents first. Returns `false` when the page is full: then this entry
    /// and what follows belong to a later page.
    pub fn push(&mut self, row: Row) -> bool {
        let above = self.tail.last();
        let follows =
            above.is_some_and(|above| above.point.hash == row.prev && above.device == row.device);
        if self.left_out == Some((row.device, row.prev)) {
            return self.leave_out(&row);
        }
        if !follows {
            self.tail.clear();
            self.tail_bytes = 0;
        }
        self.tail_bytes += row.weight();
        if self.tail_bytes > RUN_BYTES_MAX - RUN_ENVELOPE_BYTES {
            return self.leave_out(&row);
        }
        let full = !self.runs.is_empty() && self.tail_bytes > self.budget;
        if full {
            return false;
        }
        let signature = row.signature;
        self.tail.push(row);
        match signature {
            Some(signature) => self.close_run(signature),
            None => true,
        }
    }

    fn leave_out(&mut self, row: &Row) -> bool {
        self.tail.clear();
        self.tail_bytes = 0;
        self.left_out = Some((row.device, row.point.hash));
        true
    }

    /// The runs of the page.
    pub fn finish(self) -> Vec<KeptRun> {
        self.runs
    }

    fn close_run(&mut self, signature: Signature) -> bool {
        let (Some(first), Some(last)) = (self.tail.first(), self.tail.last()) else {
            return true;
        };
        let parent = Point {
            seq: first.point.seq - 1,
            hash: first.prev,
        };
        let end = last.point;
        let joins = self
            .runs
            .last()
            .is_some_and(|kept| kept.last == parent && kept.run.device == first.device);
        if !joins {
            if self.runs.len() >= FRAME_RUNS_MAX {
                return false;
            }
            let run = Run {
                device: first.device,
                first_seq: first.point.seq,
                first_prev: first.prev,
                formats: Vec::new(),
                payloads: Vec::new(),
                signature,
            };
            self.runs.push(KeptRun { run, last: end });
        }
        if let Some(kept) = self.runs.last_mut() {
            for row in self.tail.drain(..) {
                kept.run.formats.push(row.format);
                kept.run.payloads.push(row.payload);
            }
            kept.run.signature = signature;
            kept.last = end;
        }
        self.budget = self.budget.saturating_sub(self.tail_bytes);
        self.tail_bytes = 0;
        true
    }
}
