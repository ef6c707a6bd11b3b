//! Why a keys folder cannot be used, and what to do about it.

use std::path::PathBuf;

use edge_ledger_core::identity::FormatError;

/// Why a keys folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// There is no such folder.
    #[error("there is no folder {}", .0.display())]
    NoFolder(PathBuf),
    /// Something that cannot be made again is not there.
    #[error("{} is missing", .0.display())]
    Missing(PathBuf),
    /// A file that cannot be read as what it should be.
    #[error("{} is damaged: {why}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file of another deployment than the genesis.
    #[error("{} belongs to another deployment than the genesis beside it", .0.display())]
    Foreign(PathBuf),
    /// A key and a certificate that were not made for each other.
    #[error("{} is not the certificate of {}", .certificate.display(), .key.display())]
    Unpaired {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// The root, without which no service key can be certified.
    #[error("{} is missing, which certifies service keys", .0.display())]
    NoRoot(PathBuf),
    /// A file that is there, and never overwritten.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// A certificate of another role.
    #[error("{} is of a key that may not sign for a service", .0.display())]
    Role(PathBuf),
    /// Others than its owner and its group can read a key, or others than its owner change it.
    #[error("{} is open to others, with mode {mode:04o}", .path.display())]
    Exposed {
        /// The key, or the folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The choices for a new deployment are out of their limits.
    #[error("a deployment cannot be made like this")]
    Choices(#[source] FormatError),
    /// The system refused.
    #[error("cannot use {}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl KeysError {
    /// What a person can do about it.
    pub const fn what_to_do(&self) -> &'static str {
        match self {
            Self::NoFolder(_) => "give a folder that `edge-ledger keys init --dir DIR` made",
            Self::Missing(_) | Self::Damaged { .. } | Self::Foreign(_) | Self::Unpaired { .. } => {
                "put the backup of the keys folder back; nothing was changed in it"
            }
            Self::NoRoot(_) => {
                "bring `root.key` from where it is kept, and name it with --root FILE"
            }
            Self::Exists(_) => "it is never overwritten: give another file, or move that one away",
            Self::Role(_) => "give the folder of a service, not that of an issuer",
            Self::Exposed { .. } => "take it from them: `chmod g-w,o= FILE`",
            Self::Choices(_) => "choose a unit of 1 to 16 bytes and at most 18 decimals",
            Self::Io { .. } => "give a folder that this user can read and write",
        }
    }

    /// For programs; never renamed.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NoFolder(_) | Self::Missing(_) => "KEYS_MISSING",
            Self::NoRoot(_) => "KEYS_ROOT",
            Self::Damaged { .. } => "KEYS_DAMAGED",
            Self::Foreign(_) | Self::Unpaired { .. } | Self::Role(_) => "KEYS_FOREIGN",
            Self::Exposed { .. } => "KEYS_EXPOSED",
            Self::Exists(_) => "FILE_EXISTS",
            Self::Choices(_) => "KEYS_CHOICES",
            Self::Io { .. } => "KEYS_IO",
        }
    }
}
