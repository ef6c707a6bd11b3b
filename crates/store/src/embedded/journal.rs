//! Journals in the tables: what is read for the rules of `core`, and how their decisions are
//! carried out.
//!
//! Value of a journal's tips: version (1), per tip `seq` (8) and hash (32), checksum (8).

use edge_ledger_core::identity::{Cut, Point, SignedTip};
use edge_ledger_core::ids::{DeviceId, EntryHash, IdentityId};
use edge_ledger_core::keys::Signature;
use edge_ledger_core::ledger::admission::Admissible;
use edge_ledger_core::ledger::journal::{Freight, extend, retreat};
use edge_ledger_core::ledger::page::Row;
use edge_ledger_core::ledger::{Extended, JournalView, VerifiedEntry};
use redb::ReadableTable;

use super::entry::{EntryHead, decode_entry, decode_freight};
use super::fault::Fault;
use super::layout::{Reading, Writing};
use super::tables::{EntryKey, JournalKey, Tables, entry_key, entry_point, journal_key};

const TIPS: &str = "the tips of a journal";

/// Readable entries and tips, of a snapshot or of the group that is being written.
pub(super) struct Journal<'a, E, T> {
    pub(super) entries: &'a E,
    pub(super) tips: &'a T,
    pub(super) identity: IdentityId,
    pub(super) device: DeviceId,
}

impl<E, T> JournalView for Journal<'_, E, T>
where
    E: ReadableTable<&'static EntryKey, &'static [u8]>,
    T: ReadableTable<&'static JournalKey, &'static [u8]>,
{
    type Error = Fault;

    fn tips(&self) -> Result<Vec<Point>, Fault> {
        let key = journal_key(self.identity, self.device);
        match self.tips.get(&key)? {
            Some(value) => decode_tips(&key, value.value()),
            None => Ok(Vec::new()),
        }
    }

    fn parent(&self, point: Point) -> Result<Option<Point>, Fault> {
        let key = entry_key(self.identity, self.device, point);
        let Some(value) = self.entries.get(&key)? else {
            return Ok(None);
        };
        let (head, _) = EntryHead::decode(&key, value.value())?;
        Ok(Some(head.parent(point)))
    }

    fn freight(&self, point: Point) -> Result<Option<Freight>, Fault> {
        let key = entry_key(self.identity, self.device, point);
        let value = self.entries.get(&key)?;
        value
            .map(|value| decode_freight(&key, value.value()))
            .transpose()
    }

    fn at(&self, seq: u64) -> Result<Vec<Point>, Fault> {
        self.range(seq, seq)?
            .map(|row| Ok(entry_point(row?.0.value())))
            .collect()
    }
}

impl<E, T> Journal<'_, E, T>
where
    E: ReadableTable<&'static EntryKey, &'static [u8]>,
    T: ReadableTable<&'static JournalKey, &'static [u8]>,
{
    /// One kept entry with its payload.
    pub(super) fn row(&self, point: Point) -> Result<Option<Row>, Fault> {
        let key = entry_key(self.identity, self.device, point);
        let value = self.entries.get(&key)?;
        value
            .map(|value| decode_entry(self.device, &key, value.value()))
            .transpose()
    }

    /// Kept entries from one place on, parents first.
    pub(super) fn rows_from(
        &self,
        seq: u64,
    ) -> Result<impl Iterator<Item = Result<Row, Fault>>, Fault> {
        let device = self.device;
        Ok(self.range(seq, u64::MAX)?.map(move |row| {
            let (key, value) = row?;
            decode_entry(device, key.value(), value.value())
        }))
    }

    fn range(
        &self,
        from: u64,
        to: u64,
    ) -> Result<redb::Range<'_, &'static EntryKey, &'static [u8]>, Fault> {
        let bound = |seq, hash| {
            let hash = EntryHash::from_bytes(hash);
            entry_key(self.identity, self.device, Point { seq, hash })
        };
        let (low, high) = (bound(from, [0; 32]), bound(to, [0xff; 32]));
        Ok(self.entries.range::<&EntryKey>(&low..=&high)?)
    }
}

type Written<'t, K> = redb::Table<'t, &'static K, &'static [u8]>;

/// The journal as it is inside the group that is being written.
fn journal<'a, 't>(
    tables: &'a Tables<'t>,
    identity: IdentityId,
    device: DeviceId,
) -> Journal<'a, Written<'t, EntryKey>, Written<'t, JournalKey>> {
    Journal {
        entries: &tables.entries,
        tips: &tables.tips,
        identity,
        device,
    }
}

/// Places that an identity may still fill; none: as many as it likes.
pub(super) type Room = Option<u64>;

