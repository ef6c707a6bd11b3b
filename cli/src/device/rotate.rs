//! `rotate`: the next root key in the root key's place.

use std::fmt;

use device_agent::{Agent, AgentError, RotateReason};
use serde::Serialize;

use crate::args::Rotate;
use crate::explain::{Exit, Failure};
use crate::output::Output;
use crate::typed::program;

/// A root key that was rotated.
#[derive(Debug, Serialize)]
struct Rotated {
    identity: String,
    short_id: String,
    reason: &'static str,
    /// How many keys moved up.
    rotations: u32,
    /// What the earlier backups are worth.
    backups: &'static str,
}

pub(super) async fn run(options: Rotate, agent: &Agent, output: &Output) -> Result<(), Failure> {
    let (reason, word) = match options.compromised {
        true => (RotateReason::Compromised, "compromised"),
        false => (RotateReason::Routine, "routine"),
    };
    let rotations = agent.rotate(reason).await.map_err(unfinished)?;
    let status = agent.status();
    output
        .print(&Rotated {
            identity: status.identity.to_string(),
            short_id: status.short_id,
            reason: word,
            rotations,
            backups: match reason {
                RotateReason::Routine => "outdated",
                RotateReason::Compromised => "worthless",
            },
        })
        .await
}

/// What was interrupted may have been taken.
fn unfinished(error: AgentError) -> Failure {
    let failure = Failure::from(error);
    if failure.exit == Exit::Temporary {
        failure.next("type the same again when the service answers: it finishes what was begun")
    } else {
        failure
    }
}

impl fmt::Display for Rotated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "The root key of {} was rotated.", self.short_id)?;
        if self.backups == "worthless" {
            writeln!(
                f,
                "Backups made before are worthless, and so is the recovery key: whoever has one can \
                 do nothing with it.\nLook at the devices, and revoke what you do not know."
            )?;
        } else {
            writeln!(
                f,
                "Backups made before are outdated: they lack the new key. Destroy them."
            )?;
        }
        write!(f, "Next:  {} backup create FILE", program())?;
        if self.backups == "worthless" {
            write!(f, "    and: recovery set")?;
        }
        Ok(())
    }
}
