//! The project's chores. `cargo xtask test` runs every check in the order in which a mistake is
//! cheapest to find; `cargo xtask tidy` runs the rules of the house that no linter knows.

mod command;
mod manifests;
mod output;
mod root;
mod test;
mod tidy;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::test::Step;

/// The project's chores.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Runs every check, in order, and stops at the first that fails.
    ///
    /// Tools that are missing (cargo-nextest, cargo-deny, buf) are installed into target/tools.
    Test {
        /// Runs only this step; may be given more than once.
        #[arg(long = "step", value_name = "NAME")]
        steps: Vec<Step>,
    },
    /// Runs the rules of the house that no linter knows: sizes, names, links.
    Tidy,
    /// Renders the manifests for Kubernetes and holds them against their schemas and a policy.
    ///
    /// The tools are installed into target/tools.
    Manifests,
}

fn main() -> ExitCode {
    let done = match Args::parse().chore {
        Chore::Test { steps } => test::run(&steps),
        Chore::Tidy => tidy::run(&root::find()),
        Chore::Manifests => manifests::run(&root::find()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}
