//! The identity log: one linear list of statements, and what it says about each device and key.
//!
//! `check` decides, `apply` does. A log only ever grows by one statement that names the head it
//! follows; the hash chain covers the whole signed statement and what was recorded beside it. The
//! one clock of its rules is the time that is recorded with each statement, which never goes back:
//! whoever replays a log comes to the same end.

mod apply;
mod check;
mod device;
mod enrolment;
mod join;
mod roots;
mod signers;

use std::collections::{BTreeMap, BTreeSet};

pub use device::{DeviceRecord, DeviceState};
pub use enrolment::{EnrolmentMaker, EnrolmentRecord};
use roots::Roots;
pub use roots::{Recovery, RecoveryKey};

use crate::identity::genesis::next_key_hash;
use crate::identity::receipt::ReceiptParts;
use crate::identity::{Act, Cut, FormatError, Genesis, Statement, StatementRecord};
use crate::ids::{DeviceId, IdentityId, LedgerId, LogHash};
use crate::keys::PublicKey;
use crate::tags::Tag;

/// Why a statement cannot be the next of its log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// It follows another head than the log's.
    #[error("the statement does not follow the log's head")]
    Conflict,
    /// Its time is before that of the statement that it follows.
    #[error("the time of the log goes back")]
    TimeWentBack,
    /// Malformed, or of another deployment or identity.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// Signed by nobody who may.
    #[error("the statement is not signed by a key that may sign it")]
    NotAllowed,
    /// Signed by an admin device that was linked a short time ago.
    #[error("the device is in probation")]
    Probation,
    /// Signed by an enrolment key that was ended, expired or used up, or it is about one.
    #[error("the enrolment key was ended, has expired or is used up")]
    EnrolmentEnded,
    /// It names a device that the log does not know.
    #[error("the log knows no such device")]
    UnknownDevice,
    /// It names an enrolment key that the log does not know.
    #[error("the log knows no such enrolment key")]
    UnknownEnrolment,
    /// It names, or is signed by, a device that was ended.
    #[error("the device was revoked or replaced")]
    DeviceEnded,
    /// A key that was in the log before, or that the log commits to.
    #[error("a key enters a log only once")]
    KeyReused,
    /// It would leave the identity without an admin.
    #[error("the last admin cannot be removed")]
    LastAdmin,
    /// Another recovery waits.
    #[error("another recovery waits for its veto time")]
    RecoveryPending,
    /// The recovery that it names does not wait.
    #[error("no such recovery waits")]
    NothingPending,
    /// The branch that it names is none of this log.
    #[error("it names no other branch of this log")]
    NoBranch,
    /// Too many devices.
    #[error("the identity has as many devices as it may")]
    DeviceLimit,
    /// It was said as often as it may be, of this device, lineage or key.
    #[error("this was said as often as it may be")]
    StatementLimit,
}

/// Where a log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogHead {
    /// Number of statements.
    pub position: u64,
    /// Hash of the chain up to there.
    pub hash: LogHash,
}

impl LogHead {
    /// The head of an empty log.
    pub const EMPTY: Self = Self {
        position: 0,
        hash: LogHash::ZERO,
    };
}

/// One identity's log, replayed.
#[derive(Debug, Clone)]
pub struct IdentityLog {
    identity: IdentityId,
    genesis: Genesis,
    records: Vec<StatementRecord>,
    hashes: Vec<LogHash>,
    devices: BTreeMap<DeviceId, DeviceRecord>,
    /// By the id that the key would have as a device.
    enrolments: BTreeMap<DeviceId, EnrolmentRecord>,
    /// Keys are large, and logs are held in many places.
    roots: Box<Roots>,
    /// Every key that ever entered, in whatever role, as a commitment to it.
    keys: BTreeSet<[u8; 32]>,
    /// How often each device was renamed.
    renames: BTreeMap<DeviceId, usize>,
    /// How often each lineage was revoked.
    revokes: BTreeMap<DeviceId, usize>,
    /// Every head of the branches that were taken over.
    abandoned: BTreeSet<(u64, LogHash)>,
    /// How many branches were taken over, one after the other.
    joins: usize,
}

/// The log's hash after a record (`docs/protocol.md`, "hash chain"). It covers what the store
/// recorded beside the statement, so that two logs with equal heads have equal cuts.
pub fn next_hash(ledger_id: LedgerId, prev: LogHash, record: &StatementRecord) -> LogHash {
    let recorded = record.recorded();
    let parts = [prev.as_bytes(), &recorded[..], record.statement.bytes()];
    LogHash::from_bytes(Tag::Log.hash(ledger_id, &parts))
}

impl IdentityLog {
    /// The log of an identity in which nothing was said.
    pub fn empty(genesis: Genesis, identity: IdentityId) -> Self {
        let root = PublicKey::from_bytes(identity.as_bytes()).ok();
        Self {
            identity,
            genesis,
            records: Vec::new(),
            hashes: Vec::new(),
            devices: BTreeMap::new(),
            enrolments: BTreeMap::new(),
            keys: root.iter().map(next_key_hash).collect(),
            roots: Box::new(Roots::new(root)),
            renames: BTreeMap::new(),
            revokes: BTreeMap::new(),
            abandoned: BTreeSet::new(),
            joins: 0,
        }
    }

    /// Replays records in order.
    ///
    /// # Errors
    /// The first [`LogError`].
    pub fn replay(
        genesis: Genesis,
        identity: IdentityId,
        records: impl IntoIterator<Item = StatementRecord>,
    ) -> Result<Self, LogError> {
        let mut log = Self::empty(genesis, identity);
        for record in records {
            log.apply(record)?;
        }
        Ok(log)
    }

