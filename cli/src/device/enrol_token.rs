//! `enrol-token`: files with which machines join without a person.

use std::fmt;
use std::path::Path;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use device_agent::{Agent, Enrolment, EnrolmentInfo};
use serde::Serialize;

use super::calendar::utc;
use super::devices::By;
use super::enrol::check_name;
use super::rights::{acted, check_admin};
use super::synced::{Synced, sync};
use crate::args::EnrolTokens;
use crate::explain::{Exit, Failure};
use crate::output::{Output, Secret};

/// Fewer characters of an id mean none.
const ID_PREFIX_MIN: usize = 4;
/// Means standard output.
const STDOUT: &str = "-";

pub(super) async fn run(
    act: Option<EnrolTokens>,
    agent: &Agent,
    output: &Output,
) -> Result<(), Failure> {
    match act {
        Some(EnrolTokens::Create {
            uses,
            expires,
            name,
            out,
        }) => {
            let life = expires;
            let enrolment = Enrolment { name, uses, life };
            create(&enrolment, &out, agent, output).await
        }
        None | Some(EnrolTokens::List) => list(agent, output).await,
        Some(EnrolTokens::Revoke { token }) => revoke(&token, agent, output).await,
    }
}

/// Refuses what makes no sense.
pub(super) fn check(act: Option<&EnrolTokens>) -> Result<(), Failure> {
    match act {
        Some(EnrolTokens::Create { name, .. }) => check_name(name),
        Some(EnrolTokens::List | EnrolTokens::Revoke { .. }) | None => Ok(()),
    }
}

/// A token that was made.
#[derive(Debug, Serialize)]
struct Made {
    id: String,
    name: String,
    uses: u32,
    expires_ms: i64,
    log_position: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    /// The text of it, where it goes to standard output.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<Secret>,
}

async fn create(
    enrolment: &Enrolment,
    out: &str,
    agent: &Agent,
    output: &Output,
) -> Result<(), Failure> {
    let synced = sync(agent).await?;
    if let Some(why) = synced.why_not() {
        return Err(Failure::new(Exit::Temporary, "UNREACHABLE", why)
            .next("make the token when the service answers"));
    }
    check_admin(agent, "let others in")?;
    let token = agent.enrolment_token();
    let file = (out != STDOUT).then(|| Path::new(out));
    if let Some(file) = file {
        output.keep(file, token.to_text()).await?;
    }
    let opened = acted(agent, agent.open_enrolment(&token, enrolment).await);
    let opened = match (opened, file) {
        (Ok(opened), _) => opened,
        (Err(failure), None) => return Err(failure),
        (Err(failure), Some(file)) => {
            // If the answer was lost, the log has a key that nobody holds.
            output.discard(file).await;
            return Err(failure);
        }
    };
    let made = Made {
        id: opened.id.to_string(),
        name: opened.name,
        uses: opened.uses,
        expires_ms: opened.expires_ms,
        log_position: agent.status().log_position,
        file: file.map(|_| out.to_owned()),
        token: match file {
            Some(_) => None,
            None => Some(Secret::new(token.to_text())),
        },
    };
    output.print(&made).await
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            uses,
            expires_ms,
            ..
        } = self;
        let (Some(file), None) = (&self.file, &self.token) else {
            // Nothing but the token, so that it can be sent on.
            let text = self
                .token
                .as_ref()
                .map_or("", |text| text.as_str().trim_end());
            return f.write_str(text);
        };
        let devices = if *uses == 1 { "device" } else { "devices" };
        writeln!(
            f,
            "Wrote {file}: {uses} {devices} can join with it until {} (UTC). It is a secret.",
            utc(*expires_ms)
        )?;
        writeln!(f, "On the machine:  edge-ledger join --token-file {file}")?;
        write!(f, "Undo:  edge-ledger enrol-token revoke \"{name}\"")
    }
}

#[derive(Debug, Serialize)]
struct List {
    tokens: Vec<Row>,
    #[serde(flatten)]
    synced: Synced,
}

