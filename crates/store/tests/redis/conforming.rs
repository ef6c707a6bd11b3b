//! The Redis store holds what every store must.

use std::sync::Arc;

use edge_ledger_store::conformance::Stores;
use edge_ledger_store::redis::{RedisConfig, RedisStore};

use super::server::Server;

pub(super) async fn stores(url: String, keep: Server) -> Stores {
    let store = RedisStore::connect(RedisConfig::new(url)).await.unwrap();
    let store = Arc::new(store);
    Stores {
        identity: store.clone(),
        ledger: store,
        keep: Box::new(keep),
    }
}

async fn open() -> Stores {
    let server = Server::start();
    stores(server.url(), server).await
}

edge_ledger_store::conformance!(open);
