//! The one place that prints: answers to standard output, failures as the log has them.

use std::error::Error as _;
use std::io::{Write as _, stderr, stdout};

use super::StartError;
use crate::config::Problem;
use crate::logging::Lines;

/// An answer. Nobody hears that nobody reads it.
pub(super) fn line(text: &str) {
    let mut out = stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Why a service does not start.
pub(super) fn failure(lines: Lines, service: &str, error: &StartError) {
    let next = error.what_to_do();
    let mut causes = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    match lines {
        Lines::Json => {
            let causes = causes.join(": ");
            let reason = error.reason();
            tracing::error!(service, reason, %error, causes, next, "not started");
        }
        Lines::Text => {
            let mut text = format!("error: {service} does not start: {error}");
            for cause in causes {
                text.push_str(&format!("\n  because {cause}"));
            }
            to_stderr(&format!("{text}\n  next: {next}"));
        }
    }
}

/// What is wrong with a configuration.
pub(super) fn problems(lines: Lines, service: &str, problems: &[Problem]) {
    match lines {
        Lines::Json => {
            for problem in problems {
                let Problem {
                    reason,
                    key,
                    source,
                    wrong,
                    next,
                } = problem;
                tracing::error!(
                    service,
                    reason,
                    key,
                    source,
                    error = wrong,
                    next,
                    "not started"
                );
            }
        }
        Lines::Text => {
            let count = match problems.len() {
                1 => "a problem".to_owned(),
                more => format!("{more} problems"),
            };
            let mut text = format!("error: the configuration of {service} has {count}");
            for problem in problems {
                let Problem {
                    key,
                    source,
                    wrong,
                    next,
                    ..
                } = problem;
                text.push_str(&format!("\n  {key} ({source}): {wrong}\n    next: {next}"));
            }
            to_stderr(&text);
        }
    }
}

fn to_stderr(text: &str) {
    let _ = writeln!(stderr().lock(), "{text}");
}
