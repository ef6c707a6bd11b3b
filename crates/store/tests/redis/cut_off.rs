//! Writes whose requests or replies are lost: each happens once, and whoever asked for it learns
//! what became of it.

use std::time::Duration;

use bytes::Bytes;
use edge_ledger_core::identity::{Cut, Point, SignedTip};
use edge_ledger_core::ledger::Extended;
use edge_ledger_store::conformance::Stores;
use edge_ledger_store::conformance::fixtures::{
    Device, NOW_MS, admissible, adoption, after, append, fresh_bytes, fresh_identity, statement,
    tips,
};
use edge_ledger_store::identity::{LinkOutcome, LinkSide, LogEnd, StatementOutcome, StoredSession};
use edge_ledger_store::ledger::AppendOutcome;
use edge_ledger_store::redis::RedisConfig;
use edge_ledger_store::redis::proxy::{Proxy, Spoil};
use edge_ledger_store::redis::server::Server;
use edge_ledger_store::{Change, LogVersion, Origin};

use super::conforming::stores;
use super::load::Load;

const EXPIRES_MS: i64 = NOW_MS + 60_000;
const LATE: Duration = Duration::from_millis(400);
const SPOILS: [Spoil; 4] = [
    Spoil::Request,
    Spoil::Reply,
    Spoil::Silence,
    Spoil::Late(LATE),
];

/// A server, a proxy before it, a store that goes through the proxy and one that does not.
struct Set {
    _server: Server,
    proxy: Proxy,
    spoiled: Stores,
    direct: Stores,
}

impl Set {
    async fn up() -> Self {
        let server = Server::start();
        let proxy = Proxy::before(server.port()).await;
        let mut config = RedisConfig::new(proxy.url());
        config.response_timeout = Duration::from_millis(300);
        Self {
            spoiled: stores(config, ()).await,
            direct: stores(RedisConfig::new(server.url()), ()).await,
            proxy,
            _server: server,
        }
    }

    /// Waits until what is late has arrived.
    async fn settled(&self, spoil: Spoil) {
        assert!(!self.proxy.is_armed(), "something was spoiled");
        if let Spoil::Late(by) = spoil {
            tokio::time::sleep(2 * by).await;
        }
    }
}

#[tokio::test]
async fn entries() {
    let set = Set::up().await;
    for spoil in SPOILS {
        let identity = fresh_identity();
        let device = Device::new(identity);
        let mut feed = set.spoiled.ledger.changes();
        let mut at = Point::START;
        // The first finds no ending in memory, the others do.
        for salt in 0..3 {
            let run = device.chain(at, 3, salt);
            set.proxy.arm(spoil);
            let kept = Extended::Kept {
                from: 0,
                tips: vec![run.last()],
            };
            assert_eq!(append(&set.spoiled, identity, &[&run]).await, [kept]);
            set.settled(spoil).await;
            assert_eq!(tips(&set.direct, identity, &device).await, [run.last()]);
            let change = feed.try_recv().unwrap();
            assert!(matches!(change, Change::Entries { runs, .. } if *runs == [run.clone()]));
            at = run.last();
        }
        assert!(feed.try_recv().is_err(), "announced once");
    }
}

