//! What a device signs of itself.

use bytes::Bytes;
use prost::Message as _;

use crate::identity::{FormatError, decode_canonical};
use crate::ids::{DeviceId, IdentityId, LedgerId};
use crate::keys::{PublicKey, SecretKey, Signature};
use crate::limits::{NAME_BYTES_MAX, PLATFORM_BYTES_MAX};
use crate::tags::Tag;
use crate::text::{is_blank, is_plain};
use crate::wire;

/// A device's signed description of itself, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    body: Bytes,
    signature: Signature,
    identity: IdentityId,
    key: PublicKey,
    name: String,
    platform: String,
    replaces: Option<DeviceId>,
}

/// What a device says of itself in a new [`Certificate`].
#[derive(Debug, Clone)]
pub struct Description {
    /// The identity that it joins.
    pub identity: IdentityId,
    /// Name for people, 1 to 64 bytes of plain text.
    pub name: String,
    /// Platform for people, at most 64 bytes of plain text.
    pub platform: String,
    /// The device that it replaces.
    pub replaces: Option<DeviceId>,
}

/// Checks a device name: 1 to 64 bytes of plain text in which there is something to be seen.
///
/// # Errors
/// [`FormatError::Field`].
pub fn check_name(name: &str) -> Result<(), FormatError> {
    if !is_blank(name) && name.len() <= NAME_BYTES_MAX && is_plain(name) {
        Ok(())
    } else {
        Err(FormatError::Field("the name of a device"))
    }
}

impl Certificate {
    /// Signs a device's own certificate.
    ///
    /// # Errors
    /// [`FormatError::Field`] when name or platform are out of their limits.
    pub fn sign(
        ledger_id: LedgerId,
        key: &SecretKey,
        description: &Description,
    ) -> Result<Self, FormatError> {
        let message = wire::CertificateBody {
            identity: description.identity.as_bytes().to_vec(),
            public_key: key.public_key().as_bytes().to_vec(),
            name: description.name.clone(),
            platform: description.platform.clone(),
            replaces: description
                .replaces
                .map_or_else(Vec::new, |d| d.as_bytes().to_vec()),
        };
        let body = Bytes::from(message.encode_to_vec());
        let signature = key.sign(&Tag::Certificate.hash(ledger_id, &[&body]));
        Self::verify(ledger_id, body, signature)
    }

    /// Takes a certificate and checks the device's own signature.
    ///
    /// # Errors
    /// [`FormatError`] when it is malformed or the key did not sign it.
    pub fn verify(
        ledger_id: LedgerId,
        body: Bytes,
        signature: Signature,
    ) -> Result<Self, FormatError> {
        let message: wire::CertificateBody = decode_canonical("a certificate", &body)?;
        let identity = IdentityId::try_from(&message.identity[..])
            .map_err(|_| FormatError::Field("the identity of a certificate"))?;
        let key = PublicKey::from_bytes(&message.public_key)
            .map_err(|e| FormatError::Key("the key of a certificate", e))?;
        check_name(&message.name)?;
        if message.platform.len() > PLATFORM_BYTES_MAX || !is_plain(&message.platform) {
            return Err(FormatError::Field("the platform of a device"));
        }
        let replaces = match &message.replaces[..] {
            [] => None,
            bytes => Some(
                DeviceId::try_from(bytes).map_err(|_| FormatError::Field("the replaced device"))?,
            ),
        };
        key.verify(&Tag::Certificate.hash(ledger_id, &[&body]), &signature)
            .map_err(|e| FormatError::Key("the signature of a certificate", e))?;
        Ok(Self {
            body,
            signature,
            identity,
            key,
            name: message.name,
            platform: message.platform,
            replaces,
        })
    }

    /// The verbatim encoding.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The device's signature.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The identity that the device joins.
    pub fn identity(&self) -> IdentityId {
        self.identity
    }

    /// The device's key.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The device's platform.
    pub fn platform(&self) -> &str {
        &self.platform
    }

    /// The device that it replaces.
    pub fn replaces(&self) -> Option<DeviceId> {
        self.replaces
    }

    pub(crate) fn to_wire(&self) -> wire::Certificate {
        wire::Certificate {
            body: self.body.clone(),
            signature: self.signature.as_bytes().to_vec(),
        }
    }

    pub(crate) fn from_wire(
        ledger_id: LedgerId,
        certificate: Option<&wire::Certificate>,
    ) -> Result<Self, FormatError> {
        let certificate = certificate.ok_or(FormatError::Field("the certificate"))?;
        let signature = Signature::try_from(&certificate.signature[..])
            .map_err(|e| FormatError::Key("the signature of a certificate", e))?;
        Self::verify(ledger_id, certificate.body.clone(), signature)
    }
}
