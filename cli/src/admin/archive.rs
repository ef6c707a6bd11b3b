//! The file of an archive: a JSON object per line, from `archive` to `end`.
//!
//! The last line has the counts and the SHA-256 of all lines before it, so that a file that was cut
//! short or altered is found out before a service hears of it. What it says is verified there: the
//! file proves nothing by itself.

mod check;
mod line;

pub(super) use check::{Checked, check, next_line, parse};
pub(super) use line::Line;

use edge_ledger_chassis::Clock;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::explain::Failure;
use crate::limits::PROGRESS_EVERY_MS;

/// The format that is written and read.
pub(super) const FORMAT: u32 = 1;

/// What a file holds, and what its last line says of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    pub(super) identities: u64,
    pub(super) statements: u64,
    pub(super) entries: u64,
}

/// Counts and hashes lines.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) counts: Counts,
    pub(super) lines: u64,
    hash: Sha256,
}

impl Tally {
    /// Takes in a line, with its end.
    pub(super) fn add(&mut self, line: &Line, text: &str) {
        self.lines += 1;
        self.hash.update(text);
        match line {
            Line::Whole { .. } => self.counts.identities += 1,
            Line::Statement { .. } => self.counts.statements += 1,
            Line::Run { payloads, .. } => self.counts.entries += payloads.len() as u64,
            Line::Archive { .. } | Line::Identity { .. } | Line::End { .. } => {}
        }
    }

    /// The last line.
    pub(super) fn end(&self) -> Line {
        Line::End {
            lines: self.lines,
            counts: self.counts,
            sha256: hex::encode(self.hash.clone().finalize()),
        }
    }
}

/// Tells an operator now and then how far something is.
pub(super) struct Progress {
    clock: Clock,
    told_ms: u64,
}

impl Progress {
    pub(super) fn new() -> Self {
        let clock = Clock::system();
        Self {
            told_ms: clock.monotonic_ms(),
            clock,
        }
    }

    /// Whether it is time to tell it again.
    pub(super) fn is_due(&mut self) -> bool {
        let now_ms = self.clock.monotonic_ms();
        let is_due = now_ms.saturating_sub(self.told_ms) >= PROGRESS_EVERY_MS;
        if is_due {
            self.told_ms = now_ms;
        }
        is_due
    }
}

/// Refuses a file, by the line that is wrong.
fn damaged(number: u64, what: &str) -> Failure {
    Failure::refused("ARCHIVE_DAMAGED", format!("line {number}: {what}"))
        .with("line", number)
        .next("export it again, or use another copy: nothing of it was imported")
}