    /// The identity.
    pub fn identity(&self) -> IdentityId {
        self.identity
    }

    /// The deployment.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The deployment's id.
    pub fn ledger_id(&self) -> LedgerId {
        self.genesis.ledger_id()
    }

    /// The root key at a time: that of the first statement, until a rotation or a recovery put
    /// another in its place. A recovery does so by time alone.
    pub fn root(&self, now_ms: i64) -> Option<PublicKey> {
        self.roots.at(now_ms).root()
    }

    /// Whether a key is the identity's root key at a time.
    pub fn is_root(&self, key: &PublicKey, now_ms: i64) -> bool {
        self.root(now_ms).is_some_and(|root| root == *key)
    }

    /// Whether an id is the one that the root key of a time would have as a device, which it never
    /// is: so a session can be the root key's.
    pub fn is_root_id(&self, id: &DeviceId, now_ms: i64) -> bool {
        self.root(now_ms)
            .is_some_and(|root| root.device_id() == *id)
    }

    /// What the log commits to at a time of the root key that comes next; `None` before it is open.
    pub fn next_root_hash(&self, now_ms: i64) -> Option<[u8; 32]> {
        self.roots.at(now_ms).next()
    }

    /// The recovery key, if there is one.
    pub fn recovery_key(&self) -> Option<&RecoveryKey> {
        self.roots.recovery_key()
    }

    /// The recovery that waits at a time, if there is one: until its time it can be vetoed.
    pub fn recovery(&self, now_ms: i64) -> Option<Recovery> {
        self.roots.at(now_ms).pending().copied()
    }

    /// Position of the recovery that took effect last by a time, which put an end to all root keys
    /// of before; 0 if there was none.
    pub fn recovered_at(&self, now_ms: i64) -> u64 {
        self.roots.at(now_ms).recovered_at()
    }

    /// Where the log ends.
    pub fn head(&self) -> LogHead {
        LogHead {
            position: self.records.len() as u64,
            hash: self
                .hash_at(self.records.len() as u64)
                .unwrap_or(LogHash::ZERO),
        }
    }

    /// The time that was recorded last; the smallest there is before the log is open.
    pub fn time(&self) -> i64 {
        self.records
            .last()
            .map_or(i64::MIN, |last| last.service_time_ms)
    }

    /// The chain's hash at a position; the zero hash at 0.
    pub fn hash_at(&self, position: u64) -> Option<LogHash> {
        match position.checked_sub(1) {
            None => Some(LogHash::ZERO),
            Some(index) => self.hashes.get(usize::try_from(index).ok()?).copied(),
        }
    }

    /// The records after a position.
    pub fn records_after(&self, position: u64) -> &[StatementRecord] {
        let from =
            usize::try_from(position).map_or(self.records.len(), |p| p.min(self.records.len()));
        &self.records[from..]
    }

    /// Whether a receipted statement, which is not verified, is the one that this log has at a
    /// position: statement, time and tips, byte for byte. `None` beyond the log's end.
    pub fn has(&self, position: u64, parts: &ReceiptParts) -> Option<bool> {
        let index = usize::try_from(position.checked_sub(1)?).ok()?;
        let (record, hash) = (self.records.get(index)?, self.hashes.get(index)?);
        Some(parts.tell_of(record, *hash))
    }

    /// What the log says about a device.
    pub fn device(&self, device: &DeviceId) -> Option<&DeviceRecord> {
        self.devices.get(device)
    }

    /// All devices that ever were in the log.
    pub fn devices(&self) -> impl Iterator<Item = (&DeviceId, &DeviceRecord)> {
        self.devices.iter()
    }

    /// What the log says about the enrolment key that would have this id as a device.
    pub fn enrolment(&self, id: &DeviceId) -> Option<&EnrolmentRecord> {
        self.enrolments.get(id)
    }

    /// All enrolment keys that ever were in the log.
    pub fn enrolments(&self) -> impl Iterator<Item = &EnrolmentRecord> {
        self.enrolments.values()
    }

    /// The lineage of a device: the id of its first member.
    pub fn lineage(&self, device: &DeviceId) -> Option<DeviceId> {
        self.devices.get(device).map(|d| d.lineage)
    }

    /// What remains of a device's journal, once it was ended.
    pub fn cut(&self, device: &DeviceId) -> Option<&Cut> {
        self.devices.get(device)?.cut.as_ref()
    }

    /// The devices whose journals a statement ends: those whose tips its append must record.
    pub fn ends(&self, statement: &Statement) -> BTreeSet<DeviceId> {
        let lineage_of = |device: &DeviceId| match self.lineage(device) {
            Some(lineage) => self
                .devices
                .iter()
                .filter(|(_, d)| d.lineage == lineage)
                .map(|(id, _)| *id)
                .collect(),
            None => BTreeSet::new(),
        };
        match &statement.body().act {
            Act::Revoke { device, .. } => lineage_of(device),
            Act::Replace { old, .. } => BTreeSet::from([*old]),
            Act::AddDevice { certificate, .. } => certificate.replaces().into_iter().collect(),
            Act::Incept { .. }
            | Act::Rename { .. }
            | Act::RotateRoot { .. }
            | Act::SetRecovery { .. }
            | Act::Recover { .. }
            | Act::RecoverFork { .. }
            | Act::Veto { .. }
            | Act::EnrolmentKey { .. }
            | Act::RevokeEnrolment { .. } => BTreeSet::new(),
        }
    }
}
