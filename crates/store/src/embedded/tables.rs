//! The tables of the file and their keys. Values are laid out beside the code that uses them.

use edge_ledger_core::identity::Point;
use edge_ledger_core::ids::{DeviceId, EntryHash, IdentityId};
use redb::{ReadTransaction, ReadableDatabase as _, Table, TableDefinition, TableHandle as _};

use super::fault::Fault;

/// Key of an entry: identity, device, `seq` (big-endian), hash. In this order parents come before
/// their children.
pub(super) type EntryKey = [u8; 88];
/// Key of a journal: identity, device.
pub(super) type JournalKey = [u8; 48];
/// Key of a statement: identity, position (big-endian).
pub(super) type StatementKey = [u8; 40];
/// Key of a session or a redeemed nonce: identity, hash of the token or nonce.
pub(super) type PassKey = [u8; 64];

type Bytes = &'static [u8];

/// Kept entries.
pub(super) const ENTRIES: TableDefinition<'_, &EntryKey, Bytes> = TableDefinition::new("entries");
/// The tips of each journal that has an entry.
pub(super) const TIPS: TableDefinition<'_, &JournalKey, Bytes> = TableDefinition::new("tips");
/// Version, store epoch and head of each identity's log.
pub(super) const LOGS: TableDefinition<'_, &[u8; 32], Bytes> = TableDefinition::new("logs");
/// The statements of the logs.
pub(super) const STATEMENTS: TableDefinition<'_, &StatementKey, Bytes> =
    TableDefinition::new("statements");
/// Sessions.
pub(super) const SESSIONS: TableDefinition<'_, &PassKey, Bytes> = TableDefinition::new("sessions");
/// Redeemed nonces.
pub(super) const NONCES: TableDefinition<'_, &PassKey, Bytes> = TableDefinition::new("nonces");
/// Link sessions.
pub(super) const LINKS: TableDefinition<'_, &[u8; 32], Bytes> = TableDefinition::new("links");
/// What expires when: time (big-endian, sign flipped), kind, key of the row that expires.
pub(super) const EXPIRIES: TableDefinition<'_, Bytes, ()> = TableDefinition::new("expiries");
/// Facts about the whole file, by name.
pub(super) const GLOBALS: TableDefinition<'_, &str, Bytes> = TableDefinition::new("globals");
/// A device's postings that are in no entry yet.
pub(super) const OUTBOX: TableDefinition<'_, u64, Bytes> = TableDefinition::new("outbox");
/// A device's small facts, by name.
pub(super) const FACTS: TableDefinition<'_, &str, Bytes> = TableDefinition::new("facts");

/// All tables, open for one group of writes.
pub(super) struct Tables<'t> {
    pub(super) entries: Table<'t, &'static EntryKey, Bytes>,
    pub(super) tips: Table<'t, &'static JournalKey, Bytes>,
    pub(super) logs: Table<'t, &'static [u8; 32], Bytes>,
    pub(super) statements: Table<'t, &'static StatementKey, Bytes>,
    pub(super) sessions: Table<'t, &'static PassKey, Bytes>,
    pub(super) nonces: Table<'t, &'static PassKey, Bytes>,
    pub(super) links: Table<'t, &'static [u8; 32], Bytes>,
    pub(super) expiries: Table<'t, Bytes, ()>,
    pub(super) globals: Table<'t, &'static str, Bytes>,
    pub(super) outbox: Table<'t, u64, Bytes>,
    pub(super) facts: Table<'t, &'static str, Bytes>,
}

impl<'t> Tables<'t> {
    /// Opens all tables, and creates those that are missing.
    pub(super) fn open(transaction: &'t redb::WriteTransaction) -> Result<Self, Fault> {
        Ok(Self {
            entries: transaction.open_table(ENTRIES)?,
            tips: transaction.open_table(TIPS)?,
            logs: transaction.open_table(LOGS)?,
            statements: transaction.open_table(STATEMENTS)?,
            sessions: transaction.open_table(SESSIONS)?,
            nonces: transaction.open_table(NONCES)?,
            links: transaction.open_table(LINKS)?,
            expiries: transaction.open_table(EXPIRIES)?,
            globals: transaction.open_table(GLOBALS)?,
            outbox: transaction.open_table(OUTBOX)?,
            facts: transaction.open_table(FACTS)?,
        })
    }
}

/// The state of all tables at one moment.
pub(super) struct Snapshot(ReadTransaction);

/// A table of a snapshot.
pub(super) type Seen<K, V = Bytes> = redb::ReadOnlyTable<K, V>;

impl Snapshot {
    pub(super) fn of(database: &redb::Database) -> Result<Self, Fault> {
        Ok(Self(database.begin_read()?))
    }

    pub(super) fn table<K: redb::Key + 'static, V: redb::Value + 'static>(
        &self,
        table: TableDefinition<'_, K, V>,
    ) -> Result<Seen<K, V>, Fault> {
        debug_assert!(!table.name().is_empty());
        Ok(self.0.open_table(table)?)
    }
}

pub(super) fn entry_key(identity: IdentityId, device: DeviceId, point: Point) -> EntryKey {
    joined(&[
        identity.as_bytes(),
        device.as_bytes(),
        &point.seq.to_be_bytes(),
        point.hash.as_bytes(),
    ])
}

/// The point in the key of an entry.
pub(super) fn entry_point(key: &EntryKey) -> Point {
    let (mut seq, mut hash) = ([0; 8], [0; EntryHash::LEN]);
    seq.copy_from_slice(&key[48..56]);
    hash.copy_from_slice(&key[56..]);
    Point {
        seq: u64::from_be_bytes(seq),
        hash: EntryHash::from_bytes(hash),
    }
}

pub(super) fn journal_key(identity: IdentityId, device: DeviceId) -> JournalKey {
    joined(&[identity.as_bytes(), device.as_bytes()])
}

/// The device in the key of a journal.
pub(super) fn journal_device(key: &JournalKey) -> DeviceId {
    let mut device = [0; DeviceId::LEN];
    device.copy_from_slice(&key[IdentityId::LEN..]);
    DeviceId::from_bytes(device)
}

pub(super) fn statement_key(identity: IdentityId, position: u64) -> StatementKey {
    joined(&[identity.as_bytes(), &position.to_be_bytes()])
}

pub(super) fn pass_key(identity: IdentityId, pass: &[u8; 32]) -> PassKey {
    joined(&[identity.as_bytes(), pass])
}

/// Parts of a key one after the other; their lengths add up to the key's.
fn joined<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut key = [0; N];
    let mut at = 0;
    for part in parts {
        key[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    debug_assert_eq!(at, N, "the parts fill the key");
    key
}
