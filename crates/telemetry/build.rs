//! Finds the commit that is built.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Digits of the commit that are told.
const DIGITS: usize = 12;

fn main() {
    println!("cargo::rerun-if-env-changed=EDGE_LEDGER_COMMIT");
    let given = std::env::var("EDGE_LEDGER_COMMIT").ok();
    let given = given.filter(|given| is_commit(given));
    // Otherwise each commit would build everything anew while one works on it.
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let commit = given.or_else(|| is_release.then(checked_out).flatten());
    let commit = commit.unwrap_or_else(|| "unknown".to_owned());
    let short = &commit[..commit.len().min(DIGITS)];
    println!("cargo::rustc-env=EDGE_LEDGER_BUILD_COMMIT={short}");
}

fn is_commit(text: &str) -> bool {
    text.len() >= 7 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The commit of the checkout, which is looked for again when it moves.
fn checked_out() -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let git = |args: &[&str]| {
        let output = Command::new("git")
            .arg("-C")
            .arg(&root)
            .args(args)
            .output()
            .ok()?;
        let said = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| said.trim().to_owned())
    };
    let folder = PathBuf::from(git(&["rev-parse", "--absolute-git-dir"])?);
    // The log grows with every commit and checkout, whatever kind of checkout this is.
    for moved in ["HEAD", "logs/HEAD"] {
        println!("cargo::rerun-if-changed={}", folder.join(moved).display());
    }
    git(&["rev-parse", "HEAD"]).filter(|commit| is_commit(commit))
}