#[tokio::test]
async fn statements_and_adoptions() {
    let set = Set::up().await;
    for spoil in SPOILS {
        let identity = fresh_identity();
        let device = Device::new(identity);
        let run = device.chain(Point::START, 4, 0);
        append(&set.direct, identity, &[&run]).await;
        let first = statement(LogEnd::EMPTY, &[&device]);
        set.proxy.arm(spoil);
        let outcome = set
            .spoiled
            .identity
            .append_statement(identity, first.clone())
            .await;
        let StatementOutcome::Appended(records) = outcome.unwrap() else {
            panic!("it was appended")
        };
        assert_eq!(records[0].statement, first.statement);
        assert_eq!(records[0].tips.len(), 1);
        set.settled(spoil).await;
        let log = set.direct.identity.log(identity, 0).await.unwrap().unwrap();
        assert_eq!((log.version, &log.records), (LogVersion(1), &records));

        let inside = device.part(&run, 0, 2);
        let tip = SignedTip {
            device: device.id,
            point: inside.last(),
            signature: inside.signature(),
        };
        let adopted = adoption(
            after(&LogEnd::EMPTY, &records),
            vec![(device.id, Cut::of_device(device.id, [tip].iter()))],
        );
        set.proxy.arm(spoil);
        let outcome = set.spoiled.identity.adopt(identity, adopted.clone()).await;
        assert_eq!(
            outcome.unwrap(),
            StatementOutcome::Appended(adopted.records)
        );
        set.settled(spoil).await;
        let log = set.direct.identity.log(identity, 0).await.unwrap().unwrap();
        assert_eq!((log.version, log.position), (LogVersion(2), 2));
        assert_eq!(log.records.len(), 2);
        assert_eq!(tips(&set.direct, identity, &device).await, [inside.last()]);
    }
}

#[tokio::test]
async fn passes() {
    let set = Set::up().await;
    for spoil in SPOILS {
        let (identity, nonce, token) = (fresh_identity(), fresh_bytes(), fresh_bytes());
        let redeem = || {
            set.spoiled
                .identity
                .redeem_challenge(identity, nonce, EXPIRES_MS, NOW_MS)
        };
        set.proxy.arm(spoil);
        assert!(redeem().await.unwrap());
        set.settled(spoil).await;
        assert!(!redeem().await.unwrap());
        set.proxy.arm(spoil);
        assert!(!redeem().await.unwrap());

        let session = StoredSession {
            device: Device::new(identity).id,
            expires_ms: EXPIRES_MS,
        };
        set.proxy.arm(spoil);
        set.spoiled
            .identity
            .open_session(identity, token, session, NOW_MS)
            .await
            .unwrap();
        set.settled(spoil).await;
        let found = set.direct.identity.session(identity, token, NOW_MS).await;
        assert_eq!(found.unwrap(), Some(session));
    }
}

#[tokio::test]
async fn links() {
    let set = Set::up().await;
    for spoil in SPOILS {
        let (session, store) = (fresh_bytes(), &set.spoiled.identity);
        set.proxy.arm(spoil);
        let opened = store.open_link(session, EXPIRES_MS, NOW_MS).await.unwrap();
        set.settled(spoil).await;
        set.proxy.arm(spoil);
        let joined = store.join_link(session, NOW_MS).await.unwrap();
        set.settled(spoil).await;
        assert_eq!((opened, joined), (LinkOutcome::Done, LinkOutcome::Done));
        let again = store.join_link(session, NOW_MS).await.unwrap();
        assert_eq!(again, LinkOutcome::Taken);
        for text in ["one", "two", "one"] {
            set.proxy.arm(spoil);
            let message = Bytes::from(text);
            let posted = store.post_link(session, LinkSide::Opener, message, NOW_MS);
            assert_eq!(posted.await.unwrap(), LinkOutcome::Done);
        }
        set.settled(spoil).await;
        let inbox = set
            .direct
            .identity
            .link_inbox(session, LinkSide::Joiner, 0, NOW_MS)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(inbox.messages, ["one", "two", "one"]);
        set.proxy.arm(spoil);
        store.close_link(session).await.unwrap();
        set.settled(spoil).await;
        let posted = store.post_link(session, LinkSide::Opener, Bytes::from("late"), NOW_MS);
        assert_eq!(posted.await.unwrap(), LinkOutcome::Gone);
    }
}

