//! Where identities live: the two seams of the services, that of operators, and the implementations
//! of all three.
//!
//! All of an identity lives in one place of one store: its log, its journals, its sessions. The
//! identity service writes the log through [`IdentityStore`], the ledger service writes the
//! journals through [`LedgerStore`]; each append compares what it was decided under and happens
//! in one atomic step, and every read says which version of the log it saw.
//!
//! Whoever implements these traits runs the conformance suites in `conformance` (feature
//! `testing`).

pub mod change;
#[cfg(any(test, feature = "testing"))]
pub mod conformance;
pub mod embedded;
mod health;
pub mod identity;
pub mod ingest;
pub mod kept;
pub mod ledger;
pub mod log_view;
mod measured;
pub mod operator;
pub mod redis;

pub use change::{Change, ChangeFeed, DeviceSignal, Origin, SignalWord, StreamPlace};
pub use embedded::{Embedded, OpenError, Renewal};
pub use health::Health;
pub use identity::IdentityStore;
pub use ledger::LedgerStore;
pub use log_view::LogView;
pub use measured::Measured;
pub use operator::OperatorStore;

/// What a store failed at. Nothing that failed was acked or announced; whether it was carried
/// out is for a later read to tell.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, or does not answer: the same call may pass later.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// It takes no more data; reads go on.
    #[error("the store is full")]
    Full,
    /// It takes nothing of this identity: the operator blocked it.
    #[error("the identity is blocked")]
    Blocked,
    /// It takes no more entries of this identity, which has as many as the operator lets it have.
    #[error("the identity has as many entries as it may")]
    OverQuota,
    /// What it holds of this identity cannot be read.
    #[error("the store holds damaged data: {0}")]
    Damaged(String),
}

/// Counts the changes of an identity's log, in the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogVersion(pub u64);

/// A value, and the version of the identity's log at the moment of reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At<T> {
    /// Version 0 stands for an identity that the store does not know.
    pub version: LogVersion,
    /// What was read.
    pub value: T,
}
