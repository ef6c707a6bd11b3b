//! The `edge-ledger` command: the pair of services on one machine, the demo, and the commands of
//! a device.
//!
//! [`args`] says what can be typed, `up` and `demo` run services, `device` does what people do
//! with a device, each started by `run`. Whatever fails is explained in [`explain`], and only [`output`] prints.

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
mod run;
mod shell;
mod signals;
mod typed;
mod up;

use std::process::ExitCode;

use output::Output;

fn main() -> ExitCode {
    let cli = match typed::read(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let (verbose, asks) = (cli.global.verbose > 0, !cli.global.no_input);
    let output = Output::new(cli.global.json, verbose, asks);
    let done = run::run(cli, &output);
    output.end(done)
}
