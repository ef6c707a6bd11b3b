//! The embedded store holds what every store must.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;

use edge_ledger_store::Embedded;
use edge_ledger_store::conformance::Stores;

fn stores(store: Embedded, keep: impl Send + Sync + 'static) -> Stores {
    let store = Arc::new(store);
    Stores {
        identity: store.clone(),
        ledger: store.clone(),
        operator: store,
        keep: Box::new(keep),
    }
}

mod file {
    use super::*;

    async fn open() -> Stores {
        let folder = tempfile::tempdir().unwrap();
        stores(
            Embedded::open(&folder.path().join("store")).unwrap(),
            folder,
        )
    }

    edge_ledger_store::conformance!(open);
}

mod memory {
    use super::*;

    async fn open() -> Stores {
        stores(Embedded::in_memory(), ())
    }

    edge_ledger_store::conformance!(open);
}
