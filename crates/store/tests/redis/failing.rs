//! Servers that are killed, stopped, emptied of scripts, full, or made replicas.

use std::time::Duration;

use edge_ledger_core::identity::{LogHead, Point};
use edge_ledger_store::conformance::fixtures::{
    Device, NOW_MS, admissible, append, fresh_bytes, fresh_identity, statement, tips,
};
use edge_ledger_store::redis::RedisConfig;
use edge_ledger_store::redis::server::Server;
use edge_ledger_store::{LogVersion, Origin, StoreError};

use tokio::task::JoinSet;

use super::conforming::stores;
use super::load::Load;

const KILLS: usize = 8;
const STOPS: usize = 4;

fn impatient(server: &Server) -> RedisConfig {
    let mut config = RedisConfig::new(server.url());
    config.response_timeout = Duration::from_millis(200);
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_survives_any_number_of_kills() {
    let mut server = Server::start();
    let stores = stores(RedisConfig::new(server.url()), ()).await;
    let load = Load::start(&stores.ledger);
    for kill in 0..KILLS {
        load.go_on(50 + 37 * kill).await;
        server.kill();
        // Longer than the committer tries, every other time.
        let down = Duration::from_millis(if kill % 2 == 0 { 20 } else { 1_200 });
        tokio::time::sleep(down).await;
        server.start_again();
    }
    load.go_on(100).await;
    assert!(load.failed() > 0, "some kills are noticed");
    assert!(load.stop_and_check(&stores).await > 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stands_still_for_a_while_loses_and_repeats_nothing() {
    let server = Server::start();
    let stores = stores(impatient(&server), ()).await;
    let load = Load::start(&stores.ledger);
    for stop in 0..STOPS as u64 {
        load.go_on(100).await;
        server.signal("STOP");
        tokio::time::sleep(Duration::from_millis(100 + 900 * stop)).await;
        server.signal("CONT");
    }
    load.go_on(100).await;
    load.stop_and_check(&stores).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_are_forgotten_are_loaded_again() {
    let server = Server::start();
    let stores = stores(RedisConfig::new(server.url()), ()).await;
    let load = Load::start(&stores.ledger);
    for _ in 0..40 {
        load.go_on(5).await;
        assert!(server.command("SCRIPT FLUSH").starts_with("+OK"));
    }
    assert_eq!(load.failed(), 0);
    load.stop_and_check(&stores).await;
}

#[tokio::test]
async fn a_full_server_refuses_writes_and_reads_go_on() {
    let server = Server::start();
    let stores = stores(RedisConfig::new(server.url()), ()).await;
    let identity = fresh_identity();
    let device = Device::new(identity);
    let whole = device.chain(Point::START, 5, 0);
    let (first, second) = (device.part(&whole, 0, 2), device.part(&whole, 2, 5));
    append(&stores, identity, &[&first]).await;
    let session = fresh_bytes();
    stores
        .identity
        .open_link(session, NOW_MS + 60_000, NOW_MS)
        .await
        .unwrap();
    server.command("CONFIG SET maxmemory 1mb");
    let refused = stores
        .ledger
        .append(
            identity,
            LogVersion(0),
            Origin(1),
            vec![admissible(&second)],
        )
        .await;
    assert!(matches!(refused, Err(StoreError::Full)), "{refused:?}");
    let refused = stores
        .identity
        .append_statement(identity, statement(LogHead::EMPTY, &[]))
        .await;
    assert!(matches!(refused, Err(StoreError::Full)), "{refused:?}");
    let nonce = stores
        .identity
        .redeem_challenge(identity, fresh_bytes(), NOW_MS, NOW_MS)
        .await;
    assert!(matches!(nonce, Err(StoreError::Full)), "{nonce:?}");
    assert_eq!(tips(&stores, identity, &device).await, [first.last()]);
    let page = stores.ledger.missing(identity, &Default::default()).await;
    assert_eq!(page.unwrap().value.runs.len(), 1);
    // What frees memory is carried out.
    stores.identity.close_link(session).await.unwrap();
    server.command("CONFIG SET maxmemory 0");
    append(&stores, identity, &[&second]).await;
    assert_eq!(tips(&stores, identity, &device).await, [whole.last()]);
}

#[tokio::test]
async fn a_primary_that_becomes_a_replica_takes_no_writes() {
    let server = Server::start();
    let stores = stores(RedisConfig::new(server.url()), ()).await;
    let identity = fresh_identity();
    let device = Device::new(identity);
    let run = device.chain(Point::START, 2, 0);
    append(&stores, identity, &[&run]).await;
    server.command("REPLICAOF 127.0.0.1 1");
    let next = device.chain(run.last(), 2, 1);
    let refused = stores
        .ledger
        .append(identity, LogVersion(0), Origin(1), vec![admissible(&next)])
        .await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    assert_eq!(tips(&stores, identity, &device).await, [run.last()]);
    server.command("REPLICAOF NO ONE");
    append(&stores, identity, &[&next]).await;
}

#[tokio::test]
async fn a_server_that_comes_back_with_weaker_settings_takes_no_writes() {
    let mut server = Server::start();
    let stores = stores(RedisConfig::new(server.url()), ()).await;
    let identity = fresh_identity();
    let device = Device::new(identity);
    server.kill();
    server.start_again();
    server.command("CONFIG SET appendfsync everysec");
    let run = device.chain(Point::START, 2, 0);
    let append_run = || {
        let runs = vec![admissible(&run)];
        stores
            .ledger
            .append(identity, LogVersion(0), Origin(1), runs)
    };
    let refused = append_run().await;
    let Err(StoreError::Unavailable(why)) = refused else {
        panic!("{refused:?}")
    };
    assert!(why.contains("appendfsync everysec"), "{why}");
    server.command("CONFIG SET appendfsync always");
    append_run().await.unwrap();
}

/// Not one after the other, or the last would wait for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_who_read_from_a_server_that_stands_still_are_told_soon() {
    let server = Server::start();
    let stores = stores(impatient(&server), ()).await;
    let identity = fresh_identity();
    server.signal("STOP");
    let mut reads = JoinSet::new();
    for _ in 0..100 {
        let ledger = stores.ledger.clone();
        reads.spawn(async move { ledger.heads(identity).await });
    }
    let answers = tokio::time::timeout(Duration::from_secs(10), reads.join_all()).await;
    for answer in answers.expect("answers in time") {
        assert!(
            matches!(answer, Err(StoreError::Unavailable(_))),
            "{answer:?}"
        );
    }
    server.signal("CONT");
    stores.ledger.heads(identity).await.unwrap();
}

#[tokio::test]
async fn damaged_values_are_told_and_others_served() {
    let server = Server::start();
    let stores = stores(RedisConfig::new(server.url()), ()).await;
    let (bad, good) = (fresh_identity(), fresh_identity());
    for identity in [bad, good] {
        let device = Device::new(identity);
        append(&stores, identity, &[&device.chain(Point::START, 2, 0)]).await;
    }
    server.command(&format!("HSET el:tips:{{{bad}}} 0123456789abcdef short"));
    let heads = stores.ledger.heads(bad).await;
    assert!(matches!(heads, Err(StoreError::Damaged(_))), "{heads:?}");
    server.command(&format!("SET el:log:{{{bad}}} text"));
    let log = stores.identity.log(bad, 0).await;
    assert!(matches!(log, Err(StoreError::Damaged(_))), "{log:?}");
    let refused = stores
        .identity
        .append_statement(bad, statement(LogHead::EMPTY, &[]))
        .await;
    assert!(
        matches!(refused, Err(StoreError::Damaged(_))),
        "{refused:?}"
    );
    assert!(!stores.ledger.heads(good).await.unwrap().value.is_empty());
}
