//! What a statement changes, once it was checked.

use std::collections::BTreeSet;

use super::enrolment::EnrolmentMaker;
use super::roots::{Recovery, RecoveryKey};
use super::{DeviceRecord, DeviceState, EnrolmentRecord, IdentityLog, LogError, next_hash};
use crate::identity::genesis::next_key_hash;
use crate::identity::statement::{RotateReason, Signer};
use crate::identity::{Act, Certificate, Cut, SignedTip, StatementRecord};
use crate::ids::DeviceId;
use crate::keys::PublicKey;

impl IdentityLog {
    /// Adds a record after checking it, at the time that was recorded.
    ///
    /// # Errors
    /// [`LogError`] saying why it cannot be the next; the log is unchanged then.
    pub fn apply(&mut self, record: StatementRecord) -> Result<(), LogError> {
        let recovered = self.examine(&record.statement, record.service_time_ms)?;
        let ends = self.ends(&record.statement);
        record.check_order()?;
        self.check_tips(&record.tips, |tip| ends.contains(&tip.device))?;
        if let Some(recovered) = recovered {
            *self = recovered;
        }
        self.roots.settle(record.service_time_ms);
        self.carry_out(&record, &ends);
        self.hashes
            .push(next_hash(self.ledger_id(), self.head().hash, &record));
        self.records.push(record);
        Ok(())
    }

    fn carry_out(&mut self, record: &StatementRecord, ends: &BTreeSet<DeviceId>) {
        let by = record.statement.signers().next();
        match &record.statement.body().act {
            Act::Incept {
                next_root_hash,
                certificate,
                ..
            } => {
                self.roots.open(*next_root_hash);
                self.add(certificate, true, record, None);
            }
            Act::AddDevice { certificate, admin } => {
                self.add_device(record, ends, certificate, *admin);
            }
            Act::Revoke { device, tips, .. } => {
                self.end(ends, record, tips, DeviceState::Revoked);
                if let Some(lineage) = self.lineage(device) {
                    *self.revokes.entry(lineage).or_default() += 1;
                    self.end_enrolments_of(EnrolmentMaker::Lineage(lineage));
                }
            }
            Act::Replace {
                old,
                certificate,
                tips,
            } => {
                let admin = self.has_admin_rights(old);
                let probation = self.devices.get(old).and_then(|d| d.probation_ends_ms);
                self.succeed(ends, record, tips, certificate);
                self.add(certificate, admin, record, probation);
            }
            Act::Rename { device, name } => {
                *self.renames.entry(*device).or_default() += 1;
                if let Some(device) = self.devices.get_mut(device) {
                    device.name.clone_from(name);
                }
            }
            act @ (Act::RotateRoot { .. }
            | Act::SetRecovery { .. }
            | Act::Recover { .. }
            | Act::RecoverFork { .. }
            | Act::Veto { .. }) => self.carry_out_on_roots(act, record, by),
            Act::EnrolmentKey {
                key,
                uses,
                expires_ms,
                name,
            } => {
                self.enter(key);
                if let Some(maker) = self.maker(by) {
                    let enrolment = EnrolmentRecord {
                        key: *key,
                        name: name.clone(),
                        uses: *uses,
                        used: 0,
                        expires_ms: *expires_ms,
                        added_at: record.statement.body().position,
                        maker,
                        ended: false,
                    };
                    self.enrolments.insert(key.device_id(), enrolment);
                }
            }
            Act::RevokeEnrolment { key } => {
                if let Some(enrolment) = self.enrolments.get_mut(&key.device_id()) {
                    enrolment.ended = true;
                }
            }
        }
    }

