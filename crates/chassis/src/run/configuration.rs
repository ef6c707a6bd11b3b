//! `config check` and `config print`, and a start that the configuration prevents.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::args::{Act, Look};
use super::{Service, check_settings, configured, output, settings};
use crate::config::{CONFIGURATION, Effective, FileText, Inputs, LogSection, Problem, Reader};
use crate::logging;

/// Reads what the configuration is made of.
pub(super) fn inputs(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Inputs, Problem> {
    let file = file.map(|path| match std::fs::read_to_string(path) {
        Ok(text) => Ok(FileText {
            path: path.to_owned(),
            text,
        }),
        Err(error) => Err(Problem {
            reason: CONFIGURATION,
            key: path.display().to_string(),
            source: "--config".to_owned(),
            wrong: format!("cannot read it: {error}"),
            next: "give a file that the service may read".to_owned(),
        }),
    });
    Ok(Inputs {
        file: file.transpose()?,
        environment: environment.into_iter().collect(),
    })
}

pub(super) fn check<S: Service>(inputs: &Inputs, json: bool, look: Look) -> ExitCode {
    let checked = match look {
        Look::AtMachine => configured::<S>(inputs).map(drop),
        Look::AtSettings => check_settings::<S>(inputs),
    };
    match (checked, look) {
        (Ok(_), _) if json => output::line(&json!({ "ok": true, "problems": [] }).to_string()),
        (Ok(_), Look::AtMachine) => output::line("the configuration is sound"),
        (Ok(_), Look::AtSettings) => {
            output::line("the settings are sound; what they name was not looked at");
        }
        (Err(problems), _) => return refused::<S>(&Act::Check { json, look }, &problems),
    }
    ExitCode::SUCCESS
}

pub(super) fn print<S: Service>(inputs: &Inputs, json: bool) -> ExitCode {
    if let Err(problems) = check_settings::<S>(inputs) {
        return refused::<S>(&Act::Print { json }, &problems);
    }
    let effective = match Reader::new(settings::<S>(), inputs) {
        Ok(reader) => reader.effective(),
        Err(problem) => return refused::<S>(&Act::Print { json }, &[problem]),
    };
    if json {
        let settings: Vec<Value> = effective.iter().map(setting).collect();
        output::line(&json!({ "settings": settings }).to_string());
    } else {
        output::line(lines(&effective).trim_end());
    }
    ExitCode::SUCCESS
}

/// Says what is wrong in the form that was asked for.
pub(super) fn refused<S: Service>(act: &Act, problems: &[Problem]) -> ExitCode {
    match act {
        Act::Check { json: true, .. } | Act::Print { json: true } => {
            let problems: Vec<Value> = problems.iter().map(problem).collect();
            output::line(&json!({ "ok": false, "problems": problems }).to_string());
        }
        Act::Check { json: false, .. } | Act::Print { json: false } => {
            output::problems(logging::Lines::Text, S::NAME, problems);
        }
        Act::Serve => {
            // The log section may be what is wrong.
            let lines = logging::start(&LogSection::default(), None);
            output::problems(lines, S::NAME, problems);
        }
    }
    ExitCode::FAILURE
}

fn setting(effective: &Effective) -> Value {
    json!({
        "key": effective.setting.key,
        "value": effective.value,
        "source": effective.source,
    })
}

fn problem(problem: &Problem) -> Value {
    json!({
        "reason": problem.reason,
        "key": problem.key,
        "source": problem.source,
        "wrong": problem.wrong,
        "next": problem.next,
    })
}

/// A file that says the same.
fn lines(effective: &[Effective]) -> String {
    let mut text = String::new();
    let mut last = "";
    for line in effective {
        let section = line.setting.parts().0;
        if section != last {
            if !last.is_empty() {
                text.push('\n');
            }
            text.push_str(&format!("[{section}]\n"));
            last = section;
        }
        text.push_str(&format!("{line}\n"));
    }
    text
}
