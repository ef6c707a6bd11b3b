//! Asks the services something by a client of another language and library.

use std::path::Path;
use std::time::Duration;

use crate::command::Run;
use crate::tools;

const CLIENT: &str = "tests/foreign/client.py";
const PROGRAMS: &str = "target/debug";

/// It asks a handful of calls of a pair, and again of two services on Redis.
const CLIENT_WITHIN: Duration = Duration::from_secs(120);

/// Runs the client to its end.
pub(super) fn run(root: &Path) -> anyhow::Result<()> {
    let python = tools::grpc_python(root)?;
    tools::redis(root)?;
    // With the whole workspace, so that what the tests were built with serves again.
    Run::cargo(root)
        .args(["build", "--locked", "--workspace", "--bins"])
        .run()?;
    Run::new(root, &python)
        .args([CLIENT, PROGRAMS])
        .run_within(CLIENT_WITHIN)
}
