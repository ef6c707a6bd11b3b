//! Load: devices that append run after run, each again until it is answered, and what they were
//! told is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use edge_ledger_core::identity::Point;
use edge_ledger_core::ids::{DeviceId, IdentityId};
use edge_ledger_core::ledger::Extended;
use edge_ledger_core::ledger::admission::Admissible;
use edge_ledger_store::conformance::Stores;
use edge_ledger_store::conformance::fixtures::{
    Device, FORMAT, admissible, all_runs, fresh_identity, tips,
};
use edge_ledger_store::ledger::AppendOutcome;
use edge_ledger_store::{LedgerStore, LogVersion, Origin, StoreError};
use tokio::task::JoinSet;

const DEVICES: usize = 6;
const PAUSE: Duration = Duration::from_millis(20);

/// Devices of one identity under load.
pub(super) struct Load {
    identity: IdentityId,
    state: Arc<State>,
    tasks: JoinSet<Device>,
}

#[derive(Default)]
struct State {
    stop: AtomicBool,
    failed: AtomicUsize,
    acked: Mutex<BTreeMap<DeviceId, BTreeSet<Point>>>,
}

impl Load {
    pub(super) fn start(ledger: &Arc<dyn LedgerStore>) -> Self {
        let (identity, state) = (fresh_identity(), Arc::new(State::default()));
        let mut tasks = JoinSet::new();
        for _ in 0..DEVICES {
            let (ledger, state) = (Arc::clone(ledger), Arc::clone(&state));
            tasks.spawn(append_until_stopped(ledger, identity, state));
        }
        Self {
            identity,
            state,
            tasks,
        }
    }

    /// Appends that were answered.
    pub(super) fn acked(&self) -> usize {
        let acked = self.state.acked.lock().unwrap();
        acked.values().map(BTreeSet::len).sum()
    }

    /// Appends that failed, to be tried again.
    pub(super) fn failed(&self) -> usize {
        self.state.failed.load(Ordering::Relaxed)
    }

    /// Waits until so many more were answered.
    pub(super) async fn go_on(&self, more: usize) {
        let enough = self.acked() + more;
        while self.acked() < enough {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Stops, and looks for everything that was said to be kept: each journal is one chain of
    /// entries as the device signed them, without a gap, and ends where its device stopped.
    pub(super) async fn stop_and_check(self, stores: &Stores) -> usize {
        self.state.stop.store(true, Ordering::Relaxed);
        let devices = self.tasks.join_all().await;
        let acked = self.state.acked.lock().unwrap().clone();
        let mut kept: BTreeMap<DeviceId, Vec<Point>> = BTreeMap::new();
        for kept_run in all_runs(stores, self.identity).await {
            let of = devices.iter().find(|d| d.id == kept_run.run.device);
            let (parent, payloads) = (kept_run.run.parent(), kept_run.run.payloads.clone());
            let run = of.unwrap().run_in_format(FORMAT, parent, payloads);
            assert_eq!(run.to_run(), kept_run.run, "as the device signed it");
            let points = kept.entry(run.device()).or_default();
            assert_eq!(
                run.parent(),
                points.last().copied().unwrap_or(Point::START),
                "a chain without gap"
            );
            points.extend(run.entries().iter().map(|entry| entry.point()));
        }
        for device in &devices {
            let points: BTreeSet<_> = kept[&device.id].iter().copied().collect();
            assert!(acked[&device.id].is_subset(&points), "an acked run is lost");
            let end = acked[&device.id].last().copied().unwrap();
            assert_eq!(tips(stores, self.identity, device).await, [end]);
        }
        acked.values().map(BTreeSet::len).sum()
    }
}

async fn append_until_stopped(
    ledger: Arc<dyn LedgerStore>,
    identity: IdentityId,
    state: Arc<State>,
) -> Device {
    let device = Device::new(identity);
    let mut at = Point::START;
    while !state.stop.load(Ordering::Relaxed) {
        let run = device.chain(at, 1 + at.seq as usize % 3, at.seq);
        append_until_answered(&*ledger, identity, &state, &admissible(&run)).await;
        at = run.last();
        let mut acked = state.acked.lock().unwrap();
        acked.entry(device.id).or_default().insert(at);
    }
    device
}

async fn append_until_answered(
    ledger: &dyn LedgerStore,
    identity: IdentityId,
    state: &State,
    run: &Admissible,
) {
    let mut again = false;
    loop {
        let outcome = ledger
            .append(identity, LogVersion(0), Origin(1), vec![run.clone()])
            .await;
        match outcome {
            Ok(AppendOutcome::Appended(outcomes)) => match &outcomes[..] {
                [Extended::Kept { from: 0, tips }] if *tips == [run.run.last()] => return,
                [Extended::Duplicate] if again => return,
                other => panic!("{other:?}"),
            },
            Err(StoreError::Unavailable(_)) => {
                again = true;
                state.failed.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(PAUSE).await;
            }
            other => panic!("{other:?}"),
        }
    }
}
