//! What a device may do about others, and what to do when it may not yet.

use device_agent::{Agent, AgentError, DeviceInfo};

use super::calendar::utc;
use crate::explain::Failure;

/// Refuses what only an admin can do, before anybody has gone to another machine for it.
pub(super) fn check_admin(agent: &Agent, what: &str) -> Result<(), Failure> {
    let is_admin = |device: &DeviceInfo| device.this && device.admin;
    if agent.devices().iter().any(is_admin) {
        return Ok(());
    }
    let message = format!("this device may not {what}");
    Err(Failure::refused("FORBIDDEN", message)
        .next("type this on a device that may: `edge-ledger devices` shows which those are"))
}

/// What came of an act about others. One that came too early is told when it can be done.
pub(super) fn acted<T>(agent: &Agent, done: Result<T, AgentError>) -> Result<T, Failure> {
    let is_early =
        |error: &AgentError| matches!(error, AgentError::Refused(r) if r.reason == "PROBATION");
    done.map_err(|error| {
        if is_early(&error) {
            early(agent, error)
        } else {
            error.into()
        }
    })
}

fn early(agent: &Agent, error: AgentError) -> Failure {
    let own = agent.devices().into_iter().find(|device| device.this);
    let Some(ends_ms) = own.and_then(|device| device.probation_ends_ms) else {
        return error.into();
    };
    let ends = utc(ends_ms);
    let message = format!(
        "this device was linked a short time ago: it has no admin rights until {ends} (UTC)"
    );
    Failure::refused("PROBATION", message)
        .with("probation_ends_ms", ends_ms)
        .next(
            "type this on an admin device that was linked earlier: `edge-ledger devices` shows \
             which those are; or wait",
        )
}
