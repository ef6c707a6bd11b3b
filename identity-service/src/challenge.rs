//! Challenges: made without a trace, sealed, and checked when they come back.
//!
//! A challenge is known by its seal, so asking for many costs no memory and no store; it is burnt
//! only by a proof that fits. All that can be wrong with one has one answer, so that nobody
//! learns from it which identities and devices exist.

use bytes::Bytes;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use edge_ledger_chassis::keys::SealingKey;
use edge_ledger_chassis::{Sealing, random};
use edge_ledger_core::identity::Challenge;
use edge_ledger_core::ids::LedgerId;

use crate::limits::SEALED_BYTES_MAX;

const NONCE_BYTES: usize = 24;

/// What a key seals and opens with.
pub(crate) fn cipher(key: &SealingKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&Key::from(*key.as_bytes()))
}

/// Seals challenges and opens them, by keys that all replicas have.
pub(crate) struct Sealer {
    sealing: Sealing,
    ledger_id: LedgerId,
}

/// A challenge that this deployment sealed.
pub(crate) struct Opened {
    /// What was signed.
    pub(crate) encoded: Bytes,
    /// What it says.
    pub(crate) challenge: Challenge,
}

impl Sealer {
    pub(crate) fn new(sealing: Sealing, ledger_id: LedgerId) -> Self {
        Self { sealing, ledger_id }
    }

    /// Seals an encoded challenge under a random nonce, which 24 bytes make unique.
    pub(crate) fn seal(&self, encoded: &[u8]) -> Bytes {
        let nonce: [u8; NONCE_BYTES] = random::bytes();
        let payload = Payload {
            msg: encoded,
            aad: self.ledger_id.as_bytes(),
        };
        let sealed = cipher(self.sealing.current().sealing())
            .encrypt(&XNonce::from(nonce), payload)
            .expect("a challenge is far below the cipher's limit");
        [&nonce[..], &sealed].concat().into()
    }

    /// Opens what came back; `None` for anything that was not sealed here.
    pub(crate) fn open(&self, sealed: &[u8]) -> Option<Opened> {
        if sealed.len() > SEALED_BYTES_MAX {
            return None;
        }
        let (nonce, msg) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let aad = self.ledger_id.as_bytes();
        let open = |key| {
            let payload = Payload { msg, aad };
            cipher(key).decrypt(&XNonce::from(*nonce), payload).ok()
        };
        let encoded = self.sealing.current().opening().find_map(open)?;
        Some(Opened {
            challenge: Challenge::decode(&encoded).ok()?,
            encoded: encoded.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use edge_ledger_core::identity::Purpose;
    use edge_ledger_core::ids::{DeviceId, IdentityId};
    use edge_ledger_core::limits::AUDIENCE_BYTES_MAX;

    use super::*;

    fn sealer(key: u8, ledger: u8) -> Sealer {
        let sealing = Sealing::from([key; 32]);
        Sealer::new(sealing, LedgerId::from_bytes([ledger; 16]))
    }

    fn challenge() -> Challenge {
        Challenge {
            nonce: [1; 32],
            purpose: Purpose::Identity,
            audience: "a".repeat(AUDIENCE_BYTES_MAX),
            identity: IdentityId::from_bytes([2; 32]),
            device: DeviceId::from_bytes([3; 16]),
            expires_ms: i64::MAX,
        }
    }

    #[test]
    fn the_largest_challenge_comes_back_and_no_two_seals_are_alike() {
        let sealer = sealer(4, 5);
        let sealed = sealer.seal(&challenge().encode());
        assert!(sealed.len() <= SEALED_BYTES_MAX);
        assert_eq!(sealer.open(&sealed).unwrap().challenge, challenge());
        assert_ne!(sealer.seal(&challenge().encode()), sealed);
    }

    #[test]
    fn what_was_not_sealed_here_does_not_open() {
        let encoded = challenge().encode();
        let sealed = sealer(4, 5).seal(&encoded);
        assert!(sealer(6, 5).open(&sealed).is_none(), "another key");
        assert!(sealer(4, 6).open(&sealed).is_none(), "another deployment");
        for index in 0..sealed.len() {
            let mut changed = sealed.to_vec();
            changed[index] ^= 1;
            assert!(sealer(4, 5).open(&changed).is_none(), "byte {index}");
            assert!(
                sealer(4, 5).open(&sealed[..index]).is_none(),
                "length {index}"
            );
        }
        let long = sealer(4, 5).seal(&[0; SEALED_BYTES_MAX]);
        assert!(sealer(4, 5).open(&long).is_none(), "too long");
    }
}
