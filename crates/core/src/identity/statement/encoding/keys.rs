//! Acts about root, recovery and enrolment keys.

use super::next_root_hash;
use crate::identity::certificate::check_name;
use crate::identity::statement::{Act, RotateReason};
use crate::identity::{Branch, FormatError};
use crate::keys::PublicKey;
use crate::limits::{ENROLMENT_USES_MAX, VETO_MS_MAX};
use crate::wire;

pub(super) fn encode_rotate_root(
    root: &PublicKey,
    next_root_hash: &[u8; 32],
    reason: RotateReason,
) -> wire::RotateRoot {
    wire::RotateRoot {
        root: root.as_bytes().to_vec(),
        next_root_hash: next_root_hash.to_vec(),
        reason: match reason {
            RotateReason::Routine => wire::RotateReason::Routine,
            RotateReason::Compromised => wire::RotateReason::Compromised,
        }
        .into(),
    }
}

pub(super) fn rotate_root(rotate: &wire::RotateRoot) -> Result<Act, FormatError> {
    Ok(Act::RotateRoot {
        root: key("the root key of a statement", &rotate.root)?,
        next_root_hash: next_root_hash(&rotate.next_root_hash)?,
        reason: match wire::RotateReason::try_from(rotate.reason) {
            Ok(wire::RotateReason::Routine) => RotateReason::Routine,
            Ok(wire::RotateReason::Compromised) => RotateReason::Compromised,
            Ok(wire::RotateReason::Unspecified) | Err(_) => {
                return Err(FormatError::Field("the reason of a rotation"));
            }
        },
    })
}

pub(super) fn set_recovery(set: &wire::SetRecovery) -> Result<Act, FormatError> {
    if set.veto_ms > VETO_MS_MAX {
        return Err(FormatError::Field("the veto time"));
    }
    Ok(Act::SetRecovery {
        key: key("the recovery key of a statement", &set.public_key)?,
        veto_ms: (set.veto_ms != 0).then_some(set.veto_ms),
    })
}

/// A recovery brings a root key, or takes over a branch.
pub(super) fn recover(recover: &wire::Recover) -> Result<Act, FormatError> {
    if !recover.branch.is_empty() {
        if !recover.root.is_empty() || !recover.next_root_hash.is_empty() {
            return Err(FormatError::Field("the keys of a recovery"));
        }
        let branch = Branch::from_wire(&recover.branch)?;
        return Ok(Act::RecoverFork { branch });
    }
    Ok(Act::Recover {
        root: key("the root key of a statement", &recover.root)?,
        next_root_hash: next_root_hash(&recover.next_root_hash)?,
    })
}

pub(super) fn veto(veto: &wire::Veto) -> Result<Act, FormatError> {
    match veto.position {
        0 => Err(FormatError::Field("the position of a recovery")),
        position => Ok(Act::Veto { position }),
    }
}

pub(super) fn enrolment_key(enrolment: wire::EnrolmentKey) -> Result<Act, FormatError> {
    if !(1..=ENROLMENT_USES_MAX).contains(&enrolment.uses) {
        return Err(FormatError::Field("the uses of an enrolment key"));
    }
    check_name(&enrolment.name)?;
    Ok(Act::EnrolmentKey {
        key: key("the enrolment key of a statement", &enrolment.public_key)?,
        uses: enrolment.uses,
        expires_ms: enrolment.expires_ms,
        name: enrolment.name,
    })
}

pub(super) fn revoke_enrolment(revoke: &wire::RevokeEnrolment) -> Result<Act, FormatError> {
    Ok(Act::RevokeEnrolment {
        key: key("the enrolment key of a statement", &revoke.public_key)?,
    })
}

fn key(what: &'static str, bytes: &[u8]) -> Result<PublicKey, FormatError> {
    PublicKey::from_bytes(bytes).map_err(|error| FormatError::Key(what, error))
}
