//! The stream to the ledger service: opened, ended, and what a refusal means for this device.

use std::time::Duration;

use edge_ledger_core::sync::Input;

use super::Engine;
use super::connection::{self, Connection, Ended, Meaning};
use super::feed::Via;
use crate::book::has_left;
use crate::error::{AgentError, DEVICE_REVOKED, LOG_FORKED, Refusal};
use crate::event::Event;
use crate::status::State;

impl Engine {
    /// Starts a connection when none is there and it is time.
    pub(super) fn start_opening(&mut self) {
        let due = self.comeback.is_due(self.clock.monotonic_ms());
        if self.connection.is_none() && self.opening.is_none() && due {
            let (url, secured) = (self.ledgers.url().to_owned(), self.secured.clone());
            let patience = self.ledgers.patience();
            self.opening = Some(connection::start(url, patience, secured));
        }
    }

    /// Time until the next attempt, when neither a connection nor an attempt is there.
    pub(super) fn until_retry(&self) -> Option<Duration> {
        let is_idle = self.connection.is_none() && self.opening.is_none();
        is_idle.then(|| self.comeback.left(self.clock.monotonic_ms()))
    }

    pub(super) async fn opened(&mut self, opened: Result<crate::stream::Stream, AgentError>) {
        self.opening = None;
        match opened {
            Ok(stream) => {
                let now = self.clock.monotonic_ms();
                let (url, key) = (self.ledgers.url(), self.key.borrow().clone());
                match Connection::new(stream, url, &key, &self.book, now) {
                    Ok(connection) => {
                        self.connection = Some(connection);
                        self.feed(Via::Service, Input::Opened).await;
                    }
                    Err(error) => self.disconnected(Ended::Error(error)).await,
                }
            }
            Err(error) => self.disconnected(Ended::Error(error)).await,
        }
    }

    /// Ends the connection, says why, and sets the time of the next attempt.
    pub(super) async fn disconnected(&mut self, ended: Ended) {
        let connection = self.connection.take();
        self.paths.service_ended();
        self.handover_ping = None;
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
                LOG_FORKED => self.log_is_forked(refusal),
                _ => {}
            }
        }
        if let AgentError::Refused(refusal) = error
            && !goes_on
            && !self.repairs_itself()
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
    pub(super) async fn remembered(&mut self, mut meaning: Meaning) -> Meaning {
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
    pub(super) async fn remember_leaving(&mut self) {
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
    pub(super) async fn forget_revoked(&mut self) {
        if self.revoked.take().is_some() {
            self.save_revoked().await;
        }
    }

    async fn save_revoked(&mut self) {
        if let Err(error) = self.book.save_revoked(self.revoked.as_ref()).await {
            tracing::warn!(%error, "a refusal cannot be remembered");
        }
    }
}
