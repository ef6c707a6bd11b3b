//! The challenge that opens an identity session, for a device or for the root key.

use bytes::Bytes;
use prost::Message as _;

use crate::identity::{FormatError, decode_canonical};
use crate::ids::{DeviceId, IdentityId, LedgerId};
use crate::keys::{PublicKey, SecretKey, Signature};
use crate::limits::AUDIENCE_BYTES_MAX;
use crate::tags::Tag;
use crate::wire;

/// What a challenge may open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A session for identity calls.
    Identity,
}

/// What a device signs to prove that it is there, now, and means this service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Random.
    pub nonce: [u8; 32],
    /// What it may open.
    pub purpose: Purpose,
    /// The service as the device dialled it: host and port.
    pub audience: String,
    /// The identity.
    pub identity: IdentityId,
    /// The device.
    pub device: DeviceId,
    /// Service time after which it is worthless, in milliseconds since 1970.
    pub expires_ms: i64,
}

impl Challenge {
    /// The canonical encoding, which is what gets signed.
    pub fn encode(&self) -> Bytes {
        let purpose = match self.purpose {
            Purpose::Identity => wire::ChallengePurpose::Identity,
        };
        wire::ChallengeBody {
            nonce: self.nonce.to_vec(),
            purpose: purpose.into(),
            audience: self.audience.clone(),
            identity: self.identity.as_bytes().to_vec(),
            device: self.device.as_bytes().to_vec(),
            expires_ms: self.expires_ms,
        }
        .encode_to_vec()
        .into()
    }

    /// Reads an encoded challenge.
    ///
    /// # Errors
    /// [`FormatError`] for anything but a canonical challenge.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let message: wire::ChallengeBody = decode_canonical("a challenge", bytes)?;
        let purpose = match wire::ChallengePurpose::try_from(message.purpose) {
            Ok(wire::ChallengePurpose::Identity) => Purpose::Identity,
            Ok(wire::ChallengePurpose::Unspecified) | Err(_) => {
                return Err(FormatError::Field("the purpose of a challenge"));
            }
        };
        if message.audience.len() > AUDIENCE_BYTES_MAX {
            return Err(FormatError::Field("the audience of a challenge"));
        }
        Ok(Self {
            nonce: message.nonce[..]
                .try_into()
                .map_err(|_| FormatError::Field("the nonce"))?,
            purpose,
            audience: message.audience,
            identity: IdentityId::try_from(&message.identity[..])
                .map_err(|_| FormatError::Field("the identity of a challenge"))?,
            device: DeviceId::try_from(&message.device[..])
                .map_err(|_| FormatError::Field("the device of a challenge"))?,
            expires_ms: message.expires_ms,
        })
    }

    /// The device's proof of an encoded challenge.
    pub fn prove(ledger_id: LedgerId, challenge: &[u8], key: &SecretKey) -> Signature {
        key.sign(&Tag::Challenge.hash(ledger_id, &[challenge]))
    }

    /// Checks a device's proof of an encoded challenge.
    ///
    /// # Errors
    /// [`FormatError::Key`] when it does not fit.
    pub fn check_proof(
        ledger_id: LedgerId,
        challenge: &[u8],
        key: &PublicKey,
        proof: &Signature,
    ) -> Result<(), FormatError> {
        key.verify(&Tag::Challenge.hash(ledger_id, &[challenge]), proof)
            .map_err(|e| FormatError::Key("the proof of a challenge", e))
    }

    /// The root key's proof of an encoded challenge, with Ed25519ph.
    pub fn prove_root(ledger_id: LedgerId, challenge: &[u8], root: &SecretKey) -> Signature {
        root.sign_root(Tag::Challenge, ledger_id, challenge)
    }

    /// Checks a root key's proof of an encoded challenge.
    ///
    /// # Errors
    /// [`FormatError::Key`] when it does not fit.
    pub fn check_root_proof(
        ledger_id: LedgerId,
        challenge: &[u8],
        root: &PublicKey,
        proof: &Signature,
    ) -> Result<(), FormatError> {
        root.verify_root(Tag::Challenge, ledger_id, challenge, proof)
            .map_err(|e| FormatError::Key("the proof of a challenge", e))
    }
}
