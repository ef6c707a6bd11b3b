//! The ledger service as a process of its own, on a Redis store.

use std::process::ExitCode;

fn main() -> ExitCode {
    edge_ledger_chassis::run::main::<ledger_service::Server>()
}
