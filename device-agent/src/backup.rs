//! Backups of an identity's root keys: the file that brings an identity back when every device is
//! lost.
//!
//! [`seal`] writes version 3, whose layout stands in `docs/backup.md`; [`open`] also reads the
//! three formats of the JavaScript service, which are told apart by their lengths. A backup holds
//! keys of the identity and of no device: who restores one always makes a new device.

mod original;
mod v3;

use edge_ledger_core::identity::genesis::next_key_hash;
use edge_ledger_core::identity::{FormatError, Genesis, IdentityLog};
use edge_ledger_core::ids::IdentityId;
use edge_ledger_core::keys::SecretKey;
use zeroize::Zeroizing;

use crate::addresses::Addresses;

/// Fewest characters of a new backup's password.
pub const PASSWORD_CHARS_MIN: usize = 12;
/// Longest backup file, in bytes.
pub const BACKUP_BYTES_MAX: usize = 16 * 1024;

/// A 32-byte secret that is wiped when dropped.
type Seed = Zeroizing<[u8; 32]>;

/// Which format a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupFormat {
    /// Version 3: Argon2id with its parameters in an authenticated header.
    V3,
    /// `PiKey.createEncryptedBackup` of the JavaScript service, version 2, 78 bytes: Argon2id, and
    /// a header that nothing protects.
    PiKeyV2,
    /// The same, version 1, 62 bytes: one unsalted hash of the password, which a laptop guesses by
    /// the billion. Whoever holds such a file should make a new backup and destroy it.
    PiKeyV1,
    /// `WasmNodeIdentity.exportSecretKey` of the JavaScript service, 77 bytes: Argon2id.
    NodeIdentity,
}

impl BackupFormat {
    /// Whether its password can be guessed so fast that the file is no protection.
    pub const fn is_weak(self) -> bool {
        matches!(self, Self::PiKeyV1)
    }
}

/// Why a backup cannot be made or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// The password of a new backup has too few characters.
    #[error("the password has fewer than {PASSWORD_CHARS_MIN} characters")]
    ShortPassword,
    /// It is none of the known formats.
    #[error("this is no backup: {bytes} bytes that no known format has")]
    Unknown {
        /// How long it is.
        bytes: usize,
    },
    /// A newer version than this code reads.
    #[error("the backup has version {0}, which is newer than this program")]
    Newer(u8),
    /// It ends too early.
    #[error("the backup is cut off: it has {bytes} of {expected} bytes")]
    Truncated {
        /// How long it is.
        bytes: usize,
        /// How long it should be.
        expected: usize,
    },
    /// Its header is not the one that was written.
    #[error("the backup's header was damaged or changed")]
    Header,
    /// Opening it would take more memory or time than any backup is written with.
    #[error("the backup asks for more memory or time than any that this program writes")]
    Cost,
    /// The password does not open it, or its content was changed.
    #[error("the password does not open the backup, or its content was changed")]
    Password,
    /// It was opened, and what it holds makes no sense.
    #[error("the backup holds something else than keys of an identity: {0}")]
    Content(&'static str),
}

/// What a backup holds. It has no `Debug`.
#[expect(missing_debug_implementations, reason = "holds secret keys")]
pub struct Backup {
    pub(crate) root: Seed,
    /// The root key that comes after it, to which the identity's log commits; the formats of the
    /// JavaScript service have none.
    pub(crate) next_root: Option<Seed>,
    /// The deployment, where the format has it.
    pub(crate) genesis: Option<Genesis>,
    /// Addresses of the identity service when the backup was made, where the format has them.
    pub(crate) identity_urls: Option<Addresses>,
    /// The 21-byte genesis fingerprint of a PiKey with a seeded one, which nothing else brings
    /// back.
    pub(crate) fingerprint: Option<[u8; 21]>,
    /// The identity, where the format has it. Elsewhere it is that of the root key, which no
    /// rotation and no recovery has replaced.
    pub(crate) identity: Option<IdentityId>,
}

