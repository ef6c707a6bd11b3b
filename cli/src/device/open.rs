//! Opens the device for one command, and syncs it.

use std::time::Duration;

use device_agent::{Agent, AgentError, HomeError, Options, within};
use serde::Serialize;

use crate::amount::Unit;
use crate::args::Global;
use crate::explain::Failure;
use crate::folders;
use crate::output::Output;
use crate::signals::Interrupts;

/// Time that a command waits for the service.
pub(super) const SYNC_WITHIN: Duration = Duration::from_secs(5);

/// Opens the device, acts, and stops it in order, also when the person interrupts.
pub(super) async fn with_agent<T>(
    global: &Global,
    act: impl AsyncFnOnce(&Agent) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut interrupts = Interrupts::listen()?;
    let home = folders::home(global.home.as_deref())?;
    if !home.is_dir() {
        return Err(AgentError::from(HomeError::Empty(home.display().to_string())).into());
    }
    let options = Options {
        identity_url: global.identity_url.clone(),
        ledger_url: global.ledger_url.clone(),
        tls_ca: global.tls_ca.clone(),
    };
    let agent = Agent::open(&home, options).await?;
    let done = tokio::select! {
        done = act(&agent) => done,
        () = interrupts.next() => Err(Failure::interrupted()),
    };
    interrupts.unless_again(agent.stop()).await;
    done
}

/// What the deployment of a device counts.
pub(super) fn unit(agent: &Agent) -> Unit {
    let (name, decimals) = agent.unit();
    Unit::new(name, decimals)
}

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

    /// Tells a person that what is shown may not be all.
    pub(super) fn note(&self, output: &Output) {
        if let Some(why) = &self.sync_error {
            output.note(&format!(
                "not synced: {why}; it will be when the service can be reached"
            ));
        }
    }
}

/// Syncs the device, for a while. That nobody answers is no failure: what is recorded is sent
/// later. A refusal is one, but for a fork, which a person mends with this very command.
pub(super) async fn sync(agent: &Agent) -> Result<Synced, Failure> {
    match within(SYNC_WITHIN, agent.sync()).await {
        Ok(()) => Ok(Synced::yes()),
        Err(AgentError::TimedOut) => {
            let seconds = SYNC_WITHIN.as_secs();
            let silent = || format!("the service did not answer within {seconds} s");
            Ok(Synced::no(agent.status().last_error.unwrap_or_else(silent)))
        }
        Err(error @ (AgentError::Unreachable { .. } | AgentError::Tls { .. })) => {
            Ok(Synced::no(error.to_string()))
        }
        // A forked device is refused its stream, not its identity: it may link and revoke.
        Err(AgentError::Refused(refusal)) if refusal.reason == "FORKED" => Ok(Synced::no(format!(
            "{refusal}; link another device as admin (link --admin) and revoke this one"
        ))),
        Err(error) => Err(error.into()),
    }
}
