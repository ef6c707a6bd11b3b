//! `leave`: this device ends itself, in order.

use std::fmt;

use device_agent::{Agent, Level, within};
use serde::Serialize;

use super::rights::{acted, warn_of_no_admin};
use super::synced::sync;
use crate::args::Leave;
use crate::explain::{Exit, Failure};
use crate::limits::SYNC_WITHIN;
use crate::output::Output;
use crate::typed::program;

/// A device that has left.
#[derive(Debug, Serialize)]
struct Left {
    device: String,
    name: String,
    log_position: u64,
    /// Entries and postings that nobody but this folder has.
    lost: u64,
    /// Whether the identity's root keys are in the folder.
    root_keys: bool,
    /// Until when no admin has admin rights.
    #[serde(skip_serializing_if = "Option::is_none")]
    no_admin_until_ms: Option<i64>,
}

pub(super) async fn run(options: Leave, agent: &Agent, output: &Output) -> Result<(), Failure> {
    let synced = sync(agent).await?;
    if agent.is_last_admin() {
        let message = "this is the last admin: nobody could link or revoke devices afterwards";
        return Err(Failure::refused("LAST_ADMIN", message).next(
            "link another device as admin first: `edge-ledger link --admin`; or set a recovery \
             key: `edge-ledger recovery set`",
        ));
    }
    if synced.is_synced() {
        // That it takes longer is seen below.
        let _ = within(SYNC_WITHIN, agent.wait_acked(Level::Volatile)).await;
    }
    let status = agent.status();
    let lost = status.unacked_entries() + status.balance.waiting as u64;
    if !options.force && (lost > 0 || !synced.is_synced()) {
        return Err(unacked(lost, synced.why_not()));
    }
    let root_keys = agent.holds_root_key().is_ok();
    let no_admin_until_ms = warn_of_no_admin(agent, status.device, output).await;
    if !options.yes {
        confirm(&status.device_name, lost, root_keys, output).await?;
    }
    acted(agent, agent.leave().await)?;
    let left = Left {
        device: status.device.to_string(),
        name: status.device_name,
        log_position: agent.status().log_position,
        lost,
        root_keys,
        no_admin_until_ms,
    };
    output.print(&left).await
}

fn unacked(lost: u64, why_not: Option<&str>) -> Failure {
    let message = match why_not {
        Some(why) => format!("not synced: {why}; what the service lacks would be lost"),
        None => format!("the service does not have {lost} entries or postings of this device yet"),
    };
    Failure::new(Exit::Temporary, "UNACKED", message)
        .with("unacked", lost)
        .next("try again when the service answers; or give them up with --force")
}

/// Has a person say yes.
async fn confirm(name: &str, lost: u64, root_keys: bool, output: &Output) -> Result<(), Failure> {
    if !output.is_terminal() || !output.look().input {
        return Err(
            Failure::usage("NOT_CONFIRMED", "nobody is here to confirm that").next("add --yes"),
        );
    }
    let mut question = format!("\"{name}\" leaves the identity for ever.");
    if lost > 0 {
        question.push_str(&format!(" {lost} entries or postings are lost."));
    }
    if root_keys {
        question.push_str(" The identity's root keys stay in this folder.");
    }
    question.push_str(" Type yes: ");
    let typed = output.ask(&question).await;
    if typed.is_some_and(|typed| typed.trim().eq_ignore_ascii_case("yes")) {
        return Ok(());
    }
    Err(Failure::refused("NOT_CONFIRMED", "nothing was changed"))
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\"{}\" has left. What it had told the service stays; nothing after that counts.",
            self.name
        )?;
        if self.root_keys {
            write!(
                f,
                "\nThe identity's root keys are still in this folder: whoever has it can act for the identity.\n\
                 Take them off into a backup:  {} backup create FILE --remove",
                program()
            )?;
        }
        Ok(())
    }
}
