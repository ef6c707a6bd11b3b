//! Where the logs of these tests are: on a private Redis server, to which each replica has
//! connections of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use edge_ledger_store::redis::RedisConfig;
pub(crate) use edge_ledger_store::redis::RedisStore as Store;
use edge_ledger_store::redis::commands::acl_rules;
use edge_ledger_store::redis::server::{DURABLE, Server};

/// One place for all replicas of a world.
pub(crate) struct Place {
    pub(crate) server: Server,
    replicas: AtomicUsize,
}

/// Most replicas of a world.
const REPLICAS_MAX: usize = 4;
/// Each may do what the page allows, and no more.
const PAGE: &str = include_str!("../../../docs/two-services.md");

impl Place {
    #[expect(clippy::unused_async, reason = "other places are made by waiting")]
    pub(crate) async fn new() -> Self {
        let may = acl_rules(PAGE).join(" ");
        let users: Vec<_> = (0..REPLICAS_MAX)
            .map(|number| format!("--user replica{number} on >secret {may}"))
            .collect();
        let users = users.iter().flat_map(|user| user.split(' '));
        let settings: Vec<_> = DURABLE.iter().copied().chain(users).collect();
        Self {
            server: Server::start_with(&settings),
            replicas: AtomicUsize::new(0),
        }
    }

    /// The store of one replica, which has a user of its own at the server: `replica0` is the first.
    pub(crate) async fn store(&self) -> Arc<Store> {
        let number = self.replicas.fetch_add(1, Ordering::Relaxed);
        let port = self.server.port();
        let mut config =
            RedisConfig::new(format!("redis://replica{number}:secret@127.0.0.1:{port}"));
        config.response_timeout = Duration::from_millis(500);
        Arc::new(Store::connect(config).await.unwrap())
    }

    /// From now on the replica does not hear what others announce.
    pub(crate) fn deafen(&self, replica: usize) {
        let user = format!("replica{replica}");
        let told = self
            .server
            .command(&format!("ACL SETUSER {user} -psubscribe"));
        assert!(told.starts_with("+OK"), "{told}");
        let killed = self
            .server
            .command(&format!("CLIENT KILL TYPE pubsub USER {user}"));
        assert!(killed.starts_with(":1"), "{killed}");
    }
}
