//! Opens the device for one command: through its running agent if there is one, else by itself.
//! Nowhere else is that decided.

use std::path::{Path, PathBuf};

use device_agent::{Agent, AgentError, HomeError, Options, PeerLinks};

use super::doctor::Check;
use super::socket::asker::Running;
use super::{Site, doctor, perform};
use crate::args::{Global, UseCommand};
use crate::explain::Failure;
use crate::folders;
use crate::output::Output;
use crate::signals::Interrupts;
use crate::typed::{identity_urls, ledger_urls, security};

/// The device in a home folder.
pub(super) struct Device {
    home: PathBuf,
    held: Held,
}

enum Held {
    /// This process holds the folder.
    Here(Agent),
    /// A running agent holds it.
    Running(Box<Running>),
}

impl Device {
    /// Opens the device of a home folder.
    pub(super) async fn open(
        home: PathBuf,
        global: &Global,
        links: PeerLinks,
    ) -> Result<Self, Failure> {
        if !home.is_dir() {
            return Err(AgentError::from(HomeError::Empty(home.display().to_string())).into());
        }
        let held = match Running::find(&home, global).await? {
            Some(running) => Held::Running(Box::new(running)),
            None => match Agent::open(&home, options(global, links)?).await {
                Ok(agent) => Held::Here(agent),
                // An agent may have come up meanwhile.
                Err(AgentError::Home(error @ HomeError::InUse(_))) => {
                    match Running::find(&home, global).await? {
                        Some(running) => Held::Running(Box::new(running)),
                        None => return Err(AgentError::from(error).into()),
                    }
                }
                Err(error) => return Err(error.into()),
            },
        };
        Ok(Self { home, held })
    }

    /// Whether an agent runs.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.held, Held::Running(_))
    }

    /// Carries out a command.
    async fn perform(&mut self, command: UseCommand, output: &Output) -> Result<(), Failure> {
        match &mut self.held {
            Held::Here(agent) => {
                let site = Site {
                    agent,
                    home: &self.home,
                    // It was opened for this command.
                    events: agent.events_from(0),
                };
                perform(command, site, output).await
            }
            Held::Running(running) => running.perform(command, output).await,
        }
    }

    /// Looks after the device.
    pub(super) async fn check(&mut self) -> Result<Vec<Check>, Failure> {
        match &mut self.held {
            Held::Here(agent) => Ok(doctor::device::checks(agent).await),
            Held::Running(running) => running.check().await,
        }
    }

    /// Lets go of the device in order.
    pub(super) async fn close(self) {
        if let Held::Here(agent) = self.held {
            agent.stop().await;
        }
    }
}

/// Opens the device, carries out a command, and lets go of the device in order, also when the
/// person interrupts.
pub(super) async fn run(
    command: UseCommand,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    let mut interrupts = Interrupts::listen()?;
    let mut device = Device::open(home(global)?, global, links(&command)).await?;
    let interrupted = interrupted(&command);
    let done = tokio::select! {
        done = device.perform(command, output) => done,
        () = interrupts.next() => Err(interrupted),
    };
    interrupts.unless_again(device.close()).await;
    done
}

/// Whether a command lasts long enough to link with other devices: what is over in a moment leaves
/// that to the running agent.
fn links(command: &UseCommand) -> PeerLinks {
    match command {
        UseCommand::Peer { .. } | UseCommand::Watch => PeerLinks::On,
        UseCommand::Link(_)
        | UseCommand::Devices { .. }
        | UseCommand::Rotate(_)
        | UseCommand::Recovery { .. }
        | UseCommand::EnrolToken { .. }
        | UseCommand::Leave(_)
        | UseCommand::Earn(_)
        | UseCommand::Spend(_)
        | UseCommand::Refund(_)
        | UseCommand::Balance
        | UseCommand::Status
        | UseCommand::History(_) => PeerLinks::Off,
    }
}

/// What an interrupted person may have done already.
fn interrupted(command: &UseCommand) -> Failure {
    let failure = Failure::interrupted();
    match command {
        UseCommand::Earn(_) | UseCommand::Spend(_) | UseCommand::Refund(_) => failure.next(
            "look at `edge-ledger history` before you repeat it: it may be recorded; the same \
             --key counts once",
        ),
        UseCommand::Rotate(_) => failure.next("type the same again: it finishes what was begun"),
        UseCommand::Recovery { .. } => failure.next(
            "look at `edge-ledger recovery status`; words of a `recovery set` that was interrupted \
             are to be thrown away, and set anew",
        ),
        UseCommand::Leave(_) => failure
            .next("look at `edge-ledger status` before you repeat it: the device may have left"),
        UseCommand::EnrolToken { .. } => {
            failure.next("`edge-ledger enrol-token list` shows whether a token was made")
        }
        UseCommand::Link(_)
        | UseCommand::Devices { .. }
        | UseCommand::Balance
        | UseCommand::Status
        | UseCommand::Peer { .. }
        | UseCommand::History(_)
        | UseCommand::Watch => failure,
    }
}

/// The folder of the device.
pub(super) fn home(global: &Global) -> Result<PathBuf, Failure> {
    folders::home(global.home.as_deref())
}

/// What an agent is told beside its home folder.
pub(super) fn options(global: &Global, peer_links: PeerLinks) -> Result<Options, Failure> {
    Ok(Options {
        identity_urls: identity_urls(global)?,
        ledger_urls: ledger_urls(global)?,
        security: security(global)?,
        peer_links,
    })
}

/// The socket of the agent that holds a home folder.
pub(super) fn socket(home: &Path) -> PathBuf {
    home.join("agent.sock")
}
