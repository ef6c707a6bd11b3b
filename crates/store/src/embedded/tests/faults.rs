//! Full disks and failed syncs (S-41, S-42), at every write and at every sync.

use std::sync::Arc;
use std::time::Duration;

use edge_ledger_core::identity::Point;
use tokio::time::timeout;

use super::super::committer::PROBE;
use super::super::tables::GLOBALS;
use super::disk::{Disk, PATIENCE, Plan};
use super::{append, open_on, open_probing, tips};
use crate::Health;
use crate::conformance::fixtures::{Device, fresh_identity};
use crate::{LedgerStore as _, StoreError};

/// Appends in one attempt of a test.
const APPENDS: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_at_any_write_and_recovers_when_there_is_room() {
    let mut refusals = 0;
    for plan in (0..).map(Plan::RoomFor) {
        if !fill_up(plan).await {
            break;
        }
        refusals += 1;
    }
    assert!(refusals > 100, "{refusals}");
}

#[tokio::test(flavor = "multi_thread")]
async fn so_it_does_where_a_full_disk_overwrites_nothing() {
    let mut refusals = 0;
    for plan in (0..).map(Plan::FullAfter) {
        if !fill_up(plan).await {
            break;
        }
        refusals += 1;
    }
    assert!(refusals > 50, "{refusals}");
}

/// Appends until the disk is full, and goes on when there is room; says whether it was full.
async fn fill_up(plan: Plan) -> bool {
    let disk = Arc::new(Disk::default());
    let store = open_on(&disk).unwrap();
    let identity = fresh_identity();
    let device = Device::new(identity);
    let payloads = (0..APPENDS)
        .map(|at| vec![1; 7_000 * at + 1].into())
        .collect();
    let whole = device.run_in_format(7, Point::START, payloads);
    disk.set_plan(plan);
    let (mut acked, mut full) = (Vec::new(), false);
    for at in 0..APPENDS {
        let run = device.part(&whole, at, at + 1);
        match append(&store, identity, &run).await {
            Ok(_) => acked = vec![run.last()],
            Err(StoreError::Full) => full = true,
            Err(other) => panic!("{other}"),
        }
        if full {
            assert_eq!(*store.health().borrow(), Health::Full);
            break;
        }
    }
    assert!(!store.poisoned());
    match store.heads(identity).await {
        Ok(heads) => assert!(heads.value.of(&device.id) >= &acked[..]),
        // It was closed to forget the failed write, and cannot be opened without writing.
        Err(StoreError::Full) if matches!(plan, Plan::FullAfter(_)) => {}
        Err(other) => panic!("{other}"),
    }
    disk.set_plan(Plan::Never);
    assert!(
        tips(&store, identity, &device).await >= acked,
        "reads go on by themselves"
    );
    append(&store, identity, &whole).await.unwrap();
    assert_eq!(tips(&store, identity, &device).await, [whole.last()]);
    assert_eq!(*store.health().borrow(), Health::Serving);
    full
}

