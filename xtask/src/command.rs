//! Runs programs, so that what was run can be shown and typed again.

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::output::Stopwatch;

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Variables that cargo sets for this program and that mean something else to the next.
const FROM_CARGO: [&str; 4] = [
    "CARGO_PKG_",
    "CARGO_MANIFEST_",
    "CARGO_BIN_",
    "CARGO_CRATE_",
];

/// A program about to run at the root of the workspace, with the tools on its path.
#[derive(Debug)]
pub(crate) struct Run {
    command: Command,
    typed: String,
}

impl Run {
    pub(crate) fn new(root: &Path, program: &str) -> Self {
        let mut command = Command::new(program);
        command.current_dir(root).stdin(Stdio::null());
        command.env("PATH", path_with_tools(root));
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if FROM_CARGO.iter().any(|prefix| text.starts_with(prefix)) {
                command.env_remove(&name);
            }
        }
        Self {
            command,
            typed: String::from(program),
        }
    }

    pub(crate) fn cargo(root: &Path) -> Self {
        Self::new(root, "cargo")
    }

    /// Git that reads the checkout even when another user owns it, as in containers.
    pub(crate) fn git(root: &Path) -> Self {
        let mut run = Self::new(root, "git");
        run.command.args(["-c", "safe.directory=*"]);
        run
    }

    pub(crate) fn args<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Self {
        for arg in args {
            self.command.arg(arg);
            self.typed.push(' ');
            self.typed.push_str(arg);
        }
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self.typed = format!("{name}='{value}' {}", self.typed);
        self
    }

    /// Hides what the program writes to its output.
    pub(crate) fn quiet(mut self) -> Self {
        self.command.stdout(Stdio::null());
        self
    }

    /// What a reader types to run the same.
    pub(crate) fn typed(&self) -> &str {
        &self.typed
    }

    /// Runs to the end, with the output untouched; fails unless it exits with 0.
    pub(crate) fn run(mut self) -> anyhow::Result<()> {
        let status = self.command.status();
        self.judge(status.with_context(|| format!("cannot start `{}`", self.typed))?)
    }

    /// Runs, but not longer than told.
    pub(crate) fn run_within(mut self, limit: Duration) -> anyhow::Result<()> {
        let mut child = self
            .command
            .spawn()
            .with_context(|| format!("cannot start `{}`", self.typed))?;
        let watch = Stopwatch::start();
        loop {
            if let Some(status) = child.try_wait()? {
                return self.judge(status);
            }
            if watch.elapsed() > limit {
                child.kill()?;
                child.wait()?;
                bail!("`{}` did not end within {limit:?}", self.typed);
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Runs in silence; whether it exited with 0.
    pub(crate) fn succeeds(mut self) -> bool {
        self.command.stdout(Stdio::null()).stderr(Stdio::null());
        self.command.status().is_ok_and(|status| status.success())
    }

    /// Runs in silence and returns what it wrote.
    pub(crate) fn text(mut self) -> anyhow::Result<String> {
        let output = self
            .command
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot start `{}`", self.typed))?;
        self.judge(output.status)?;
        String::from_utf8(output.stdout).with_context(|| format!("`{}` wrote no text", self.typed))
    }

    /// Runs in silence and returns what it wrote, however it ended: whoever wrote nothing did well,
    /// if it ended well.
    pub(crate) fn text_of_any_end(mut self) -> anyhow::Result<String> {
        let output = self
            .command
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot start `{}`", self.typed))?;
        let text = String::from_utf8(output.stdout)
            .with_context(|| format!("`{}` wrote no text", self.typed))?;
        if text.is_empty() {
            self.judge(output.status)?;
        }
        Ok(text)
    }

    fn judge(&self, status: ExitStatus) -> anyhow::Result<()> {
        if status.success() {
            return Ok(());
        }
        bail!("`{}` failed ({status})", self.typed)
    }
}

fn path_with_tools(root: &Path) -> OsString {
    let own = [
        root.join("target/tools/bin"),
        root.join("target/tools/buf-venv/bin"),
    ];
    let inherited = env::var_os("PATH").unwrap_or_default();
    env::join_paths(own.into_iter().chain(env::split_paths(&inherited)))
        // Only a root with a `:` in its name; the tools are then found if already on the path.
        .unwrap_or(inherited)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_shows_what_to_type_and_fails_with_its_program() {
        let root = crate::root::find();
        let run = Run::cargo(&root)
            .args(["doc", "--locked"])
            .env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(run.typed(), "RUSTDOCFLAGS='-D warnings' cargo doc --locked");
        assert!(Run::new(&root, "true").run().is_ok());
        let failed = Run::new(&root, "false").run().expect_err("false fails");
        assert!(failed.to_string().contains("`false` failed"), "{failed}");
    }

    #[test]
    fn a_run_that_does_not_end_is_ended() {
        let root = crate::root::find();
        let late = Run::new(&root, "sleep")
            .args(["60"])
            .run_within(Duration::from_millis(10))
            .expect_err("60 s are longer than 10 ms");
        assert!(late.to_string().contains("did not end"), "{late}");
    }
}
