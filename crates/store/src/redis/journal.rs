//! A part of a journal in memory, on which `core` decides.
//!
//! The rules of `core` read one entry at a time, and the server is a round trip away. So they run
//! on what is in memory; what they ask for beyond that is noted as a wish, the wishes are read
//! together, and the rules run anew. A run with wishes decides nothing.
//!
//! Every kept entry's parent is kept, so the places of a journal have no gap up to the highest tip,
//! and above it there is nothing to wish for.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use edge_ledger_core::identity::Point;
use edge_ledger_core::keys::Signature;
use edge_ledger_core::ledger::JournalView;
use edge_ledger_core::ledger::journal::Freight;

use super::layout::{RowHead, Tipped};

/// How much further each round of reading looks below a wish than the one before it.
const LOOK_AHEAD_GROWTH: u64 = 4;
/// Most places that are read below one wish.
const LOOK_AHEAD_MAX: u64 = 1 << 16;

/// Inclusive ranges of places.
pub(super) type Ranges = Vec<(u64, u64)>;

/// What is in memory of one journal.
#[derive(Debug, Default)]
pub(super) struct Journal {
    kept: Vec<Tipped>,
    tips: Vec<Tipped>,
    top: u64,
    cells: BTreeMap<u64, Vec<RowHead>>,
    added: BTreeMap<Point, RowHead>,
    wishes: RefCell<BTreeSet<u64>>,
    look_ahead: u64,
}

impl Journal {
    /// A journal of which only the tips are known.
    pub(super) fn ending_in(tips: Vec<Tipped>) -> Self {
        let top = tips.iter().map(|(point, _)| point.seq).max();
        Self {
            kept: tips.clone(),
            tips,
            top: top.unwrap_or(0),
            look_ahead: 1,
            ..Self::default()
        }
    }

    /// Forgets what was decided; what was read stays.
    pub(super) fn begin_anew(&mut self) {
        self.tips.clone_from(&self.kept);
        self.added.clear();
    }

    /// The highest place where something is kept in the store.
    pub(super) fn top(&self) -> u64 {
        self.top
    }

    pub(super) fn signed_tips(&self) -> &[Tipped] {
        &self.tips
    }

    /// The head of a kept entry. A wish if its place was not read.
    pub(super) fn head(&self, point: Point) -> Option<&RowHead> {
        if let Some(added) = self.added.get(&point) {
            return Some(added);
        }
        self.cell(point.seq).iter().find(|head| head.point == point)
    }

    /// The rows that are kept at one place in the store.
    pub(super) fn cell(&self, seq: u64) -> &[RowHead] {
        match self.cells.get(&seq) {
            Some(cell) => cell,
            None => {
                self.wish(seq);
                &[]
            }
        }
    }

    /// Notes that a place has to be read.
    pub(super) fn wish(&self, seq: u64) {
        if (1..=self.top).contains(&seq) && !self.cells.contains_key(&seq) {
            self.wishes.borrow_mut().insert(seq);
        }
    }

    /// What has to be read before the rules run anew; nothing if they decided.
    pub(super) fn take_wishes(&mut self) -> Ranges {
        let below = self.look_ahead - 1;
        let mut ranges: Ranges = Vec::new();
        for seq in std::mem::take(self.wishes.get_mut()) {
            for seq in seq.saturating_sub(below).max(1)..=seq {
                let done = ranges.last().map_or(0, |(_, last)| *last);
                if seq <= done || self.cells.contains_key(&seq) {
                    continue;
                }
                match ranges.last_mut() {
                    Some((_, last)) if *last + 1 == seq => *last = seq,
                    Some(_) | None => ranges.push((seq, seq)),
                }
            }
        }
        if !ranges.is_empty() {
            let grown = self.look_ahead.saturating_mul(LOOK_AHEAD_GROWTH);
            self.look_ahead = grown.min(LOOK_AHEAD_MAX);
        }
        ranges
    }

    /// Takes in what was read of a place.
    pub(super) fn read(&mut self, seq: u64, cell: Vec<RowHead>) {
        self.cells.insert(seq, cell);
    }

    /// Takes in an entry as if it were kept.
    pub(super) fn add(&mut self, head: RowHead) {
        self.added.insert(head.point, head);
    }

    /// Sets the tips after an append; `end` is the one that may be new.
    pub(super) fn end_in(&mut self, tips: &[Point], end: Tipped) {
        let known = std::mem::take(&mut self.tips);
        let signature = |point: &Point| -> Option<Signature> {
            let tip = known.iter().find(|(known, _)| known == point);
            tip.map(|(_, signature)| *signature)
        };
        self.tips = tips
            .iter()
            .map(|point| (*point, signature(point).unwrap_or(end.1)))
            .collect();
    }
}

impl JournalView for Journal {
    type Error = Infallible;

    fn tips(&self) -> Result<Vec<Point>, Infallible> {
        Ok(self.tips.iter().map(|(point, _)| *point).collect())
    }

    fn parent(&self, point: Point) -> Result<Option<Point>, Infallible> {
        Ok(self.head(point).map(RowHead::parent))
    }

    fn freight(&self, point: Point) -> Result<Option<Freight>, Infallible> {
        let head = self.head(point);
        Ok(head.map(|head| Freight {
            bytes: head.bytes,
            signed: head.signed,
        }))
    }

    fn at(&self, seq: u64) -> Result<Vec<Point>, Infallible> {
        Ok(self.cell(seq).iter().map(|head| head.point).collect())
    }
}

/// Unwraps what cannot fail.
pub(super) fn sure<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use edge_ledger_core::ids::EntryHash;

    fn point(seq: u64) -> Point {
        let hash = EntryHash::from_bytes([1; 32]);
        Point { seq, hash }
    }

    #[test]
    fn wishes_are_joined_grow_and_stay_below_the_top() {
        let tip = (point(90), Signature::from_bytes([0; 64]));
        let mut journal = Journal::ending_in(vec![tip]);
        for seq in [0, 3, 4, 90, 91] {
            assert!(journal.head(point(seq)).is_none());
        }
        assert_eq!(journal.take_wishes(), [(3, 4), (90, 90)]);
        assert_eq!(journal.take_wishes(), []);
        journal.read(4, Vec::new());
        for seq in [2, 4, 6] {
            assert!(journal.head(point(seq)).is_none());
        }
        assert_eq!(journal.take_wishes(), [(1, 3), (5, 6)]);
    }
}
