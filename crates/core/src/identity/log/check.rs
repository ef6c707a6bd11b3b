//! Which statements a log takes next.

use super::roots::{Roots, check_veto};
use super::{DeviceRecord, DeviceState, IdentityLog, LogError};
use crate::identity::statement::Signer;
use crate::identity::{Act, Certificate, FormatError, SignedTip, Statement};
use crate::ids::DeviceId;
use crate::keys::KeyError;
use crate::limits::{
    DEVICES_ACTIVE_BY_ROOT, DEVICES_ACTIVE_MAX, DEVICES_BY_ROOT_MIN, DEVICES_EVER_MAX,
    RENAMES_PER_DEVICE_MAX, REVOKES_PER_LINEAGE_MAX,
};

/// Acts that add nothing else are bounded one by one, so that none can use up the place of another:
/// whatever a thief says, the first revocation of a lineage is possible.
pub(super) fn said_less_than(most: usize, times: Option<&usize>) -> Result<(), LogError> {
    match times {
        Some(times) if *times >= most => Err(LogError::StatementLimit),
        Some(_) | None => Ok(()),
    }
}

impl IdentityLog {
    /// Decides whether a statement may be the next, if it is appended at this time of the service.
    ///
    /// # Errors
    /// [`LogError`] saying why not.
    pub fn check(&self, statement: &Statement, service_time_ms: i64) -> Result<(), LogError> {
        self.examine(statement, service_time_ms).map(|_| ())
    }

    /// Decides, and tells what a statement that takes over another branch makes of this log.
    pub(super) fn examine(
        &self,
        statement: &Statement,
        service_time_ms: i64,
    ) -> Result<Option<Self>, LogError> {
        let body = statement.body();
        if body.identity != self.identity {
            return Err(FormatError::Foreign("the statement").into());
        }
        let head = self.head();
        if body.position != head.position + 1 || body.expected_head != head.hash {
            return Err(LogError::Conflict);
        }
        if (body.position == 1) != matches!(body.act, Act::Incept { .. }) {
            return Err(FormatError::Field("the act at this position").into());
        }
        if service_time_ms < self.time() {
            return Err(LogError::TimeWentBack);
        }
        statement.verify(self.ledger_id())?;
        // Who holds the identity may stand in the other branch alone.
        let recovered = if let Act::RecoverFork { branch } = &body.act {
            Some(self.recovered(branch)?)
        } else {
            None
        };
        let roots = recovered.as_ref().unwrap_or(self).roots.at(service_time_ms);
        self.check_signers(&roots, statement, service_time_ms)?;
        self.check_act(&roots, statement, service_time_ms)?;
        Ok(recovered)
    }

    fn check_act(&self, roots: &Roots, statement: &Statement, now_ms: i64) -> Result<(), LogError> {
        let by = statement.signers().next();
        match &statement.body().act {
            Act::Incept {
                next_root_hash,
                certificate,
                ..
            } => self.check_incept(roots, next_root_hash, certificate),
            Act::AddDevice { certificate, .. } => {
                if let Some(old) = certificate.replaces() {
                    self.replaceable(&old)?;
                }
                self.check_new_device(roots, certificate, by)
            }
            Act::Revoke { device, tips, .. } => self.check_revoke(roots, device, tips),
            Act::Replace {
                old,
                certificate,
                tips,
            } => {
                self.active(old)?;
                if certificate.replaces() != Some(*old) {
                    return Err(FormatError::Field("the replaced device").into());
                }
                self.check_tips(tips, |tip| tip.device == *old)?;
                self.check_new_device(roots, certificate, by)
            }
            Act::Rename { device, .. } => {
                self.active(device)?;
                said_less_than(RENAMES_PER_DEVICE_MAX, self.renames.get(device))
            }
            Act::RotateRoot {
                root,
                next_root_hash,
                ..
            } => self.check_rotation(roots, root, next_root_hash),
            Act::SetRecovery { key, veto_ms } => self.check_recovery_key(roots, key, *veto_ms),
            Act::Recover {
                root,
                next_root_hash,
            } => self.check_recovery(roots, root, next_root_hash, by),
            // What it takes over was checked before its signer.
            Act::RecoverFork { .. } => Ok(()),
            Act::Veto { position } => check_veto(roots, *position),
            Act::EnrolmentKey {
                key, expires_ms, ..
            } => self.check_enrolment(roots, (key, *expires_ms), by, now_ms),
            Act::RevokeEnrolment { key } => self.check_enrolment_goes_on(key),
        }
    }

