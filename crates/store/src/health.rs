//! Whether a store can commit.

use crate::StoreError;

/// How a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It reads and writes.
    Serving,
    /// It has no room: reads go on, the next write tries again, and so does the store by itself.
    Full,
    /// It does not answer, or takes no writes, for now.
    Unavailable,
    /// A sync or a commit failed, so that nobody knows what the disk holds. No write is accepted
    /// until the process starts anew.
    Failed,
}

impl Health {
    /// What a write that failed tells of the store; nothing, if it tells of one identity alone.
    pub fn told_by(error: &StoreError) -> Option<Self> {
        match error {
            StoreError::Unavailable(_) => Some(Self::Unavailable),
            StoreError::Full => Some(Self::Full),
            StoreError::Damaged(_) | StoreError::Blocked | StoreError::OverQuota => None,
        }
    }
}
