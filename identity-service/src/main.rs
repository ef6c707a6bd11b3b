//! The identity service as a process of its own, on a Redis store.

use std::process::ExitCode;

fn main() -> ExitCode {
    edge_ledger_chassis::run::main::<identity_service::Server>()
}
