//! The engine: the one task that owns the book and the session.
//!
//! Calls of the application come in as commands, frames come in from the stream, and time passes;
//! everything is handled in turn, so there is no lock and nothing to get out of step.

mod addresses;
mod comeback;
mod command;
mod connection;
mod forked;
mod notices;
mod perform;
mod replacing;
mod report;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use edge_ledger_core::identity::Point;
use edge_ledger_core::keys::SecretKey;
use edge_ledger_core::ledger::{Level, VerifiedRun};
use edge_ledger_core::sync::Input;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::addresses::Addresses;
use crate::book::{Book, has_left};
use crate::clock::Clock;
use crate::devices::LastEntries;
use crate::error::{AgentError, DEVICE_REVOKED, LOG_FORKED, Refusal};
use crate::event::{Event, EventLog};
use crate::identity_services::IdentityServices;
use crate::limits::{COMMANDS_MAX, LIVE_WITHIN, TICK_EVERY};
use crate::security::Secured;
use crate::status::{ForkedLog, State, Status};
use crate::vault::Vault;

use addresses::Ledgers;
use comeback::Comeback;
pub(crate) use command::Command;
pub use command::Recorded;
use connection::{Connection, Ended, Meaning};

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
    pub(crate) forked: Option<ForkedLog>,
    pub(crate) vault: Vault,
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
    connection: Option<Connection>,
    opening: Option<connection::Opening>,
    successor: Option<Arc<SecretKey>>,
    replacing: Option<replacing::Replacing>,
    replace_at_ms: u64,
    seeking: Option<forked::Seeking>,
    seek_at_ms: u64,
    /// The evidence of a forked identity log that is kept.
    forked: Option<ForkedLog>,
    /// Whether the service keeps a fork of this device's journal.
    refused_forked: bool,
    comeback: Comeback,
    acked: Option<(Point, Level)>,
    unacked_since_ms: Option<u64>,
    waiting_since_ms: Option<u64>,
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
            opening: None,
            successor: start.successor,
            replacing: None,
            replace_at_ms: now,
            seeking: None,
            seek_at_ms: now,
            forked: start.forked,
            refused_forked: false,
            comeback: Comeback::at_once(now),
            acked: start.acked,
            unacked_since_ms: None,
            waiting_since_ms: None,
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
        // Whatever a killed process left waiting: no answer will come that would close it.
        self.close_entries(true).await;
        let mut tick = tokio::time::interval(TICK_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut commands = Vec::new();
        let stop = self.stop.clone();
        loop {
            self.start_replacing().await;
            self.start_opening();
            let pause = self.until_retry();
            commands.clear();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                ended = connection::step(&mut self.connection) => match ended {
                    connection::Step::Frame(frame) => {
                        self.heard_at_ms = Some(self.clock.monotonic_ms());
                        self.feed(Input::Frame(frame)).await;
                    }
                    connection::Step::Sent => {}
                    connection::Step::Ended(ended) => self.disconnected(ended).await,
                },
                opened = connection::opened(&mut self.opening) => self.opened(opened).await,
                done = replacing::done(&mut self.replacing) => self.replaced(done).await,
                found = forked::found(&mut self.seeking) => self.sought(found),
                received = inbox.recv_many(&mut commands, COMMANDS_MAX) => {
                    if received == 0 {
                        break;
                    }
                    self.commands(&mut commands).await;
                }
                _ = tick.tick() => self.tick().await,
                () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
            }
            self.publish();
        }
        self.shut_down().await;
    }

    /// Starts a connection when none is there and it is time.
    fn start_opening(&mut self) {
        let due = self.comeback.is_due(self.clock.monotonic_ms());
        if self.connection.is_none() && self.opening.is_none() && due {
            let (url, secured) = (self.ledgers.url().to_owned(), self.secured.clone());
            let patience = self.ledgers.patience();
            self.opening = Some(connection::start(url, patience, secured));
        }
    }

    /// Time until the next attempt, when neither a connection nor an attempt is there.
    fn until_retry(&self) -> Option<Duration> {
        let is_idle = self.connection.is_none() && self.opening.is_none();
        is_idle.then(|| self.comeback.left(self.clock.monotonic_ms()))
    }

    async fn opened(&mut self, opened: Result<crate::stream::Stream, AgentError>) {
        self.opening = None;
        match opened {
            Ok(stream) => {
                let now = self.clock.monotonic_ms();
                let (url, key) = (self.ledgers.url(), self.key.borrow().clone());
                match Connection::new(stream, url, &key, &self.book, now) {
                    Ok(connection) => {
                        self.connection = Some(connection);
                        self.feed(Input::Opened).await;
                    }
                    Err(error) => self.disconnected(Ended::Error(error)).await,
                }
            }
            Err(error) => self.disconnected(Ended::Error(error)).await,
        }
    }

    async fn tick(&mut self) {
        let now = self.clock.monotonic_ms();
        self.feed(Input::Tick).await;
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

    /// Ends the connection, says why, and sets the time of the next attempt.
    async fn disconnected(&mut self, ended: Ended) {
        let connection = self.connection.take();
        let (superseded, was_open) = connection.map_or((false, false), |connection| {
            (connection.superseded, connection.session.is_open())
        });
        let meaning = ended.meaning(self.ledgers.url(), superseded, was_open);
        let (meaning, goes_on) = self.next_attempt(meaning).await;
        let Meaning {
            error,
            permanent,
            moves,
            ..
        } = meaning;
        let why = error.to_string();
        let failed = !moves && !goes_on;
        let is_new = failed && self.last_error.as_ref() != Some(&why);
        if failed {
            self.last_error = Some(why.clone());
        }
        self.enter(if permanent {
            State::Degraded
        } else {
            State::Offline
        });
        self.publish();
        if is_new {
            self.events.push(Event::SyncFailed { why, permanent });
        }
        for waiter in &mut self.syncs {
            waiter.ping_id = None;
        }
        if let AgentError::Refused(refusal) = &error {
            match refusal.reason.as_str() {
                "FORKED" => self.refused_forked = true,
                LOG_FORKED => self.log_is_forked(refusal).await,
                _ => {}
            }
        }
        if let AgentError::Refused(refusal) = error
            && !goes_on
            && !self.must_be_replaced()
            && self.seeking.is_none()
        {
            // What a person has to change is told to everybody who waits.
            for waiter in self.syncs.drain(..) {
                let _ = waiter.reply.send(Err(AgentError::Refused(refusal.clone())));
            }
        }
        self.close_entries(true).await;
    }

    /// A device that was refused for good is refused when nobody answers, too: it is told the
    /// same, and its people may be offline.
    async fn remembered(&mut self, mut meaning: Meaning) -> Meaning {
        match (&meaning.error, &self.revoked) {
            // It knows better why.
            (AgentError::Refused(refusal), Some(known))
                if refusal.reason == DEVICE_REVOKED
                    && has_left(self.book.log(), &self.book.device()) =>
            {
                meaning.error = AgentError::Refused(known.clone());
            }
            (AgentError::Refused(refusal), known)
                if refusal.reason == DEVICE_REVOKED && known.as_ref() != Some(refusal) =>
            {
                self.revoked = Some(refusal.clone());
                self.save_revoked().await;
            }
            (AgentError::Unreachable { .. }, Some(refusal)) => {
                meaning.error = AgentError::Refused(refusal.clone());
                meaning.permanent = true;
            }
            _ => {}
        }
        meaning
    }

    /// A device that has left need not ask a service to know it.
    async fn remember_leaving(&mut self) {
        if self.revoked.is_some() || !has_left(self.book.log(), &self.book.device()) {
            return;
        }
        let refusal = Refusal {
            reason: DEVICE_REVOKED.to_owned(),
            message: "this device has left the identity".to_owned(),
        };
        self.last_error = Some(refusal.to_string());
        self.revoked = Some(refusal);
        self.save_revoked().await;
        self.enter(State::Degraded);
    }

    /// What is not remembered is heard again.
    async fn forget_revoked(&mut self) {
        if self.revoked.take().is_some() {
            self.save_revoked().await;
        }
    }

    async fn save_revoked(&mut self) {
        if let Err(error) = self.book.save_revoked(self.revoked.as_ref()).await {
            tracing::warn!(%error, "a refusal cannot be remembered");
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
            let unanswered = self
                .connection
                .as_ref()
                .is_some_and(|c| c.session.unanswered() > 0);
            if unanswered && !anyway {
                self.waiting_since_ms
                    .get_or_insert_with(|| self.clock.monotonic_ms());
                return;
            }
            match self.book.close_entry(self.clock.wall_ms()).await {
                Ok(Some(runs)) => self.committed(runs).await,
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

    async fn committed(&mut self, runs: Arc<[VerifiedRun]>) {
        self.feed(Input::Committed(runs)).await;
    }

    /// Gives an input to the session, and carries out what it asks for.
    async fn feed(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let Some(connection) = &mut self.connection else {
                return;
            };
            let mut outputs = Vec::new();
            connection
                .session
                .handle(self.clock.monotonic_ms(), input, &mut outputs);
            for output in outputs {
                match self.perform(output).await {
                    Ok(more) => inputs.extend(more),
                    Err(ended) => {
                        // Boxed: ending may close entries, which feeds the session again.
                        Box::pin(self.disconnected(ended)).await;
                        return;
                    }
                }
            }
        }
    }

    async fn shut_down(&mut self) {
        self.close_entries(true).await;
        if let Some(mut connection) = self.connection.take() {
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
