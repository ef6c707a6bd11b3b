//! A server that syncs once a second and can be waited for: nothing is answered before it synced.

use edge_ledger_core::identity::Point;
use edge_ledger_core::ledger::{Extended, Level};
use edge_ledger_store::conformance::Stores;
use edge_ledger_store::conformance::fixtures::{
    Device, admissible, all_runs, append, fresh_identity, statement, tips,
};
use edge_ledger_store::identity::LogEnd;
use edge_ledger_store::identity::StatementOutcome;
use edge_ledger_store::ledger::AppendOutcome;
use edge_ledger_store::redis::server::Server;
use edge_ledger_store::redis::{RedisConfig, RedisStore};
use edge_ledger_store::{Change, LedgerStore as _, LogVersion, Origin, StoreError};

use tokio::task::JoinSet;

use super::conforming::stores;
use super::seven_two::{SevenTwo, Syncing};

const EVERY_SECOND: &[&str] = &["--appendonly", "yes", "--appendfsync", "everysec"];

/// A store on a server that can be waited for.
struct Set {
    proxy: SevenTwo,
    stores: Stores,
}

impl Set {
    async fn on(server: &Server) -> Self {
        let proxy = SevenTwo::before(server.port()).await;
        let stores = stores(RedisConfig::new(proxy.url()), ()).await;
        Self { proxy, stores }
    }
}

fn server() -> Server {
    Server::start_with(EVERY_SECOND)
}

async fn open() -> Stores {
    let server = server();
    let proxy = SevenTwo::before(server.port()).await;
    stores(RedisConfig::new(proxy.url()), (proxy, server)).await
}

edge_ledger_store::conformance!(open);

#[tokio::test]
async fn a_server_that_can_be_waited_for_is_durable() {
    let server = server();
    let proxy = SevenTwo::before(server.port()).await;
    let store = RedisStore::connect(RedisConfig::new(proxy.url())).await;
    assert_eq!(store.unwrap().level(), Level::Durable);
}

#[tokio::test]
async fn an_append_is_answered_and_announced_after_the_server_synced() {
    let server = server();
    let set = Set::on(&server).await;
    let identity = fresh_identity();
    let device = Device::new(identity);
    let run = device.chain(Point::START, 3, 0);
    let mut feed = set.stores.ledger.changes();
    set.proxy.say(Syncing::Held);
    let waits = set.proxy.waits();
    let (ledger, runs) = (set.stores.ledger.clone(), vec![admissible(&run)]);
    let mut tasks = JoinSet::new();
    let appending = tasks.spawn(async move {
        ledger
            .append(identity, LogVersion(0), Origin(1), runs)
            .await
    });
    set.proxy.waited(waits + 1).await;
    // It is there, and readers see it.
    assert_eq!(all_runs(&set.stores, identity).await.len(), 1);
    assert!(!appending.is_finished());
    assert!(feed.try_recv().is_err(), "nothing is announced");
    set.proxy.say(Syncing::Synced);
    let kept = Extended::Kept {
        from: 0,
        tips: vec![run.last()],
    };
    let outcome = tasks.join_next().await.unwrap().unwrap();
    assert_eq!(outcome.unwrap(), AppendOutcome::Appended(vec![kept]));
    assert!(matches!(feed.try_recv(), Ok(Change::Entries { .. })));
    assert_eq!(set.proxy.unfenced(), 0);
}

#[tokio::test]
async fn what_the_server_synced_late_is_written_once() {
    let server = server();
    let set = Set::on(&server).await;
    let identity = fresh_identity();
    let device = Device::new(identity);
    let run = device.chain(Point::START, 3, 0);
    let waits = set.proxy.waits();
    set.proxy.say(Syncing::LateOnce);
    let runs = vec![admissible(&run)];
    let outcome = set
        .stores
        .ledger
        .append(identity, LogVersion(0), Origin(1), runs)
        .await;
    let kept = Extended::Kept {
        from: 0,
        tips: vec![run.last()],
    };
    assert_eq!(outcome.unwrap(), AppendOutcome::Appended(vec![kept]));
    assert_eq!(set.proxy.waits(), waits + 2);
    let first = statement(LogEnd::EMPTY, &[]);
    set.proxy.say(Syncing::LateOnce);
    let outcome = set.stores.identity.append_statement(identity, first).await;
    assert!(matches!(outcome, Ok(StatementOutcome::Appended(_))));
    assert_eq!(all_runs(&set.stores, identity).await.len(), 1);
    let log = set.stores.identity.log(identity, 0).await.unwrap().unwrap();
    assert_eq!((log.version, log.records.len()), (LogVersion(1), 1));
    // Whoever waits again has written again.
    assert_eq!(set.proxy.unfenced(), 0);
}

#[tokio::test]
async fn what_the_server_does_not_sync_is_not_answered() {
    let server = server();
    let set = Set::on(&server).await;
    for syncing in [Syncing::Late, Syncing::Error] {
        let identity = fresh_identity();
        let device = Device::new(identity);
        let run = device.chain(Point::START, 3, 0);
        let mut feed = set.stores.ledger.changes();
        let append_run = || {
            let runs = vec![admissible(&run)];
            set.stores
                .ledger
                .append(identity, LogVersion(0), Origin(1), runs)
        };
        set.proxy.say(syncing);
        let refused = append_run().await;
        assert!(
            matches!(refused, Err(StoreError::Unavailable(_))),
            "{refused:?}"
        );
        // Again, when it is there already: that is no ack either.
        let refused = append_run().await;
        assert!(
            matches!(refused, Err(StoreError::Unavailable(_))),
            "{refused:?}"
        );
        while let Ok(change) = feed.try_recv() {
            assert!(!matches!(change, Change::Entries { .. }), "{change:?}");
        }
        set.proxy.say(Syncing::Synced);
        let kept_before = AppendOutcome::Appended(vec![Extended::Duplicate]);
        assert_eq!(append_run().await.unwrap(), kept_before);
        assert_eq!(all_runs(&set.stores, identity).await.len(), 1);
    }
}

/// Another process reads what is not synced yet: it signs nothing of it.
#[tokio::test]
async fn what_is_read_to_be_signed_is_synced_first() {
    let server = server();
    let (here, there) = (Set::on(&server).await, Set::on(&server).await);
    let identity = fresh_identity();
    let device = Device::new(identity);
    let run = device.chain(Point::START, 3, 0);
    append(&here.stores, identity, &[&run]).await;
    let first = statement(LogEnd::EMPTY, &[]);
    let outcome = here.stores.identity.append_statement(identity, first).await;
    assert!(matches!(outcome, Ok(StatementOutcome::Appended(_))));

    there.proxy.say(Syncing::Late);
    let heads = there.stores.ledger.heads(identity).await;
    assert!(
        matches!(heads, Err(StoreError::Unavailable(_))),
        "{heads:?}"
    );
    let log = there.stores.identity.log(identity, 0).await;
    assert!(matches!(log, Err(StoreError::Unavailable(_))), "{log:?}");

    there.proxy.say(Syncing::Synced);
    assert_eq!(tips(&there.stores, identity, &device).await, [run.last()]);
    let log = || there.stores.identity.log(identity, 0);
    assert_eq!(log().await.unwrap().unwrap().version, LogVersion(1));
    let waits = there.proxy.waits();
    assert_eq!(log().await.unwrap().unwrap().version, LogVersion(1));
    assert_eq!(there.proxy.waits(), waits, "once per version");
}
