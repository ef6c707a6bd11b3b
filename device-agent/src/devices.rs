//! What the log, and the entries that are kept, say about each device.

use std::collections::BTreeMap;

use edge_ledger_core::identity::statement::Signer;
use edge_ledger_core::identity::{
    Act, Certificate, DeviceRecord, DeviceState, IdentityLog, RevokeReason, Statement,
};
use edge_ledger_core::ids::DeviceId;

use crate::status::DeviceInfo;

/// The newest entry of each device that is kept: its place and its time, by the device's clock.
pub(crate) type LastEntries = BTreeMap<DeviceId, (u64, i64)>;

/// Who signed a device or an enrolment key into the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddedBy {
    /// A root key: it opened the identity, or came out of a backup.
    Root,
    /// Another device; the old one, where this one took its place by itself.
    Device(DeviceId),
    /// An enrolment key.
    Enrolment {
        /// The id that it would have as a device.
        id: DeviceId,
        /// Its name.
        name: String,
    },
    /// Somebody in a branch of the log that the service lost, and that was not taken over yet.
    OtherBranch,
}

/// Who signed the statement at a position.
pub(crate) fn added_by(log: &IdentityLog, position: u64) -> AddedBy {
    let record = log.records_after(position.saturating_sub(1)).first();
    record.map_or(AddedBy::OtherBranch, |record| {
        signed_in_by(log, &record.statement)
    })
}

fn signed_in_by(log: &IdentityLog, statement: &Statement) -> AddedBy {
    match statement.signers().next() {
        Some(Signer::Device(key)) => AddedBy::Device(key.device_id()),
        Some(Signer::Enrolment(key)) => {
            let id = key.device_id();
            AddedBy::Enrolment {
                name: log
                    .enrolment(&id)
                    .map_or_else(String::new, |e| e.name.clone()),
                id,
            }
        }
        // The log takes no first signature of another key for an act that adds somebody.
        Some(Signer::Root(_) | Signer::Recovery(_)) | None => AddedBy::Root,
    }
}

/// All devices that ever were in a log, in the order in which they were added.
pub(crate) fn devices(
    log: &IdentityLog,
    this: DeviceId,
    last_entries: &LastEntries,
) -> Vec<DeviceInfo> {
    let said = Said::of(log);
    let mut devices: Vec<DeviceInfo> = log
        .devices()
        .map(|(id, record)| {
            let added = said.added.get(id);
            DeviceInfo {
                device: *id,
                name: record.name.clone(),
                platform: record.platform.clone(),
                admin: record.admin,
                probation_ends_ms: record.probation_ends_ms,
                state: record.state,
                revoked_for: said.revoked(record).map(|revoked| revoked.reason),
                added_at: record.added_at,
                added_ms: added.map(|added| added.time_ms),
                added_by: added.map_or(AddedBy::OtherBranch, |added| added.by.clone()),
                may_hold_root_keys: said.may_hold_root_keys(log, record),
                last_entry_ms: last_entries.get(id).map(|(_, wall_ms)| *wall_ms),
                last_statement_ms: said.last.get(id).copied(),
                this: *id == this,
            }
        })
        .collect();
    devices.sort_by_key(|device| device.added_at);
    devices
}

/// Root keys that were rotated so often are worth nothing to who had both.
const ROTATIONS_PAST: usize = 2;

/// How a device came in.
struct Added {
    time_ms: i64,
    position: u64,
    by: AddedBy,
}

/// How a lineage was ended.
#[derive(Clone, Copy)]
struct Revoked {
    /// The reason that says most of those that were given.
    reason: RevokeReason,
    /// Rotations before it.
    rotations: usize,
}

/// What the statements of a log say of devices, those of the branches included that it took over.
#[derive(Default)]
struct Said {
    added: BTreeMap<DeviceId, Added>,
    /// By lineage.
    revoked: BTreeMap<DeviceId, Revoked>,
    /// When each device last signed a statement, by the time in its receipt.
    last: BTreeMap<DeviceId, i64>,
    rotations: usize,
}

impl Said {
    fn of(log: &IdentityLog) -> Self {
        let mut said = Self::default();
        for record in log.records_after(0) {
            said.hear(log, &record.statement, record.service_time_ms);
        }
        said
    }

    fn hear(&mut self, log: &IdentityLog, statement: &Statement, time_ms: i64) {
        let body = statement.body();
        match &body.act {
            Act::Incept { certificate, .. }
            | Act::AddDevice { certificate, .. }
            | Act::Replace { certificate, .. } => {
                self.add(log, certificate, statement, time_ms);
            }
            Act::Revoke { device, reason, .. } => {
                // A lineage that was ended grows no more, so it is the one that was meant.
                let lineage = log.lineage(device).unwrap_or(*device);
                let first = Revoked {
                    reason: *reason,
                    rotations: self.rotations,
                };
                let revoked = self.revoked.entry(lineage).or_insert(first);
                if reason.outweighs(revoked.reason) {
                    revoked.reason = *reason;
                }
            }
            Act::RotateRoot { .. } => self.rotations += 1,
            Act::RecoverFork { branch } => {
                for parts in branch.statements() {
                    // It was checked before it came into the log.
                    if let Ok(statement) =
                        Statement::decode(log.ledger_id(), parts.statement.clone())
                    {
                        self.hear(log, &statement, parts.service_time_ms());
                    }
                }
            }
            Act::Rename { .. }
            | Act::SetRecovery { .. }
            | Act::Recover { .. }
            | Act::Veto { .. }
            | Act::EnrolmentKey { .. }
            | Act::RevokeEnrolment { .. } => {}
        }
        for signer in statement.signers() {
            if let Signer::Device(key) = signer {
                let last = self.last.entry(key.device_id()).or_insert(time_ms);
                *last = time_ms.max(*last);
            }
        }
    }

    fn add(
        &mut self,
        log: &IdentityLog,
        certificate: &Certificate,
        statement: &Statement,
        time_ms: i64,
    ) {
        let added = Added {
            time_ms,
            position: statement.body().position,
            by: signed_in_by(log, statement),
        };
        self.added.insert(certificate.key().device_id(), added);
    }

    fn revoked(&self, record: &DeviceRecord) -> Option<Revoked> {
        let is_revoked = record.state == DeviceState::Revoked;
        is_revoked.then(|| self.revoked.get(&record.lineage).copied())?
    }

    /// Whether root keys can lie in a device's folder: the root key brought it in, or who it took the
    /// place of, and nothing since made all keys worthless that it had.
    fn may_hold_root_keys(&self, log: &IdentityLog, record: &DeviceRecord) -> bool {
        let recovered_at = log.recovered_at(log.time());
        let first = self.added.get(&record.lineage);
        let had = first.is_some_and(|a| a.by == AddedBy::Root && a.position > recovered_at);
        let past = self
            .revoked(record)
            .is_some_and(|revoked| self.rotations - revoked.rotations >= ROTATIONS_PAST);
        had && !past && !matches!(record.state, DeviceState::Replaced { .. })
    }
}
