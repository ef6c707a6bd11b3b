//! `recover`: an identity out of the words of its recovery key, in two runs.

use std::fmt;
use std::fs;
use std::io::{IsTerminal as _, Read as _, stdin};
use std::path::{Path, PathBuf};

use device_agent::{
    Agent, AgentError, Begun, DeviceId, DeviceInfo, DeviceState, IdentityId, LedgerId, NewDevice,
    Others, PeerLinks, Recovered, RecoveryWords, RevokeReason, RootError, Trust,
};
use edge_ledger_core::identity::pikey::short_id;
use serde::Serialize;
use zeroize::Zeroizing;

use super::calendar::utc;
use super::enrol::{first_sight, new_device};
use super::open::options;
use super::synced::sync;
use crate::args::{Global, Recover};
use crate::explain::{Failure, key_format};
use crate::output::Output;
use crate::signals::unless_interrupted;
use crate::typed::program;

/// Longest text of words that is read, in bytes.
const WORDS_BYTES_MAX: u64 = 4 * 1024;

pub(super) async fn run(options: Recover, global: &Global, output: &Output) -> Result<(), Failure> {
    let new = new_device(options.name, global)?;
    let begun = device_agent::recovery_begun(&new.home)?;
    let identity = identity(options.identity.as_deref(), begun.as_ref())?;
    if let Some(begun) = begun.as_ref().filter(|begun| begun.linked) {
        // What is left is to see to the others.
        if begun.identity != identity {
            let other = RootError::OtherIdentity(begun.identity);
            return Err(AgentError::from(other).into());
        }
        let (home, others) = (new.home, options.revoke_others);
        return linked(home, Vec::new(), others, global, output).await;
    }
    let new = NewDevice {
        identity_urls: match &begun {
            Some(begun) if global.identity_url.is_empty() => begun.identity_urls.clone(),
            Some(_) | None => new.identity_urls,
        },
        ..new
    };
    let was_taken = begun.as_ref().is_some_and(|b| b.effective_ms.is_some());
    let words = match &options.words_file {
        Some(file) => Some(
            words_in(file)?
                .parse::<RecoveryWords>()
                .map_err(AgentError::from)?,
        ),
        None if was_taken => None,
        None => Some(typed(output).await?),
    };
    let given = options.ledger_id.as_deref().map(str::parse::<LedgerId>);
    let trust = match (given.transpose().map_err(key_format)?, &begun) {
        (Some(ledger_id), _) => Trust::Ledger(ledger_id),
        (None, Some(begun)) => Trust::Ledger(begun.ledger_id),
        (None, None) => first_sight(&new, global, output).await?,
    };
    let others = others(options.revoke_others);
    let recovering = device_agent::recover(&new, identity, words.as_ref(), trust, others);
    let recovered = unless_interrupted(Box::pin(recovering)).await;
    match recovered.map_err(full)? {
        Recovered::Waiting {
            identity,
            effective_ms,
        } => {
            output
                .print(&Waiting {
                    state: "waiting",
                    identity: identity.to_string(),
                    short_id: short_id(&identity),
                    effective_ms,
                    home: new.home,
                })
                .await
        }
        Recovered::Linked(entered) => {
            let (home, others) = (new.home, options.revoke_others);
            linked(home, entered.revoked, others, global, output).await
        }
    }
}

/// What becomes of the other devices.
pub(super) fn others(revoke: bool) -> Others {
    match revoke {
        true => Others::Revoke,
        false => Others::Stay,
    }
}

/// Nobody is left who could type what is said elsewhere of an identity that is full.
pub(super) fn full(failure: Failure) -> Failure {
    if failure.reason == "DEVICE_LIMIT" {
        failure.next(
            "type the same again with --revoke-others: the root key revokes all other devices and              tokens, and then links this one",
        )
    } else {
        failure
    }
}

fn identity(given: Option<&str>, begun: Option<&Begun>) -> Result<IdentityId, Failure> {
    match (given, begun) {
        (Some(given), _) => given.parse().map_err(key_format),
        (None, Some(begun)) => Ok(begun.identity),
        (None, None) => {
            let message = "whose identity? No recovery was begun in this folder";
            Err(Failure::usage("USAGE", message)
                .next("give the identity that stands above the words with --identity ID"))
        }
    }
}

