//! The run of docs/two-services.md, small: a flood without a session leaves nothing in the store, costs
//! next to no memory, and does not hold up the one in whose name it comes.

use edge_ledger_tests::flood::{Plan, run};

const REQUESTS: usize = 20_000;
/// What the allocator keeps for as many connections and calls at once as the flood has, and not what
/// each of its requests would leave behind: 20,000 times 1 KiB were more.
const GROWS_KIB_MAX: u64 = 12 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s06_a_flood_costs_nothing_and_holds_up_nobody() -> anyhow::Result<()> {
    let report = run(Plan { requests: REQUESTS }).await?;
    assert_eq!(report.keys[0], report.keys[1], "{report}");
    assert!(report.grew_kib() <= GROWS_KIB_MAX, "{report}");
    assert_eq!(report.victim_calls, 200, "{report}");
    let kinds = [report.challenges, report.proofs, report.joins];
    let all = kinds.iter().map(|kind| kind.answered + kind.held_back);
    assert_eq!(all.sum::<usize>(), REQUESTS, "{report}");
    for kind in kinds {
        assert!(kind.answered > 0 && kind.held_back > 0, "{report}");
    }
    let told = report.to_json();
    assert_eq!(told["redis_keys"]["before"], told["redis_keys"]["after"]);
    Ok(())
}
