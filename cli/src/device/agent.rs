//! `agent`: keeps the device running and synced, and lets the other commands use it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use device_agent::{Agent, AgentError, Event, Events, HomeError, PeerLinks, within};
use sd_notify::NotifyState;
use serde::Serialize;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::open::{home, options};
use super::socket::answerer::Socket;
use super::state::spendable;
use super::watch;
use crate::args::Global;
use crate::explain::Failure;
use crate::output::Output;
use crate::signals::Interrupts;

/// What is printed once commands can be given.
#[derive(Debug, Serialize)]
struct Up {
    event: &'static str,
    device: String,
    name: String,
    short_id: String,
    state: &'static str,
    balance: String,
    available: u64,
    home: PathBuf,
    socket: PathBuf,
}

impl fmt::Display for Up {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, short_id, .. } = self;
        write!(
            f,
            "\"{name}\" of {short_id} is up, and commands go through it; Ctrl-C ends it."
        )
    }
}

pub(super) async fn run(global: &Global, output: &Output) -> Result<(), Failure> {
    let mut interrupts = Interrupts::listen()?;
    let home = home(global)?;
    if !home.is_dir() {
        return Err(AgentError::from(HomeError::Empty(home.display().to_string())).into());
    }
    let agent = Agent::open(&home, options(global, PeerLinks::On)?).await?;
    // What happens from here on is told, also if it happens before the line that says so.
    let mut events = agent.events_from(0);
    let socket = match Socket::listen(&home, &agent) {
        Ok(socket) => socket,
        Err(failure) => {
            interrupts.unless_again(agent.stop()).await;
            return Err(failure);
        }
    };
    let up = Up::new(&agent, home, &socket);
    let told = tokio::select! {
        told = tell(&agent, up, &mut events, output) => told,
        () = interrupts.next() => Ok(()),
    };
    tell_system(NotifyState::Stopping);
    output.note("stops; Ctrl-C ends it at once").await;
    let leave = async {
        socket.close();
        agent.stop().await;
        socket.leave().await;
    };
    interrupts.unless_again(leave).await;
    told?;
    while let Some(event) = events.next().await {
        tell_event(event, &agent, output).await?;
    }
    Ok(())
}

impl Up {
    fn new(agent: &Agent, home: PathBuf, socket: &Socket) -> Self {
        let status = agent.status();
        Self {
            event: "up",
            device: status.device.to_string(),
            name: status.device_name,
            short_id: status.short_id,
            state: status.state.as_str(),
            balance: status.balance.balance.to_string(),
            available: spendable(&status.balance),
            socket: socket.path().to_owned(),
            home,
        }
    }
}

/// Says that it is up, and then what a person should know, for ever.
async fn tell(agent: &Agent, up: Up, events: &mut Events, output: &Output) -> Result<(), Failure> {
    output.print(&up).await?;
    tell_system(NotifyState::Ready);
    let mut watchdog = Watchdog::asked_for();
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(event) => tell_event(event, agent, output).await?,
                None => return Err(AgentError::Stopped.into()),
            },
            () = watchdog.bark(agent) => {}
        }
    }
}

async fn tell_event(event: Event, agent: &Agent, output: &Output) -> Result<(), Failure> {
    if !matters(&event) {
        return Ok(());
    }
    output.print(&watch::told(event, agent)).await
}

/// Whether a log of weeks should have it: not what every command and every entry brings.
fn matters(event: &Event) -> bool {
    match event {
        Event::StateChanged { .. }
        | Event::SyncFailed { .. }
        | Event::AddressChanged { .. }
        | Event::Refused { .. }
        | Event::DevicesChanged { .. }
        | Event::DeviceLinked { .. }
        | Event::DeviceRevoked { .. }
        | Event::KeysChanged { .. }
        | Event::Forked { .. }
        | Event::LogForked { .. }
        | Event::Replaced { .. }
        | Event::PathChanged { .. }
        | Event::Missed { .. } => true,
        Event::Connected
        | Event::Synced { .. }
        | Event::EntriesKept { .. }
        | Event::Acked { .. }
        | Event::PeerConnected { .. }
        | Event::PeerLost { .. } => false,
    }
}

/// Tells systemd, if it started this process and wants to know.
fn tell_system(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "systemd cannot be told");
    }
}

/// Tells systemd that the device still answers, as often as it wants to hear that.
struct Watchdog(Option<(Duration, Interval)>);

impl Watchdog {
    fn asked_for() -> Self {
        Self(
            sd_notify::watchdog_enabled()
                .filter(|within| !within.is_zero())
                .map(|within| {
                    // Twice in the time, so that one delay is no alarm.
                    let every = within / 2;
                    let mut ticks = interval(every);
                    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                    (every, ticks)
                }),
        )
    }

    async fn bark(&mut self, agent: &Agent) {
        let Some((every, ticks)) = &mut self.0 else {
            return std::future::pending().await;
        };
        ticks.tick().await;
        if within(*every, agent.answers()).await.is_ok() {
            tell_system(NotifyState::Watchdog);
        }
    }
}
