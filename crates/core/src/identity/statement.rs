//! Statements: the signed acts of an identity log.

mod act;
mod encoding;

use bytes::Bytes;
use prost::Message as _;

pub use act::{Act, RevokeReason, RotateReason};
pub(in crate::identity) use encoding::check_order;
pub(crate) use encoding::decode_tips;
use encoding::{decode_body, encode_body};

use crate::identity::{FormatError, decode_canonical};
use crate::ids::{IdentityId, LedgerId, LogHash};
use crate::keys::{PublicKey, SecretKey, Signature};
use crate::limits::{STATEMENT_BYTES_MAX, STATEMENT_SIGNATURES_MAX};
use crate::tags::Tag;
use crate::wire;

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
    /// An enrolment key.
    Enrolment(PublicKey),
    /// A recovery key.
    Recovery(PublicKey),
}

impl Signer {
    /// The key, whatever its role.
    pub fn key(&self) -> &PublicKey {
        match self {
            Self::Root(key) | Self::Device(key) | Self::Enrolment(key) | Self::Recovery(key) => key,
        }
    }
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
    /// As an enrolment key.
    Enrolment(&'a SecretKey),
    /// As a recovery key, with Ed25519ph.
    Recovery(&'a SecretKey),
}

impl std::fmt::Debug for SigningAs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Root(_) => "Root",
            Self::Device(_) => "Device",
            Self::Enrolment(_) => "Enrolment",
            Self::Recovery(_) => "Recovery",
        })
    }
}

impl Statement {
    /// Signs an act with one key, or with two if it has a [newcomer](Act::newcomer), which comes
    /// second.
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
        let plain = |key: &SecretKey| key.sign(&hash);
        let prehashed = |key: &SecretKey| key.sign_root(Tag::Statement, ledger_id, &body);
        let signatures = keys
            .iter()
            .map(|key| {
                let (kind, key, signature) = match key {
                    SigningAs::Root(key) => (wire::SignerKind::Root, key, prehashed(key)),
                    SigningAs::Device(key) => (wire::SignerKind::Device, key, plain(key)),
                    SigningAs::Enrolment(key) => (wire::SignerKind::Enrolment, key, plain(key)),
                    SigningAs::Recovery(key) => (wire::SignerKind::Recovery, key, prehashed(key)),
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
                Signer::Root(key) | Signer::Recovery(key) => {
                    key.verify_root(Tag::Statement, ledger_id, &self.body_bytes, signature)
                }
                Signer::Device(key) | Signer::Enrolment(key) => key.verify(&hash, signature),
            }
            .map_err(|e| FormatError::Key("the signature of a statement", e))?;
        }
        Ok(())
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
        Ok(wire::SignerKind::Enrolment) => Signer::Enrolment(key),
        Ok(wire::SignerKind::Recovery) => Signer::Recovery(key),
        Ok(wire::SignerKind::Unspecified) | Err(_) => {
            return Err(FormatError::Field("the kind of a signer"));
        }
    };
    let signature = Signature::try_from(&signature.signature[..])
        .map_err(|e| FormatError::Key("the signature of a statement", e))?;
    Ok((signer, signature))
}
