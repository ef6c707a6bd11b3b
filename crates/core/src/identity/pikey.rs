//! Display ids of an identity key, byte-equal to those of the JavaScript service's PiKey, so that
//! people recognise an identity that they bring along. They are never an authority.

use sha2::{Digest as _, Sha512};

use crate::ids::IdentityId;

/// The magic bytes that enter the hash and mark its head.
const PI_MAGIC: [u8; 8] = [0x31, 0x41, 0x59, 0x26, 0x53, 0x58, 0x97, 0x93];

/// The 40-byte PiKey id: SHA-512 of magic and public key, cut to 40 bytes, with the first four
/// XORed with the magic's first four.
pub fn pikey_id(identity: &IdentityId) -> [u8; 40] {
    let hash = Sha512::new_with_prefix(PI_MAGIC)
        .chain_update(identity.as_bytes())
        .finalize();
    let mut id = [0; 40];
    id.copy_from_slice(&hash[..40]);
    for (byte, magic) in id.iter_mut().zip(&PI_MAGIC[..4]) {
        *byte ^= magic;
    }
    id
}

/// The display form: `π:` and 16 hex digits.
pub fn short_id(identity: &IdentityId) -> String {
    format!("π:{}", hex::encode(&pikey_id(identity)[..8]))
}
