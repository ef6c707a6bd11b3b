//! The engine: the one task that owns the book and the session.
//!
//! Calls of the application come in as commands, frames come in from the stream, and time passes;
//! everything is handled in turn, so there is no lock and nothing to get out of step.

mod addresses;
mod comeback;
mod command;
mod connection;
mod feed;
mod forked;
mod measure;
mod notices;
mod paths;
mod peers;
mod perform;
mod replacing;
mod report;
mod service;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use edge_ledger_core::identity::Point;
use edge_ledger_core::keys::SecretKey;
use edge_ledger_core::ledger::Level;
use edge_ledger_core::sync::Input;
use edge_ledger_telemetry::context::TraceParent;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::addresses::Addresses;
use crate::book::Book;
use crate::clock::Clock;
use crate::devices::LastEntries;
use crate::error::{AgentError, Refusal};
use crate::event::{Event, EventLog};
use crate::identity_services::IdentityServices;
use crate::limits::{COMMANDS_MAX, LIVE_WITHIN, TICK_EVERY};
use crate::security::Secured;
use crate::status::{ForkedLog, Path, State, Status};
use crate::vault::Vault;

use addresses::Ledgers;
use comeback::Comeback;
pub(crate) use command::Command;
pub use command::Recorded;
use connection::{Connection, Ended, Step};
use feed::Via;
use paths::Paths;
use peers::Next;
pub(crate) use peers::Peers;

/// What the engine starts with.
pub(crate) struct Start {
    pub(crate) book: Book,
    /// The device's key: another one after it was replaced.
    pub(crate) key: watch::Sender<Arc<SecretKey>>,
    /// A key that was made to replace it, and is not in the log as far as this device knows.
    pub(crate) successor: Option<Arc<SecretKey>>,
    pub(crate) ledgers: Addresses,
    pub(crate) identity: IdentityServices,
    pub(crate) secured: Secured,
    pub(crate) clock: Clock,
    pub(crate) events: EventLog,
    pub(crate) stop: CancellationToken,
    pub(crate) acked: Option<(Point, Level)>,
    pub(crate) revoked: Option<Refusal>,
    pub(crate) vault: Vault,
    pub(crate) peers: Peers,
}

/// Somebody who waits until a sync that began after the call is done.
struct SyncWaiter {
    /// The flush that answers; none while there is no session.
    ping_id: Option<u64>,
    rounds: u32,
    reply: oneshot::Sender<Result<(), AgentError>>,
}

/// Somebody who waits until what was recorded before is acked.
struct AckWaiter {
    level: Level,
    outbox_up_to: Option<u64>,
    seq: u64,
    reply: oneshot::Sender<Result<(), AgentError>>,
}

pub(crate) struct Engine {
    book: Book,
    key: watch::Sender<Arc<SecretKey>>,
    ledgers: Ledgers,
    identity: IdentityServices,
    secured: Secured,
    clock: Clock,
    events: EventLog,
    stop: CancellationToken,
    snapshot: watch::Sender<Snapshot>,

    state: State,
    /// With the ledger service.
    connection: Option<Connection>,
    peers: Peers,
    paths: Paths,
    /// What peers and application were told of it last.
    told_flow: bool,
    told_path: Path,
    /// Whether the service took something since the path was chosen last.
    service_took: bool,
    /// The comparison that ends a hand-over to the service.
    handover_ping: Option<u64>,
    /// What the sessions have to be told, in order.
    inputs: VecDeque<(Via, Input)>,
    /// Whether they are being told.
    pumping: bool,
    opening: Option<connection::Opening>,
    successor: Option<Arc<SecretKey>>,
    replacing: Option<replacing::Replacing>,
    replace_at_ms: u64,
    /// Whether this device was refused a place of its own when it asked for one.
    replace_refused: bool,
    seeking: Option<forked::Seeking>,
    seek_at_ms: u64,
    /// The evidence of a forked identity log that is kept, until that is settled.
    forked: Option<ForkedLog>,
    /// The evidence of one that is settled.
    settled: Option<ForkedLog>,
    /// Whether the service keeps a fork of this device's journal.
    refused_forked: bool,
    comeback: Comeback,
    acked: Option<(Point, Level)>,
    unacked_since_ms: Option<u64>,
    waiting_since_ms: Option<u64>,
    /// What the application did last, until entries of it go out.
    last_act: Option<TraceParent>,
    next_ping: u64,
    syncs: Vec<SyncWaiter>,
    ack_waiters: Vec<AckWaiter>,
    synced_at_ms: Option<u64>,
    heard_at_ms: Option<u64>,
    /// Up to where the application was told what the log says.
    told_position: u64,
    /// Why the service refused this device for good, as it last said.
    revoked: Option<Refusal>,
    last_error: Option<String>,
    /// Held until the engine has ended.
    vault: Vault,
}

