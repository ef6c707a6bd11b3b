//! The one place that prints: answers to standard output, talk to standard error.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _, stdin, stdout};
use std::process::ExitCode;

use edge_ledger_core::text::shown;
use serde::Serialize;
use serde_json::{Value, json};

use crate::explain::{Exit, Explanation, Failure, output_failed};

const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[33m";
const RESET: &str = "\x1b[0m";

/// Where and how a command prints.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
    verbose: bool,
}

impl Output {
    pub(crate) fn new(json: bool, verbose: bool) -> Self {
        Self { json, verbose }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether a person reads standard output.
    pub(crate) fn is_terminal(&self) -> bool {
        !self.json && stdout().is_terminal()
    }

    /// Prints an answer: as one line of JSON, or in words.
    pub(crate) fn print(&self, answer: &(impl Serialize + Display)) -> Result<(), Failure> {
        if self.json {
            self.json_line(answer)
        } else {
            self.words(&answer.to_string())
        }
    }

    /// Prints words, if words are wanted.
    pub(crate) fn words(&self, text: &str) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        let mut out = anstream::stdout().lock();
        let written = writeln!(out, "{text}").and_then(|()| out.flush());
        written.map_err(|error| output_failed(&error))
    }

    /// Tells a person something beside the answer.
    pub(crate) fn note(&self, text: &str) {
        if !self.json {
            warn(text);
        }
    }

    /// Asks a person, on standard error, to type yes. Anything else is no.
    pub(crate) fn confirm(&self, question: &str) -> bool {
        let mut err = anstream::stderr().lock();
        let asked = write!(err, "{question} [y/N] ").and_then(|()| err.flush());
        drop(err);
        let mut answer = String::new();
        let answered = asked.and_then(|()| stdin().read_line(&mut answer)).is_ok();
        answered && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
    }

    /// Says why a command failed, if it did, and with which code the process ends.
    pub(crate) fn end(&self, done: Result<(), Failure>) -> ExitCode {
        let Err(failure) = done else {
            return ExitCode::SUCCESS;
        };
        let failure = failure.into_explanation();
        let exit = failure.exit;
        if !failure.is_said {
            // When this cannot be said either, the exit code still tells.
            let _ = if self.json {
                self.json_line(&error_json(failure))
            } else {
                self.explain(&failure);
                Ok(())
            };
        }
        ExitCode::from(exit.code())
    }

    fn explain(&self, failure: &Explanation) {
        // What a service or another device says is in it.
        let message = shown(&failure.message);
        let mut text = format!("{RED}error:{RESET} {message}");
        if failure.exit == Exit::Interrupted {
            text = message;
        }
        if self.verbose {
            for cause in &failure.causes {
                text.push_str("\n  because ");
                text.push_str(&shown(cause));
            }
        }
        if let Some(next) = &failure.next {
            text.push_str("\n  next: ");
            text.push_str(&shown(next));
        }
        to_stderr(&text);
    }

    fn json_line(&self, value: &impl Serialize) -> Result<(), Failure> {
        let mut line = serde_json::to_vec(value).map_err(|error| output_failed(&error.into()))?;
        line.push(b'\n');
        let mut out = stdout().lock();
        let written = out.write_all(&line).and_then(|()| out.flush());
        written.map_err(|error| output_failed(&error))
    }
}

/// A warning, also when the answer is JSON.
pub(crate) fn warn(text: &str) {
    to_stderr(&format!("{YELLOW}note:{RESET} {text}"));
}

fn to_stderr(text: &str) {
    // Nobody hears that standard error is closed.
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

fn error_json(failure: Explanation) -> Value {
    let mut error = failure.details;
    error.insert("reason".to_owned(), failure.reason.into());
    error.insert("message".to_owned(), failure.message.into());
    error.insert("next".to_owned(), failure.next.into());
    json!({ "error": error })
}
