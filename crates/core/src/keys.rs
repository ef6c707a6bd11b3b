//! Ed25519 keys and signatures under one verification policy.
//!
//! A public key is accepted when it is canonical, of prime order and not weak; a signature when
//! dalek's strict check accepts it. Every replica uses exactly this, one signature at a time:
//! libraries, and even batch and single checks of one library, disagree about crafted
//! signatures, and replicas that disagree diverge.
//!
//! Device, issuer and service keys sign a tagged SHA-256. Root keys sign with Ed25519ph
//! (RFC 8032 §5.1) and the tag as context, because clients of the service that this one replaces
//! sign any bytes that a server sends them: a plain signature of an identity key proves nothing.

use std::fmt;

use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::traits::IsIdentity as _;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha512};
use zeroize::{Zeroize as _, Zeroizing};

use crate::ids::{DeviceId, IdentityId, LedgerId};
use crate::tags::Tag;

/// Why a key or a signature was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not 32 bytes (64 for a signature).
    #[error("wrong length")]
    Length,
    /// Not a canonical point of prime order.
    #[error("the public key is weak, torsioned or not canonical")]
    Weak,
    /// The signature does not fit the key and the bytes.
    #[error("the signature does not fit")]
    BadSignature,
}

/// A 64-byte Ed25519 signature, not yet checked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signature([u8; 64]);

impl Signature {
    /// Takes the bytes as they are.
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl TryFrom<&[u8]> for Signature {
    type Error = KeyError;

    fn try_from(bytes: &[u8]) -> Result<Self, KeyError> {
        bytes.try_into().map(Self).map_err(|_| KeyError::Length)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(..)")
    }
}

/// A public key that passed the policy: canonical, torsion-free, not weak.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Checks and takes 32 bytes.
    ///
    /// # Errors
    /// [`KeyError::Length`] or [`KeyError::Weak`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| KeyError::Length)?;
        let compressed = CompressedEdwardsY(bytes);
        let point = compressed.decompress().ok_or(KeyError::Weak)?;
        let sound =
            point.compress() == compressed && point.is_torsion_free() && !point.is_identity();
        if !sound {
            return Err(KeyError::Weak);
        }
        VerifyingKey::from_bytes(&bytes)
            .map(Self)
            .map_err(|_| KeyError::Weak)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The id of the device that holds this key.
    pub fn device_id(&self) -> DeviceId {
        let hash = Tag::DeviceId.hash_unbound(&[self.as_bytes()]);
        let mut id = [0; 16];
        id.copy_from_slice(&hash[..16]);
        DeviceId::from_bytes(id)
    }

    /// The identity that this root key opened.
    pub fn identity_id(&self) -> IdentityId {
        IdentityId::from_bytes(*self.as_bytes())
    }

    /// Checks a signature of a tagged hash.
    ///
    /// # Errors
    /// [`KeyError::BadSignature`].
    pub fn verify(&self, hash: &[u8; 32], signature: &Signature) -> Result<(), KeyError> {
        self.verify_message(hash, signature)
    }

    /// Checks a signature of any bytes under the policy. Signed objects of the protocol go
    /// through [`verify`](Self::verify) or [`verify_root`](Self::verify_root).
    ///
    /// # Errors
    /// [`KeyError::BadSignature`].
    pub fn verify_message(&self, message: &[u8], signature: &Signature) -> Result<(), KeyError> {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        self.0
            .verify_strict(message, &signature)
            .map_err(|_| KeyError::BadSignature)
    }

    /// Checks a root key's Ed25519ph signature of a tagged object.
    ///
    /// # Errors
    /// [`KeyError::BadSignature`].
    pub fn verify_root(
        &self,
        tag: Tag,
        ledger_id: LedgerId,
        body: &[u8],
        signature: &Signature,
    ) -> Result<(), KeyError> {
        let context = tag.context(ledger_id);
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        self.0
            .verify_prehashed_strict(root_prehash(&context, body), Some(&context), &signature)
            .map_err(|_| KeyError::BadSignature)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", hex::encode(&self.as_bytes()[..4]))
    }
}

fn root_prehash(context: &[u8], body: &[u8]) -> Sha512 {
    Sha512::new_with_prefix(context).chain_update(body)
}

/// A secret key. It has neither `Debug` nor `Clone`, and is wiped when dropped.
#[expect(missing_debug_implementations, reason = "secrets have no Debug")]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// Takes a 32-byte seed, which must come from a secure random source.
    pub fn from_seed(mut seed: [u8; 32]) -> Self {
        let key = Self(SigningKey::from_bytes(&seed));
        seed.zeroize();
        key
    }

    /// The seed, to be written to a vault.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs a tagged hash.
    pub fn sign(&self, hash: &[u8; 32]) -> Signature {
        Signature(self.0.sign(hash).to_bytes())
    }

    /// Signs a tagged object as a root key, with Ed25519ph.
    pub fn sign_root(&self, tag: Tag, ledger_id: LedgerId, body: &[u8]) -> Signature {
        let context = tag.context(ledger_id);
        let signature = self
            .0
            .sign_prehashed(root_prehash(&context, body), Some(&context))
            .expect("a tag and a ledger id fit into 255 bytes of context");
        Signature(signature.to_bytes())
    }
}