    fn check_incept(
        &self,
        roots: &Roots,
        next_root_hash: &[u8; 32],
        certificate: &Certificate,
    ) -> Result<(), LogError> {
        if certificate.replaces().is_some() {
            return Err(FormatError::Field("the replaced device").into());
        }
        self.check_new_device(roots, certificate, None)?;
        self.check_commitment(roots, certificate.key(), next_root_hash)
    }

    fn check_revoke(
        &self,
        roots: &Roots,
        device: &DeviceId,
        tips: &[SignedTip],
    ) -> Result<(), LogError> {
        let lineage = self.lineage(device).ok_or(LogError::UnknownDevice)?;
        if roots.recovery_key().is_none() {
            self.check_admin_remains(lineage)?;
        }
        said_less_than(REVOKES_PER_LINEAGE_MAX, self.revokes.get(&lineage))?;
        self.check_tips(tips, |tip| self.lineage(&tip.device) == Some(lineage))
    }

    /// A person may link a successor also to a device that has one (two clones); but the lineage
    /// of a revoked device has ended.
    fn replaceable(&self, device: &DeviceId) -> Result<(), LogError> {
        let record = self.devices.get(device).ok_or(LogError::UnknownDevice)?;
        match record.state {
            DeviceState::Active | DeviceState::Replaced { .. } => Ok(()),
            DeviceState::Revoked => Err(LogError::DeviceEnded),
        }
    }

    pub(super) fn active(&self, device: &DeviceId) -> Result<&DeviceRecord, LogError> {
        let record = self.devices.get(device).ok_or(LogError::UnknownDevice)?;
        match record.state {
            DeviceState::Active => Ok(record),
            DeviceState::Replaced { .. } | DeviceState::Revoked => Err(LogError::DeviceEnded),
        }
    }

    /// The last places are for devices that the root adds: whoever has another key only, and adds
    /// or replaces devices without end, does not shut out the owner.
    fn check_new_device(
        &self,
        roots: &Roots,
        certificate: &Certificate,
        by: Option<Signer>,
    ) -> Result<(), LogError> {
        if certificate.identity() != self.identity {
            return Err(FormatError::Foreign("the certificate").into());
        }
        self.check_fresh_key(roots, certificate.key())?;
        let stay = |(id, device): &(&DeviceId, &DeviceRecord)| {
            device.state == DeviceState::Active && certificate.replaces() != Some(**id)
        };
        let active_before = self.devices.iter().filter(stay).count();
        let (active, ever) = match by {
            Some(Signer::Root(_)) => (
                DEVICES_ACTIVE_MAX + DEVICES_ACTIVE_BY_ROOT,
                DEVICES_EVER_MAX,
            ),
            Some(Signer::Device(_) | Signer::Enrolment(_) | Signer::Recovery(_)) | None => {
                (DEVICES_ACTIVE_MAX, DEVICES_EVER_MAX - DEVICES_BY_ROOT_MIN)
            }
        };
        if active_before >= active || self.devices.len() >= ever {
            return Err(LogError::DeviceLimit);
        }
        Ok(())
    }

    /// One in probation counts: it becomes an admin by waiting, and whoever stole the other one
    /// must be cut off at once.
    fn check_admin_remains(&self, ended: DeviceId) -> Result<(), LogError> {
        let mut active = self
            .devices
            .values()
            .filter(|d| d.state == DeviceState::Active);
        if active.any(|d| d.admin && d.lineage != ended) {
            Ok(())
        } else {
            Err(LogError::LastAdmin)
        }
    }

    pub(super) fn check_tips(
        &self,
        tips: &[SignedTip],
        belongs: impl Fn(&SignedTip) -> bool,
    ) -> Result<(), LogError> {
        for tip in tips {
            let record = self
                .devices
                .get(&tip.device)
                .ok_or(LogError::UnknownDevice)?;
            if !belongs(tip) {
                return Err(
                    FormatError::Key("a tip of another device", KeyError::BadSignature).into(),
                );
            }
            tip.verify(self.ledger_id(), &record.key)?;
        }
        Ok(())
    }
}