/// Ends with the device, and with the others revoked if the person wants that.
async fn linked(
    home: PathBuf,
    ended: Vec<DeviceId>,
    revoke_others: bool,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    let agent = Agent::open(&home, options(global, PeerLinks::Off)?).await?;
    let revoked = revoked(&agent, revoke_others, global, output).await;
    let status = agent.status();
    agent.stop().await;
    let revoked = revoked.map_err(|failure| {
        failure.next(
            "this is a device of the identity, and others can still speak: type `edge-ledger \
             recover --revoke-others` again",
        )
    })?;
    device_agent::recovery_ended(&home)?;
    let ended = ended.iter().map(ToString::to_string);
    let revoked = ended.chain(revoked).collect();
    output
        .print(&Linked {
            state: "linked",
            identity: status.identity.to_string(),
            short_id: status.short_id,
            device: status.device.to_string(),
            name: status.device_name,
            ledger_id: status.ledger_id.to_string(),
            home,
            revoked,
        })
        .await
}

async fn revoked(
    agent: &Agent,
    revoke_others: bool,
    global: &Global,
    output: &Output,
) -> Result<Vec<String>, Failure> {
    sync(agent).await?;
    let devices = agent.devices();
    let active = |d: &&DeviceInfo| !d.this && d.state == DeviceState::Active;
    let mut others: Vec<_> = devices.iter().filter(active).collect();
    // Who could add others goes first.
    others.sort_by_key(|device| !device.admin);
    if others.is_empty() || !(revoke_others || wanted(&others, global, output)) {
        return Ok(Vec::new());
    }
    let mut revoked = Vec::new();
    for device in others {
        agent.revoke(device.device, RevokeReason::Lost).await?;
        revoked.push(device.device.to_string());
    }
    let now_ms = agent.now_ms();
    for token in agent.enrolments().iter().filter(|t| t.is_open(now_ms)) {
        agent.revoke_enrolment(token.id).await?;
    }
    Ok(revoked)
}

fn wanted(others: &[&DeviceInfo], global: &Global, output: &Output) -> bool {
    if global.no_input || output.is_json() || !stdin().is_terminal() {
        return false;
    }
    let names: Vec<String> = others.iter().map(|d| format!("{:?}", d.name)).collect();
    output.confirm(&format!(
        "Other devices can still speak: {}.\nRevoke them all as lost?",
        names.join(", ")
    ))
}

pub(super) async fn typed(output: &Output) -> Result<RecoveryWords, Failure> {
    let typed = output.ask("The 24 words, in one line: ").await;
    let Some(typed) = typed.map(Zeroizing::new) else {
        let message = "the words of the recovery key are needed, and nobody is here to type them";
        return Err(Failure::usage("RECOVERY_WORDS", message)
            .next("put them into a file of yours alone, and give that with --words-file FILE"));
    };
    Ok(typed.parse().map_err(AgentError::from)?)
}

pub(super) fn words_in(file: &Path) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    let read = if file == Path::new("-") {
        stdin()
            .lock()
            .take(WORDS_BYTES_MAX)
            .read_to_string(&mut text)
    } else {
        fs::File::open(file)
            .and_then(|opened| opened.take(WORDS_BYTES_MAX).read_to_string(&mut text))
    };
    read.map_err(|error| {
        let message = format!("cannot read the words from {}: {error}", file.display());
        Failure::usage("RECOVERY_WORDS", message).next("give a text file with the 24 words")
    })?;
    Ok(text)
}

/// A recovery that waits for its veto time.
#[derive(Debug, Serialize)]
struct Waiting {
    state: &'static str,
    identity: String,
    short_id: String,
    effective_ms: i64,
    home: PathBuf,
}

/// A device that was made.
#[derive(Debug, Serialize)]
struct Linked {
    state: &'static str,
    identity: String,
    short_id: String,
    device: String,
    name: String,
    ledger_id: String,
    home: PathBuf,
    /// The devices that were revoked.
    revoked: Vec<String>,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "The recovery of {} was asked for, and takes effect at {} UTC by the service's clock. \
             Until then any device of the identity can stop it.\nKeep the folder {}: it holds the \
             new root keys.\nNext, after that time:  {} recover",
            self.short_id,
            utc(self.effective_ms),
            self.home.display(),
            program()
        )
    }
}

impl fmt::Display for Linked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "This is \"{}\" now, a new device of {}. It holds the root keys.",
            self.name, self.short_id
        )?;
        match self.revoked.len() {
            0 => writeln!(f, "Lost devices can still speak: `devices revoke NAME`.")?,
            revoked => writeln!(f, "Revoked {revoked} other devices.")?,
        }
        write!(
            f,
            "Earlier backups are worthless.\nNext:  {program} backup create FILE    and: recovery set",
            program = program()
        )
    }
}
