//! How the process is.

use std::sync::Arc;

use bytes::Bytes;
use edge_ledger_chassis::Clock;
use edge_ledger_core::ids::LedgerId;
use edge_ledger_core::ledger::Level;
use edge_ledger_proto::admin as wire;
use edge_ledger_store::{Health as StoreHealth, LedgerStore};

use crate::server::{About, Config};

/// The version of the program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What is asked for it.
pub(crate) struct Health {
    ledgers: Arc<dyn LedgerStore>,
    ledger_id: LedgerId,
    clock: Clock,
    since_ms: i64,
}

impl Health {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            ledgers: Arc::clone(&config.ledgers),
            ledger_id: config.genesis.ledger_id(),
            since_ms: config.clock.wall_ms(),
            clock: config.clock.clone(),
        }
    }

    pub(crate) fn now(&self, about: &About) -> wire::GetHealthResponse {
        let store = *self.ledgers.health().borrow();
        let store_health = match store {
            StoreHealth::Serving => "serving",
            StoreHealth::Full => "full",
            StoreHealth::Unavailable => "unavailable",
            StoreHealth::Failed => "failed",
        };
        let ack = match self.ledgers.level() {
            Level::Volatile => "none",
            Level::Durable => "durable",
            Level::Replicated => "replicated",
        };
        wire::GetHealthResponse {
            serving: store == StoreHealth::Serving,
            services: about.services.iter().map(ToString::to_string).collect(),
            version: VERSION.to_owned(),
            since_ms: self.since_ms,
            now_ms: self.clock.wall_ms(),
            store: about.store.to_owned(),
            store_health: store_health.to_owned(),
            ack: ack.to_owned(),
            ledger_id: Bytes::copy_from_slice(self.ledger_id.as_bytes()),
        }
    }
}