/// What a backup's keys are to an identity's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Both keys are those of the log: the identity can be recovered, and its key rotated.
    Complete,
    /// The root key is the log's; the one that comes next is not in the backup.
    RootOnly,
    /// The keys are of another identity.
    Foreign,
    /// The root key is the log's, but the next one is not that which the log commits to.
    WrongNext,
    /// The next root key is the root: the root key was rotated after the backup was made. It still
    /// brings the identity back, and cannot rotate its key.
    Outdated,
    /// Neither key is the root: another rotation or recovery put an end to them.
    Stale,
}

impl Backup {
    /// The identity that the keys are of.
    pub fn identity(&self) -> IdentityId {
        let first = || self.root_key().public_key().identity_id();
        self.identity.unwrap_or_else(first)
    }

    /// Addresses of the identity service when the backup was made, where the format has them.
    pub fn identity_urls(&self) -> Option<&Addresses> {
        self.identity_urls.as_ref()
    }

    /// The deployment, where the format has it.
    pub fn genesis(&self) -> Option<&Genesis> {
        self.genesis.as_ref()
    }

    /// Holds the keys against the log of an identity at a time of its service, without installing
    /// them: a recovery takes effect by time alone.
    pub fn prove(&self, log: &IdentityLog, now_ms: i64) -> Proof {
        if self.identity() != log.identity() {
            return Proof::Foreign;
        }
        let now = log.time().max(now_ms);
        let root = log.root(now);
        let next = self.next_root_key().map(|key| key.public_key());
        if root != Some(self.root_key().public_key()) {
            return if next.is_some() && next == root {
                Proof::Outdated
            } else {
                Proof::Stale
            };
        }
        match next {
            None => Proof::RootOnly,
            Some(next) if log.next_root_hash(now) == Some(next_key_hash(&next)) => Proof::Complete,
            Some(_) => Proof::WrongNext,
        }
    }

    pub(crate) fn root_key(&self) -> SecretKey {
        SecretKey::from_seed(*self.root)
    }

    pub(crate) fn next_root_key(&self) -> Option<SecretKey> {
        let seed = self.next_root.as_ref();
        seed.map(|seed| SecretKey::from_seed(**seed))
    }
}

impl From<FormatError> for BackupError {
    fn from(_: FormatError) -> Self {
        Self::Content("its deployment cannot be read")
    }
}

/// Seals a backup under a password, as version 3.
///
/// # Errors
/// [`BackupError::ShortPassword`].
pub fn seal(backup: &Backup, password: &str) -> Result<Vec<u8>, BackupError> {
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return Err(BackupError::ShortPassword);
    }
    v3::seal(
        backup,
        password,
        v3::Cost::DEFAULT,
        rand::random(),
        rand::random(),
    )
}

/// Opens a backup of any format.
///
/// # Errors
/// [`BackupError`] saying what is wrong with it.
pub fn open(file: &[u8], password: &str) -> Result<(Backup, BackupFormat), BackupError> {
    if let Some(rest) = file.strip_prefix(v3::MAGIC) {
        return match rest.first() {
            Some(&v3::VERSION) => Ok((v3::open(file, password)?, BackupFormat::V3)),
            Some(version) if *version > v3::VERSION => Err(BackupError::Newer(*version)),
            // There never was one.
            Some(_) => Err(BackupError::Unknown { bytes: file.len() }),
            None => Err(BackupError::Truncated {
                bytes: file.len(),
                expected: v3::HEADER_BYTES,
            }),
        };
    }
    let format = original::format(file).ok_or(BackupError::Unknown { bytes: file.len() })?;
    let root = original::open(format, file, password)?;
    let backup = Backup {
        root,
        next_root: None,
        genesis: None,
        identity_urls: None,
        fingerprint: None,
        identity: None,
    };
    Ok((backup, format))
}

#[cfg(test)]
mod tests;
