//! Prints what a flood without a session costs the identity service, and whether anybody is held up
//! by it; see docs/two-services.md. Ends with 1 when it costs more than it may.
//!
//! `flood_run [--json] [--requests N]`

#![expect(clippy::print_stdout, reason = "it is run for what it prints")]

use anyhow::Context as _;
use edge_ledger_tests::flood::{Plan, run};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let (mut plan, mut json) = (Plan::default(), false);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--json" => json = true,
            "--requests" => {
                let number = args.next().context("--requests needs a number")?;
                plan.requests = number.parse().with_context(|| format!("{arg} {number}"))?;
            }
            _ => anyhow::bail!("{arg} is no option: --json, --requests N"),
        }
    }
    let report = run(plan).await?;
    if json {
        println!("{:#}", report.to_json());
    } else {
        println!("{report}");
    }
    anyhow::ensure!(report.holds(), "the flood cost more than it may");
    Ok(())
}
