//! What is to be carried out in one journal, as the scripts take it.

use std::collections::BTreeMap;

use edge_ledger_core::identity::Point;
use edge_ledger_core::keys::Signature;

use super::script::Call;

/// Changes of the cells of one journal.
#[derive(Debug, Default)]
pub(super) struct ChangeSet {
    /// Cells that are new, of one row each.
    pub(super) cells: BTreeMap<u64, Vec<u8>>,
    /// Rows for cells that may hold others.
    pub(super) rows: Vec<(u64, Vec<u8>)>,
    /// Places that are emptied.
    pub(super) emptied: Vec<u64>,
    /// Rows that are taken out of cells, by their hashes one after the other.
    pub(super) dropped: Vec<(u64, Vec<u8>)>,
    /// Signatures for rows that have none.
    pub(super) signed: Vec<(Point, Signature)>,
}

impl ChangeSet {
    pub(super) fn is_empty(&self) -> bool {
        self.cells.is_empty()
            && self.rows.is_empty()
            && self.emptied.is_empty()
            && self.dropped.is_empty()
            && self.signed.is_empty()
    }

    /// Adds the arguments that `rows.lua` takes.
    pub(super) fn arguments(self, mut call: Call) -> Call {
        call = in_pairs(call, self.cells);
        call = in_pairs(call, self.rows);
        call = call.number(self.emptied.len());
        for seq in self.emptied {
            call = call.number(seq);
        }
        call = in_pairs(call, self.dropped);
        call = call.number(self.signed.len());
        for (point, signature) in self.signed {
            call = call
                .number(point.seq)
                .arg(point.hash.as_bytes())
                .arg(signature.as_bytes());
        }
        call
    }
}

fn in_pairs<I>(call: Call, pairs: I) -> Call
where
    I: IntoIterator<Item = (u64, Vec<u8>), IntoIter: ExactSizeIterator>,
{
    let pairs = pairs.into_iter();
    let call = call.number(pairs.len());
    pairs.fold(call, |call, (seq, value)| call.number(seq).arg(value))
}
