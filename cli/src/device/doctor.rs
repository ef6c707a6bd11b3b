//! `doctor`: what is wrong with the device and its services, and how to mend it.

pub(super) mod device;
mod folder;
mod services;
mod tls;

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::open::{self, Device};
use crate::args::Global;
use crate::explain::{Exit, Failure};
use crate::output::Output;
use crate::signals::Interrupts;

const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const RED: &str = "\x1b[1;31m";
const RESET: &str = "\x1b[0m";

/// How a thing is that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    /// As it should be.
    Ok,
    /// It works, but a person should know.
    Warn,
    /// It does not work.
    Fail,
}

/// A thing that was looked at.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Check {
    /// What; never renamed.
    check: String,
    /// At which address, where the service has several.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    address: Option<String>,
    verdict: Verdict,
    /// What was seen.
    says: String,
    /// What to type or do, where it is not as it should be.
    fix: Option<String>,
}

impl Check {
    fn ok(check: &str, says: impl Into<String>) -> Self {
        Self {
            check: check.to_owned(),
            address: None,
            verdict: Verdict::Ok,
            says: says.into(),
            fix: None,
        }
    }

    fn warn(check: &str, says: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Warn,
            fix: Some(fix.into()),
            ..Self::ok(check, says)
        }
    }

    fn fail(check: &str, says: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Fail,
            ..Self::warn(check, says, fix)
        }
    }

    /// What failed as a command would have, with what the command would have said, or
    /// otherwise something else.
    fn failed(check: &str, failure: Failure, otherwise: &str) -> Self {
        let failure = failure.into_explanation();
        let fix = failure.next.unwrap_or_else(|| otherwise.to_owned());
        Self::fail(check, failure.message, fix)
    }
}

/// All that was looked at.
#[derive(Debug, Serialize)]
struct Report {
    ok: bool,
    checks: Vec<Check>,
}

pub(super) async fn run(global: &Global, output: &Output) -> Result<(), Failure> {
    let mut interrupts = Interrupts::listen()?;
    let checks = tokio::select! {
        checks = look(global) => checks?,
        () = interrupts.next() => return Err(Failure::interrupted()),
    };
    let ok = checks.iter().all(|check| check.verdict != Verdict::Fail);
    output.print(&Report { ok, checks }).await?;
    if ok {
        Ok(())
    } else {
        Err(Failure::said(Exit::Refused))
    }
}

async fn look(global: &Global) -> Result<Vec<Check>, Failure> {
    let home = open::home(global)?;
    let known = device_agent::probe::home(&home);
    let mut checks = folder::checks(&home, &known);
    if known.is_ok() {
        checks.extend(opened(home.clone(), global).await);
    }
    checks.extend(services::checks(global, &home, known.ok().as_ref()).await?);
    Ok(checks)
}

/// What can be seen of a device only from within.
async fn opened(home: PathBuf, global: &Global) -> Vec<Check> {
    let mut device = match Device::open(home, global, device_agent::PeerLinks::Off).await {
        Ok(device) => device,
        Err(failure) if failure.reason == "HOME_IN_USE" => {
            let failure = failure.into_explanation();
            let fix = failure.next.unwrap_or_default();
            return vec![Check::warn("agent", failure.message, fix)];
        }
        Err(failure) if failure.exit == Exit::Temporary => {
            return vec![Check::failed("agent", failure, "try again")];
        }
        Err(failure) => return vec![Check::failed("store", failure, "try again")],
    };
    let mut checks = vec![if device.is_running() {
        Check::ok("agent", "it runs, and commands go through it")
    } else {
        Check::ok(
            "agent",
            "none runs, so each command opens the device itself",
        )
    }];
    match device.check().await {
        Ok(seen) => checks.extend(seen),
        Err(failure) => checks.push(Check::failed("agent", failure, "try again")),
    }
    device.close().await;
    checks
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.checks.iter().map(|check| check.check.len()).max();
        let width = width.unwrap_or_default();
        for check in &self.checks {
            let (colour, word) = match check.verdict {
                Verdict::Ok => (GREEN, "ok  "),
                Verdict::Warn => (YELLOW, "warn"),
                Verdict::Fail => (RED, "fail"),
            };
            let name = check.check.replace('_', " ");
            let says = &check.says;
            let at = check.address.as_ref();
            let at = at.map_or(String::new(), |url| format!("{url}: "));
            writeln!(f, "{colour}{word}{RESET}  {name:width$}  {at}{says}")?;
            if let Some(fix) = &check.fix {
                writeln!(f, "      {:width$}  fix: {fix}", "")?;
            }
        }
        let of = |verdict| self.checks.iter().filter(|c| c.verdict == verdict).count();
        let (warnings, failures) = (of(Verdict::Warn), of(Verdict::Fail));
        match (warnings, failures) {
            (0, 0) => write!(f, "All is well."),
            (_, 0) => write!(f, "It works, with {warnings} to know of."),
            _ => write!(f, "{failures} failed, {warnings} to know of."),
        }
    }
}
