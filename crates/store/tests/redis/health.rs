//! What the store says of a server that cannot commit, while nothing is written.

use std::time::Duration;

use edge_ledger_store::redis::server::{Server, free_port};
use edge_ledger_store::redis::{RedisConfig, RedisStore};
use edge_ledger_store::{Health, LedgerStore as _};
use tokio::sync::watch;
use tokio::time::timeout;

/// Long enough for a slow machine; a probe is written every two seconds.
const PATIENCE: Duration = Duration::from_secs(60);

async fn idle_store(server: &Server) -> (RedisStore, watch::Receiver<Health>) {
    let store = RedisStore::connect(RedisConfig::new(server.url()))
        .await
        .unwrap();
    let health = store.health();
    assert_eq!(*health.borrow(), Health::Serving);
    (store, health)
}

async fn turns(health: &mut watch::Receiver<Health>, expected: Health) {
    let turned = timeout(PATIENCE, health.wait_for(|health| *health == expected)).await;
    turned
        .unwrap_or_else(|_| panic!("never {expected:?}"))
        .unwrap();
}

#[tokio::test]
async fn a_server_that_is_gone_is_noticed_and_so_is_its_return() {
    let mut server = Server::start();
    let (_store, mut health) = idle_store(&server).await;
    server.kill();
    turns(&mut health, Health::Unavailable).await;
    server.start_again();
    turns(&mut health, Health::Serving).await;
}

#[tokio::test]
async fn a_server_that_stands_still_is_noticed() {
    let server = Server::start();
    let (_store, mut health) = idle_store(&server).await;
    server.signal("STOP");
    turns(&mut health, Health::Unavailable).await;
    server.signal("CONT");
    turns(&mut health, Health::Serving).await;
}

#[tokio::test]
async fn a_full_server_and_a_replica_are_noticed() {
    let server = Server::start();
    let (_store, mut health) = idle_store(&server).await;
    assert!(
        server
            .command("CONFIG SET maxmemory 1mb")
            .starts_with("+OK")
    );
    turns(&mut health, Health::Full).await;
    assert!(server.command("CONFIG SET maxmemory 0").starts_with("+OK"));
    turns(&mut health, Health::Serving).await;
    let nowhere = format!("REPLICAOF 127.0.0.1 {}", free_port());
    assert!(server.command(&nowhere).starts_with("+OK"));
    turns(&mut health, Health::Unavailable).await;
    assert!(server.command("REPLICAOF NO ONE").starts_with("+OK"));
    turns(&mut health, Health::Serving).await;
}
