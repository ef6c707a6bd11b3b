//! Processes that ended without a word.

use std::time::Duration;

use bytes::Bytes;
use edge_ledger_store::OperatorStore as _;
use edge_ledger_store::redis::server::Server;
use edge_ledger_store::redis::{RedisConfig, RedisStore};

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_replica_that_is_not_heard_of_is_forgotten_and_leaves_nothing() {
    let server = Server::start();
    let connect = || RedisStore::connect(RedisConfig::new(server.url()));
    let (one, other) = (connect().await.unwrap(), connect().await.unwrap());
    let tell = |store: RedisStore, id, life_ms| async move {
        let (about, life) = (Bytes::from_static(b"it"), Duration::from_millis(life_ms));
        store.tell_replica([id; 16], about, life).await.unwrap();
    };
    tell(one.clone(), 1, 600_000).await;
    tell(other.clone(), 2, 1).await;
    let ids = |seen: Vec<edge_ledger_store::operator::ReplicaSeen>| -> Vec<u8> {
        seen.iter().map(|seen| seen.id[0]).collect()
    };
    let forgotten = async {
        while ids(one.replicas().await.unwrap()) != [1] {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, forgotten).await.unwrap();
    // The next one that says something takes it away for good.
    tell(one.clone(), 1, 600_000).await;
    assert_eq!(server.command("HLEN el:replicas:{g}").trim(), ":1");
    one.forget_replica([1; 16]).await.unwrap();
    assert_eq!(server.command("EXISTS el:replicas:{g}").trim(), ":0");
}
