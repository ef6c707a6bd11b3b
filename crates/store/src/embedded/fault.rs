//! What can go wrong inside a transaction, and what the caller is told of it.

use std::io::ErrorKind;

use crate::StoreError;

/// Why a read, or one write of a group, could not be carried out.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// A value does not have its layout or its checksum: this identity's matter alone.
    #[error("{0}")]
    Damaged(String),
    /// The engine refused: everybody's matter.
    #[error(transparent)]
    Engine(#[from] redb::Error),
    /// The engine panicked, as it may when a file was altered under it.
    #[error("the engine panicked")]
    Panicked,
}

impl Fault {
    /// A damaged value of a kind.
    pub(super) fn damaged(what: &str) -> Self {
        Self::Damaged(format!("{what} cannot be read"))
    }

    /// Whether it concerns only what was touched, so that other writes may go on without it.
    pub(super) fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Damaged(_) | Self::Engine(redb::Error::Corrupted(_)) | Self::Panicked
        )
    }

    /// Whether there is no room left on the device.
    pub(super) fn is_full(&self) -> bool {
        matches!(self, Self::Engine(redb::Error::Io(error)) if matches!(
            error.kind(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
        ))
    }

    /// Whether the disk, or what stands for it, failed.
    pub(super) fn is_io(&self) -> bool {
        matches!(self, Self::Engine(redb::Error::Io(_)))
    }

    /// Whether an earlier failure made the engine refuse everything until it is opened again.
    pub(super) fn is_latched(&self) -> bool {
        matches!(
            self,
            Self::Engine(
                redb::Error::PreviousIo
                    | redb::Error::DatabaseClosed
                    | redb::Error::LockPoisoned(_)
            ) | Self::Panicked
        )
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        if fault.is_full() {
            Self::Full
        } else if fault.is_damage() {
            Self::Damaged(fault.to_string())
        } else {
            Self::Unavailable(fault.to_string())
        }
    }
}

macro_rules! from_engine {
    ($($error:ident),+) => {$(
        impl From<redb::$error> for Fault {
            fn from(error: redb::$error) -> Self {
                Self::Engine(error.into())
            }
        }
    )+};
}

from_engine!(
    DatabaseError,
    StorageError,
    TableError,
    TransactionError,
    CommitError,
    SetDurabilityError
);
