//! From what was typed to what is meant; what makes no sense is said as JSON where that was
//! asked for.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::args::Cli;
use crate::explain::Failure;
use crate::output::Output;

/// How this program is called: by its name, or through cargo in a checkout.
pub(crate) fn program() -> &'static str {
    match std::env::var_os("CARGO") {
        Some(_) => "cargo run --",
        None => "edge-ledger",
    }
}

/// Reads the arguments, or says what is wrong with them, and with which code the process ends.
pub(crate) fn read(args: Vec<OsString>) -> Result<Cli, ExitCode> {
    let wants_json = args.iter().any(|arg| arg == "--json");
    Cli::try_parse_from(args).map_err(|error| {
        let is_wrong = error.use_stderr();
        if is_wrong && wants_json {
            return Output::new(true, false).end(Err(explain(&error)));
        }
        // A closed pipe is nothing to fail at.
        let _ = error.print();
        ExitCode::from(if is_wrong { 2 } else { 0 })
    })
}

fn explain(error: &clap::Error) -> Failure {
    let text = error.to_string();
    let is_bare = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    let first = text.lines().next().unwrap_or_default();
    let message = if is_bare {
        "a command is missing"
    } else {
        first
    };
    let message = message.strip_prefix("error: ").unwrap_or(message);
    Failure::usage("USAGE", message).next("edge-ledger --help")
}