/// What readers see without asking the engine.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) status: Status,
    pub(crate) log: Arc<edge_ledger_core::identity::IdentityLog>,
    pub(crate) last_entries: Arc<LastEntries>,
    /// When it was taken, by the monotonic clock.
    pub(crate) at_ms: u64,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Engine {
    pub(crate) fn new(start: Start) -> (Self, watch::Receiver<Snapshot>) {
        let now = start.clock.monotonic_ms();
        let log = start.book.log().clone();
        let start_position = log.head().position;
        let forked = forked::fork_of(&start.book, &start.vault);
        let mut engine = Self {
            snapshot: watch::channel(Snapshot {
                status: report::empty(&start.book),
                log,
                last_entries: start.book.last_entries().clone(),
                at_ms: now,
            })
            .0,
            book: start.book,
            key: start.key,
            ledgers: Ledgers::new(start.ledgers),
            identity: start.identity,
            secured: start.secured,
            clock: start.clock,
            events: start.events,
            stop: start.stop,
            state: match start.revoked {
                Some(_) => State::Degraded,
                None => State::Starting,
            },
            connection: None,
            peers: start.peers,
            paths: Paths::new(),
            told_flow: true,
            told_path: Path::None,
            service_took: false,
            handover_ping: None,
            inputs: VecDeque::new(),
            pumping: false,
            opening: None,
            successor: start.successor,
            replacing: None,
            replace_at_ms: now,
            replace_refused: false,
            seeking: None,
            seek_at_ms: now,
            forked,
            settled: None,
            refused_forked: false,
            comeback: Comeback::at_once(now),
            acked: start.acked,
            unacked_since_ms: None,
            waiting_since_ms: None,
            last_act: None,
            next_ping: 1,
            syncs: Vec::new(),
            ack_waiters: Vec::new(),
            synced_at_ms: None,
            heard_at_ms: None,
            told_position: start_position,
            last_error: start.revoked.as_ref().map(ToString::to_string),
            revoked: start.revoked,
            vault: start.vault,
        };
        engine.publish();
        let snapshot = engine.snapshot.subscribe();
        (engine, snapshot)
    }

    pub(crate) async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        self.note_fork().await;
        self.publish();
        // Whatever a killed process left waiting: no answer will come that would close it.
        self.close_entries(true).await;
        let mut tick = tokio::time::interval(TICK_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut commands = Vec::new();
        let stop = self.stop.clone();
        loop {
            self.start_replacing().await;
            self.start_opening();
            let pause = self.pause();
            commands.clear();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                step = connection::step(&mut self.connection) => {
                    self.stepped(Via::Service, step).await;
                }
                next = self.peers.next() => match next {
                    Next::Opened(link) => self.peer_opened(link).await,
                    Next::Step(device, step) => self.stepped(Via::Peer(device), step).await,
                },
                opened = connection::opened(&mut self.opening) => self.opened(opened).await,
                done = replacing::done(&mut self.replacing) => self.replaced(done).await,
                found = forked::found(&mut self.seeking) => self.sought(found).await,
                received = inbox.recv_many(&mut commands, COMMANDS_MAX) => {
                    if received == 0 {
                        break;
                    }
                    self.commands(&mut commands).await;
                }
                _ = tick.tick() => self.tick().await,
                () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {
                    self.choose_path().await;
                }
            }
            self.publish();
        }
        self.shut_down().await;
    }

    /// Until something has to be done though nothing happens before the next tick.
    fn pause(&self) -> Option<Duration> {
        let now = self.clock.monotonic_ms();
        let deadline = self.paths.deadline_ms();
        let stall = deadline.map(|at_ms| Duration::from_millis(at_ms.saturating_sub(now)));
        [stall, self.until_retry()].into_iter().flatten().min()
    }

    async fn stepped(&mut self, via: Via, step: Step) {
        match step {
            Step::Frame(frame) => {
                if via == Via::Service || self.paths.peers_flow() {
                    self.heard_at_ms = Some(self.clock.monotonic_ms());
                }
                self.feed(via, Input::Frame(frame)).await;
            }
            Step::Sent => {}
            Step::Ended(ended) => self.ended(via, ended).await,
        }
    }

    async fn tick(&mut self) {
        let now = self.clock.monotonic_ms();
        for via in self.sessions() {
            self.feed(via, Input::Tick).await;
        }
        self.end_late_peers(now);
        let late = self.connection.as_ref().is_some_and(|c| {
            !c.session.is_open() && c.opened_at_ms.saturating_add(millis(LIVE_WITHIN)) < now
        });
        if late {
            let why = "the handshake was not finished in time".to_owned();
            let late = connection::unreachable(self.ledgers.url(), why);
            self.disconnected(Ended::Error(late)).await;
        }
        // Nothing waits for an answer that does not come: each wait is bounded by a tick or two.
        if self
            .waiting_since_ms
            .is_some_and(|since| since + 1_000 <= now)
        {
            self.close_entries(true).await;
        }
    }

    fn enter(&mut self, state: State) {
        if self.state != state {
            self.state = state;
            // Whoever is told looks at the status next.
            self.publish();
            self.events.push(Event::StateChanged { state });
        }
    }

    /// Closes what waits in the outbox, when nothing that was sent is unanswered; or anyway.
    async fn close_entries(&mut self, anyway: bool) {
        loop {
            if self.is_waiting() && !anyway {
                self.waiting_since_ms
                    .get_or_insert_with(|| self.clock.monotonic_ms());
                return;
            }
            match self.book.close_entry(self.clock.wall_ms()).await {
                Ok(Some(runs)) => {
                    self.committed(runs).await;
                    if self.pumping && !anyway {
                        // What was just made goes out first: its answer closes the next.
                        self.waiting_since_ms = Some(self.clock.monotonic_ms());
                        return;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    self.last_error = Some(error.to_string());
                    self.waiting_since_ms = Some(self.clock.monotonic_ms());
                    return;
                }
            }
        }
        self.waiting_since_ms = None;
    }

    async fn shut_down(&mut self) {
        self.close_entries(true).await;
        self.peers.finish(Duration::from_secs(1)).await;
        if let Some(connection) = self.connection.take() {
            connection.finish(Duration::from_secs(1)).await;
        }
        self.enter(State::Stopped);
        self.publish();
        for waiter in self.syncs.drain(..) {
            let _ = waiter.reply.send(Err(AgentError::Stopped));
        }
        for waiter in self.ack_waiters.drain(..) {
            let _ = waiter.reply.send(Err(AgentError::Stopped));
        }
        self.events.close();
    }
}
