//! How values are laid out. Numbers are big-endian.
//!
//! - *row*: length of the payload (4), format (2), hash (32), hash of the parent (32), 1 if signed
//!   (1), payload, signature if signed (64). What stands before the payload is the row's *head*.
//! - *cell*: the rows of one place in a journal, one after the other: one, unless it is forked.
//! - *ending* of a journal: stamp of the write that made it (16), per tip `seq` (8), hash (32) and
//!   signature (64). Nothing for a journal without entries.
//! - *record* of a statement: service time (8), length of the tips (4), per tip device (16), `seq`
//!   (8), hash (32) and signature (64), the statement.

use bytes::Bytes;
use edge_ledger_core::identity::{Point, SignedTip};
use edge_ledger_core::ids::{DeviceId, EntryHash};
use edge_ledger_core::keys::Signature;
use edge_ledger_core::ledger::VerifiedEntry;
use edge_ledger_core::ledger::page::Row;

use super::stamp::Stamp;
use crate::StoreError;
use crate::identity::{LogEnd, StoredRecord};

/// Length of a row's head.
const HEAD_LEN: usize = 71;

/// A tip of a journal, with its author's signature: a tip is the end of a run or named by a cut,
/// and both bring one.
pub(super) type Tipped = (Point, Signature);

/// What a row says of its entry before the payload.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowHead {
    pub(super) point: Point,
    pub(super) prev: EntryHash,
    pub(super) format: u16,
    pub(super) bytes: usize,
    pub(super) signed: bool,
}

impl RowHead {
    pub(super) fn of(entry: &VerifiedEntry, signed: bool) -> Self {
        Self {
            point: entry.point(),
            prev: entry.parent().hash,
            format: entry.format(),
            bytes: entry.payload().len(),
            signed,
        }
    }

    pub(super) fn parent(&self) -> Point {
        Point {
            seq: self.point.seq.saturating_sub(1),
            hash: self.prev,
        }
    }
}

pub(super) fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(what.to_owned())
}

/// A value that is being read.
struct Reading<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Reading<'a> {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let split = self.rest.split_first_chunk::<N>();
        let (field, rest) = split.ok_or_else(|| damaged(self.what))?;
        self.rest = rest;
        Ok(*field)
    }

    fn slice(&mut self, len: usize) -> Result<&'a [u8], StoreError> {
        let split = self.rest.split_at_checked(len);
        let (field, rest) = split.ok_or_else(|| damaged(self.what))?;
        self.rest = rest;
        Ok(field)
    }

    fn len(&mut self) -> Result<usize, StoreError> {
        usize::try_from(u32::from_be_bytes(self.bytes()?)).map_err(|_| damaged(self.what))
    }

    fn point(&mut self) -> Result<Point, StoreError> {
        Ok(Point {
            seq: u64::from_be_bytes(self.bytes()?),
            hash: EntryHash::from_bytes(self.bytes()?),
        })
    }

    fn tip(&mut self) -> Result<Tipped, StoreError> {
        Ok((self.point()?, Signature::from_bytes(self.bytes()?)))
    }

    fn row_head(&mut self, seq: u64) -> Result<RowHead, StoreError> {
        let bytes = self.len()?;
        let format = u16::from_be_bytes(self.bytes()?);
        let hash = EntryHash::from_bytes(self.bytes()?);
        let prev = EntryHash::from_bytes(self.bytes()?);
        let signed = match self.bytes::<1>()? {
            [0] => false,
            [1] => true,
            _ => return Err(damaged(self.what)),
        };
        let point = Point { seq, hash };
        Ok(RowHead {
            point,
            prev,
            format,
            bytes,
            signed,
        })
    }
}

/// The row of an entry.
pub(super) fn row(entry: &VerifiedEntry, signature: Option<Signature>) -> Vec<u8> {
    let payload = entry.payload();
    let len = u32::try_from(payload.len()).expect("the gate limits payloads");
    let mut row = Vec::with_capacity(HEAD_LEN + payload.len() + 64);
    row.extend_from_slice(&len.to_be_bytes());
    row.extend_from_slice(&entry.format().to_be_bytes());
    row.extend_from_slice(entry.point().hash.as_bytes());
    row.extend_from_slice(entry.parent().hash.as_bytes());
    row.push(u8::from(signature.is_some()));
    row.extend_from_slice(payload);
    if let Some(signature) = signature {
        row.extend_from_slice(signature.as_bytes());
    }
    row
}

/// Reads the heads of a cell's rows, which stand there without the rest.
pub(super) fn heads(seq: u64, heads: &[u8]) -> Result<Vec<RowHead>, StoreError> {
    let what = "the heads of a cell";
    let mut reading = Reading { what, rest: heads };
    let mut found = Vec::with_capacity(heads.len() / HEAD_LEN);
    while !reading.rest.is_empty() {
        found.push(reading.row_head(seq)?);
    }
    found.sort_unstable_by_key(|head| head.point);
    Ok(found)
}

/// Reads the rows of a cell.
pub(super) fn cell(device: DeviceId, seq: u64, cell: &Bytes) -> Result<Vec<Row>, StoreError> {
    let mut reading = Reading {
        what: "a cell",
        rest: cell,
    };
    let mut rows = Vec::with_capacity(1);
    while !reading.rest.is_empty() {
        let head = reading.row_head(seq)?;
        let payload = cell.slice_ref(reading.slice(head.bytes)?);
        let signature = match head.signed {
            true => Some(Signature::from_bytes(reading.bytes()?)),
            false => None,
        };
        rows.push(Row {
            device,
            format: head.format,
            point: head.point,
            prev: head.prev,
            payload,
            signature,
        });
    }
    Ok(rows)
}

