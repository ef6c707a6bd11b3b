//! Who may sign which act.

use super::roots::Roots;
use super::{IdentityLog, LogError};
use crate::identity::statement::Signer;
use crate::identity::{Act, Statement};
use crate::keys::PublicKey;

impl IdentityLog {
    /// One signature by who may, and a second one by the key that enters, if the act has one.
    pub(super) fn check_signers(
        &self,
        roots: &Roots,
        statement: &Statement,
        now_ms: i64,
    ) -> Result<(), LogError> {
        let act = &statement.body().act;
        let mut signers = statement.signers();
        let by = signers.next();
        if signers.next() != act.newcomer() || signers.next().is_some() {
            return Err(LogError::NotAllowed);
        }
        match by {
            Some(Signer::Root(key)) => self.root_may(roots, act, &key),
            Some(Signer::Device(key)) => self.device_may(act, &key, now_ms),
            Some(Signer::Enrolment(key)) => self.enrolment_may(act, &key, now_ms),
            Some(Signer::Recovery(key)) => recovery_may(roots, act, &key),
            None => Err(LogError::NotAllowed),
        }
    }

    /// The root signs anything but the repair of a device by itself, and its own succession: that
    /// is for the key that it committed to, which a thief of the root does not have.
    fn root_may(&self, roots: &Roots, act: &Act, key: &PublicKey) -> Result<(), LogError> {
        let may = match act {
            Act::Replace { .. } => false,
            Act::RotateRoot { root, .. } => root == key && roots.is_next(key),
            Act::Incept { .. }
            | Act::AddDevice { .. }
            | Act::Revoke { .. }
            | Act::Rename { .. }
            | Act::SetRecovery { .. }
            | Act::Recover { .. }
            | Act::RecoverFork { .. }
            | Act::Veto { .. }
            | Act::EnrolmentKey { .. }
            | Act::RevokeEnrolment { .. } => roots.root() == Some(*key),
        };
        if may {
            Ok(())
        } else {
            Err(LogError::NotAllowed)
        }
    }

    /// A device signs its own renaming, retirement and replacement; as an admin past its probation
    /// also acts about others. None decides who holds the identity.
    fn device_may(&self, act: &Act, key: &PublicKey, now_ms: i64) -> Result<(), LogError> {
        let signer = key.device_id();
        let own = match act {
            Act::Replace { old, .. } => {
                let record = self.active(old)?;
                return if record.key == *key {
                    Ok(())
                } else {
                    Err(LogError::NotAllowed)
                };
            }
            Act::Rename { device, .. } | Act::Revoke { device, .. } => *device == signer,
            Act::AddDevice { .. }
            | Act::Veto { .. }
            | Act::EnrolmentKey { .. }
            | Act::RevokeEnrolment { .. } => false,
            Act::Incept { .. }
            | Act::RotateRoot { .. }
            | Act::SetRecovery { .. }
            | Act::Recover { .. }
            | Act::RecoverFork { .. } => return Err(LogError::NotAllowed),
        };
        if !self.devices.contains_key(&signer) {
            return Err(LogError::NotAllowed);
        }
        let record = self.active(&signer)?;
        if record.key != *key || !(own || record.admin) {
            return Err(LogError::NotAllowed);
        }
        if !own && record.in_probation(now_ms) {
            return Err(LogError::Probation);
        }
        Ok(())
    }
}

/// The recovery key recovers, and signs nothing else.
fn recovery_may(roots: &Roots, act: &Act, key: &PublicKey) -> Result<(), LogError> {
    let own = roots.recovery_key().is_some_and(|own| own.key == *key);
    if own && matches!(act, Act::Recover { .. } | Act::RecoverFork { .. }) {
        Ok(())
    } else {
        Err(LogError::NotAllowed)
    }
}
