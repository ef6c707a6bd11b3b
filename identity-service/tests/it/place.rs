//! Where the logs of these tests are: in memory, in one store for all replicas.

use std::sync::Arc;

pub(crate) use edge_ledger_store::Embedded as Store;

/// One place for all replicas of a world.
pub(crate) struct Place(Arc<Store>);

impl Place {
    #[expect(clippy::unused_async, reason = "other places are made by waiting")]
    pub(crate) async fn new() -> Self {
        Self(Arc::new(Store::in_memory()))
    }

    /// The store of one replica.
    #[expect(clippy::unused_async, reason = "other places are connected to")]
    pub(crate) async fn store(&self) -> Arc<Store> {
        self.0.clone()
    }
}
