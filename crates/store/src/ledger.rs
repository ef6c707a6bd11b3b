//! The seam that the ledger service writes through.

use async_trait::async_trait;
use edge_ledger_core::ids::{DeviceId, IdentityId};
use edge_ledger_core::ledger::admission::Admissible;
use edge_ledger_core::ledger::journals::Have;
use edge_ledger_core::ledger::{Extended, Heads, KeptRun, Level, Tip};
use tokio::sync::watch;

use crate::{At, ChangeFeed, Health, LogVersion, Origin, StoreError};

/// What became of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppendOutcome {
    /// Each run was judged in order; what is kept is committed.
    Appended(Vec<Extended>),
    /// The log changed since the runs were admitted: read it and admit them again.
    LogMoved,
    /// The operator blocked the identity: nothing is kept of them.
    Blocked,
    /// With them the identity would have more entries than the operator lets it have. Whether those
    /// that come before the one too many are kept, is the store's choice.
    OverQuota,
}

/// A page of runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The runs, parents first.
    pub runs: Vec<KeptRun>,
    /// Whether more are lacking.
    pub more: bool,
}

/// What the ledger service reads and writes.
#[async_trait]
pub trait LedgerStore: Send + Sync {
    /// Appends runs in one atomic step, if the log still has the version that they were admitted
    /// under. Each run is judged by `core` after those before it: one that waits or is refused
    /// does not hinder the others. Idempotent: entries that are kept already stay as they are, and
    /// get the signature that a run brings if they have none. Where no run brought anything new,
    /// nothing is announced.
    ///
    /// # Errors
    /// [`StoreError`]: nothing was announced, and whether it was committed is unknown.
    async fn append(
        &self,
        identity: IdentityId,
        seen: LogVersion,
        origin: Origin,
        runs: Vec<Admissible>,
    ) -> Result<AppendOutcome, StoreError>;

    /// All tips of an identity.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn heads(&self, identity: IdentityId) -> Result<At<Heads>, StoreError>;

    /// About one frame of the runs that are lacking where `have` is there.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn missing(&self, identity: IdentityId, have: &Have) -> Result<At<Page>, StoreError>;

    /// A locator for each journal of which `heads` has a tip that is not kept here.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn locate(&self, identity: IdentityId, heads: &Heads)
    -> Result<At<Vec<Tip>>, StoreError>;

    /// Announces that a device opened a stream here, to all processes and to this one, with a
    /// number that tells which of several was opened later. A hint: it may get lost. It is not
    /// sent any more by a call that was given up before it had its number.
    async fn tell_opened(&self, identity: IdentityId, device: DeviceId, stream: Origin);

    /// What a committed entry survives.
    fn level(&self) -> Level;

    /// What is committed from now on.
    fn changes(&self) -> ChangeFeed;

    /// Whether it can commit, and every change of that.
    fn health(&self) -> watch::Receiver<Health>;
}