#[derive(Debug, Serialize)]
struct Row {
    id: String,
    name: String,
    uses: u32,
    used: u32,
    /// How many devices can join with it now.
    left: u32,
    expires_ms: i64,
    state: &'static str,
    added_at: u64,
    added_by: By,
}

impl Row {
    fn new(enrolment: EnrolmentInfo, agent: &Agent) -> Self {
        let is_open = enrolment.is_open(agent.now_ms());
        let state = if is_open {
            "open"
        } else if enrolment.ended {
            "revoked"
        } else if enrolment.used >= enrolment.uses {
            "used_up"
        } else {
            "expired"
        };
        let left = enrolment.uses.saturating_sub(enrolment.used);
        Self {
            id: enrolment.id.to_string(),
            uses: enrolment.uses,
            used: enrolment.used,
            left: if is_open { left } else { 0 },
            expires_ms: enrolment.expires_ms,
            state,
            added_at: enrolment.added_at,
            added_by: By::new(&enrolment.added_by, &agent.devices()),
            name: enrolment.name,
        }
    }
}

async fn list(agent: &Agent, output: &Output) -> Result<(), Failure> {
    let synced = sync(agent).await?;
    let all = agent.enrolments().into_iter();
    let tokens = all.map(|enrolment| Row::new(enrolment, agent)).collect();
    let list = List { tokens, synced };
    output.print(&list).await?;
    list.synced.note(output).await;
    Ok(())
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.tokens.is_empty() {
            return write!(f, "No token was made.");
        }
        let mut table = Table::new();
        table.load_preset(NOTHING);
        table.set_header(["name", "id", "left", "until (UTC)", "state", "made by"]);
        for row in &self.tokens {
            table.add_row([
                row.name.clone(),
                row.id.clone(),
                format!("{} of {}", row.left, row.uses),
                utc(row.expires_ms),
                row.state.to_owned(),
                row.added_by.to_string(),
            ]);
        }
        write!(f, "{}", table.trim_fmt())
    }
}

/// A token that was ended.
#[derive(Debug, Serialize)]
struct Ended {
    id: String,
    name: String,
    log_position: u64,
}

async fn revoke(typed: &str, agent: &Agent, output: &Output) -> Result<(), Failure> {
    sync(agent).await?;
    check_admin(agent, "end a token")?;
    let all = agent.enrolments();
    let meant = find(&all, typed)?;
    acted(agent, agent.revoke_enrolment(meant.id).await)?;
    let ended = Ended {
        id: meant.id.to_string(),
        name: meant.name.clone(),
        log_position: agent.status().log_position,
    };
    output.print(&ended).await
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Nobody joins with \"{}\" any more. The devices that did stay: edge-ledger devices",
            self.name
        )
    }
}

/// The token with this id; else the one that was not ended with this name, or whose id begins so.
fn find<'a>(all: &'a [EnrolmentInfo], typed: &str) -> Result<&'a EnrolmentInfo, Failure> {
    let lower = typed.to_lowercase();
    if let Some(exact) = all.iter().find(|e| e.id.to_string() == lower) {
        return Ok(exact);
    }
    let begins =
        |e: &&EnrolmentInfo| typed.len() >= ID_PREFIX_MIN && e.id.to_string().starts_with(&lower);
    let not_ended = || all.iter().filter(|e| !e.ended);
    let named: Vec<_> = not_ended().filter(|e| e.name == typed).collect();
    let meant = if named.is_empty() {
        not_ended().filter(begins).collect()
    } else {
        named
    };
    match meant.as_slice() {
        [one] => Ok(one),
        [] => Err(Failure::refused(
            "UNKNOWN_ENROLMENT",
            format!("there is no token {typed:?} that could be ended"),
        )
        .next("`edge-ledger enrol-token list` shows them")),
        several => {
            let ids: Vec<String> = several.iter().map(|e| e.id.to_string()).collect();
            let message = format!("{typed:?} could mean {}", ids.join(", "));
            Err(Failure::refused("AMBIGUOUS_TOKEN", message)
                .with("tokens", ids)
                .next("type more of the id"))
        }
    }
}
