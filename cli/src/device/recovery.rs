//! `recovery`: the key that brings an identity back when every device is lost, on paper.

use std::fmt;
use std::time::Duration;

use device_agent::{Agent, AgentError, PendingRecovery, RECOVERY_WORDS, RecoveryWords, within};
use serde::Serialize;

mod settle;

use super::calendar::utc;
use super::synced::{Synced, sync};
use crate::args::Recoveries;
use crate::explain::{Exit, Failure};
use crate::keys::shown_ms;
use crate::limits::SYNC_WITHIN;
use crate::output::Output;
use crate::typed::program;

/// Words that a person types back.
const ASKED_BACK: usize = 2;
/// Words in a line on the screen.
const WORDS_PER_LINE: usize = 4;

pub(super) async fn run(act: Recoveries, agent: &Agent, output: &Output) -> Result<(), Failure> {
    match act {
        Recoveries::Set { veto_time } => set(veto_time, agent, output).await,
        Recoveries::Status => status(agent, output).await,
        Recoveries::Veto => veto(agent, output).await,
        Recoveries::Settle { words, words_file } => {
            settle::run(words, words_file.as_deref(), agent, output).await
        }
    }
}

/// A recovery key that was set. The words are nowhere else.
#[derive(Serialize)]
struct Set {
    identity: String,
    short_id: String,
    ledger_id: String,
    identity_urls: Vec<String>,
    words: Vec<&'static str>,
    veto_ms: u64,
    /// Whether a person has seen the words and typed some of them back.
    #[serde(skip)]
    is_written_down: bool,
}

async fn set(veto_time: Option<Duration>, agent: &Agent, output: &Output) -> Result<(), Failure> {
    // Nobody writes down what cannot be set.
    agent.holds_root_key()?;
    let words = RecoveryWords::generate();
    let status = agent.status();
    let mut set = Set {
        identity: status.identity.to_string(),
        short_id: status.short_id,
        ledger_id: status.ledger_id.to_string(),
        identity_urls: agent.addresses().0.iter().map(str::to_owned).collect(),
        words: words.words(),
        veto_ms: 0,
        is_written_down: false,
    };
    if output.is_terminal() && output.look().input {
        output.words(&set.sheet()).await?;
        asked_back(&set.words, output).await?;
        set.is_written_down = true;
    }
    let done = agent.set_recovery(&words, veto_time).await;
    done.map_err(perhaps_set)?;
    set.veto_ms = agent.recovery().veto_ms;
    output.print(&set).await
}

/// Has some of the words typed back, so that they are on paper before they count.
async fn asked_back(words: &[&str], output: &Output) -> Result<(), Failure> {
    for place in places() {
        let typed = output.ask(&format!("Word {}: ", place + 1)).await;
        let typed = typed.unwrap_or_default();
        if !typed.trim().eq_ignore_ascii_case(words[place]) {
            let message = format!("that is not word {}; nothing was set", place + 1);
            return Err(Failure::usage("RECOVERY_WORDS", message).next(
                "throw the words away, and type `edge-ledger recovery set` again for others",
            ));
        }
    }
    Ok(())
}

/// Different places of the words, in their order.
fn places() -> [usize; ASKED_BACK] {
    let first = usize::from(rand::random::<u8>()) % (RECOVERY_WORDS - 1);
    let second = first + 1 + usize::from(rand::random::<u8>()) % (RECOVERY_WORDS - 1 - first);
    [first, second]
}

/// What to do when nobody knows whether the words count.
fn perhaps_set(error: AgentError) -> Failure {
    let failure = Failure::from(error);
    if failure.exit == Exit::Temporary {
        failure.next(
            "throw these words away, and type `edge-ledger recovery set` again when the service \
             answers: only the last ones count",
        )
    } else {
        failure
    }
}

/// What the log says about recovery.
#[derive(Debug, Serialize)]
struct Status {
    set: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    since_ms: Option<i64>,
    veto_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<Pending>,
    /// A recovery that nobody can stop any more, and that was not finished yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    in_effect: Option<Pending>,
    /// Whether the root key is on this device, which sets recovery keys.
    root_key: bool,
    #[serde(flatten)]
    synced: Synced,
}