/// Whoever asks for its health may keep every write away from it until it is well again.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_finds_out_by_itself_that_there_is_room() {
    for plan in [Plan::RoomFor(0), Plan::FullAfter(0)] {
        let disk = Arc::new(Disk::default());
        let store = open_probing(&disk, Duration::from_millis(5)).unwrap();
        let identity = fresh_identity();
        let device = Device::new(identity);
        let payloads = vec![vec![1; 1_000].into(), vec![2; 100_000].into()];
        let whole = device.run_in_format(7, Point::START, payloads);
        let (first, second) = (device.part(&whole, 0, 1), device.part(&whole, 1, 2));
        append(&store, identity, &first).await.unwrap();
        let mut health = store.health();
        for _ in 0..2 {
            disk.set_plan(plan);
            let refused = append(&store, identity, &second).await;
            assert!(matches!(refused, Err(StoreError::Full)), "{refused:?}");
            assert_eq!(*health.borrow_and_update(), Health::Full);
            disk.wait_for_refusals(disk.refusals() + 3);
            assert!(!health.has_changed().unwrap(), "there is no room yet");
            disk.set_plan(Plan::Never);
            let serves = health.wait_for(|health| *health == Health::Serving);
            timeout(PATIENCE, serves).await.unwrap().unwrap();
        }
        append(&store, identity, &second).await.unwrap();
        assert_eq!(tips(&store, identity, &device).await, [whole.last()]);
        let probe = store.read(|snapshot| Ok(snapshot.table(GLOBALS)?.get(PROBE)?.is_some()));
        assert!(!probe.await.unwrap(), "nothing is left of a probe");
        assert_eq!(*store.health().borrow(), Health::Serving);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_ends_all_writing_and_loses_nothing_that_was_acked() {
    let mut failures = 0;
    for syncs in 0.. {
        let disk = Arc::new(Disk::default());
        let store = open_on(&disk).unwrap();
        let identity = fresh_identity();
        let device = Device::new(identity);
        let whole = device.chain(Point::START, APPENDS, 0);
        let mut health = store.health();
        disk.set_plan(Plan::SyncFailsAfter(syncs));
        let (mut acked, mut failed) = (Vec::new(), false);
        for at in 0..APPENDS {
            let run = device.part(&whole, at, at + 1);
            match append(&store, identity, &run).await {
                Ok(_) if failed => panic!("it went on after a failed sync"),
                Ok(_) => acked = vec![run.last()],
                Err(StoreError::Unavailable(_)) => failed = true,
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(failed, store.poisoned());
        if !failed {
            break;
        }
        failures += 1;
        health
            .wait_for(|health| *health == Health::Failed)
            .await
            .unwrap();
        drop(store);
        let disk = Arc::new(disk.after_power_cut(|| false));
        let store = open_on(&disk).unwrap();
        assert!(tips(&store, identity, &device).await >= acked);
        append(&store, identity, &whole).await.unwrap();
    }
    assert!(failures >= APPENDS, "{failures}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_read_is_tried_again_and_does_not_end_the_others() {
    let disk = Arc::new(Disk::default());
    let identity = fresh_identity();
    let device = Device::new(identity);
    let whole = device.chain(Point::START, APPENDS, 0);
    let first = device.part(&whole, 0, 2);
    append(&open_on(&disk).unwrap(), identity, &first)
        .await
        .unwrap();
    // Opened again, so that nothing is in memory.
    let store = open_on(&disk).unwrap();
    disk.set_plan(Plan::ReadFails);
    assert_eq!(tips(&store, identity, &device).await, [first.last()]);
    disk.set_plan(Plan::ReadsFail);
    for _ in 0..3 {
        // What is in memory is gone with the first failure.
        let _ = store.heads(fresh_identity()).await;
    }
    let missing = store.heads(identity).await;
    assert!(
        matches!(missing, Ok(_) | Err(StoreError::Unavailable(_))),
        "{missing:?}"
    );
    disk.set_plan(Plan::Never);
    assert_eq!(tips(&store, identity, &device).await, [first.last()]);
    disk.set_plan(Plan::ReadFails);
    append(&store, identity, &whole).await.unwrap();
    assert_eq!(tips(&store, identity, &device).await, [whole.last()]);
    assert_eq!(*store.health().borrow(), Health::Serving);
}

/// On one thread, so that every task has handed in its write before the sync goes on.
#[tokio::test]
async fn one_sync_serves_all_that_waits() {
    let disk = Arc::new(Disk::default());
    let store = open_on(&disk).unwrap();
    let identity = fresh_identity();
    let devices: Vec<_> = (0..100).map(|_| Device::new(identity)).collect();
    disk.set_plan(Plan::SyncsWait);
    let mut tasks = tokio::task::JoinSet::new();
    let mut feed = store.changes();
    for (at, device) in devices.iter().enumerate() {
        let (store, run) = (store.clone(), device.entry(Point::START, "x"));
        tasks.spawn(async move { append(&store, identity, &run).await.unwrap() });
        tokio::task::yield_now().await;
        if at == 0 {
            disk.wait_for_sync();
        }
    }
    assert!(
        feed.try_recv().is_err(),
        "nothing is announced before its sync"
    );
    assert!(
        tasks.try_join_next().is_none(),
        "nothing is acked before its sync"
    );
    let before = disk.syncs();
    disk.set_plan(Plan::Never);
    tasks.join_all().await;
    // Two for each of two groups, and some for the growth of the file.
    let syncs = disk.syncs() - before;
    assert!(syncs <= 6, "{syncs} syncs for a hundred appends");
    for _ in 0..100 {
        feed.try_recv().unwrap();
    }
}
