//! The identity log: one linear list of statements, and what it says about each device.
//!
//! `check` decides, `apply` does. A log only ever grows by one statement that names the head it
//! follows; the hash chain covers the whole signed statement and what was recorded beside it.

mod check;

use std::collections::{BTreeMap, BTreeSet};

use crate::identity::receipt::ReceiptParts;
use crate::identity::{
    Act, Certificate, Cut, FormatError, Genesis, SignedTip, Statement, StatementRecord,
};
use crate::ids::{DeviceId, IdentityId, LedgerId, LogHash};
use crate::keys::PublicKey;
use crate::tags::Tag;

/// Why a statement cannot be the next of its log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// It follows another head than the log's.
    #[error("the statement does not follow the log's head")]
    Conflict,
    /// Malformed, or of another deployment or identity.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// Signed by nobody who may.
    #[error("the statement is not signed by a key that may sign it")]
    NotAllowed,
    /// It names a device that the log does not know.
    #[error("the log knows no such device")]
    UnknownDevice,
    /// It names, or is signed by, a device that was ended.
    #[error("the device was revoked or replaced")]
    DeviceEnded,
    /// A key that was in the log before.
    #[error("a key enters a log only once")]
    KeyReused,
    /// It would leave the identity without an admin.
    #[error("the last admin cannot be removed")]
    LastAdmin,
    /// Too many devices.
    #[error("the identity has as many devices as it may")]
    DeviceLimit,
    /// A device was renamed, or a lineage revoked, as often as it may be.
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

/// Where a device stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceState {
    /// It may speak.
    Active,
    /// Another key went on in its place.
    Replaced {
        /// The successor.
        by: DeviceId,
    },
    /// Its lineage was ended.
    Revoked,
}

/// What the log says about one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRecord {
    /// Its key.
    pub key: PublicKey,
    /// Its name.
    pub name: String,
    /// Its platform.
    pub platform: String,
    /// Whether it may sign statements about others.
    pub admin: bool,
    /// Position of the statement that added it.
    pub added_at: u64,
    /// The first device of its lineage.
    pub lineage: DeviceId,
    /// Where it stands.
    pub state: DeviceState,
    /// What remains of its journal, once it was ended.
    pub cut: Option<Cut>,
}

/// One identity's log, replayed.
#[derive(Debug, Clone)]
pub struct IdentityLog {
    identity: IdentityId,
    genesis: Genesis,
    records: Vec<StatementRecord>,
    hashes: Vec<LogHash>,
    devices: BTreeMap<DeviceId, DeviceRecord>,
    /// How often each device was renamed.
    renames: BTreeMap<DeviceId, usize>,
    /// How often each lineage was revoked.
    revokes: BTreeMap<DeviceId, usize>,
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
        Self {
            identity,
            genesis,
            records: Vec::new(),
            hashes: Vec::new(),
            devices: BTreeMap::new(),
            renames: BTreeMap::new(),
            revokes: BTreeMap::new(),
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

    /// Whether a key is the identity's root key.
    pub fn is_root(&self, key: &PublicKey) -> bool {
        key.identity_id() == self.identity
    }

    /// Whether an id is the one that the root key would have as a device, which it never is: so a
    /// session can be the root key's.
    pub fn is_root_id(&self, id: &DeviceId) -> bool {
        let root = PublicKey::from_bytes(self.identity.as_bytes());
        root.is_ok_and(|root| root.device_id() == *id)
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
            Act::Incept { .. } | Act::Rename { .. } => BTreeSet::new(),
        }
    }

    /// Adds a record after checking it.
    ///
    /// # Errors
    /// [`LogError`] saying why it cannot be the next; the log is unchanged then.
    pub fn apply(&mut self, record: StatementRecord) -> Result<(), LogError> {
        self.check(&record.statement)?;
        let ends = self.ends(&record.statement);
        record.check_order()?;
        self.check_tips(&record.tips, |tip| ends.contains(&tip.device))?;
        let position = record.statement.body().position;
        match &record.statement.body().act {
            Act::Incept { certificate, .. } => self.add(certificate, true, position),
            Act::AddDevice { certificate, admin } => {
                let admin = *admin
                    || certificate
                        .replaces()
                        .is_some_and(|old| self.has_admin_rights(&old));
                self.end(
                    &ends,
                    &record,
                    &[],
                    |by| DeviceState::Replaced { by },
                    Some(certificate),
                );
                self.add(certificate, admin, position);
            }
            Act::Revoke { device, tips, .. } => {
                self.end(&ends, &record, tips, |_| DeviceState::Revoked, None);
                if let Some(lineage) = self.lineage(device) {
                    *self.revokes.entry(lineage).or_default() += 1;
                }
            }
            Act::Replace {
                old,
                certificate,
                tips,
            } => {
                let admin = self.has_admin_rights(old);
                self.end(
                    &ends,
                    &record,
                    tips,
                    |by| DeviceState::Replaced { by },
                    Some(certificate),
                );
                self.add(certificate, admin, position);
            }
            Act::Rename { device, name } => {
                *self.renames.entry(*device).or_default() += 1;
                if let Some(device) = self.devices.get_mut(device) {
                    device.name.clone_from(name);
                }
            }
        }
        self.hashes
            .push(next_hash(self.ledger_id(), self.head().hash, &record));
        self.records.push(record);
        Ok(())
    }

    /// Whether a device is an admin and did not pass that on to a successor.
    fn has_admin_rights(&self, device: &DeviceId) -> bool {
        self.active(device).is_ok_and(|d| d.admin)
    }

    fn add(&mut self, certificate: &Certificate, admin: bool, position: u64) {
        let id = certificate.key().device_id();
        let lineage = certificate
            .replaces()
            .and_then(|old| self.lineage(&old))
            .unwrap_or(id);
        let record = DeviceRecord {
            key: *certificate.key(),
            name: certificate.name().to_owned(),
            platform: certificate.platform().to_owned(),
            admin,
            added_at: position,
            lineage,
            state: DeviceState::Active,
            cut: None,
        };
        self.devices.insert(id, record);
    }

    fn end(
        &mut self,
        ends: &BTreeSet<DeviceId>,
        record: &StatementRecord,
        named: &[SignedTip],
        state: impl Fn(DeviceId) -> DeviceState,
        successor: Option<&Certificate>,
    ) {
        for id in ends {
            if let Some(device) = self.devices.get_mut(id) {
                let by = successor.map_or(*id, |c| c.key().device_id());
                device.state = state(by);
                let before = device.cut.as_ref();
                device.cut = Some(Cut::after(before, *id, named, &record.tips));
            }
        }
    }
}
