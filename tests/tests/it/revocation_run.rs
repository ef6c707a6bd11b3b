//! The run of docs/two-services.md, small: that it ends well says that every stream was closed,
//! and that nobody was let in again. What it measures depends on the machine.

use edge_ledger_tests::revocations::{Plan, run};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f20_every_revoked_device_is_cut_off_wherever_its_stream_is() -> anyhow::Result<()> {
    let plan = Plan {
        revocations: 31,
        per_identity: 6,
        appending: 2,
        ..Plan::default()
    };
    let report = run(plan).await?;
    let [p50, max] = [50, 100].map(|percent| report.after_call.percentile(percent));
    assert!(p50 <= max && max > std::time::Duration::ZERO, "{report}");
    let appended = report.appended;
    assert_eq!((appended.lost, appended.duplicated), (0, 0), "{report}");
    let told = report.to_json();
    assert_eq!(told["revocations"], 31, "{told}");
    assert_eq!(told["appending"]["lost"], json!(0), "{told}");
    Ok(())
}
