//! The only place that prints.
#![expect(clippy::print_stdout, reason = "chores tell how they go")]
#![expect(clippy::print_stderr, reason = "and why they failed")]

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Measures how long a step takes.
#[derive(Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "chores have no clock to be handed"
    )]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Opens a step.
pub(crate) fn heading(name: &str, about: &str) {
    println!("\n{}", bold(&format!("── {name}: {about}")));
    flush();
}

/// One line below a heading.
pub(crate) fn line(text: &str) {
    println!("{text}");
    flush();
}

/// The table at the end: name, outcome, time.
pub(crate) fn table(rows: &[(&str, &str, Option<Duration>)]) {
    println!();
    for (name, outcome, took) in rows {
        let took = took.map(seconds).unwrap_or_default();
        let row = format!("{name:<10} {outcome:<12} {took:>9}");
        println!("{}", row.trim_end());
    }
    flush();
}

/// Why a chore failed, with its causes.
pub(crate) fn error(error: &anyhow::Error) {
    flush();
    eprintln!("\n{} {error:#}", bold("error:"));
}

/// `12.3 s`
pub(crate) fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

fn bold(text: &str) -> String {
    if std::io::stdout().is_terminal() {
        format!("\u{1b}[1m{text}\u{1b}[0m")
    } else {
        String::from(text)
    }
}

fn flush() {
    // A reader that went away is no reason to stop checking.
    drop(std::io::stdout().flush());
}
