//! Version 3 of the backup file.
//!
//! | bytes | what |
//! | --- | --- |
//! | 0–7 | `ELBACKUP` |
//! | 8 | version, 3 |
//! | 9–20 | Argon2id (RFC 9106, version 0x13): memory in KiB, passes, lanes, each big-endian in 4 bytes |
//! | 21–36 | salt |
//! | 37–60 | nonce |
//! | 61–64 | length of what follows the header, big-endian |
//! | 65–72 | SHA-256 of bytes 0–64, its first 8 bytes |
//! | 73– | [`Content`] as protobuf, sealed with XChaCha20-Poly1305; bytes 0–72 are associated data |
//!
//! The checksum tells a damaged header from a wrong password; whoever changes both is caught by
//! the seal.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use edge_ledger_core::identity::Genesis;
use edge_ledger_core::ids::IdentityId;
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

use super::{BACKUP_BYTES_MAX, Backup, BackupError, Seed};
use crate::addresses::Addresses;

pub(super) const MAGIC: &[u8; 8] = b"ELBACKUP";
pub(super) const VERSION: u8 = 3;
pub(super) const HEADER_BYTES: usize = 73;

const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 24;
const CHECKED_BYTES: usize = 65;
/// Most memory that opening a file may take, in KiB.
const MEMORY_KIB_MAX: u32 = 1024 * 1024;
/// Most memory times passes, in KiB: some seconds on a phone.
const WORK_KIB_MAX: u64 = 4 * 1024 * 1024;
const LANES_MAX: u32 = 16;

/// What guessing a password costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) memory_kib: u32,
    pub(super) passes: u32,
    pub(super) lanes: u32,
}

impl Cost {
    /// The second recommended option of RFC 9106 (64 MiB, 3 passes, 4 lanes), which a phone has.
    pub(super) const DEFAULT: Self = Self {
        memory_kib: 64 * 1024,
        passes: 3,
        lanes: 4,
    };
}

/// What is sealed.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
struct Content {
    /// Seed of the root key, 32 bytes.
    #[prost(bytes = "vec", tag = "1")]
    root: Vec<u8>,
    /// Seed of the next root key, 32 bytes, or nothing.
    #[prost(bytes = "vec", tag = "2")]
    next_root: Vec<u8>,
    /// Encoded genesis, or nothing.
    #[prost(bytes = "bytes", tag = "3")]
    genesis: bytes::Bytes,
    /// Addresses of the identity service, or nothing.
    #[prost(string, repeated, tag = "4")]
    identity_urls: Vec<String>,
    /// Genesis fingerprint of a PiKey, 21 bytes, or nothing.
    #[prost(bytes = "vec", tag = "5")]
    fingerprint: Vec<u8>,
    /// The identity, 32 bytes.
    #[prost(bytes = "vec", tag = "6")]
    identity: Vec<u8>,
}

pub(super) fn seal(
    backup: &Backup,
    password: &str,
    cost: Cost,
    salt: [u8; SALT_BYTES],
    nonce: [u8; NONCE_BYTES],
) -> Result<Vec<u8>, BackupError> {
    let key = derive(password, &salt, cost)?;
    let content = encode(backup);
    let sealed_bytes = content.len() + TAG_BYTES;
    let length = u32::try_from(sealed_bytes).map_err(|_| BackupError::Content("it is too long"))?;
    let mut file = Vec::with_capacity(HEADER_BYTES + sealed_bytes);
    file.extend_from_slice(MAGIC);
    file.push(VERSION);
    for number in [cost.memory_kib, cost.passes, cost.lanes] {
        file.extend_from_slice(&number.to_be_bytes());
    }
    file.extend_from_slice(&salt);
    file.extend_from_slice(&nonce);
    file.extend_from_slice(&length.to_be_bytes());
    file.extend_from_slice(&checksum(&file));
    let payload = Payload {
        msg: &content,
        aad: &file,
    };
    let sealed = XChaCha20Poly1305::new((&*key).into())
        .encrypt(&XNonce::from(nonce), payload)
        .map_err(|_| BackupError::Content("it is too long"))?;
    file.extend_from_slice(&sealed);
    if file.len() > BACKUP_BYTES_MAX {
        return Err(BackupError::Content("it is too long"));
    }
    Ok(file)
}

/// What the cipher adds.
const TAG_BYTES: usize = 16;

