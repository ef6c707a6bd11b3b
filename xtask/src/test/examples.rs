//! Runs the examples of the device agent, as a reader of its documentation would.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use crate::command::Run;
use crate::output;

const FOLDER: &str = "device-agent/examples";
const PACKAGE: &str = "device-agent";

/// No example takes longer than a reader waits.
const EXAMPLE_WITHIN: Duration = Duration::from_secs(120);

/// Runs each to its end; the first that does not exit with 0 fails the step.
pub(super) fn run(root: &Path) -> anyhow::Result<()> {
    let names = names(&root.join(FOLDER))?;
    if names.is_empty() {
        output::line(&format!("{FOLDER} holds no example"));
        return Ok(());
    }
    Run::cargo(root)
        .args(["build", "--locked", "--package", PACKAGE, "--examples"])
        .run()?;
    for name in &names {
        output::line(&format!("example {name}"));
        Run::cargo(root)
            .args(["run", "--quiet", "--locked", "--package", PACKAGE])
            .args(["--example", name])
            .run_within(EXAMPLE_WITHIN)?;
    }
    output::line(&format!("{} examples ran", names.len()));
    Ok(())
}

/// The names that cargo gives to files and folders of examples.
fn names(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    if !folder.is_dir() {
        return Ok(names);
    }
    for entry in fs::read_dir(folder).context("cannot list the examples")? {
        let path = entry?.path();
        let is_example = if path.is_dir() {
            path.join("main.rs").is_file()
        } else {
            path.extension().is_some_and(|extension| extension == "rs")
        };
        if let Some(name) = path.file_stem()
            && is_example
        {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_examples_and_other_folders_are_not() {
        let folder = crate::root::find().join("xtask/src");
        let found = names(&folder).expect("the folder is readable");
        assert!(found.contains(&String::from("command")), "{found:?}");
        assert_eq!(found.iter().filter(|name| *name == "tidy").count(), 1);
        let none = names(&folder.join("absent")).expect("an absent folder holds none");
        assert!(none.is_empty());
    }
}
