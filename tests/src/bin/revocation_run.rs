//! Revokes devices with open streams at several replicas, and prints how long the streams stayed
//! open. docs/two-services.md says how it is run. It
//! fails where a goal was missed.
//!
//! `revocation_run [--json] [--revocations N] [--appending N]`

#![expect(clippy::print_stdout, reason = "it is run for what it prints")]

use anyhow::Context as _;
use edge_ledger_tests::revocations::{Plan, run};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let (mut plan, mut json) = (Plan::default(), false);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || -> anyhow::Result<usize> {
            let number = args
                .next()
                .with_context(|| format!("{arg} needs a number"))?;
            number.parse().with_context(|| format!("{arg} {number}"))
        };
        match arg.as_str() {
            "--json" => json = true,
            "--revocations" => plan.revocations = number()?,
            "--appending" => plan.appending = number()?,
            _ => anyhow::bail!("{arg} is no option: --json, --revocations N, --appending N"),
        }
    }
    let report = run(plan).await?;
    if json {
        println!("{:#}", report.to_json());
    } else {
        println!("{report}");
    }
    anyhow::ensure!(report.holds(), "a goal was missed");
    Ok(())
}
