//! Runs the examples of the device agent, as a reader of its documentation would.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::command::Run;
use crate::output;

const FOLDER: &str = "device-agent/examples";

/// No example takes longer than a reader waits.
const EXAMPLE_WITHIN: Duration = Duration::from_secs(120);

/// Runs each to its end; the first that does not exit with 0 fails the step.
pub(super) fn run(root: &Path) -> anyhow::Result<()> {
    let names = names(&root.join(FOLDER))?;
    if names.is_empty() {
        output::line(&format!("{FOLDER} holds no example"));
        return Ok(());
    }
    // With the whole workspace, so that what the tests were built with serves again.
    let messages = Run::cargo(root)
        .args(["build", "--locked", "--workspace", "--examples"])
        .args(["--message-format", "json-render-diagnostics"])
        .text()?;
    for name in &names {
        let Some(program) = program(&messages, name) else {
            bail!("cargo builds no example {name}, though {FOLDER} holds it");
        };
        output::line(&format!("example {name}"));
        Run::new(root, program).run_within(EXAMPLE_WITHIN)?;
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

/// Where cargo put an example, by what it tells of its work.
fn program<'a>(messages: &'a str, name: &str) -> Option<&'a str> {
    let file = format!("/{FOLDER}/{name}.rs");
    let folder = format!("/{FOLDER}/{name}/main.rs");
    messages.lines().find_map(|message| {
        let source = text_of(message, "src_path")?;
        let is_it = source.ends_with(&file) || source.ends_with(&folder);
        is_it.then(|| text_of(message, "executable")).flatten()
    })
}

/// The text of a field of a line of JSON that holds nothing escaped.
fn text_of<'a>(message: &'a str, field: &str) -> Option<&'a str> {
    let start = format!("\"{field}\":\"");
    let (_, rest) = message.split_once(&start)?;
    rest.split_once('"').map(|(text, _)| text)
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

    #[test]
    fn the_program_is_the_one_built_from_the_example() {
        let message = |source: &str, program: &str| {
            format!(r#"{{"target":{{"src_path":"/a/{source}"}},"executable":{program}}}"#)
        };
        let messages = [
            message("device-agent/src/lib.rs", "null"),
            message("cli/examples/first.rs", "\"/t/other\""),
            message("device-agent/examples/first.rs", "\"/t/first\""),
            message("device-agent/examples/second/main.rs", "\"/t/second\""),
        ]
        .join("\n");
        assert_eq!(program(&messages, "first"), Some("/t/first"));
        assert_eq!(program(&messages, "second"), Some("/t/second"));
        assert_eq!(program(&messages, "third"), None);
    }
}
