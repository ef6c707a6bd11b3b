//! Syncs the device for one command, and says so.

use device_agent::{Agent, AgentError, within};
use serde::Serialize;

use crate::explain::Failure;
use crate::limits::SYNC_WITHIN;
use crate::output::Output;

/// Whether the service was heard, as commands print it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Synced {
    synced: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    sync_error: Option<String>,
}

impl Synced {
    fn yes() -> Self {
        Self {
            synced: true,
            sync_error: None,
        }
    }

    pub(super) fn no(why: String) -> Self {
        Self {
            synced: false,
            sync_error: Some(why),
        }
    }

    pub(super) fn is_synced(&self) -> bool {
        self.synced
    }

    /// Why it was not heard.
    pub(super) fn why_not(&self) -> Option<&str> {
        self.sync_error.as_deref()
    }

    /// Tells a person that what is shown may not be all.
    pub(super) async fn note(&self, output: &Output) {
        if let Some(why) = &self.sync_error {
            let note = format!("not synced: {why}; it will be when the service can be reached");
            output.note(&note).await;
        }
    }
}

/// A device that ended itself has nobody to ask.
fn left() -> Failure {
    let message = "this device has left the identity";
    Failure::refused("DEVICE_REVOKED", message)
        .with("left", true)
        .next("join again in another folder: `edge-ledger --home NEW_DIR join CODE`")
}

/// Syncs the device, for a while. That nobody answers is no failure: what is recorded is sent
/// later. A refusal is one, but for a fork of the journal, which a person mends with this very
/// command, of the identity log, in which entries go on, and what an operator will lift.
pub(super) async fn sync(agent: &Agent) -> Result<Synced, Failure> {
    match within(SYNC_WITHIN, agent.sync()).await {
        Ok(()) => Ok(Synced::yes()),
        Err(AgentError::TimedOut | AgentError::Refused(_)) if agent.status().left => Err(left()),
        Err(AgentError::TimedOut) => {
            let status = agent.status();
            if let Some(refusal) = status.revoked {
                return Err(AgentError::Refused(refusal).into());
            }
            let seconds = SYNC_WITHIN.as_secs();
            let silent = || format!("the service did not answer within {seconds} s");
            Ok(Synced::no(status.last_error.unwrap_or_else(silent)))
        }
        Err(error @ (AgentError::Unreachable { .. } | AgentError::Superseded)) => {
            Ok(Synced::no(error.to_string()))
        }
        // A forked device is refused its stream, not its identity: it may link and revoke.
        Err(AgentError::Refused(refusal)) if refusal.reason == "FORKED" => Ok(Synced::no(format!(
            "{refusal}; link another device as admin (link --admin) and revoke this one"
        ))),
        // Entries go on where the log forked.
        Err(AgentError::Refused(refusal)) if refusal.reason == "LOG_FORKED" => Ok(Synced::no(
            format!("{refusal}; `edge-ledger doctor` says what to do"),
        )),
        // What is recorded goes up when the operator lets it, and devices can be revoked until then.
        Err(AgentError::Refused(refusal))
            if ["IDENTITY_BLOCKED", "QUOTA_EXCEEDED"].contains(&refusal.reason.as_str()) =>
        {
            Ok(Synced::no(refusal.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}
