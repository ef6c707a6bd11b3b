//! A device that records without pause, to be killed: prints a line for every key once the agent
//! has confirmed it, and `acked` with the highest place whenever the service acks.
//!
//! `recorder HOME FIRST`: keys are `k<number>` from FIRST on, one credit of 1 each.

#![expect(clippy::print_stdout, reason = "the parent reads it")]

use std::path::PathBuf;

use anyhow::Context as _;
use device_agent::{Agent, Details, Options};

/// Calls that are under way at once.
const TOGETHER: u64 = 8;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let home = PathBuf::from(args.next().context("HOME is missing")?);
    let first: u64 = args.next().context("FIRST is missing")?.parse()?;
    let agent = Agent::open(&home, Options::default()).await?;
    println!("open");
    let mut calls = tokio::task::JoinSet::new();
    for lane in 0..TOGETHER {
        let agent = agent.clone();
        calls.spawn(async move {
            let mut number = first + lane;
            loop {
                let event_key = Some(format!("k{number}").parse()?);
                agent
                    .earn(
                        1,
                        Details {
                            event_key,
                            ..Details::default()
                        },
                    )
                    .await?;
                println!("k{number}");
                number += TOGETHER;
            }
        });
    }
    match calls.join_next().await {
        Some(ended) => ended?,
        None => Ok(()),
    }
}
