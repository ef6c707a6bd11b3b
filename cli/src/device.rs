//! The commands of a device, by noun.

mod agent;
mod backup;
pub(crate) mod calendar;
mod devices;
mod doctor;
mod enrol;
mod enrol_token;
mod history;
mod leave;
mod link;
mod open;
mod peer;
mod posting;
mod qr;
mod recover;
mod recovery;
mod rights;
mod rotate;
mod services;
mod socket;
mod state;
mod synced;
mod watch;

use std::path::Path;

use device_agent::{Agent, Events};

use crate::args::{DeviceCommand, Devices, Global, UseCommand};
use crate::explain::{Exit, Failure};
use crate::output::Output;
use crate::typed;

pub(crate) async fn run(
    command: DeviceCommand,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    typed::check_addresses(global)?;
    match command {
        DeviceCommand::Init(options) => enrol::init(options, global, output).await,
        DeviceCommand::Join(options) => enrol::join(options, global, output).await,
        DeviceCommand::Backup { act } => Box::pin(backup::run(act, global, output)).await,
        DeviceCommand::Recover(options) => recover::run(options, global, output).await,
        DeviceCommand::Agent => agent::run(global, output).await,
        DeviceCommand::Doctor => doctor::run(global, output).await,
        DeviceCommand::Use(command) => use_device(command, global, output).await,
    }
}

async fn use_device(command: UseCommand, global: &Global, output: &Output) -> Result<(), Failure> {
    check(&command)?;
    let is_watch = matches!(command, UseCommand::Watch);
    match open::run(command, global, output).await {
        // Watching has no other end.
        Err(failure) if is_watch && failure.exit == Exit::Interrupted => Ok(()),
        done => done,
    }
}

/// Refuses what makes no sense, before any device is looked for.
fn check(command: &UseCommand) -> Result<(), Failure> {
    match command {
        UseCommand::Earn(options) | UseCommand::Spend(options) => posting::check(options),
        UseCommand::Refund(options) => posting::check_refund(options),
        UseCommand::Devices {
            act: Some(Devices::Rename { name, .. }),
        } => enrol::check_name(name),
        UseCommand::EnrolToken { act } => enrol_token::check(act.as_ref()),
        UseCommand::Devices { .. }
        | UseCommand::Link(_)
        | UseCommand::Rotate(_)
        | UseCommand::Recovery { .. }
        | UseCommand::Leave(_)
        | UseCommand::Balance
        | UseCommand::Status
        | UseCommand::Peer { .. }
        | UseCommand::History(_)
        | UseCommand::Watch => Ok(()),
    }
}

/// The device that a command is carried out on.
struct Site<'a> {
    agent: &'a Agent,
    /// Its folder, as it was typed.
    home: &'a Path,
    /// What happens from when the command began.
    events: Events,
}

/// Carries out a command: here, or in the agent for another process, with the same words.
async fn perform(command: UseCommand, site: Site<'_>, output: &Output) -> Result<(), Failure> {
    let Site {
        agent,
        home,
        events,
    } = site;
    match command {
        UseCommand::Link(options) => link::run(options, agent, output).await,
        UseCommand::Devices { act } => devices::run(act, agent, output).await,
        UseCommand::Rotate(options) => rotate::run(options, agent, output).await,
        UseCommand::Recovery { act } => recovery::run(act, agent, output).await,
        UseCommand::EnrolToken { act } => enrol_token::run(act, agent, output).await,
        UseCommand::Leave(options) => leave::run(options, agent, output).await,
        UseCommand::Earn(options) => posting::earn(options, agent, output).await,
        UseCommand::Spend(options) => posting::spend(options, agent, output).await,
        UseCommand::Refund(options) => posting::refund(options, agent, output).await,
        UseCommand::Balance => state::balance(agent, output).await,
        UseCommand::Status => state::status(agent, home, output).await,
        UseCommand::Peer { act } => peer::run(act, agent, events, output).await,
        UseCommand::History(options) => history::run(options, agent, output).await,
        UseCommand::Watch => watch::run(agent, events, output).await,
    }
}
