//! Taking over another branch of a log, when a service gave out two.
//!
//! The log goes on as it is, and gains of the other branch what its devices must not lose: who
//! they are, and who was ended where. The rule reads both branches and nothing else, so whoever
//! has the log has the same: the branch is in the statement, with its receipts.

use std::collections::BTreeSet;

use super::check::said_less_than;
use super::enrolment::EnrolmentMaker;
use super::{DeviceRecord, DeviceState, IdentityLog, LogError, LogHead};
use crate::identity::receipt::ReceiptParts;
use crate::identity::{Branch, Cut, ReceiptedStatement};
use crate::ids::DeviceId;
use crate::limits::{DEVICES_EVER_MAX, FORKS_MAX};

impl IdentityLog {
    /// What this log makes of another branch of it. Its own statements, and where it ends, stay.
    ///
    /// - A device that the other branch alone knows enters with what that says of it.
    /// - A device that either ended is ended, and keeps what either kept; a lineage that either
    ///   revoked is revoked in all its devices, and those that only the other branch added keep
    ///   nothing.
    /// - An enrolment key that either ended is ended, as are those that the other branch alone
    ///   knows; uses add up.
    /// - Root and recovery key are those of the other branch if this log says nothing of its own
    ///   about them since.
    ///
    /// Of the names, those of this log stay.
    ///
    /// # Errors
    /// [`LogError::NoBranch`].
    pub fn joined(&self, branch: &Branch) -> Result<Self, LogError> {
        let (base, other) = self.branched(branch)?;
        Ok(self.join(&base, &other))
    }

    /// Whether a head is one of a branch that was taken over: who has it may go on with this log.
    pub fn has_abandoned(&self, head: LogHead) -> bool {
        self.abandoned.contains(&(head.position, head.hash))
    }

    /// What a statement that takes over a branch makes of this log.
    pub(super) fn recovered(&self, branch: &Branch) -> Result<Self, LogError> {
        let (base, other) = self.branched(branch)?;
        let mut log = self.join(&base, &other);
        log.joins = self.joins.max(other.joins);
        said_less_than(FORKS_MAX, Some(&log.joins))?;
        log.joins += 1;
        log.abandoned.extend(&other.abandoned);
        let after = base.head().position + 1..=other.head().position;
        let heads = after.filter_map(|position| Some((position, other.hash_at(position)?)));
        log.abandoned.extend(heads);
        Ok(log)
    }

    /// The common beginning, and the other log.
    fn branched(&self, branch: &Branch) -> Result<(Self, Self), LogError> {
        let first = branch.position();
        let parts = branch.statements().first();
        let leaves = parts.is_some_and(|parts| self.has(first, parts) == Some(false));
        let before = first.checked_sub(1).filter(|_| leaves);
        let before = before.and_then(|before| usize::try_from(before).ok());
        let before = before.ok_or(LogError::NoBranch)?;
        let records = self.records[..before].iter().cloned();
        let base = Self::replay(self.genesis.clone(), self.identity, records)?;
        let mut other = base.clone();
        for parts in branch.statements() {
            other.follow(parts).map_err(|_| LogError::NoBranch)?;
        }
        Ok((base, other))
    }

    fn follow(&mut self, parts: &ReceiptParts) -> Result<(), LogError> {
        let head = self.head();
        let receipted =
            ReceiptedStatement::verify(&self.genesis, self.identity, head.hash, parts.clone())?;
        self.apply(receipted.into_record())
    }

    fn join(&self, base: &Self, other: &Self) -> Self {
        let mut log = self.clone();
        log.join_devices(other);
        log.join_enrolments(base, other);
        log.end_revoked_lineages();
        if *base.roots.at(self.time()) == *self.roots {
            log.roots.clone_from(&other.roots);
        }
        log.keys.extend(&other.keys);
        for (lineage, times) in &other.revokes {
            let ours = log.revokes.entry(*lineage).or_default();
            *ours = (*ours).max(*times);
        }
        log
    }

    fn join_devices(&mut self, other: &Self) {
        let mut entering: Vec<(&DeviceId, &DeviceRecord)> = Vec::new();
        for (id, theirs) in &other.devices {
            match self.devices.get_mut(id) {
                Some(ours) => ours.join(theirs),
                None => entering.push((id, theirs)),
            }
        }
        // Of too many, which take more than one key that others hold, the first ones enter.
        entering.sort_by_key(|(_, theirs)| theirs.added_at);
        let added_at = self.head().position + 1;
        let room = DEVICES_EVER_MAX.saturating_sub(self.devices.len());
        for (id, theirs) in entering.into_iter().take(room) {
            let device = DeviceRecord {
                added_at,
                ..theirs.clone()
            };
            self.devices.insert(*id, device);
        }
    }

    fn join_enrolments(&mut self, base: &Self, other: &Self) {
        for (id, theirs) in &other.enrolments {
            let before = base.enrolments.get(id).map_or(0, |before| before.used);
            let ours = self.enrolments.entry(*id).or_insert_with(|| {
                let mut entering = theirs.clone();
                (entering.ended, entering.used) = (true, before);
                entering
            });
            ours.ended |= theirs.ended;
            let used = theirs.used.saturating_sub(before);
            ours.used = ours.used.saturating_add(used);
        }
        // A key has one role, whichever branch gave it.
        for (id, enrolment) in &mut self.enrolments {
            enrolment.ended |= self.devices.contains_key(id);
        }
    }

    /// Nobody goes on in a lineage that was revoked, whichever branch let him in.
    fn end_revoked_lineages(&mut self) {
        let revoked = |device: &&DeviceRecord| device.state == DeviceState::Revoked;
        let lineages = self.devices.values().filter(revoked);
        let lineages: BTreeSet<DeviceId> = lineages.map(|device| device.lineage).collect();
        for device in self.devices.values_mut() {
            if lineages.contains(&device.lineage) {
                device.state = DeviceState::Revoked;
                device.cut.get_or_insert_with(Cut::default);
            }
        }
        for lineage in lineages {
            self.end_enrolments_of(EnrolmentMaker::Lineage(lineage));
        }
    }
}

impl DeviceRecord {
    /// Adds what another branch says of the device.
    fn join(&mut self, theirs: &Self) {
        self.state = match (self.state, theirs.state) {
            (DeviceState::Revoked, _) | (_, DeviceState::Revoked) => DeviceState::Revoked,
            (DeviceState::Active, theirs) => theirs,
            (ours @ DeviceState::Replaced { .. }, _) => ours,
        };
        self.cut = match (self.cut.take(), &theirs.cut) {
            (Some(ours), Some(theirs)) => Some(ours.with(theirs)),
            (ours, theirs) => ours.or_else(|| theirs.clone()),
        };
    }
}
