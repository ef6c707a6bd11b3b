//! Outbox and facts.

use std::sync::Arc;

use bytes::Bytes;
use edge_ledger_core::identity::Point;
use edge_ledger_core::ledger::Extended;

use super::disk::{Disk, Plan};
use super::open_on;
use crate::conformance::fixtures::{Device, admissible, fresh_identity};
use crate::embedded::{Embedded, OUTBOX_POSTINGS_MAX};
use crate::ledger::AppendOutcome;
use crate::{LogVersion, Origin, StoreError};

const SEEN: LogVersion = LogVersion(0);

fn postings(texts: &[&str]) -> Vec<Bytes> {
    texts
        .iter()
        .map(|text| Bytes::copy_from_slice(text.as_bytes()))
        .collect()
}

#[tokio::test]
async fn an_entry_takes_its_postings_out_of_the_outbox_in_the_same_step() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent");
    let store = Embedded::open(&path).unwrap();
    let identity = fresh_identity();
    let device = Device::new(identity);
    let first = store.record(postings(&["a", "b"])).await.unwrap();
    let second = store.record(postings(&["c"])).await.unwrap();
    assert!(first.is_sorted() && first.last() < second.first());
    assert!(store.record(Vec::new()).await.unwrap().is_empty());

    let run = device.entry(Point::START, "a, b");
    let close = |seen, run, ids| store.close_entry(identity, seen, Origin(1), run, ids);
    let moved = close(LogVersion(4), admissible(&run), first.clone())
        .await
        .unwrap();
    assert_eq!(moved, AppendOutcome::LogMoved);
    let waiting = admissible(&device.entry(run.last(), "c"));
    let waits = close(SEEN, waiting, second.clone()).await.unwrap();
    assert_eq!(
        waits,
        AppendOutcome::Appended(vec![Extended::Waiting {
            missing: run.last()
        }])
    );
    assert_eq!(
        store.outbox().await.unwrap().len(),
        3,
        "only what is kept leaves"
    );

    let kept = close(SEEN, admissible(&run), first.clone()).await.unwrap();
    assert!(
        matches!(&kept, AppendOutcome::Appended(runs) if matches!(runs[..], [Extended::Kept { .. }]))
    );
    let left = vec![(second[0], Bytes::from_static(b"c"))];
    assert_eq!(store.outbox().await.unwrap(), left);
    let again = close(SEEN, admissible(&run), second.clone()).await.unwrap();
    assert_eq!(again, AppendOutcome::Appended(vec![Extended::Duplicate]));
    assert_eq!(
        store.outbox().await.unwrap(),
        left,
        "a repeated entry takes nothing more"
    );

    drop(store);
    let store = Embedded::open(&path).unwrap();
    assert_eq!(store.outbox().await.unwrap(), left);
    store.record(postings(&["d"])).await.unwrap();
    let ids: Vec<_> = store
        .outbox()
        .await
        .unwrap()
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    assert!(ids.is_sorted() && ids.len() == 2);
}

/// On one thread, so that the refused entry is in one group with a write that is committed.
#[tokio::test]
async fn a_refused_entry_takes_nothing_though_others_are_committed_with_it() {
    let disk = Arc::new(Disk::default());
    let store = open_on(&disk).unwrap();
    let identity = fresh_identity();
    let device = Device::new(identity);
    let ids = store.record(postings(&["a"])).await.unwrap();
    disk.set_plan(Plan::SyncsWait);
    let mut tasks = tokio::task::JoinSet::new();
    for at in 0..3 {
        let (store, ids) = (store.clone(), ids.clone());
        let run = admissible(&device.chain(Point::START, 1, 0));
        tasks.spawn(async move {
            if at == 1 {
                let moved = LogVersion(4);
                let closed = store
                    .close_entry(identity, moved, Origin(1), run, ids)
                    .await;
                assert_eq!(closed.unwrap(), AppendOutcome::LogMoved);
            } else {
                store.put("at", Bytes::from(vec![at])).await.unwrap();
            }
        });
        tokio::task::yield_now().await;
        if at == 0 {
            disk.wait_for_sync();
        }
    }
    disk.set_plan(Plan::Never);
    tasks.join_all().await;
    assert_eq!(store.get("at").await.unwrap().unwrap(), [2][..]);
    assert_eq!(store.outbox().await.unwrap().len(), 1);
}

#[tokio::test]
async fn ids_are_never_given_twice() {
    let store = Embedded::in_memory();
    let identity = fresh_identity();
    let device = Device::new(identity);
    let (mut at, mut last) = (Point::START, 0);
    for round in 0..5 {
        let ids = store.record(postings(&["x", "y"])).await.unwrap();
        assert!(ids[0] > last);
        last = ids[1];
        let run = device.chain(at, 1, round);
        at = run.last();
        let closed = store.close_entry(identity, SEEN, Origin(1), admissible(&run), ids);
        closed.await.unwrap();
        assert!(store.outbox().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn an_outbox_holds_only_so_much() {
    let store = Embedded::in_memory();
    let most = usize::try_from(OUTBOX_POSTINGS_MAX).unwrap();
    let most_but_one = vec![Bytes::from_static(b"x"); most - 1];
    store.record(most_but_one).await.unwrap();
    let two = store.record(postings(&["y", "z"])).await;
    assert!(matches!(two, Err(StoreError::Full)), "all or none");
    store.record(postings(&["y"])).await.unwrap();
    let one = store.record(postings(&["z"])).await;
    assert!(matches!(one, Err(StoreError::Full)));
    assert_eq!(store.outbox().await.unwrap().len(), most);
}

#[tokio::test]
async fn facts_are_kept_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent");
    let store = Embedded::open(&path).unwrap();
    for (key, value) in [
        ("ack/b", "2"),
        ("ack/a", "1"),
        ("ack", "0"),
        ("cursor", "9"),
        ("ad", ""),
    ] {
        store
            .put(key, Bytes::copy_from_slice(value.as_bytes()))
            .await
            .unwrap();
    }
    store.put("ack/a", Bytes::from_static(b"3")).await.unwrap();
    store.put("ack/a", Bytes::from_static(b"3")).await.unwrap();
    for _ in 0..2 {
        store.remove("cursor").await.unwrap();
    }
    drop(store);
    let store = Embedded::open(&path).unwrap();
    assert_eq!(store.get("ack/a").await.unwrap().unwrap(), "3");
    assert_eq!(store.get("ad").await.unwrap().unwrap(), "");
    assert_eq!(store.get("cursor").await.unwrap(), None);
    let listed = store.list("ack/").await.unwrap();
    let listed: Vec<_> = listed
        .iter()
        .map(|(key, value)| (&**key, &**value))
        .collect();
    assert_eq!(listed, [("ack/a", &b"3"[..]), ("ack/b", b"2")]);
    assert_eq!(store.list("").await.unwrap().len(), 4);
    assert!(store.list("b").await.unwrap().is_empty());
}
