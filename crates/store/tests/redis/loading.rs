//! A server that loads its data: nothing is answered from it and nothing is kept in it, until it has.

use std::time::Duration;

use edge_ledger_core::identity::Point;
use edge_ledger_core::ledger::{Extended, Level};
use edge_ledger_store::conformance::fixtures::{Device, admissible, append, fresh_identity, tips};
use edge_ledger_store::ledger::AppendOutcome;
use edge_ledger_store::redis::server::Server;
use edge_ledger_store::redis::{ConnectError, RedisConfig, RedisStore};
use edge_ledger_store::{Health, LedgerStore as _, LogVersion, Origin, StoreError};
use tokio::time::timeout;

use super::conforming::stores;

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_server_that_loads_is_unavailable_until_it_has_loaded() {
    let mut server = Server::start();
    let config = RedisConfig::new(server.url());
    let store = RedisStore::connect(config.clone()).await.unwrap();
    let others = stores(config, ()).await;
    let mut health = store.health();
    let identity = fresh_identity();
    let device = Device::new(identity);
    let whole = device.chain(Point::START, 4, 0);
    let (below, above) = (device.part(&whole, 0, 2), device.part(&whole, 2, 4));
    append(&others, identity, &[&below]).await;
    let append_above = || {
        let runs = vec![admissible(&above)];
        store.append(identity, LogVersion(0), Origin(1), runs)
    };

    server.start_loading();
    for _ in 0..2 {
        let refused = append_above().await;
        let Err(StoreError::Unavailable(why)) = &refused else {
            panic!("{refused:?}")
        };
        assert!(why.to_lowercase().contains("loading"), "{why}");
    }
    let heads = store.heads(identity).await;
    assert!(
        matches!(heads, Err(StoreError::Unavailable(_))),
        "{heads:?}"
    );
    let noticed = health.wait_for(|health| *health == Health::Unavailable);
    timeout(PATIENCE, noticed).await.unwrap().unwrap();

    server.finish_loading();
    assert_eq!(tips(&others, identity, &device).await, [below.last()]);
    let kept = Extended::Kept {
        from: 0,
        tips: vec![above.last()],
    };
    let outcome = append_above().await.unwrap();
    assert_eq!(outcome, AppendOutcome::Appended(vec![kept]));
    let noticed = health.wait_for(|health| *health == Health::Serving);
    timeout(PATIENCE, noticed).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_start_waits_until_the_server_has_loaded() {
    let mut server = Server::start();
    server.start_loading();
    let mut starting = Box::pin(RedisStore::connect(RedisConfig::new(server.url())));
    let early = timeout(Duration::from_millis(600), &mut starting).await;
    assert!(early.is_err(), "{early:?}");
    server.finish_loading();
    let store = timeout(PATIENCE, starting).await.unwrap().unwrap();
    assert_eq!(store.level(), Level::Durable);
}

#[tokio::test]
async fn a_start_does_not_wait_for_ever() {
    let mut server = Server::start();
    server.start_loading();
    let mut config = RedisConfig::new(server.url());
    config.load_timeout = Duration::from_millis(10);
    let refusal = RedisStore::connect(config).await.unwrap_err();
    assert!(
        matches!(refusal, ConnectError::Loading { .. }),
        "{refusal:?}"
    );
    let said = refusal.to_string();
    assert!(said.contains("% of it"), "{said}");
    assert!(
        said.contains(&format!("127.0.0.1:{}", server.port())),
        "{said}"
    );
    server.finish_loading();
}