/// A journal's ending.
pub(super) fn ending(stamp: Stamp, tips: &[Tipped]) -> Vec<u8> {
    if tips.is_empty() {
        return Vec::new();
    }
    let mut ending = stamp.to_vec();
    for (point, signature) in tips {
        ending.extend_from_slice(&point.seq.to_be_bytes());
        ending.extend_from_slice(point.hash.as_bytes());
        ending.extend_from_slice(signature.as_bytes());
    }
    ending
}

/// Reads the tips of a journal's ending.
pub(super) fn tips(ending: &[u8]) -> Result<Vec<Tipped>, StoreError> {
    if ending.is_empty() {
        return Ok(Vec::new());
    }
    let what = "the tips of a journal";
    let mut reading = Reading { what, rest: ending };
    reading.bytes::<{ size_of::<Stamp>() }>()?;
    let mut tips = Vec::with_capacity(1);
    while !reading.rest.is_empty() {
        tips.push(reading.tip()?);
    }
    if tips.is_empty() {
        return Err(damaged(what));
    }
    Ok(tips)
}

/// The record of a statement.
pub(super) fn record(record: &StoredRecord) -> Vec<u8> {
    let tips_len = u32::try_from(120 * record.tips.len()).expect("a receipt limits its tips");
    let mut value = Vec::with_capacity(12 + 120 * record.tips.len() + record.statement.len());
    value.extend_from_slice(&record.service_time_ms.to_be_bytes());
    value.extend_from_slice(&tips_len.to_be_bytes());
    for tip in &record.tips {
        value.extend_from_slice(tip.device.as_bytes());
        value.extend_from_slice(&tip.point.seq.to_be_bytes());
        value.extend_from_slice(tip.point.hash.as_bytes());
        value.extend_from_slice(tip.signature.as_bytes());
    }
    value.extend_from_slice(&record.statement);
    value
}

/// Reads the record of a statement.
pub(super) fn stored_record(value: &Bytes) -> Result<StoredRecord, StoreError> {
    let what = "a statement";
    let mut reading = Reading { what, rest: value };
    let service_time_ms = i64::from_be_bytes(reading.bytes()?);
    let tips_len = reading.len()?;
    let rest = reading.slice(tips_len)?;
    let mut in_tips = Reading { what, rest };
    let mut tips = Vec::new();
    while !in_tips.rest.is_empty() {
        let device = DeviceId::from_bytes(in_tips.bytes()?);
        let (point, signature) = in_tips.tip()?;
        tips.push(SignedTip {
            device,
            point,
            signature,
        });
    }
    Ok(StoredRecord {
        statement: value.slice_ref(reading.rest),
        service_time_ms,
        tips,
    })
}

/// The last record of a log as the scripts compare it: nothing for an empty log.
pub(super) fn last(end: &LogEnd) -> Vec<u8> {
    end.last.as_ref().map(record).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tipped(seq: u64) -> Tipped {
        let hash = EntryHash::from_bytes([7; 32]);
        (Point { seq, hash }, Signature::from_bytes([9; 64]))
    }

    /// Every proper beginning of a value is damaged, unless it is a shorter value.
    fn cut_short<T>(value: &[u8], whole: &[usize], read: impl Fn(&[u8]) -> Result<T, StoreError>) {
        for len in 0..=value.len() {
            let read = read(&value[..len]);
            assert_eq!(read.is_ok(), whole.contains(&len), "{len}");
        }
    }

    #[test]
    fn endings_are_read_as_they_were_written() {
        let tips_written = [tipped(1), tipped(2)];
        let value = ending([3; 16], &tips_written);
        assert_eq!(tips(&value).unwrap(), tips_written);
        assert!(ending([3; 16], &[]).is_empty());
        cut_short(&value, &[0, 120, 224], tips);
    }

    #[test]
    fn records_and_heads_are_read_as_they_were_written() {
        let (point, signature) = tipped(5);
        let tip = SignedTip {
            device: DeviceId::from_bytes([1; 16]),
            point,
            signature,
        };
        let written = StoredRecord {
            statement: Bytes::from_static(b"text"),
            service_time_ms: -1,
            tips: vec![tip, tip],
        };
        let value = record(&written);
        assert_eq!(stored_record(&value.clone().into()).unwrap(), written);
        let read = |value: &[u8]| stored_record(&Bytes::copy_from_slice(value));
        cut_short(&value, &[252, 253, 254, 255, 256], read);
    }

    #[test]
    fn cells_that_are_no_rows_are_damaged() {
        let device = DeviceId::from_bytes([1; 16]);
        let mut value = vec![0, 0, 0, 3, 0, 7];
        value.extend_from_slice(&[1; 64]);
        value.extend_from_slice(b"\x00abc");
        let rows = cell(device, 4, &value.clone().into()).unwrap();
        assert_eq!((&rows[0].payload[..], rows[0].point.seq), (&b"abc"[..], 4));
        let read = |value: &[u8]| cell(device, 4, &Bytes::copy_from_slice(value));
        cut_short(&value, &[0, value.len()], read);
        cut_short(&value[..HEAD_LEN], &[0, HEAD_LEN], |value| heads(4, value));
        value[HEAD_LEN - 1] = 2;
        assert!(heads(4, &value[..HEAD_LEN]).is_err());
    }
}
