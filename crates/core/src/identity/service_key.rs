//! Keys of the service, each certified by the service root for one role.

use bytes::Bytes;
use prost::Message as _;

use crate::identity::{FormatError, Genesis, decode_canonical};
use crate::ids::LedgerId;
use crate::keys::{PublicKey, SecretKey, Signature};
use crate::tags::Tag;
use crate::wire;

/// The one role of a service key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceRole {
    /// Signs greetings, receipts and acks.
    Service,
    /// Signs issuer proofs of credits and refunds.
    Issuer,
}

/// A service key that the deployment's root vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceCertificate {
    body: Bytes,
    signature: Signature,
    key: PublicKey,
    role: ServiceRole,
    serial: u64,
}

impl ServiceCertificate {
    /// Certifies a key.
    pub fn issue(
        root: &SecretKey,
        ledger_id: LedgerId,
        key: &PublicKey,
        role: ServiceRole,
        serial: u64,
    ) -> Self {
        let wire_role = match role {
            ServiceRole::Service => wire::ServiceRole::Service,
            ServiceRole::Issuer => wire::ServiceRole::Issuer,
        };
        let message = wire::ServiceKeyBody {
            public_key: key.as_bytes().to_vec(),
            role: wire_role.into(),
            serial,
        };
        let body = Bytes::from(message.encode_to_vec());
        let signature = root.sign(&Tag::ServiceKey.hash(ledger_id, &[&body]));
        Self {
            body,
            signature,
            key: *key,
            role,
            serial,
        }
    }

    /// Takes a certificate and checks it against the deployment's root.
    ///
    /// # Errors
    /// [`FormatError`] when it is malformed or the root did not sign it.
    pub fn verify(
        genesis: &Genesis,
        body: Bytes,
        signature: Signature,
    ) -> Result<Self, FormatError> {
        let message: wire::ServiceKeyBody = decode_canonical("a service key certificate", &body)?;
        let hash = Tag::ServiceKey.hash(genesis.ledger_id(), &[&body]);
        genesis
            .service_root()
            .verify(&hash, &signature)
            .map_err(|e| FormatError::Key("the signature of a service key", e))?;
        let role = match wire::ServiceRole::try_from(message.role) {
            Ok(wire::ServiceRole::Service) => ServiceRole::Service,
            Ok(wire::ServiceRole::Issuer) => ServiceRole::Issuer,
            Ok(wire::ServiceRole::Unspecified) | Err(_) => {
                return Err(FormatError::Field("the role of a service key"));
            }
        };
        let key = PublicKey::from_bytes(&message.public_key)
            .map_err(|e| FormatError::Key("a service key", e))?;
        Ok(Self {
            signature,
            key,
            role,
            serial: message.serial,
            body,
        })
    }

    /// The verbatim encoding of what is certified.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The root's signature.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The certified key.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Its role.
    pub fn role(&self) -> ServiceRole {
        self.role
    }

    /// Its number.
    pub fn serial(&self) -> u64 {
        self.serial
    }
}

/// A service key with its certificate: what a service signs with. It has no `Debug`.
#[expect(missing_debug_implementations, reason = "secrets have no Debug")]
pub struct ServiceSigner {
    secret: SecretKey,
    certificate: ServiceCertificate,
}

impl ServiceSigner {
    /// Pairs a key with its certificate.
    ///
    /// # Errors
    /// [`FormatError::Field`] when the certificate is of another key.
    pub fn new(secret: SecretKey, certificate: ServiceCertificate) -> Result<Self, FormatError> {
        if secret.public_key() == *certificate.key() {
            Ok(Self {
                secret,
                certificate,
            })
        } else {
            Err(FormatError::Field("the key of a service key certificate"))
        }
    }

    /// The certificate.
    pub fn certificate(&self) -> &ServiceCertificate {
        &self.certificate
    }

    /// Signs a tagged hash.
    pub fn sign(&self, hash: &[u8; 32]) -> Signature {
        self.secret.sign(hash)
    }
}
