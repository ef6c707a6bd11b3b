//! The three formats of the JavaScript service. Two of them begin with the same version byte, so
//! the length tells them apart:
//!
//! | bytes | layout | key |
//! | --- | --- | --- |
//! | 62 | `01`, purpose, nonce (12), sealed key (48) | SHA-256(password ‖ `3141592653589793`) |
//! | 77 | `01`, salt (16), nonce (12), sealed key (48) | Argon2id |
//! | 78 | `02`, purpose, salt (16), nonce (12), sealed key (48) | Argon2id |
//!
//! Sealed is AES-256-GCM without associated data, so the header is protected by nothing. Argon2id
//! (RFC 9106) has 64 MiB, 3 passes and 1 lane.

use aes_gcm::aead::{Aead as _, KeyInit as _};
use aes_gcm::{Aes256Gcm, Nonce};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::v3::{Cost, derive};
use super::{BackupError, BackupFormat, Seed};

const PI_MAGIC: [u8; 8] = [0x31, 0x41, 0x59, 0x26, 0x53, 0x58, 0x97, 0x93];
const COST: Cost = Cost {
    memory_kib: 64 * 1024,
    passes: 3,
    lanes: 1,
};
const NONCE_BYTES: usize = 12;
const SALT_BYTES: usize = 16;

/// Which of them a file is.
pub(super) fn format(file: &[u8]) -> Option<BackupFormat> {
    match (file.len(), file.first()?) {
        (62, 1) => Some(BackupFormat::PiKeyV1),
        (77, 1) => Some(BackupFormat::NodeIdentity),
        (78, 2) => Some(BackupFormat::PiKeyV2),
        _ => None,
    }
}

/// Opens a file of a format that [`format`] found.
pub(super) fn open(format: BackupFormat, file: &[u8], password: &str) -> Result<Seed, BackupError> {
    let unknown = || BackupError::Unknown { bytes: file.len() };
    let header = match format {
        BackupFormat::PiKeyV1 | BackupFormat::PiKeyV2 => 2,
        BackupFormat::NodeIdentity => 1,
        BackupFormat::V3 => return Err(unknown()),
    };
    let (_, rest) = file.split_at_checked(header).ok_or_else(unknown)?;
    let (key, rest) = if format == BackupFormat::PiKeyV1 {
        (hashed(password), rest)
    } else {
        let (salt, rest) = rest.split_first_chunk::<SALT_BYTES>().ok_or_else(unknown)?;
        (derive(password, salt, COST)?, rest)
    };
    let (nonce, sealed) = rest
        .split_first_chunk::<NONCE_BYTES>()
        .ok_or_else(unknown)?;
    let opened = Aes256Gcm::new((&*key).into())
        .decrypt(&Nonce::from(*nonce), sealed)
        .map(Zeroizing::new)
        .map_err(|_| BackupError::Password)?;
    let seed = <[u8; 32]>::try_from(&opened[..]).map(Zeroizing::new);
    seed.map_err(|_| BackupError::Content("a key of another length"))
}

fn hashed(password: &str) -> Seed {
    let hash = Sha256::new_with_prefix(password).chain_update(PI_MAGIC);
    Zeroizing::new(hash.finalize().into())
}
