//! `recovery settle`: two branches of the identity log are put together.

use std::fmt;
use std::path::Path;

use device_agent::{Agent, AgentError, RecoveryWords};
use serde::Serialize;

use super::super::recover::{typed, words_in};
use super::super::synced::{Synced, sync};
use crate::explain::Failure;
use crate::output::Output;
use crate::typed::program;

/// Branches that were put together.
#[derive(Debug, Serialize)]
struct Settled {
    identity: String,
    short_id: String,
    /// How many branches were taken over.
    branches: usize,
    log_position: u64,
    #[serde(flatten)]
    synced: Synced,
}

pub(super) async fn run(
    words: bool,
    words_file: Option<&Path>,
    agent: &Agent,
    output: &Output,
) -> Result<(), Failure> {
    let words = match words_file {
        Some(file) => Some(
            words_in(file)?
                .parse::<RecoveryWords>()
                .map_err(AgentError::from)?,
        ),
        None if words => Some(typed(output).await?),
        None => None,
    };
    let settled = agent.settle_fork(words.as_ref()).await;
    let branches = settled.map_err(|error| {
        let without_key = matches!(error, AgentError::NoRootKey);
        let failure = Failure::from(error);
        if without_key {
            failure.next(
                "sign with the recovery key: `edge-ledger recovery settle --words`; or do it on a \
                 device that holds the root keys, if it has this branch",
            )
        } else {
            failure
        }
    })?;
    let synced = sync(agent).await?;
    let status = agent.status();
    output
        .print(&Settled {
            identity: status.identity.to_string(),
            short_id: status.short_id,
            branches,
            log_position: status.log_position,
            synced,
        })
        .await
}

impl fmt::Display for Settled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "The identity log of {} is one again, at position {}: devices of both branches go on, and \
             whoever was revoked in one is revoked.\nSee who may speak, and revoke whom you do not \
             know:  {} devices",
            self.short_id,
            self.log_position,
            program()
        )
    }
}
