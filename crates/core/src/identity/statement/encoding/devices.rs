//! Acts about devices.

use std::collections::BTreeSet;

use super::{decode_named, next_root_hash};
use crate::identity::certificate::check_name;
use crate::identity::statement::{Act, RevokeReason};
use crate::identity::{Certificate, FormatError, Genesis, SignedTip};
use crate::ids::{DeviceId, LedgerId};
use crate::wire;

pub(super) fn encode_incept(
    next_root_hash: &[u8; 32],
    genesis: &Genesis,
    certificate: &Certificate,
) -> wire::Incept {
    wire::Incept {
        next_root_hash: next_root_hash.to_vec(),
        genesis: genesis.bytes().clone(),
        certificate: Some(certificate.to_wire()),
    }
}

pub(super) fn encode_revoke(
    device: &DeviceId,
    reason: RevokeReason,
    tips: &[SignedTip],
) -> wire::Revoke {
    wire::Revoke {
        device: device.as_bytes().to_vec(),
        reason: match reason {
            RevokeReason::Lost => wire::RevokeReason::Lost,
            RevokeReason::Compromised => wire::RevokeReason::Compromised,
            RevokeReason::Retired => wire::RevokeReason::Retired,
        }
        .into(),
        tips: encode_tips(tips),
    }
}

pub(super) fn encode_replace(
    old: &DeviceId,
    certificate: &Certificate,
    tips: &[SignedTip],
) -> wire::Replace {
    wire::Replace {
        old: old.as_bytes().to_vec(),
        certificate: Some(certificate.to_wire()),
        tips: encode_tips(tips),
    }
}

fn encode_tips(tips: &[SignedTip]) -> Vec<wire::SignedTip> {
    let sorted: BTreeSet<_> = tips.iter().collect();
    sorted.into_iter().map(|tip| tip.to_wire()).collect()
}

pub(super) fn incept(ledger_id: LedgerId, incept: wire::Incept) -> Result<Act, FormatError> {
    let genesis = Genesis::decode(incept.genesis)?;
    if genesis.ledger_id() != ledger_id {
        return Err(FormatError::Foreign("the genesis of a statement"));
    }
    Ok(Act::Incept {
        next_root_hash: next_root_hash(&incept.next_root_hash)?,
        genesis: Box::new(genesis),
        certificate: certificate(ledger_id, incept.certificate.as_ref())?,
    })
}

pub(super) fn add(ledger_id: LedgerId, add: &wire::AddDevice) -> Result<Act, FormatError> {
    Ok(Act::AddDevice {
        certificate: certificate(ledger_id, add.certificate.as_ref())?,
        admin: add.admin,
    })
}

pub(super) fn revoke(revoke: &wire::Revoke) -> Result<Act, FormatError> {
    Ok(Act::Revoke {
        device: device(&revoke.device)?,
        reason: match wire::RevokeReason::try_from(revoke.reason) {
            Ok(wire::RevokeReason::Lost) => RevokeReason::Lost,
            Ok(wire::RevokeReason::Compromised) => RevokeReason::Compromised,
            Ok(wire::RevokeReason::Retired) => RevokeReason::Retired,
            Ok(wire::RevokeReason::Unspecified) | Err(_) => {
                return Err(FormatError::Field("the reason of a revocation"));
            }
        },
        tips: decode_named(&revoke.tips)?,
    })
}

pub(super) fn replace(ledger_id: LedgerId, replace: &wire::Replace) -> Result<Act, FormatError> {
    Ok(Act::Replace {
        old: device(&replace.old)?,
        certificate: certificate(ledger_id, replace.certificate.as_ref())?,
        tips: decode_named(&replace.tips)?,
    })
}

pub(super) fn rename(rename: wire::Rename) -> Result<Act, FormatError> {
    check_name(&rename.name)?;
    Ok(Act::Rename {
        device: device(&rename.device)?,
        name: rename.name,
    })
}

fn certificate(
    ledger_id: LedgerId,
    certificate: Option<&wire::Certificate>,
) -> Result<Box<Certificate>, FormatError> {
    Certificate::from_wire(ledger_id, certificate).map(Box::new)
}

fn device(bytes: &[u8]) -> Result<DeviceId, FormatError> {
    DeviceId::try_from(bytes).map_err(|_| FormatError::Field("the device of a statement"))
}
