//! `cargo xtask test`: every check, in order, up to the first that fails.

use std::path::Path;
use std::time::Duration;

use anyhow::anyhow;
use clap::ValueEnum;

use crate::command::Run;
use crate::output::{self, Stopwatch};
use crate::root;
use crate::{manifests, tidy, tools};

mod examples;
mod foreign;
mod lockfile;
mod monitoring;

/// One check. The order here is the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    Fmt,
    Clippy,
    Tidy,
    Deny,
    Buf,
    Manifests,
    Monitoring,
    Tests,
    Doctests,
    Docs,
    Examples,
    Foreign,
    Lockfile,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Clippy => "clippy",
            Self::Tidy => "tidy",
            Self::Deny => "deny",
            Self::Buf => "buf",
            Self::Manifests => "manifests",
            Self::Monitoring => "monitoring",
            Self::Tests => "tests",
            Self::Doctests => "doctests",
            Self::Docs => "docs",
            Self::Examples => "examples",
            Self::Foreign => "foreign",
            Self::Lockfile => "lockfile",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Self::Fmt => "the code is formatted",
            Self::Clippy => "no lint has anything to say",
            Self::Tidy => "the rules of the house: sizes, names, links",
            Self::Deny => "licences, bans and sources of the dependencies",
            Self::Buf => "the lint of the contract",
            Self::Manifests => {
                "every overlay for Kubernetes, rendered, fits its schemas and a policy"
            }
            Self::Monitoring => "the rules of the alerts hold in their own tests",
            Self::Tests => "all tests of the workspace",
            Self::Doctests => "the examples in the documentation",
            Self::Docs => "the documentation builds without a warning",
            Self::Examples => "the examples of the device agent run",
            Self::Foreign => "a client in Python asks both services, as a pair and apart on Redis",
            Self::Lockfile => "Cargo.lock is the one of the last commit",
        }
    }

    /// What usually mends a failure.
    fn remedy(self) -> Option<&'static str> {
        match self {
            Self::Fmt => Some("cargo fmt --all"),
            Self::Deny => Some(
                "two versions: `cargo tree -d --target all` shows who pulls them; if neither can \
                 go, `skip` the older in deny.toml and say why; a licence: `allow` it there",
            ),
            Self::Tests => Some("cargo nextest run -E 'test(NAME)' runs one test"),
            Self::Lockfile => Some("commit Cargo.lock with the manifest that changed it"),
            Self::Clippy
            | Self::Tidy
            | Self::Buf
            | Self::Manifests
            | Self::Monitoring
            | Self::Doctests
            | Self::Docs
            | Self::Examples
            | Self::Foreign => None,
        }
    }

    fn run(self, root: &Path) -> anyhow::Result<()> {
        let cargo = |args: &[&'static str]| Run::cargo(root).args(args.iter().copied());
        match self {
            Self::Fmt => cargo(&["fmt", "--all", "--", "--check"]).run(),
            Self::Clippy => cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--",
                "-D",
                "warnings",
            ])
            .run(),
            Self::Tidy => tidy::run(root),
            Self::Deny => {
                tools::deny(root)?;
                cargo(&["deny", "--locked", "check", "bans", "licenses", "sources"]).run()
            }
            Self::Buf => {
                tools::buf(root)?;
                Run::new(root, "buf").args(["lint", "proto"]).run()
            }
            Self::Manifests => manifests::run(root),
            Self::Monitoring => monitoring::run(root),
            Self::Tests => {
                tools::nextest(root)?;
                tools::started_by_tests(root)?;
                tools::manifests(root)?;
                // The tests start programs of other packages, too.
                cargo(&["build", "--workspace", "--bins", "--locked"]).run()?;
                cargo(&["nextest", "run", "--workspace", "--locked"]).run()
            }
            Self::Doctests => cargo(&["test", "--doc", "--workspace", "--locked"]).run(),
            Self::Docs => cargo(&["doc", "--workspace", "--no-deps", "--locked"])
                .env("RUSTDOCFLAGS", "-D warnings")
                .run(),
            Self::Examples => examples::run(root),
            Self::Foreign => foreign::run(root),
            Self::Lockfile => lockfile::check(root),
        }
    }
}

/// Runs the steps that were asked for, all if none was.
pub(crate) fn run(asked: &[Step]) -> anyhow::Result<()> {
    let root = root::find();
    let steps: Vec<Step> = Step::value_variants()
        .iter()
        .copied()
        .filter(|step| asked.is_empty() || asked.contains(step))
        .collect();
    let mut rows: Vec<(&str, &str, Option<Duration>)> = Vec::new();
    let mut failed = None;
    for step in steps {
        if failed.is_some() {
            rows.push((step.name(), "not reached", None));
            continue;
        }
        output::heading(step.name(), step.about());
        let watch = Stopwatch::start();
        let done = step.run(&root);
        let took = watch.elapsed();
        output::line(&format!("{}: {}", step.name(), output::seconds(took)));
        rows.push((
            step.name(),
            if done.is_ok() { "ok" } else { "FAILED" },
            Some(took),
        ));
        failed = done.err().map(|error| (step, error));
    }
    output::table(&rows);
    match failed {
        None => Ok(()),
        Some((step, error)) => Err(explain(step, &error)),
    }
}

fn explain(step: Step, error: &anyhow::Error) -> anyhow::Error {
    let name = step.name();
    let mut says = format!("step `{name}`: {error:#}");
    if let Some(remedy) = step.remedy() {
        says.push_str("\n  to mend:       ");
        says.push_str(remedy);
    }
    says.push_str("\n  to run again:  cargo xtask test --step ");
    says.push_str(name);
    anyhow!(says)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_the_steps_are_those_of_the_command_line() {
        for step in Step::value_variants() {
            let named = Step::from_str(step.name(), false);
            assert_eq!(named.as_ref(), Ok(step));
        }
    }

    #[test]
    fn a_failure_says_what_to_type() {
        let says = explain(Step::Fmt, &anyhow!("`cargo fmt` failed")).to_string();
        assert!(says.contains("step `fmt`: `cargo fmt` failed"), "{says}");
        assert!(says.contains("to mend:       cargo fmt --all"), "{says}");
        assert!(says.ends_with("cargo xtask test --step fmt"), "{says}");
    }
}
