//! The ledger service's seam, carried out by the rooms that know the keys.

use async_trait::async_trait;
use edge_ledger_core::ids::{DeviceId, IdentityId};
use edge_ledger_core::ledger::admission::Admissible;
use edge_ledger_core::ledger::journals::Have;
use edge_ledger_core::ledger::{Heads, Level, Tip};
use tokio::sync::watch;

use super::RedisStore;
use super::append::Appending;
use crate::ledger::{AppendOutcome, Page};
use crate::{At, ChangeFeed, Health, LedgerStore, LogVersion, Origin, StoreError};

#[async_trait]
impl LedgerStore for RedisStore {
    async fn append(
        &self,
        identity: IdentityId,
        seen: LogVersion,
        origin: Origin,
        runs: Vec<Admissible>,
    ) -> Result<AppendOutcome, StoreError> {
        let appending = Appending {
            identity,
            seen,
            origin,
            runs,
        };
        self.append_runs(appending).await
    }

    async fn heads(&self, identity: IdentityId) -> Result<At<Heads>, StoreError> {
        self.read_heads(identity).await
    }

    async fn missing(&self, identity: IdentityId, have: &Have) -> Result<At<Page>, StoreError> {
        self.read_missing(identity, have).await
    }

    async fn locate(
        &self,
        identity: IdentityId,
        heads: &Heads,
    ) -> Result<At<Vec<Tip>>, StoreError> {
        self.read_locators(identity, heads).await
    }

    async fn tell_opened(&self, identity: IdentityId, device: DeviceId, stream: Origin) {
        self.publish_opened(identity, device, stream).await;
    }

    fn level(&self) -> Level {
        self.open.level
    }

    fn changes(&self) -> ChangeFeed {
        self.open.feed.subscribe()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.open.health.clone()
    }
}
