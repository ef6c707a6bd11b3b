//! What one process commits, another one hears of.

use std::time::Duration;

use bytes::Bytes;
use edge_ledger_core::identity::Point;
use edge_ledger_core::ids::DeviceId;
use edge_ledger_store::conformance::Stores;
use edge_ledger_store::conformance::fixtures::{
    Device, NOW_MS, append, fresh_bytes, fresh_identity, statement,
};
use edge_ledger_store::identity::{LinkSide, LogEnd};
use edge_ledger_store::redis::RedisConfig;
use edge_ledger_store::redis::server::Server;
use edge_ledger_store::{Change, ChangeFeed, DeviceSignal, SignalWord};

use super::conforming::stores;

const SOON: Duration = Duration::from_secs(10);

async fn next(feed: &mut ChangeFeed) -> Change {
    let change = tokio::time::timeout(SOON, feed.recv()).await;
    change.expect("a change in time").unwrap()
}

async fn two(server: &Server) -> (Stores, Stores) {
    let config = RedisConfig::new(server.url());
    (
        stores(config.clone(), ()).await,
        stores(config.clone(), ()).await,
    )
}

#[tokio::test]
async fn another_process_hears_of_entries_logs_and_links() {
    let server = Server::start();
    let (here, there) = two(&server).await;
    let mut feed = there.ledger.changes();
    let mut own = here.ledger.changes();
    let (identity, session) = (fresh_identity(), fresh_bytes());
    let device = Device::new(identity);
    append(&here, identity, &[&device.chain(Point::START, 3, 0)]).await;
    assert!(matches!(next(&mut feed).await, Change::Elsewhere { identity: of } if of == identity));
    let first = statement(LogEnd::EMPTY, &[]);
    here.identity
        .append_statement(identity, first)
        .await
        .unwrap();
    assert!(matches!(next(&mut feed).await, Change::Log { identity: of } if of == identity));
    here.identity
        .open_link(session, NOW_MS + 9_000, NOW_MS)
        .await
        .unwrap();
    let message = Bytes::from_static(b"hello");
    here.identity
        .post_link(session, LinkSide::Opener, message, NOW_MS)
        .await
        .unwrap();
    assert!(matches!(next(&mut feed).await, Change::Link { session: of } if of == session));

    // Whoever committed it hears of it once: its own hints are passed over.
    assert!(matches!(next(&mut own).await, Change::Entries { .. }));
    assert!(matches!(next(&mut own).await, Change::Log { .. }));
    assert!(matches!(next(&mut own).await, Change::Link { .. }));
    append(&there, identity, &[&device.chain(Point::START, 3, 1)]).await;
    assert!(matches!(next(&mut own).await, Change::Elsewhere { .. }));
}

#[tokio::test]
async fn what_a_device_says_is_heard_by_all_processes_in_one_order() {
    let server = Server::start();
    let (here, there) = two(&server).await;
    let mut feeds = [here.identity.changes(), there.identity.changes()];
    let identity = fresh_identity();
    for stores in [&here, &there, &here] {
        let number = stores.identity.stream_number().await.unwrap();
        let signal = DeviceSignal {
            identity,
            from: DeviceId::from_bytes([1; 16]),
            to: None,
            word: SignalWord::Opened { place: (number, 0) },
        };
        stores.identity.tell_signal(signal).await;
    }
    let mut places = Vec::new();
    for feed in &mut feeds {
        for _ in 0..3 {
            let Change::Signal(signal) = next(feed).await else {
                panic!("something else was told");
            };
            let SignalWord::Opened { place } = signal.word else {
                panic!("{signal:?}");
            };
            places.push(place);
        }
        assert!(feed.is_empty(), "each is heard once");
    }
    assert_eq!(places[..3], places[3..]);
    assert!(places[..3].is_sorted(), "{places:?}");
}

#[tokio::test]
async fn who_was_cut_off_from_hints_is_told_so() {
    let server = Server::start();
    let (here, there) = two(&server).await;
    let mut feed = there.ledger.changes();
    server.command("CLIENT KILL TYPE pubsub");
    assert!(matches!(next(&mut feed).await, Change::Lost));
    let identity = fresh_identity();
    let device = Device::new(identity);
    append(&here, identity, &[&device.chain(Point::START, 3, 0)]).await;
    assert!(matches!(next(&mut feed).await, Change::Elsewhere { identity: of } if of == identity));
}
