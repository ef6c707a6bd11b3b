//! The script: runs one step after another, tells each with its time, and keeps who had what.

use std::fmt;
use std::time::Duration;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout};

use super::devices::Devices;
use super::propagation::Propagation;
use crate::explain::Failure;
use crate::output::Output;
use crate::typed::program;

/// No step takes longer, even where many builds share the machine.
const STEP_WITHIN: Duration = Duration::from_secs(20);
/// Nor does one that waits for many entries; with nothing else to do it takes 3 s.
const LONG_STEP_WITHIN: Duration = Duration::from_secs(60);
/// Width of the names of steps.
const NAME_WIDTH: usize = 46;

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const RESET: &str = "\x1b[0m";

/// Why the demo ended early.
#[derive(Debug)]
pub(super) enum Cut {
    /// A step did not hold, and was told.
    Step,
    /// Nobody could be told.
    Output(Failure),
}

/// What the demo prints in the end.
#[derive(Debug, Default, Serialize)]
struct Report {
    ok: bool,
    steps: Vec<Step>,
    balance: Option<String>,
    heads_equal: bool,
    propagation_ms: Option<Propagation>,
    entries: usize,
    scenes: Vec<Scene>,
}

#[derive(Debug, Serialize)]
struct Step {
    name: &'static str,
    /// The way that its entries went.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'static str>,
    ok: bool,
    ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Who had what at one moment.
#[derive(Debug, Serialize)]
struct Scene {
    when: &'static str,
    first: String,
    second: String,
    heads_equal: bool,
}

pub(super) struct Script {
    output: Output,
    report: Report,
}

impl Script {
    pub(super) fn new(output: Output) -> Self {
        Self {
            output,
            report: Report::default(),
        }
    }

    /// Runs a step.
    pub(super) async fn step<T>(
        &mut self,
        name: &'static str,
        act: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Cut> {
        self.within(STEP_WITHIN, name, act).await
    }

    /// Runs a step of many entries.
    pub(super) async fn long_step<T>(
        &mut self,
        name: &'static str,
        act: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Cut> {
        self.within(LONG_STEP_WITHIN, name, act).await
    }

    async fn within<T>(
        &mut self,
        limit: Duration,
        name: &'static str,
        act: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Cut> {
        let began = Instant::now();
        let done = timeout(limit, act).await;
        self.tell(name, began, limit, done, None).await
    }

    async fn tell<T>(
        &mut self,
        name: &'static str,
        began: Instant,
        limit: Duration,
        done: Result<Result<T, Failure>, Elapsed>,
        path: Option<&'static str>,
    ) -> Result<T, Cut> {
        let done = match done {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(failure)) => Err(failure.into_explanation().message),
            Err(_) => Err(format!("it did not hold within {} s", limit.as_secs())),
        };
        let step = Step {
            name,
            path,
            ok: done.is_ok(),
            ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            error: done.as_ref().err().cloned(),
        };
        let told = self.output.words(&step.to_string()).await;
        self.report.steps.push(step);
        told.map_err(Cut::Output)?;
        done.map_err(|_| Cut::Step)
    }

    /// Runs a step in which entries go from one device to the other, and says which way they went.
    pub(super) async fn carried<T>(
        &mut self,
        name: &'static str,
        devices: &Devices,
        act: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Cut> {
        let began = Instant::now();
        let done = timeout(STEP_WITHIN, act).await;
        let path = devices.second.status().path.as_str();
        self.tell(name, began, STEP_WITHIN, done, Some(path)).await
    }

    /// Remembers who has what.
    pub(super) fn look(&mut self, when: &'static str, devices: &Devices) {
        self.report.heads_equal = devices.have_equal_heads();
        self.report.scenes.push(Scene {
            when,
            first: devices.first.balance().balance.to_string(),
            second: devices.second.balance().balance.to_string(),
            heads_equal: self.report.heads_equal,
        });
    }

    pub(super) async fn timed(&mut self, timed: Propagation) -> Result<(), Cut> {
        let Propagation { p50, p99, entries } = timed;
        self.report.propagation_ms = Some(timed);
        self.report.entries = entries;
        let words = format!("    from the call to the other device: p50 {p50} ms, p99 {p99} ms");
        self.output.words(&words).await.map_err(Cut::Output)
    }

    pub(super) fn agreed(&mut self, balance: i128) {
        self.report.balance = Some(balance.to_string());
    }

    pub(super) async fn end(mut self, held: bool) -> Result<(), Failure> {
        self.report.ok = held;
        self.output.print(&self.report).await
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (colour, mark) = if self.ok {
            (GREEN, "✓")
        } else {
            (RED, "✗")
        };
        let Self { name, ms, .. } = self;
        write!(f, "{colour}{mark}{RESET} {name:NAME_WIDTH$} {ms:>6} ms")?;
        if let Some(path) = self.path {
            write!(f, "  by {path}")?;
        }
        match &self.error {
            Some(error) => write!(f, "\n    {error}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_preset(UTF8_HORIZONTAL_ONLY);
        table.set_header(["when", "first", "second", "same entries"]);
        for scene in &self.scenes {
            let same = if scene.heads_equal { "yes" } else { "no" };
            table.add_row([scene.when, &scene.first, &scene.second, same]);
        }
        for column in [1, 2] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        writeln!(f, "\n{}\n", table.trim_fmt())?;
        match (&self.balance, self.ok) {
            (Some(balance), true) => {
                write!(
                    f,
                    "Every step held: both devices have {balance}.  Next:  {} up",
                    program()
                )
            }
            _ => write!(f, "A step did not hold."),
        }
    }
}
