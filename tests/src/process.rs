//! Real processes: children that are killed by their id when they are dropped.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::Context as _;
use edge_ledger_chassis::limits::EXIT_WITHIN;
use tokio::time::Instant;

const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A child process with its output, line by line.
#[derive(Debug)]
pub struct Process {
    child: Child,
    input: ChildStdin,
    lines: BufReader<ChildStdout>,
}

impl Process {
    /// Starts a program.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
        let lines = BufReader::new(child.stdout.take().context("no output")?);
        let input = child.stdin.take().context("no input")?;
        Ok(Self {
            child,
            input,
            lines,
        })
    }

    /// Types a line.
    ///
    /// # Errors
    /// When nobody reads it.
    pub fn types(&mut self, line: &str) -> anyhow::Result<()> {
        Ok(writeln!(self.input, "{line}")?)
    }

    /// The next whole line; `None` at the end. A line that was cut off by a kill is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn line(&mut self) -> anyhow::Result<Option<String>> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        Ok(line.strip_suffix('\n').map(ToOwned::to_owned))
    }

    /// Asks it to end, as a supervisor does, and waits until it has, as long as it may take at most;
    /// the code that it ends with.
    ///
    /// # Errors
    /// When it cannot be asked, or does not end in time.
    pub fn terminate(mut self) -> anyhow::Result<Option<i32>> {
        let id = self.child.id().to_string();
        let asked = Command::new("kill").args(["-s", "TERM", &id]).status()?;
        anyhow::ensure!(asked.success(), "it cannot be asked to end");
        Ok(wait_within(&mut self.child, EXIT_WITHIN)?.code())
    }

    /// Ends it at once, as a power cut would end it, and reads what it had still said.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill(mut self) -> anyhow::Result<Vec<String>> {
        self.child.kill()?;
        self.child.wait()?;
        let mut said = Vec::new();
        while let Some(line) = self.line()? {
            said.push(line);
        }
        Ok(said)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for the end of a child, so long at most.
pub(crate) fn wait_within(child: &mut Child, within: Duration) -> anyhow::Result<ExitStatus> {
    let until = Instant::now() + within;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        let is_late = Instant::now() >= until;
        anyhow::ensure!(!is_late, "it did not end within {within:?}");
        sleep(LOOK_EVERY);
    }
}

/// The `edge-ledger` binary of this build.
///
/// # Errors
/// When it was not built.
pub fn edge_ledger() -> anyhow::Result<PathBuf> {
    binary("edge-ledger")
}

/// A binary of this build.
///
/// # Errors
/// When it was not built: tests of the whole workspace build it.
pub fn binary(name: &str) -> anyhow::Result<PathBuf> {
    let exe = std::env::current_exe()?;
    // A test lies one folder below, another binary beside it.
    let folders = exe.ancestors().skip(1).take(2);
    let mut paths = folders.map(|folder| folder.join(name));
    paths
        .find(|path| path.is_file())
        .with_context(|| format!("there is no {name} binary: cargo build -p {name}"))
}
