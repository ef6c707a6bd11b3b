//! What runs here.

/// Version of the workspace, such as `0.1.0`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that it was built from, in hexadecimal digits; `unknown` in a debug
/// build and outside a checkout.
/// `EDGE_LEDGER_COMMIT` in the environment of the build names it where there is no `.git`.
pub const COMMIT: &str = env!("EDGE_LEDGER_BUILD_COMMIT");

/// Both, as `--version` says them.
pub const LONG: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("EDGE_LEDGER_BUILD_COMMIT"),
    ")"
);
