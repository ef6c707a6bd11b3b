//! Offers and answers, sent and followed.

use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::signal::{Signal, SignalBody, SignalError, SignalKind};
use std::time::Duration;
use tokio::sync::oneshot;

use super::known::{Call, Route};
use super::{Offered, Peering, attempt};
use crate::limits::{ANSWERED_WITHIN, ATTEMPTS_MAX, LINK_OPEN_WITHIN};
use crate::signalling::SignalCommand;
use crate::webrtc::{self, Connecting, LinkConfig, LocalDescription, Offering};

impl Peering {
    /// Offers a link to everybody who is there and has none.
    pub(super) async fn call_whoever_is_due(&mut self) {
        let now = self.clock.monotonic_ms();
        if !self.is_active() {
            return;
        }
        for call in self.known.calls(now) {
            if self.attempts.len() >= ATTEMPTS_MAX {
                return;
            }
            self.known.meeting(now, call.device);
            if let Err(error) = self.call(call).await {
                tracing::debug!(%error, "no offer can be made");
                self.known.failed(now, call.device, rand::random());
            }
        }
    }

    async fn call(&mut self, call: Call) -> Result<(), webrtc::LinkError> {
        let (offering, local) = Offering::start(self.link_config()).await?;
        let offer = self.sign(
            SignalKind::Offer,
            Some(call.device),
            call.nonce,
            rand::random(),
            local,
        );
        self.wait_for_answer(Some(call.device), offering, &offer, ANSWERED_WITHIN);
        self.send(call.route, call.device, &offer.signal);
        Ok(())
    }

    /// Goes on with an offer when it is answered.
    pub(super) fn wait_for_answer(
        &mut self,
        to: Option<DeviceId>,
        offering: Offering,
        offer: &Made,
        within: Duration,
    ) {
        let (answered, answer) = oneshot::channel();
        let attempt = self
            .attempts
            .spawn(async move { (to, attempt::offered(offering, answer, within).await) });
        let hash = offer.signal.hash(self.log().ledger_id());
        let offered = Offered {
            to,
            hash,
            answered,
            attempt,
        };
        self.offered.insert(offer.connection, offered);
    }

    /// Signs an offer or answer for one end of a link.
    pub(super) fn sign(
        &self,
        kind: SignalKind,
        to: Option<DeviceId>,
        nonce: [u8; 32],
        connection: [u8; 16],
        local: LocalDescription,
    ) -> Made {
        let (log, key) = (self.log(), self.key.borrow().clone());
        let body = SignalBody {
            kind,
            identity: log.identity(),
            author: key.public_key(),
            to,
            nonce,
            connection,
            fingerprint: local.fingerprint,
            sdp: local.sdp,
            made_ms: self.clock.wall_ms(),
        };
        let signal = Signal::sign(log.ledger_id(), &key, &body);
        Made { signal, connection }
    }

    /// Follows what came over a route; what is not in order is dropped.
    pub(super) async fn signal(&mut self, route: Route, bytes: &[u8]) {
        if let Err(error) = self.follow(route, bytes).await {
            tracing::debug!(%error, "a signal was not followed");
        }
    }

    async fn follow(&mut self, route: Route, bytes: &[u8]) -> Result<(), SignalError> {
        let signal = Signal::decode(bytes)?;
        let body = signal.check(&self.log(), self.us())?;
        if body.to.is_none() {
            return Err(SignalError::NotForUs);
        }
        match body.kind {
            SignalKind::Answer => self.answered(body).map(|_| ()),
            SignalKind::Offer => {
                if !self.nonces.is_current(&body.nonce) {
                    return Err(SignalError::Stale);
                }
                if self.gives_way_to_us(&body) {
                    return Ok(());
                }
                let author = body.author.device_id();
                if let Some(answer) = self.accept(&signal, body, LINK_OPEN_WITHIN).await? {
                    self.send(route, author, &answer.signal);
                }
                Ok(())
            }
        }
    }

    /// Two offers crossed: that of the smaller device holds, and the other one is forgotten.
    fn gives_way_to_us(&mut self, offer: &SignalBody) -> bool {
        let author = offer.author.device_id();
        let own = self.offered.iter().find(|(_, own)| own.to == Some(author));
        let Some(own) = own.map(|(connection, _)| *connection) else {
            return false;
        };
        if self.us() < author {
            return true;
        }
        if let Some(own) = self.offered.remove(&own) {
            own.attempt.abort();
        }
        false
    }

    /// Hands an answer to the attempt that waits for it.
    pub(super) fn answered(&mut self, answer: SignalBody) -> Result<DeviceId, SignalError> {
        let author = answer.author.device_id();
        let waits = |own: &Offered| {
            own.hash == answer.nonce && own.to.is_none_or(|device| device == author)
        };
        let offered = self.offered.get(&answer.connection).is_some_and(waits);
        let offered = offered.then(|| self.offered.remove(&answer.connection));
        let offered = offered.flatten().ok_or(SignalError::Stale)?;
        self.known.meeting(self.clock.monotonic_ms(), author);
        // An attempt that gave up in this moment is over.
        let _ = offered.answered.send(answer);
        Ok(author)
    }

    /// Answers an offer, once; `None` when no link can be opened now.
    pub(super) async fn accept(
        &mut self,
        offer: &Signal,
        body: SignalBody,
        open_within: Duration,
    ) -> Result<Option<Made>, SignalError> {
        let now = self.clock.monotonic_ms();
        let author = body.author.device_id();
        let may = self.known.may_meet(now, author) && self.is_active();
        if !may || self.attempts.len() >= ATTEMPTS_MAX {
            return Ok(None);
        }
        if !self.seen.is_new(body.connection) {
            return Err(SignalError::Stale);
        }
        let config = LinkConfig {
            open_within,
            ..self.link_config()
        };
        let (connecting, local): (Connecting, LocalDescription) =
            match webrtc::answer(config, &body.sdp).await {
                Ok(answered) => answered,
                Err(error) => {
                    tracing::debug!(%error, "an offer cannot be answered");
                    return Ok(None);
                }
            };
        self.known.meeting(now, author);
        let hash = offer.hash(self.log().ledger_id());
        let answer = self.sign(
            SignalKind::Answer,
            Some(author),
            hash,
            body.connection,
            local,
        );
        self.attempts
            .spawn(async move { (Some(author), attempt::open(connecting, &body).await) });
        Ok(Some(answer))
    }

    fn send(&self, route: Route, to: DeviceId, signal: &Signal) {
        let bytes = signal.encode();
        match route {
            Route::Service => {
                // What does not get away is offered again.
                let _ = self.service.try_send(SignalCommand::Send { to, bytes });
            }
            Route::Nearby(connection) => {
                if let Some(nearby) = self.local.nearby() {
                    let _ = nearby.send(connection, bytes);
                }
            }
        }
    }
}

/// A signal that was made here, and its attempt.
pub(super) struct Made {
    pub(super) signal: Signal,
    pub(super) connection: [u8; 16],
}
