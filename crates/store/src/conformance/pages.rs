//! What somebody lacks, page by page.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use edge_ledger_core::identity::{Cut, Point, SignedTip};
use edge_ledger_core::ledger::journals::Have;
use edge_ledger_core::ledger::{Heads, KeptRun, Tip};
use edge_ledger_core::limits::{ENTRY_PAYLOAD_BYTES_MAX, FRAME_RUNS_MAX, PAGE_BYTES_MAX};

use super::Stores;
use super::fixtures::{Device, FORMAT, adoption, all_runs, append, fresh_identity};
use crate::identity::LogEnd;

fn payload_bytes(runs: &[KeptRun]) -> usize {
    runs.iter()
        .flat_map(|run| &run.run.payloads)
        .map(Bytes::len)
        .sum()
}

/// And says that there is more.
pub async fn a_page_stops_at_its_budget(stores: &Stores) {
    let identity = fresh_identity();
    let device = Device::new(identity);
    let mut end = Point::START;
    for at in 0..24 {
        let run = device.run_in_format(FORMAT, end, vec![vec![at; 50_000].into()]);
        append(stores, identity, &[&run]).await;
        end = run.last();
    }
    let page = stores
        .ledger
        .missing(identity, &Have::new())
        .await
        .unwrap()
        .value;
    assert!(page.more);
    let bytes = payload_bytes(&page.runs);
    assert!(
        bytes <= PAGE_BYTES_MAX && bytes > PAGE_BYTES_MAX - 60_000,
        "{bytes}"
    );
    let runs = all_runs(stores, identity).await;
    assert_eq!(payload_bytes(&runs), 24 * 50_000);
    assert_eq!(runs.last().map(|run| run.last), Some(end));
}

/// Those of different journals cannot be joined.
pub async fn a_page_holds_no_more_runs_than_a_frame(stores: &Stores) {
    let identity = fresh_identity();
    let devices = (0..FRAME_RUNS_MAX + 40).map(|_| Device::new(identity));
    let runs = devices.map(|device| device.chain(Point::START, 1, 0));
    let mut runs: Vec<_> = runs.collect();
    runs.sort_unstable_by_key(|run| run.device());
    append(stores, identity, &runs.iter().collect::<Vec<_>>()).await;
    let page = stores
        .ledger
        .missing(identity, &Have::new())
        .await
        .unwrap()
        .value;
    assert_eq!((page.runs.len(), page.more), (FRAME_RUNS_MAX, true));
    let kept = all_runs(stores, identity).await;
    let kept: Vec<_> = kept.into_iter().map(|run| run.run).collect();
    assert_eq!(
        kept,
        runs.iter().map(|run| run.to_run()).collect::<Vec<_>>()
    );
}

/// A cut can drop the entry that the ones below a fork came with, and leave a branch of another
/// format.
pub async fn a_run_crosses_formats(stores: &Stores) {
    let identity = fresh_identity();
    let device = Device::new(identity);
    let trunk = device.chain(Point::START, 5, 0);
    let fork = trunk.entries()[2].point();
    let branch = device.chain_in_format(FORMAT + 1, fork, 2, 1);
    append(stores, identity, &[&trunk, &branch]).await;
    let tip = SignedTip {
        device: device.id,
        point: branch.last(),
        signature: branch.signature(),
    };
    let cut = Cut::of_device(device.id, [tip].iter());
    let adopted = adoption(LogEnd::EMPTY, vec![(device.id, cut)]);
    stores.identity.adopt(identity, adopted).await.unwrap();
    let entries = trunk.entries()[..3].iter().chain(branch.entries());
    let entries = entries.map(|entry| (entry.format(), entry.payload().clone()));
    let whole = device.run_in_formats(Point::START, entries.collect());
    let kept = all_runs(stores, identity).await;
    let kept: Vec<_> = kept.into_iter().map(|run| run.run).collect();
    assert_eq!(kept, [whole.to_run()]);
}

/// The locator has points that the other side knows, and the rest follows from there.
pub async fn an_unknown_tip_is_answered_with_a_locator(stores: &Stores) {
    let identity = fresh_identity();
    let (device, idle) = (Device::new(identity), Device::new(identity));
    let whole = device.chain(Point::START, 60, 0);
    append(stores, identity, &[&device.part(&whole, 0, 40)]).await;
    let tip = |device: &Device, point| Tip {
        device: device.id,
        point,
    };
    let ahead = Heads::new([tip(&device, whole.last()), tip(&idle, whole.last())]);
    let located = stores.ledger.locate(identity, &ahead).await.unwrap().value;
    let seqs: Vec<_> = located.iter().map(|tip| tip.point.seq).collect();
    assert_eq!(seqs, [40, 39, 38, 36, 32, 24, 8, 1]);
    assert!(located.iter().all(|tip| tip.device == device.id));
    let known = Heads::new([tip(&device, whole.entries()[39].point())]);
    assert!(
        stores
            .ledger
            .locate(identity, &known)
            .await
            .unwrap()
            .value
            .is_empty()
    );

    let points = |seqs: &[usize]| {
        seqs.iter()
            .map(|seq| whole.entries()[*seq - 1].point())
            .collect()
    };
    let unknown = BTreeMap::from([(device.id, points(&[60]))]);
    let page = stores
        .ledger
        .missing(identity, &unknown)
        .await
        .unwrap()
        .value;
    assert!(
        page.runs.is_empty() && !page.more,
        "a locator is needed first"
    );
    let behind = BTreeMap::from([(device.id, points(&[1, 24, 60]))]);
    let page = stores
        .ledger
        .missing(identity, &behind)
        .await
        .unwrap()
        .value;
    assert_eq!(page.runs.len(), 1);
    assert_eq!(page.runs[0].run.parent(), whole.entries()[23].point());
    let all: BTreeSet<Point> = points(&[40]);
    let level = stores
        .ledger
        .missing(identity, &BTreeMap::from([(device.id, all)]))
        .await;
    assert!(level.unwrap().value.runs.is_empty());
}

/// It came in one frame, so it fits into one.
pub async fn a_run_larger_than_the_budget_is_sent_alone(stores: &Stores) {
    let identity = fresh_identity();
    let device = Device::new(identity);
    let payloads = (0..3_u8)
        .map(|at| Bytes::from(vec![at; ENTRY_PAYLOAD_BYTES_MAX]))
        .collect();
    let large = device.run_in_format(FORMAT, Point::START, payloads);
    let small = device.chain(large.last(), 1, 0);
    append(stores, identity, &[&large, &small]).await;
    let page = stores
        .ledger
        .missing(identity, &Have::new())
        .await
        .unwrap()
        .value;
    assert!(page.more);
    assert_eq!(page.runs.len(), 1);
    assert_eq!(
        (&page.runs[0].run, page.runs[0].last),
        (&large.to_run(), large.last())
    );
    assert_eq!(all_runs(stores, identity).await.len(), 2);
}
