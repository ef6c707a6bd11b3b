//! Statements: the signed acts of an identity log.

use std::collections::BTreeSet;

use bytes::Bytes;
use prost::Message as _;

use crate::identity::{Certificate, FormatError, Genesis, SignedTip, decode_canonical};
use crate::ids::{DeviceId, IdentityId, LedgerId, LogHash};
use crate::keys::{PublicKey, SecretKey, Signature};
use crate::limits::{
    STATEMENT_BYTES_MAX, STATEMENT_DEVICE_TIPS_MAX, STATEMENT_SIGNATURES_MAX, STATEMENT_TIPS_MAX,
};
use crate::tags::Tag;
use crate::wire;

/// Why a lineage was ended: for people, the rule is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevokeReason {
    /// It cannot be found.
    Lost,
    /// Somebody else may hold its key.
    Compromised,
    /// It is no longer used.
    Retired,
}

/// What a statement does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Opens the log, with the first device as admin.
    Incept {
        /// Commitment to the next root key.
        next_root_hash: [u8; 32],
        /// The deployment.
        genesis: Box<Genesis>,
        /// The first device.
        certificate: Box<Certificate>,
    },
    /// Links a device.
    AddDevice {
        /// The new device.
        certificate: Box<Certificate>,
        /// Whether it may sign statements about others.
        admin: bool,
    },
    /// Ends a lineage.
    Revoke {
        /// Any device of the lineage.
        device: DeviceId,
        /// For people.
        reason: RevokeReason,
        /// Tips that the cut keeps beside the receipt's.
        tips: Vec<SignedTip>,
    },
    /// Lets a new key go on where an old one must stop.
    Replace {
        /// The device that ends.
        old: DeviceId,
        /// The new device.
        certificate: Box<Certificate>,
        /// Tips that the cut keeps beside the receipt's.
        tips: Vec<SignedTip>,
    },
    /// Gives a device another name.
    Rename {
        /// The device.
        device: DeviceId,
        /// The new name.
        name: String,
    },
}

/// One act at one place of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementBody {
    /// The identity.
    pub identity: IdentityId,
    /// Place in the log, 1 and up.
    pub position: u64,
    /// The log's hash one place before.
    pub expected_head: LogHash,
    /// What is done.
    pub act: Act,
}

/// Which key signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signer {
    /// The identity's root key.
    Root(PublicKey),
    /// A device.
    Device(PublicKey),
}

/// A signed statement with its encoding, verbatim. Signatures are checked by
/// [`IdentityLog`](crate::identity::IdentityLog), which knows who may sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    bytes: Bytes,
    body_bytes: Bytes,
    body: StatementBody,
    signatures: Vec<(Signer, Signature)>,
}

/// A key that signs a statement.
pub enum SigningAs<'a> {
    /// As the identity's root, with Ed25519ph.
    Root(&'a SecretKey),
    /// As a device.
    Device(&'a SecretKey),
}

impl std::fmt::Debug for SigningAs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Root(_) => "Root",
            Self::Device(_) => "Device",
        })
    }
}

impl Statement {
    /// Signs an act with one key, or with two for [`Act::Replace`] (old, then new).
    ///
    /// # Errors
    /// [`FormatError`] when the body is out of its limits.
    pub fn sign(
        ledger_id: LedgerId,
        body: &StatementBody,
        keys: &[SigningAs<'_>],
    ) -> Result<Self, FormatError> {
        let body = Bytes::from(encode_body(body).encode_to_vec());
        let hash = Tag::Statement.hash(ledger_id, &[&body]);
        let signatures = keys
            .iter()
            .map(|key| {
                let (kind, key, signature) = match key {
                    SigningAs::Root(key) => (
                        wire::SignerKind::Root,
                        key,
                        key.sign_root(Tag::Statement, ledger_id, &body),
                    ),
                    SigningAs::Device(key) => (wire::SignerKind::Device, key, key.sign(&hash)),
                };
                wire::StatementSignature {
                    kind: kind.into(),
                    public_key: key.public_key().as_bytes().to_vec(),
                    signature: signature.as_bytes().to_vec(),
                }
            })
            .collect();
        let statement = wire::Statement { body, signatures };
        Self::decode(ledger_id, statement.encode_to_vec().into())
    }

    /// Takes encoded bytes, checks their form and the certificates inside.
    ///
    /// # Errors
    /// [`FormatError`] for anything but a canonical statement within its limits.
    pub fn decode(ledger_id: LedgerId, bytes: Bytes) -> Result<Self, FormatError> {
        if bytes.len() > STATEMENT_BYTES_MAX {
            return Err(FormatError::Field("the size of a statement"));
        }
        let message: wire::Statement = decode_canonical("a statement", &bytes)?;
        if message.signatures.is_empty() || message.signatures.len() > STATEMENT_SIGNATURES_MAX {
            return Err(FormatError::Field("the number of signatures"));
        }
        let body: wire::StatementBody = decode_canonical("the body of a statement", &message.body)?;
        let signatures = message
            .signatures
            .iter()
            .map(decode_signature)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            bytes,
            body_bytes: message.body,
            body: decode_body(ledger_id, body)?,
            signatures,
        })
    }

    /// The verbatim encoding: what enters the log's hash chain.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The act and its place.
    pub fn body(&self) -> &StatementBody {
        &self.body
    }

    /// Who signed; not yet checked.
    pub fn signers(&self) -> impl Iterator<Item = Signer> + '_ {
        self.signatures.iter().map(|(signer, _)| *signer)
    }

    /// Checks all signatures against the keys that they name.
    ///
    /// # Errors
    /// [`FormatError::Key`] for the first that does not fit.
    pub fn verify(&self, ledger_id: LedgerId) -> Result<(), FormatError> {
        let hash = Tag::Statement.hash(ledger_id, &[&self.body_bytes]);
        for (signer, signature) in &self.signatures {
            match signer {
                Signer::Root(key) => {
                    key.verify_root(Tag::Statement, ledger_id, &self.body_bytes, signature)
                }
                Signer::Device(key) => key.verify(&hash, signature),
            }
            .map_err(|e| FormatError::Key("the signature of a statement", e))?;
        }
        Ok(())
    }
}