/// Appends one run as `core` decides. The second value says whether anything was written. None if
/// there is no room for it.
pub(super) fn append_run(
    tables: &mut Tables<'_>,
    identity: IdentityId,
    admissible: &Admissible,
    room: &mut Room,
) -> Result<Option<(Extended, bool)>, Fault> {
    let run = &admissible.run;
    let device = run.device();
    let journal_now = journal(tables, identity, device);
    let extended = extend(&journal_now, run, admissible.in_cut)?;
    if let (Some(room), Extended::Kept { tips, .. }) = (room, &extended) {
        let grows = places(tips).saturating_sub(places(&journal_now.tips()?));
        match room.checked_sub(grows) {
            Some(left) => *room = left,
            None => return Ok(None),
        }
    }
    let wrote = match &extended {
        Extended::Kept { from, tips } => {
            let (last, below) = run.entries().split_last().expect("a run is never empty");
            for entry in below.iter().skip(*from) {
                insert_entry(tables, identity, entry, None)?;
            }
            insert_entry(tables, identity, last, Some(run.signature()))?;
            set_tips(tables, identity, device, tips)?;
            true
        }
        Extended::Duplicate => sign_entry(tables, identity, device, run.last(), run.signature())?,
        Extended::Waiting { .. } | Extended::TooManyTips => false,
    };
    Ok(Some((extended, wrote)))
}

/// The places up to some tips.
pub(super) fn places(tips: &[Point]) -> u64 {
    tips.iter().fold(0, |sum, tip| tip.seq.saturating_add(sum))
}

/// Drops what is outside a cut.
pub(super) fn cut_journal(
    tables: &mut Tables<'_>,
    identity: IdentityId,
    device: DeviceId,
    cut: &Cut,
) -> Result<(), Fault> {
    let left = retreat(&journal(tables, identity, device), cut)?;
    for point in &left.outside {
        tables
            .entries
            .remove(&entry_key(identity, device, *point))?;
    }
    for tip in &left.tips {
        if let Some(signature) = cut.signature(tip) {
            sign_entry(tables, identity, device, *tip, signature)?;
        }
    }
    set_tips(tables, identity, device, &left.tips)
}

/// The kept tips of a device with their signatures.
pub(super) fn signed_tips(
    tables: &Tables<'_>,
    identity: IdentityId,
    device: DeviceId,
) -> Result<Vec<SignedTip>, Fault> {
    let journal = journal(tables, identity, device);
    let sign = |point| {
        let row = journal.row(point)?;
        // A journal's tip is the end of a run or named by a cut: both bring a signature.
        let signature = row.and_then(|row| row.signature);
        let signature = signature.ok_or_else(|| Fault::damaged(TIPS))?;
        Ok(SignedTip {
            device,
            point,
            signature,
        })
    };
    journal.tips()?.into_iter().map(sign).collect()
}

/// Adds a signature to a kept entry that has none; says whether it did.
fn sign_entry(
    tables: &mut Tables<'_>,
    identity: IdentityId,
    device: DeviceId,
    point: Point,
    signature: Signature,
) -> Result<bool, Fault> {
    let row = journal(tables, identity, device).row(point)?;
    let Some(row) = row.filter(|row| row.signature.is_none()) else {
        return Ok(false);
    };
    let head = EntryHead {
        format: row.format,
        prev: row.prev,
        signature: Some(signature),
    };
    let key = entry_key(identity, device, point);
    tables
        .entries
        .insert(&key, &*head.encode(&key, &row.payload))?;
    Ok(true)
}

fn insert_entry(
    tables: &mut Tables<'_>,
    identity: IdentityId,
    entry: &VerifiedEntry,
    signature: Option<Signature>,
) -> Result<(), Fault> {
    let key = entry_key(identity, entry.device(), entry.point());
    let head = EntryHead {
        format: entry.format(),
        prev: entry.parent().hash,
        signature,
    };
    tables
        .entries
        .insert(&key, &*head.encode(&key, entry.payload()))?;
    Ok(())
}

fn set_tips(
    tables: &mut Tables<'_>,
    identity: IdentityId,
    device: DeviceId,
    tips: &[Point],
) -> Result<(), Fault> {
    let key = journal_key(identity, device);
    if tips.is_empty() {
        tables.tips.remove(&key)?;
        return Ok(());
    }
    let value = tips
        .iter()
        .fold(Writing::with_capacity(40 * tips.len()), |value, tip| {
            value
                .field(&tip.seq.to_be_bytes())
                .field(tip.hash.as_bytes())
        });
    tables.tips.insert(&key, &*value.sealed(TIPS, &key))?;
    Ok(())
}

/// Reads a journal's tips.
pub(super) fn decode_tips(key: &JournalKey, value: &[u8]) -> Result<Vec<Point>, Fault> {
    let points = Reading::sealed(TIPS, key, value)?.rest();
    let (points, rest) = points.as_chunks::<40>();
    if points.is_empty() || !rest.is_empty() {
        return Err(Fault::damaged(TIPS));
    }
    points
        .iter()
        .map(|point| {
            let (seq, hash) = point
                .split_first_chunk()
                .ok_or_else(|| Fault::damaged(TIPS))?;
            Ok(Point {
                seq: u64::from_be_bytes(*seq),
                hash: EntryHash::try_from(hash).map_err(|_| Fault::damaged(TIPS))?,
            })
        })
        .collect()
}
