//! The `edge-ledger` command: the pair of services on one machine, the demo, and the commands of
//! a device.
//!
//! [`args`] says what can be typed, `up` and `demo` run services, `device` does what people do
//! with a device. Whatever fails is explained in [`explain`], and only [`output`] prints.

mod admin;
mod amount;
mod args;
mod demo;
mod device;
mod explain;
mod folders;
mod keys;
mod limits;
mod logging;
mod output;
mod pair;
mod shell;
mod signals;
mod typed;
mod up;

use std::process::ExitCode;

use args::{Cli, Command};
use explain::Failure;
use output::Output;

fn main() -> ExitCode {
    let cli = match typed::read(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let (verbose, asks) = (cli.global.verbose > 0, !cli.global.no_input);
    let output = Output::new(cli.global.json, verbose, asks);
    let done = run(cli, &output);
    output.end(done)
}

fn run(cli: Cli, output: &Output) -> Result<(), Failure> {
    logging::start(cli.global.verbose, cli.command.logs());
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::refused("RUNTIME", format!("cannot start: {error}")))?;
    let done = runtime.block_on(async {
        match cli.command {
            Command::Up(options) => Box::pin(up::run(options, &cli.global, output)).await,
            Command::Demo => Box::pin(demo::run(output)).await,
            Command::Keys(act) => keys::run(&act, output).await,
            Command::Admin(act) => admin::run(&act, &cli.global, output).await,
            Command::Device(command) => device::run(command, &cli.global, output).await,
            Command::Completions { shell } => shell::completions(shell, output).await,
            Command::Man { dir } => shell::man(&dir, output).await,
        }
    });
    runtime.shutdown_timeout(limits::ENDS_WITHIN);
    done
}
