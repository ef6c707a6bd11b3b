//! Power cuts (F-03): at any write, with any of the unsynced sectors surviving.

use std::sync::Arc;

use edge_ledger_core::identity::Point;
use edge_ledger_core::ledger::journals::Have;
use proptest::prelude::{any, proptest};
use proptest::test_runner::Config;
use tokio::runtime::Builder;

use super::disk::{Disk, Plan};
use super::{append, open_on, tips};
use crate::LedgerStore as _;
use crate::conformance::fixtures::{Device, fresh_identity};

proptest! {
    #![proptest_config(Config { cases: 200, ..Config::default() })]

    #[test]
    fn a_power_cut_loses_nothing_that_was_acked(
        cuts in proptest::collection::vec((0..60_u64, any::<u64>()), 1..4),
        sizes in proptest::collection::vec(1..20_000_usize, 12),
    ) {
        let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
        runtime.block_on(survive(&cuts, &sizes));
    }
}

async fn survive(cuts: &[(u64, u64)], sizes: &[usize]) {
    let identity = fresh_identity();
    let device = Device::new(identity);
    let payloads = sizes.iter().map(|size| vec![7; *size].into()).collect();
    let whole = device.run_in_format(7, Point::START, payloads);
    let mut disk = Arc::new(Disk::default());
    // A file is made beside its place, so that it is never half made.
    drop(open_on(&disk).unwrap());
    let mut acked = 0;
    for (writes, seed) in cuts {
        // Opening is cut off too.
        disk.set_plan(Plan::DeadAfter(*writes));
        if let Ok(store) = open_on(&disk) {
            let unsent = acked..sizes.len();
            for at in unsent {
                if append(&store, identity, &device.part(&whole, at, at + 1))
                    .await
                    .is_err()
                {
                    break;
                }
                acked = at + 1;
            }
        }
        let mut random = *seed | 1;
        let survives = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % 2 == 0
        };
        disk = Arc::new(disk.after_power_cut(survives));
        let store = open_on(&disk).unwrap();
        let kept = tips(&store, identity, &device)
            .await
            .first()
            .map_or(0, |tip| tip.seq);
        assert!(
            kept >= acked as u64,
            "kept {kept} of {acked} that were acked"
        );
        acked = usize::try_from(kept).unwrap();
        let page = store.missing(identity, &Have::new()).await.unwrap().value;
        let entries: usize = page.runs.iter().map(|run| run.run.payloads.len()).sum();
        assert_eq!(entries, acked);
        let end = whole.entries()[..acked].last().map(|entry| entry.point());
        assert_eq!(page.runs.last().map(|run| run.last), end);
    }
}