    fn carry_out_on_roots(&mut self, act: &Act, record: &StatementRecord, by: Option<Signer>) {
        let position = record.statement.body().position;
        match act {
            Act::RotateRoot {
                root,
                next_root_hash,
                reason,
            } => {
                self.enter(root);
                let old = self.roots.root();
                self.roots.rotate(*root, *next_root_hash, *reason);
                if let (Some(old), RotateReason::Compromised) = (old, reason) {
                    self.end_enrolments_of(EnrolmentMaker::Root(old));
                }
            }
            Act::SetRecovery { key, veto_ms } => {
                self.enter(key);
                self.roots.set_recovery(RecoveryKey {
                    key: *key,
                    veto_ms: veto_ms.unwrap_or(self.genesis.periods().veto_ms),
                    set_at: position,
                });
            }
            Act::Recover {
                root,
                next_root_hash,
            } => {
                self.enter(root);
                let veto_ms = self.veto_ms(&self.roots);
                let recovery = Recovery {
                    position,
                    root: *root,
                    next_root_hash: *next_root_hash,
                    effective_ms: record.service_time_ms.saturating_add_unsigned(veto_ms),
                };
                if let Some(by) = by {
                    self.roots.recover(by.key(), recovery);
                }
            }
            Act::Veto { .. } => self.roots.veto(),
            Act::Incept { .. }
            | Act::AddDevice { .. }
            | Act::Revoke { .. }
            | Act::Replace { .. }
            | Act::Rename { .. }
            | Act::EnrolmentKey { .. }
            | Act::RevokeEnrolment { .. }
            // It was taken over as it was checked.
            | Act::RecoverFork { .. } => {}
        }
    }

    /// Links a device. The root key, which may do everything itself, spares it the probation; a
    /// successor has at least the probation of whose place it takes.
    fn add_device(
        &mut self,
        record: &StatementRecord,
        ends: &BTreeSet<DeviceId>,
        certificate: &Certificate,
        admin: bool,
    ) {
        let replaces = certificate.replaces();
        let admin = admin || replaces.is_some_and(|old| self.has_admin_rights(&old));
        let inherited = replaces.and_then(|old| self.devices.get(&old)?.probation_ends_ms);
        let probation_ms = self.genesis.periods().probation_ms;
        let own = record.service_time_ms.saturating_add_unsigned(probation_ms);
        let probation = match record.statement.signers().next() {
            Some(Signer::Root(_)) => None,
            Some(Signer::Enrolment(key)) => {
                if let Some(enrolment) = self.enrolments.get_mut(&key.device_id()) {
                    enrolment.used += 1;
                }
                Some(own)
            }
            Some(Signer::Device(_) | Signer::Recovery(_)) | None => inherited.max(Some(own)),
        };
        self.succeed(ends, record, &[], certificate);
        self.add(certificate, admin, record, probation);
    }

    /// Whether a device is an admin and did not pass that on to a successor.
    fn has_admin_rights(&self, device: &DeviceId) -> bool {
        self.active(device).is_ok_and(|d| d.admin)
    }

    fn add(
        &mut self,
        certificate: &Certificate,
        admin: bool,
        record: &StatementRecord,
        probation_ends_ms: Option<i64>,
    ) {
        let id = certificate.key().device_id();
        let lineage = certificate
            .replaces()
            .and_then(|old| self.lineage(&old))
            .unwrap_or(id);
        self.enter(certificate.key());
        let device = DeviceRecord {
            key: *certificate.key(),
            name: certificate.name().to_owned(),
            platform: certificate.platform().to_owned(),
            admin,
            added_at: record.statement.body().position,
            probation_ends_ms,
            lineage,
            state: DeviceState::Active,
            cut: None,
        };
        self.devices.insert(id, device);
    }

    fn enter(&mut self, key: &PublicKey) {
        self.keys.insert(next_key_hash(key));
    }

    fn succeed(
        &mut self,
        ends: &BTreeSet<DeviceId>,
        record: &StatementRecord,
        named: &[SignedTip],
        successor: &Certificate,
    ) {
        let by = successor.key().device_id();
        self.end(ends, record, named, DeviceState::Replaced { by });
    }

    fn end(
        &mut self,
        ends: &BTreeSet<DeviceId>,
        record: &StatementRecord,
        named: &[SignedTip],
        state: DeviceState,
    ) {
        for id in ends {
            if let Some(device) = self.devices.get_mut(id) {
                device.state = state;
                let before = device.cut.as_ref();
                device.cut = Some(Cut::after(before, *id, named, &record.tips));
            }
        }
    }
}
