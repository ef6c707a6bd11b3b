//! Checks the rules of the alerts with Prometheus' own tool: that they can be read, and that each
//! fires and keeps quiet as its tests say.
//!
//! What the tool does not know, such as whether there is a metric of a name, is asserted by the
//! tests of `tests/tests/telemetry/monitoring.rs`.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::command::Run;
use crate::tools;

const RULES: &str = "deploy/monitoring/alerts";
const TESTS: &str = "deploy/monitoring/alerts/tests";

/// Checks the rules, then runs their tests.
pub(super) fn run(root: &Path) -> anyhow::Result<()> {
    tools::prometheus(root)?;
    for (act, folder) in [("check", RULES), ("test", TESTS)] {
        let files = files(root, folder)?;
        Run::new(root, "promtool")
            .args([act, "rules"])
            .args(files.iter().map(String::as_str))
            .run()?;
    }
    Ok(())
}

/// The files of a folder, in order; there is one at least, or the tool would have nothing to say.
fn files(root: &Path, folder: &'static str) -> anyhow::Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(root.join(folder)).context(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if Path::new(&name).extension().is_some_and(|of| of == "yaml") {
            files.push(format!("{folder}/{name}"));
        }
    }
    if files.is_empty() {
        bail!("{folder} has no rules");
    }
    files.sort();
    Ok(files)
}