#[derive(Debug, Serialize)]
struct Pending {
    position: u64,
    effective_ms: i64,
}

impl From<PendingRecovery> for Pending {
    fn from(pending: PendingRecovery) -> Self {
        let PendingRecovery {
            position,
            effective_ms,
        } = pending;
        Self {
            position,
            effective_ms,
        }
    }
}

async fn status(agent: &Agent, output: &Output) -> Result<(), Failure> {
    let synced = sync(agent).await?;
    // What takes effect by time does so by the service's clock.
    let recovery = match synced.is_synced() {
        true => within(SYNC_WITHIN, agent.latest_recovery()).await.ok(),
        false => None,
    };
    let recovery = recovery.unwrap_or_else(|| agent.recovery());
    let status = Status {
        set: recovery.key.is_some(),
        since_ms: recovery.key.map(|key| key.since_ms),
        veto_ms: recovery.veto_ms,
        pending: recovery.pending.map(Pending::from),
        in_effect: recovery.in_effect.map(Pending::from),
        root_key: recovery.in_effect.is_none() && agent.holds_root_key().is_ok(),
        synced,
    };
    output.print(&status).await?;
    status.synced.note(output).await;
    Ok(())
}

/// A recovery that was stopped.
#[derive(Debug, Serialize)]
struct Vetoed {
    position: Option<u64>,
}

async fn veto(agent: &Agent, output: &Output) -> Result<(), Failure> {
    sync(agent).await?;
    let pending = agent.recovery().pending;
    agent.veto().await?;
    output
        .print(&Vetoed {
            position: pending.map(|pending| pending.position),
        })
        .await
}

impl Set {
    /// What a person writes down.
    fn sheet(&self) -> String {
        let mut sheet = format!(
            "Write this down, and keep it where no device is:\n\n  identity   {}\n  ledger id  {}\n  \
             service    {}\n",
            self.identity,
            self.ledger_id,
            self.identity_urls.join("\n             ")
        );
        for (index, word) in self.words.iter().enumerate() {
            if index % WORDS_PER_LINE == 0 {
                sheet.push_str("\n  ");
            }
            sheet.push_str(&format!("{:>2}. {word:<10}", index + 1));
        }
        sheet.push_str("\n\nIt is shown this once. Whoever has it can take the identity over.\n");
        sheet
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_written_down {
            writeln!(f, "{}", self.sheet())?;
        }
        writeln!(
            f,
            "The recovery key of {} is set; an earlier one is worth nothing.",
            self.short_id
        )?;
        write!(
            f,
            "A recovery waits {}, and any admin device can stop it.\nNext:  {} recovery status",
            shown_ms(self.veto_ms),
            program()
        )
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.since_ms {
            Some(since) => write!(
                f,
                "A recovery key is set, since {} UTC. A recovery waits {}.",
                utc(since),
                shown_ms(self.veto_ms)
            )?,
            None => write!(f, "No recovery key is set.")?,
        }
        if let Some(pending) = &self.pending {
            write!(
                f,
                "\nA recovery was asked for, and takes effect at {} UTC.\nNot yours?  {} recovery veto",
                utc(pending.effective_ms),
                program()
            )?;
        } else if let Some(recovery) = &self.in_effect {
            write!(
                f,
                "\nA recovery was asked for, and is in effect since {} UTC: nobody can stop it, and \
                 the root keys and backups of before are worthless.\nYours?  {} recover    where it \
                 was asked for",
                utc(recovery.effective_ms),
                program()
            )?;
        } else if !self.set && self.root_key {
            write!(f, "\nNext:  {} recovery set", program())?;
        }
        Ok(())
    }
}

impl fmt::Display for Vetoed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "The recovery was stopped. Whoever asked for it has the recovery words, and can ask \
             again: if that was not you, set others.\nNext:  {} recovery set    where the root keys are",
            program()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_words_are_asked_back() {
        for _ in 0..10_000 {
            let [first, second] = places();
            assert!(first < second && second < RECOVERY_WORDS);
        }
    }
}