/// The reply is lost, and before this process can ask again, another one goes on from what it
/// appended: it was kept all the same, and whoever asked is told so.
#[tokio::test]
async fn entries_that_others_went_on_from() {
    let set = Set::up().await;
    let identity = fresh_identity();
    let device = Device::new(identity);
    let whole = device.chain(Point::START, 4, 0);
    let (below, above) = (device.part(&whole, 0, 2), device.part(&whole, 2, 4));
    let mut feed = set.spoiled.ledger.changes();
    set.proxy.arm(Spoil::ReplyAndShut);
    let runs = vec![admissible(&below)];
    let appending = set
        .spoiled
        .ledger
        .append(identity, LogVersion(0), Origin(7), runs);
    let going_on = async {
        set.proxy.spoiled().await;
        append(&set.direct, identity, &[&above]).await;
        set.proxy.let_in();
    };
    let (outcome, ()) = tokio::join!(appending, going_on);
    let kept = Extended::Kept {
        from: 0,
        tips: vec![below.last()],
    };
    assert_eq!(outcome.unwrap(), AppendOutcome::Appended(vec![kept]));
    let mut heard = Vec::new();
    while let Ok(change) = feed.try_recv() {
        if let Change::Entries { runs, origin, .. } = change {
            assert_eq!(origin, Origin(7));
            heard.extend(runs.to_vec());
        }
    }
    assert_eq!(heard, [below]);
}

/// The same when the log moved meanwhile: whoever asked has to look again, and so has everybody.
#[tokio::test]
async fn entries_after_which_the_log_moved() {
    let set = Set::up().await;
    let identity = fresh_identity();
    let device = Device::new(identity);
    let whole = device.chain(Point::START, 4, 0);
    let (below, above) = (device.part(&whole, 0, 2), device.part(&whole, 2, 4));
    let mut feed = set.spoiled.ledger.changes();
    set.proxy.arm(Spoil::ReplyAndShut);
    let runs = vec![admissible(&below)];
    let appending = set
        .spoiled
        .ledger
        .append(identity, LogVersion(0), Origin(7), runs);
    let going_on = async {
        set.proxy.spoiled().await;
        append(&set.direct, identity, &[&above]).await;
        let first = statement(LogEnd::EMPTY, &[]);
        let appended = set.direct.identity.append_statement(identity, first);
        appended.await.unwrap();
        set.proxy.let_in();
    };
    let (outcome, ()) = tokio::join!(appending, going_on);
    assert_eq!(outcome.unwrap(), AppendOutcome::LogMoved);
    let heard: Vec<_> = std::iter::from_fn(|| feed.try_recv().ok()).collect();
    let elsewhere = |change: &Change| matches!(change, Change::Elsewhere { .. });
    assert!(heard.iter().any(elsewhere), "{heard:?}");
}

/// Given up, but carried out: nobody knows here, so everybody is told to look.
#[tokio::test]
async fn entries_that_were_given_up_are_heard_of() {
    let set = Set::up().await;
    let identity = fresh_identity();
    let device = Device::new(identity);
    let run = device.chain(Point::START, 4, 0);
    let mut feed = set.spoiled.ledger.changes();
    set.proxy.arm(Spoil::ReplyAndShut);
    let failed = set
        .spoiled
        .ledger
        .append(identity, LogVersion(0), Origin(7), vec![admissible(&run)])
        .await;
    failed.unwrap_err();
    set.proxy.let_in();
    assert_eq!(
        append(&set.spoiled, identity, &[&run]).await,
        [Extended::Duplicate]
    );
    let heard: Vec<_> = std::iter::from_fn(|| feed.try_recv().ok()).collect();
    assert!(
        heard.iter().any(|change| matches!(change, Change::Lost)),
        "{heard:?}"
    );
}

/// Spoiled again and again under load.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load() {
    let set = Set::up().await;
    let load = Load::start(&set.spoiled.ledger);
    for round in 0..40 {
        load.go_on(10).await;
        set.proxy.arm(SPOILS[round % SPOILS.len()]);
    }
    load.go_on(50).await;
    assert_eq!(load.failed(), 0, "each is settled by the next sending");
    load.stop_and_check(&set.direct).await;
}
