//! Bodies of statements as bytes, and back.

mod devices;
mod keys;

use crate::identity::statement::{Act, StatementBody};
use crate::identity::{FormatError, SignedTip};
use crate::ids::{IdentityId, LedgerId, LogHash};
use crate::limits::{STATEMENT_DEVICE_TIPS_MAX, STATEMENT_TIPS_MAX};
use crate::wire;

pub(super) fn encode_body(body: &StatementBody) -> wire::StatementBody {
    wire::StatementBody {
        identity: body.identity.as_bytes().to_vec(),
        position: body.position,
        expected_head: body.expected_head.as_bytes().to_vec(),
        act: Some(encode_act(&body.act)),
    }
}

fn encode_act(act: &Act) -> wire::Act {
    match act {
        Act::Incept {
            next_root_hash,
            genesis,
            certificate,
        } => wire::Act::Incept(devices::encode_incept(next_root_hash, genesis, certificate)),
        Act::AddDevice { certificate, admin } => wire::Act::AddDevice(wire::AddDevice {
            certificate: Some(certificate.to_wire()),
            admin: *admin,
        }),
        Act::Revoke {
            device,
            reason,
            tips,
        } => wire::Act::Revoke(devices::encode_revoke(device, *reason, tips)),
        Act::Replace {
            old,
            certificate,
            tips,
        } => wire::Act::Replace(devices::encode_replace(old, certificate, tips)),
        Act::Rename { device, name } => wire::Act::Rename(wire::Rename {
            device: device.as_bytes().to_vec(),
            name: name.clone(),
        }),
        Act::RotateRoot {
            root,
            next_root_hash,
            reason,
        } => wire::Act::RotateRoot(keys::encode_rotate_root(root, next_root_hash, *reason)),
        Act::SetRecovery { key, veto_ms } => wire::Act::SetRecovery(wire::SetRecovery {
            public_key: key.as_bytes().to_vec(),
            veto_ms: veto_ms.unwrap_or(0),
        }),
        Act::Recover {
            root,
            next_root_hash,
        } => wire::Act::Recover(wire::Recover {
            root: root.as_bytes().to_vec(),
            next_root_hash: next_root_hash.to_vec(),
            branch: Vec::new(),
        }),
        Act::RecoverFork { branch } => wire::Act::Recover(wire::Recover {
            branch: branch.to_wire(),
            ..wire::Recover::default()
        }),
        Act::Veto { position } => wire::Act::Veto(wire::Veto {
            position: *position,
        }),
        Act::EnrolmentKey {
            key,
            uses,
            expires_ms,
            name,
        } => wire::Act::EnrolmentKey(wire::EnrolmentKey {
            public_key: key.as_bytes().to_vec(),
            uses: *uses,
            expires_ms: *expires_ms,
            name: name.clone(),
        }),
        Act::RevokeEnrolment { key } => wire::Act::RevokeEnrolment(wire::RevokeEnrolment {
            public_key: key.as_bytes().to_vec(),
        }),
    }
}

pub(super) fn decode_body(
    ledger_id: LedgerId,
    body: wire::StatementBody,
) -> Result<StatementBody, FormatError> {
    let act = body
        .act
        .ok_or(FormatError::Field("the act of a statement"))?;
    let act = match act {
        wire::Act::Incept(incept) => devices::incept(ledger_id, incept)?,
        wire::Act::AddDevice(add) => devices::add(ledger_id, &add)?,
        wire::Act::Revoke(revoke) => devices::revoke(&revoke)?,
        wire::Act::Replace(replace) => devices::replace(ledger_id, &replace)?,
        wire::Act::Rename(rename) => devices::rename(rename)?,
        wire::Act::RotateRoot(rotate) => keys::rotate_root(&rotate)?,
        wire::Act::SetRecovery(set) => keys::set_recovery(&set)?,
        wire::Act::Recover(recover) => keys::recover(&recover)?,
        wire::Act::Veto(veto) => keys::veto(&veto)?,
        wire::Act::EnrolmentKey(enrolment) => keys::enrolment_key(enrolment)?,
        wire::Act::RevokeEnrolment(revoke) => keys::revoke_enrolment(&revoke)?,
    };
    if body.position == 0 {
        return Err(FormatError::Field("the position of a statement"));
    }
    Ok(StatementBody {
        identity: IdentityId::try_from(&body.identity[..])
            .map_err(|_| FormatError::Field("the identity of a statement"))?,
        position: body.position,
        expected_head: LogHash::try_from(&body.expected_head[..])
            .map_err(|_| FormatError::Field("the expected head of a statement"))?,
        act,
    })
}

/// A commitment to a root key that comes later.
fn next_root_hash(bytes: &[u8]) -> Result<[u8; 32], FormatError> {
    bytes
        .try_into()
        .map_err(|_| FormatError::Field("the next root key"))
}

/// Tips that a statement names, few of each device.
fn decode_named(tips: &[wire::SignedTip]) -> Result<Vec<SignedTip>, FormatError> {
    let tips = decode_tips(tips, STATEMENT_TIPS_MAX)?;
    let mut of_devices = tips.chunk_by(|a, b| a.device == b.device);
    if of_devices.any(|tips| tips.len() > STATEMENT_DEVICE_TIPS_MAX) {
        return Err(FormatError::Field("the number of tips"));
    }
    Ok(tips)
}

pub(crate) fn decode_tips(
    tips: &[wire::SignedTip],
    max: usize,
) -> Result<Vec<SignedTip>, FormatError> {
    if tips.len() > max {
        return Err(FormatError::Field("the number of tips"));
    }
    let tips: Vec<_> = tips
        .iter()
        .map(SignedTip::from_wire)
        .collect::<Result<_, _>>()?;
    check_order(&tips)?;
    Ok(tips)
}

/// Tips stand by device, place and hash, each once: a set has one encoding.
pub(in crate::identity) fn check_order(tips: &[SignedTip]) -> Result<(), FormatError> {
    let place = |tip: &SignedTip| (tip.device, tip.point);
    if tips.is_sorted_by(|a, b| place(a) < place(b)) {
        Ok(())
    } else {
        Err(FormatError::Field("the order of tips"))
    }
}
