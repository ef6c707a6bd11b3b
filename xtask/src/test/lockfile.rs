//! The lockfile fits the manifests, and no check has moved it.

use std::path::Path;

use crate::command::Run;
use crate::root;

pub(super) fn check(root: &Path) -> anyhow::Result<()> {
    Run::cargo(root)
        .args(["metadata", "--locked", "--format-version", "1"])
        .quiet()
        .run()?;
    if root::is_checkout(root) {
        Run::git(root)
            .args(["diff", "--exit-code", "--", "Cargo.lock"])
            .run()?;
    }
    Ok(())
}