pub(super) fn open(file: &[u8], password: &str) -> Result<Backup, BackupError> {
    let truncated = |expected| BackupError::Truncated {
        bytes: file.len(),
        expected,
    };
    let (header, sealed) = file
        .split_first_chunk::<HEADER_BYTES>()
        .ok_or_else(|| truncated(HEADER_BYTES))?;
    if header[CHECKED_BYTES..] != checksum(&header[..CHECKED_BYTES]) {
        return Err(BackupError::Header);
    }
    let mut fields = &header[MAGIC.len() + 1..];
    let cost = Cost {
        memory_kib: number(&mut fields),
        passes: number(&mut fields),
        lanes: number(&mut fields),
    };
    let salt: [u8; SALT_BYTES] = take(&mut fields);
    let nonce: [u8; NONCE_BYTES] = take(&mut fields);
    let length = usize::try_from(number(&mut fields)).map_err(|_| BackupError::Header)?;
    if sealed.len() < length {
        return Err(truncated(HEADER_BYTES.saturating_add(length)));
    }
    if sealed.len() > length {
        return Err(BackupError::Header);
    }
    cost.check()?;
    let key = derive(password, &salt, cost)?;
    let payload = Payload {
        msg: sealed,
        aad: header,
    };
    let opened = XChaCha20Poly1305::new((&*key).into()).decrypt(&XNonce::from(nonce), payload);
    decode(&Zeroizing::new(opened.map_err(|_| BackupError::Password)?))
}

impl Cost {
    /// Whoever made the file chose its cost: it must not take the machine down.
    fn check(self) -> Result<(), BackupError> {
        let work_kib = u64::from(self.memory_kib) * u64::from(self.passes);
        let bearable = self.memory_kib <= MEMORY_KIB_MAX
            && work_kib <= WORK_KIB_MAX
            && self.lanes <= LANES_MAX;
        if bearable {
            Ok(())
        } else {
            Err(BackupError::Cost)
        }
    }
}

/// The key of a password, by Argon2id.
pub(super) fn derive(password: &str, salt: &[u8], cost: Cost) -> Result<Seed, BackupError> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32));
    let argon = Argon2::new(
        Algorithm::Argon2id,
        Version::V0x13,
        params.map_err(|_| BackupError::Cost)?,
    );
    let mut key = Zeroizing::new([0; 32]);
    argon
        .hash_password_into(password.as_bytes(), salt, &mut *key)
        .map_err(|_| BackupError::Cost)?;
    Ok(key)
}

fn checksum(bytes: &[u8]) -> [u8; 8] {
    let hash: [u8; 32] = Sha256::digest(bytes).into();
    let [a, b, c, d, e, f, g, h, ..] = hash;
    [a, b, c, d, e, f, g, h]
}

/// Takes the next bytes of a header, whose length is fixed.
fn take<const N: usize>(fields: &mut &[u8]) -> [u8; N] {
    let (taken, rest) = fields
        .split_first_chunk::<N>()
        .expect("the header has room for all its fields");
    *fields = rest;
    *taken
}

fn number(fields: &mut &[u8]) -> u32 {
    u32::from_be_bytes(take(fields))
}

fn encode(backup: &Backup) -> Zeroizing<Vec<u8>> {
    let mut content = Content {
        root: backup.root.to_vec(),
        next_root: backup
            .next_root
            .as_ref()
            .map_or_else(Vec::new, |seed| seed.to_vec()),
        genesis: backup
            .genesis
            .as_ref()
            .map_or_else(bytes::Bytes::new, |g| g.bytes().clone()),
        identity_urls: backup
            .identity_urls
            .as_ref()
            .map_or_else(Vec::new, Addresses::to_vec),
        fingerprint: backup.fingerprint.map_or_else(Vec::new, |f| f.to_vec()),
        identity: backup.identity().as_bytes().to_vec(),
    };
    let encoded = Zeroizing::new(content.encode_to_vec());
    content.root.zeroize();
    content.next_root.zeroize();
    encoded
}

fn decode(bytes: &[u8]) -> Result<Backup, BackupError> {
    let content =
        Content::decode(bytes).map_err(|_| BackupError::Content("it is another message"))?;
    let root = Zeroizing::new(content.root);
    let next_root = Zeroizing::new(content.next_root);
    let seed = |bytes: &[u8]| {
        let seed = <[u8; 32]>::try_from(bytes).map(Zeroizing::new);
        seed.map_err(|_| BackupError::Content("a key of another length"))
    };
    let fingerprint = match &content.fingerprint[..] {
        [] => None,
        bytes => Some(
            bytes
                .try_into()
                .map_err(|_| BackupError::Content("a fingerprint of another length"))?,
        ),
    };
    let identity = IdentityId::try_from(&content.identity[..]);
    let identity = identity.map_err(|_| BackupError::Content("an identity of another length"))?;
    Ok(Backup {
        root: seed(&root)?,
        next_root: (!next_root.is_empty())
            .then(|| seed(&next_root))
            .transpose()?,
        genesis: (!content.genesis.is_empty())
            .then(|| Genesis::decode(content.genesis))
            .transpose()?,
        identity_urls: Addresses::told(content.identity_urls),
        fingerprint,
        identity: Some(identity),
    })
}