fn encode_body(body: &StatementBody) -> wire::StatementBody {
    let tips = |tips: &[SignedTip]| {
        let sorted: BTreeSet<_> = tips.iter().collect();
        sorted.into_iter().map(|t| t.to_wire()).collect()
    };
    let act = match &body.act {
        Act::Incept {
            next_root_hash,
            genesis,
            certificate,
        } => wire::Act::Incept(wire::Incept {
            next_root_hash: next_root_hash.to_vec(),
            genesis: genesis.bytes().clone(),
            certificate: Some(certificate.to_wire()),
        }),
        Act::AddDevice { certificate, admin } => wire::Act::AddDevice(wire::AddDevice {
            certificate: Some(certificate.to_wire()),
            admin: *admin,
        }),
        Act::Revoke {
            device,
            reason,
            tips: named,
        } => wire::Act::Revoke(wire::Revoke {
            device: device.as_bytes().to_vec(),
            reason: match reason {
                RevokeReason::Lost => wire::RevokeReason::Lost,
                RevokeReason::Compromised => wire::RevokeReason::Compromised,
                RevokeReason::Retired => wire::RevokeReason::Retired,
            }
            .into(),
            tips: tips(named),
        }),
        Act::Replace {
            old,
            certificate,
            tips: named,
        } => wire::Act::Replace(wire::Replace {
            old: old.as_bytes().to_vec(),
            certificate: Some(certificate.to_wire()),
            tips: tips(named),
        }),
        Act::Rename { device, name } => wire::Act::Rename(wire::Rename {
            device: device.as_bytes().to_vec(),
            name: name.clone(),
        }),
    };
    wire::StatementBody {
        identity: body.identity.as_bytes().to_vec(),
        position: body.position,
        expected_head: body.expected_head.as_bytes().to_vec(),
        act: Some(act),
    }
}

fn decode_signature(
    signature: &wire::StatementSignature,
) -> Result<(Signer, Signature), FormatError> {
    let key = PublicKey::from_bytes(&signature.public_key)
        .map_err(|e| FormatError::Key("the signer of a statement", e))?;
    let signer = match wire::SignerKind::try_from(signature.kind) {
        Ok(wire::SignerKind::Root) => Signer::Root(key),
        Ok(wire::SignerKind::Device) => Signer::Device(key),
        Ok(wire::SignerKind::Unspecified) | Err(_) => {
            return Err(FormatError::Field("the kind of a signer"));
        }
    };
    let signature = Signature::try_from(&signature.signature[..])
        .map_err(|e| FormatError::Key("the signature of a statement", e))?;
    Ok((signer, signature))
}

fn decode_body(
    ledger_id: LedgerId,
    body: wire::StatementBody,
) -> Result<StatementBody, FormatError> {
    let act = match body
        .act
        .ok_or(FormatError::Field("the act of a statement"))?
    {
        wire::Act::Incept(incept) => {
            let genesis = Genesis::decode(incept.genesis)?;
            if genesis.ledger_id() != ledger_id {
                return Err(FormatError::Foreign("the genesis of a statement"));
            }
            Act::Incept {
                next_root_hash: incept.next_root_hash[..]
                    .try_into()
                    .map_err(|_| FormatError::Field("the next root key"))?,
                genesis: Box::new(genesis),
                certificate: Box::new(Certificate::from_wire(
                    ledger_id,
                    incept.certificate.as_ref(),
                )?),
            }
        }
        wire::Act::AddDevice(add) => Act::AddDevice {
            certificate: Box::new(Certificate::from_wire(ledger_id, add.certificate.as_ref())?),
            admin: add.admin,
        },
        wire::Act::Revoke(revoke) => Act::Revoke {
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
        },
        wire::Act::Replace(replace) => Act::Replace {
            old: device(&replace.old)?,
            certificate: Box::new(Certificate::from_wire(
                ledger_id,
                replace.certificate.as_ref(),
            )?),
            tips: decode_named(&replace.tips)?,
        },
        wire::Act::Rename(rename) => {
            super::certificate::check_name(&rename.name)?;
            Act::Rename {
                device: device(&rename.device)?,
                name: rename.name,
            }
        }
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

fn device(bytes: &[u8]) -> Result<DeviceId, FormatError> {
    DeviceId::try_from(bytes).map_err(|_| FormatError::Field("the device of a statement"))
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
