//! What a device may do about others, and what to do when it may not yet.

use device_agent::{Agent, AgentError, DeviceId, DeviceInfo, DeviceState};
use edge_ledger_core::text::shown;

use super::calendar::utc;
use super::devices::label;
use crate::explain::Failure;
use crate::output::Output;

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

/// Who may sign about others now.
pub(super) struct Admins {
    /// Whether this device may.
    pub(super) here: bool,
    /// Labels of the other devices that may.
    pub(super) others: Vec<String>,
}

impl Admins {
    /// Those that are known here, but for one: a thief's, say.
    pub(super) fn but(agent: &Agent, left_out: Option<DeviceId>) -> Self {
        let (all, now_ms) = (agent.devices(), agent.now_ms());
        let may = |device: &&DeviceInfo| {
            device.admin
                && device.state == DeviceState::Active
                && device.probation_at(now_ms).is_none()
                && Some(device.device) != left_out
        };
        let others = all.iter().filter(may).filter(|device| !device.this);
        Self {
            here: all.iter().filter(may).any(|device| device.this),
            others: others.map(|device| label(device, &all)).collect(),
        }
    }

    /// A command of theirs, with where it is to be typed unless that is here.
    pub(super) fn type_there(&self, command: &str) -> String {
        if self.here {
            return format!("edge-ledger {command}");
        }
        if self.others.is_empty() {
            return format!(
                "this device may not undo it, and none is left that may: bring one back with \
                 edge-ledger backup restore FILE, and type there:  edge-ledger {command}"
            );
        }
        let others = shown(&self.others.join("\", \""));
        format!(
            "this device may not undo it: on an admin device (\"{others}\") type  edge-ledger \
             {command}"
        )
    }
}

/// Says, before a device is ended, that nobody is left who may act about others. Returns until when.
pub(super) async fn warn_of_no_admin(
    agent: &Agent,
    ended: DeviceId,
    output: &Output,
) -> Option<i64> {
    let again_ms = agent.admin_again_ms(ended)?;
    output
        .note(&format!(
            "this ends the last admin that is not in probation: until {} (UTC) nobody can link, \
             rename or revoke devices, but a device that holds the root keys, or comes out of a \
             backup",
            utc(again_ms)
        ))
        .await;
    Some(again_ms)
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
