//! Runs a command: its threads, its log, its telemetry, its end.

use edge_ledger_telemetry::export::{FLUSH_WITHIN, Program, Telemetry};
use tokio::runtime::Runtime;

use crate::args::{Cli, Command};
use crate::device;
use crate::explain::Failure;
use crate::limits::ENDS_WITHIN;
use crate::output::Output;
use crate::{admin, demo, keys, logging, shell, up};

pub(crate) fn run(cli: Cli, output: &Output) -> Result<(), Failure> {
    let runtime = Runtime::new()
        .map_err(|error| Failure::refused("RUNTIME", format!("cannot start: {error}")))?;
    let telemetry = telemetry(&cli.command, &runtime)?;
    logging::start(cli.global.verbose, cli.command.logs(), telemetry.as_ref());
    let done = runtime.block_on(carry_out(cli, output, telemetry.as_ref()));
    for error in telemetry.map_or_else(Vec::new, |telemetry| telemetry.shutdown(FLUSH_WITHIN)) {
        tracing::warn!(%error, "telemetry was not sent to its end");
    }
    runtime.shutdown_timeout(ENDS_WITHIN);
    done
}

async fn carry_out(
    cli: Cli,
    output: &Output,
    telemetry: Option<&Telemetry>,
) -> Result<(), Failure> {
    match cli.command {
        Command::Up(options) => Box::pin(up::run(*options, &cli.global, output, telemetry)).await,
        Command::Demo => Box::pin(demo::run(output)).await,
        Command::Keys(act) => keys::run(&act, output).await,
        Command::Admin(act) => admin::run(&act, &cli.global, output).await,
        Command::Device(command) => device::run(command, &cli.global, output).await,
        Command::Completions { shell } => shell::completions(shell, output).await,
        Command::Man { dir } => shell::man(&dir, output).await,
    }
}

/// For `up`, whose metrics can be asked for, and for whoever says where to send any.
fn telemetry(command: &Command, runtime: &Runtime) -> Result<Option<Telemetry>, Failure> {
    let name = match command {
        Command::Up(_) => "edge-ledger",
        Command::Device(_) if Telemetry::is_wanted() => "edge-ledger-agent",
        Command::Demo
        | Command::Keys(_)
        | Command::Admin(_)
        | Command::Device(_)
        | Command::Completions { .. }
        | Command::Man { .. } => return Ok(None),
    };
    let _entered = runtime.enter();
    let started = Telemetry::start(Program { name });
    started.map(Some).map_err(|error| {
        Failure::refused("TELEMETRY", error.to_string())
            .next("set the variable so, or take it away; docs/telemetry.md lists them")
    })
}
