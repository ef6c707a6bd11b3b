//! The change feed. Other rules may run on the same store: what is not of this rule's own
//! identities and sessions is passed over.

use std::time::Duration;

use bytes::Bytes;
use edge_ledger_core::identity::Point;
use edge_ledger_core::ids::IdentityId;
use edge_ledger_core::ledger::VerifiedRun;

use super::Stores;
use super::fixtures::{
    Device, NOW_MS, admissible, append, fresh_bytes, fresh_identity, statement, tips, version,
};
use crate::identity::{LinkSide, LogEnd};
use crate::{Change, ChangeFeed, Health, LogVersion, Origin};

/// A long time for a store to announce what it committed.
const ANNOUNCED_WITHIN: Duration = Duration::from_secs(20);

async fn next(feed: &mut ChangeFeed) -> Change {
    let change = tokio::time::timeout(ANNOUNCED_WITHIN, feed.recv()).await;
    change
        .expect("an announcement in time")
        .expect("an announcement")
}

/// The next announcement of entries of an identity.
async fn next_entries(
    feed: &mut ChangeFeed,
    of: IdentityId,
) -> (LogVersion, Origin, Vec<VerifiedRun>) {
    loop {
        if let Change::Entries {
            identity,
            version,
            origin,
            runs,
        } = next(feed).await
            && identity == of
        {
            return (version, origin, runs.to_vec());
        }
    }
}

/// Whoever hears of it can read it, and learns who did it under which log.
pub async fn what_is_announced_is_committed(stores: &Stores) {
    let identity = fresh_identity();
    let device = Device::new(identity);
    stores
        .identity
        .append_statement(identity, statement(LogEnd::EMPTY, &[]))
        .await
        .unwrap();
    let seen = version(stores, identity).await;
    let mut feed = stores.ledger.changes();
    let run = device.chain(Point::START, 3, 0);
    let (ledger, runs) = (stores.ledger.clone(), vec![admissible(&run)]);
    let mut appends = tokio::task::JoinSet::new();
    appends.spawn(async move {
        ledger
            .append(identity, seen, Origin(42), runs)
            .await
            .map(drop)
    });
    let announced = next_entries(&mut feed, identity).await;
    assert_eq!(announced, (seen, Origin(42), vec![run.clone()]));
    assert_eq!(tips(stores, identity, &device).await, [run.last()]);
    appends.join_all().await.remove(0).unwrap();
}

/// So that whoever follows them never meets a child before its parent.
pub async fn announcements_come_in_the_order_of_commits(stores: &Stores) {
    let identity = fresh_identity();
    let devices: Vec<_> = (0..4).map(|_| Device::new(identity)).collect();
    let mut feed = stores.ledger.changes();
    let mut tasks = tokio::task::JoinSet::new();
    for device in devices {
        let ledger = stores.ledger.clone();
        tasks.spawn(async move {
            let whole = device.chain(Point::START, 10, 0);
            for at in 0..10 {
                let runs = vec![admissible(&device.part(&whole, at, at + 1))];
                ledger
                    .append(identity, LogVersion(0), Origin(at as u64), runs)
                    .await
                    .unwrap();
            }
        });
    }
    tasks.join_all().await;
    let mut at = std::collections::BTreeMap::new();
    for _ in 0..40 {
        let (_, _, runs) = next_entries(&mut feed, identity).await;
        let run = &runs[0];
        let before = at.insert(run.device(), run.last()).unwrap_or(Point::START);
        assert_eq!(run.parent(), before);
    }
}

/// Neither duplicates nor refused runs; of a batch, the runs that brought something.
pub async fn what_changes_nothing_is_not_announced(stores: &Stores) {
    let identity = fresh_identity();
    let device = Device::new(identity);
    let whole = device.chain(Point::START, 6, 0);
    let (first, lost) = (device.part(&whole, 0, 2), device.part(&whole, 4, 6));
    append(stores, identity, &[&first]).await;
    let mut feed = stores.ledger.changes();
    append(stores, identity, &[&first, &lost]).await;
    let runs = vec![admissible(&whole)];
    stores
        .ledger
        .append(identity, LogVersion(9), Origin(1), runs)
        .await
        .unwrap();
    let next_run = device.part(&whole, 2, 3);
    append(stores, identity, &[&first, &lost, &next_run]).await;
    let (_, _, runs) = next_entries(&mut feed, identity).await;
    assert_eq!(runs, [next_run]);
}

/// A log after each change, a link session after each that the other side waits for.
pub async fn logs_and_links_are_announced(stores: &Stores) {
    let (identity, name) = (fresh_identity(), fresh_bytes());
    let mut feed = stores.identity.changes();
    stores
        .identity
        .append_statement(identity, statement(LogEnd::EMPTY, &[]))
        .await
        .unwrap();
    while !matches!(next(&mut feed).await, Change::Log { identity: of } if of == identity) {}
    stores
        .identity
        .open_link(name, NOW_MS + 120_000, NOW_MS)
        .await
        .unwrap();
    for call in ["join", "post", "close"] {
        let mut feed = stores.identity.changes();
        match call {
            "join" => {
                stores.identity.join_link(name, NOW_MS).await.unwrap();
            }
            "post" => {
                let message = Bytes::from_static(b"hello");
                let posted = stores
                    .identity
                    .post_link(name, LinkSide::Opener, message, NOW_MS);
                posted.await.unwrap();
            }
            _ => stores.identity.close_link(name).await.unwrap(),
        }
        while !matches!(next(&mut feed).await, Change::Link { session } if session == name) {}
    }
}

/// Streams that a device opens, to whoever told of them too.
pub async fn streams_are_announced_in_their_order(stores: &Stores) {
    let identity = fresh_identity();
    let device = Device::new(identity).id;
    let mut feed = stores.ledger.changes();
    for number in [1, 2, 7] {
        let stream = Origin(number);
        stores.ledger.tell_opened(identity, device, stream).await;
    }
    let mut heard = Vec::new();
    while heard.len() < 3 {
        if let Change::Opened {
            identity: of,
            device: who,
            stream,
            order,
        } = next(&mut feed).await
            && of == identity
        {
            assert_eq!(who, device);
            heard.push((order, stream));
        }
    }
    heard.sort_by_key(|(order, _)| *order);
    let told = [1, 2, 7].map(|number| Some(Origin(number)));
    let heard: Vec<_> = heard.into_iter().map(|(_, stream)| stream).collect();
    assert_eq!(heard, told);
}

/// Whoever asks either seam hears the same.
pub async fn a_store_that_commits_says_so(stores: &Stores) {
    let identity = fresh_identity();
    let run = Device::new(identity).chain(Point::START, 1, 0);
    append(stores, identity, &[&run]).await;
    for health in [stores.ledger.health(), stores.identity.health()] {
        assert_eq!(*health.borrow(), Health::Serving);
    }
}
