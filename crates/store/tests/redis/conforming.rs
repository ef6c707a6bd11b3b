//! The Redis store holds what every store must.

use std::any::Any;
use std::sync::Arc;

use edge_ledger_store::conformance::Stores;
use edge_ledger_store::redis::server::Server;
use edge_ledger_store::redis::{RedisConfig, RedisStore};

/// Both seams of a store at a URL.
pub(super) async fn stores(config: RedisConfig, keep: impl Any + Send + Sync) -> Stores {
    let store = Arc::new(RedisStore::connect(config).await.unwrap());
    Stores {
        identity: store.clone(),
        ledger: store.clone(),
        operator: store,
        keep: Box::new(keep),
    }
}

async fn open() -> Stores {
    let server = Server::start();
    stores(RedisConfig::new(server.url()), server).await
}

edge_ledger_store::conformance!(open);
