//! Which statements a log takes next.

use super::{DeviceRecord, DeviceState, IdentityLog, LogError};
use crate::identity::statement::Signer;
use crate::identity::{Act, Certificate, FormatError, SignedTip, Statement};
use crate::ids::DeviceId;
use crate::keys::KeyError;
use crate::limits::{
    DEVICES_ACTIVE_MAX, DEVICES_EVER_MAX, RENAMES_PER_DEVICE_MAX, REVOKES_PER_LINEAGE_MAX,
};

/// Acts that add nothing else are bounded one by one, so that none can use up the place of another:
/// whatever a thief says, the first revocation of a lineage is possible.
fn said_less_than(most: usize, times: Option<&usize>) -> Result<(), LogError> {
    match times {
        Some(times) if *times >= most => Err(LogError::StatementLimit),
        Some(_) | None => Ok(()),
    }
}

impl IdentityLog {
    /// Decides whether a statement may be the next.
    ///
    /// # Errors
    /// [`LogError`] saying why not.
    pub fn check(&self, statement: &Statement) -> Result<(), LogError> {
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
        statement.verify(self.ledger_id())?;
        self.check_signers(statement)?;
        match &body.act {
            Act::Incept { certificate, .. } => {
                if certificate.replaces().is_some() {
                    return Err(FormatError::Field("the replaced device").into());
                }
                self.check_new_device(certificate)
            }
            Act::AddDevice { certificate, .. } => {
                if let Some(old) = certificate.replaces() {
                    self.replaceable(&old)?;
                }
                self.check_new_device(certificate)
            }
            Act::Revoke { device, tips, .. } => {
                let lineage = self.lineage(device).ok_or(LogError::UnknownDevice)?;
                self.check_admin_remains(lineage)?;
                said_less_than(REVOKES_PER_LINEAGE_MAX, self.revokes.get(&lineage))?;
                self.check_tips(tips, |tip| self.lineage(&tip.device) == Some(lineage))
            }
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
                self.check_new_device(certificate)
            }
            Act::Rename { device, .. } => {
                self.active(device)?;
                said_less_than(RENAMES_PER_DEVICE_MAX, self.renames.get(device))
            }
        }
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

    /// Who may sign: the root anything; an admin device anything but `Incept` and `Replace`; a
    /// device its own renaming and retirement; old and new device together a `Replace`.
    fn check_signers(&self, statement: &Statement) -> Result<(), LogError> {
        let act = &statement.body().act;
        let signers: Vec<Signer> = statement.signers().collect();
        match (act, signers.as_slice()) {
            (Act::Replace { .. }, [Signer::Root(_)]) => Err(LogError::NotAllowed),
            (_, [Signer::Root(key)]) if self.is_root(key) => Ok(()),
            (Act::Incept { .. }, _) => Err(LogError::NotAllowed),
            (
                Act::Replace {
                    old, certificate, ..
                },
                [Signer::Device(first), Signer::Device(second)],
            ) => {
                let record = self.active(old)?;
                if record.key == *first && certificate.key() == second {
                    Ok(())
                } else {
                    Err(LogError::NotAllowed)
                }
            }
            (_, [Signer::Device(key)]) => {
                let signer = key.device_id();
                if !self.devices.contains_key(&signer) {
                    return Err(LogError::NotAllowed);
                }
                let record = self.active(&signer)?;
                let own = match act {
                    Act::Rename { device, .. } | Act::Revoke { device, .. } => *device == signer,
                    Act::Incept { .. } | Act::AddDevice { .. } | Act::Replace { .. } => false,
                };
                let replace = matches!(act, Act::Replace { .. });
                if record.key == *key && (record.admin || own) && !replace {
                    Ok(())
                } else {
                    Err(LogError::NotAllowed)
                }
            }
            _ => Err(LogError::NotAllowed),
        }
    }

    fn check_new_device(&self, certificate: &Certificate) -> Result<(), LogError> {
        if certificate.identity() != self.identity {
            return Err(FormatError::Foreign("the certificate").into());
        }
        let root = self.is_root(certificate.key());
        if root || self.devices.contains_key(&certificate.key().device_id()) {
            return Err(LogError::KeyReused);
        }
        let stay = |(id, device): &(&DeviceId, &DeviceRecord)| {
            device.state == DeviceState::Active && certificate.replaces() != Some(**id)
        };
        let active_before = self.devices.iter().filter(stay).count();
        if active_before >= DEVICES_ACTIVE_MAX || self.devices.len() >= DEVICES_EVER_MAX {
            return Err(LogError::DeviceLimit);
        }
        Ok(())
    }

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
