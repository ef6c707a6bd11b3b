//! A device whose journal others go on with, because its home was restored or copied, repairs
//! itself: a new key and journal take its place in the log, once, without a person.
//!
//! The new key is on the disk before anything is sent, and the log alone says whether it took the
//! old one's place. So it can be interrupted at any moment and goes on from there.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use edge_ledger_core::identity::certificate::Description;
use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{Act, Certificate, DeviceState, IdentityLog, SignedTip};
use edge_ledger_core::keys::SecretKey;

use super::{Comeback, Engine, millis};
use crate::error::AgentError;
use crate::event::Event;
use crate::identity_client::{Caller, CallerKey};
use crate::identity_services::IdentityServices;
use crate::limits::{BACKOFF_REFUSED, REPLACE_AGAIN};
use crate::statement;

/// The statement on its way; ends with what the log has gained.
pub(super) type Replacing =
    Pin<Box<dyn Future<Output = Result<Vec<ReceiptParts>, AgentError>> + Send>>;

/// Waits for a replacement that is under way, for ever if there is none.
pub(super) async fn done(
    replacing: &mut Option<Replacing>,
) -> Result<Vec<ReceiptParts>, AgentError> {
    match replacing {
        Some(replacing) => replacing.await,
        None => std::future::pending().await,
    }
}

impl Engine {
    /// Whether another key has to go on in this device's place.
    pub(super) fn must_be_replaced(&self) -> bool {
        self.book.is_active()
            && (self.successor.is_some() || self.refused_forked || self.book.has_twin())
    }

    /// Starts to replace this device, when it must be and it is time.
    pub(super) async fn start_replacing(&mut self) {
        let due = self.clock.monotonic_ms() >= self.replace_at_ms;
        // In a log that forked nothing is said.
        let forked = !self.book.branches().is_empty();
        if self.replacing.is_some() || !due || forked || !self.must_be_replaced() {
            return;
        }
        match self.prepare().await {
            Ok(replacing) => self.replacing = Some(replacing),
            Err(error) => self.not_replaced(&error),
        }
    }

    async fn prepare(&mut self) -> Result<Replacing, AgentError> {
        let successor = match &self.successor {
            Some(key) => key.clone(),
            None => Arc::new(self.vault.next_device_key(rand::random())?),
        };
        self.successor = Some(successor.clone());
        let log = self.book.log().clone();
        let device = self.book.device();
        let tips = self.book.store.signed_tips(log.identity(), device).await?;
        Ok(Box::pin(replace(Replacement {
            identity: self.identity.clone(),
            old: self.key.borrow().clone(),
            new: successor,
            log,
            tips,
        })))
    }

    /// Goes on with the new key, if the log knows it.
    pub(super) async fn replaced(&mut self, done: Result<Vec<ReceiptParts>, AgentError>) {
        self.replacing = None;
        let taken_over = match done {
            Ok(parts) => self.take_over(&parts).await,
            Err(error) => Err(error),
        };
        if let Err(error) = taken_over {
            self.not_replaced(&error);
        }
    }

    async fn take_over(&mut self, parts: &[ReceiptParts]) -> Result<(), AgentError> {
        let Some(successor) = self.successor.clone() else {
            return Ok(());
        };
        // The streams are the old key's: they would be told of its end.
        self.connection = None;
        self.peers.leave_all();
        self.paths.service_ended();
        self.opening = None;
        self.book.adopt(parts).await?;
        let old = self.book.device();
        if !self.book.succeed(successor.clone()) {
            return Err(AgentError::Untrusted(
                "the log does not hold the device that was to replace this one".to_owned(),
            ));
        }
        self.key.send_replace(successor);
        (self.successor, self.refused_forked) = (None, false);
        self.replace_refused = false;
        (self.acked, self.unacked_since_ms) = (None, None);
        self.last_error = None;
        self.forget_revoked().await;
        self.comeback = Comeback::at_once(self.clock.monotonic_ms());
        self.publish();
        let new = self.book.device();
        self.events.push(Event::Replaced { old, new });
        self.tell_devices();
        self.close_entries(true).await;
        self.answer_ack_waiters();
        Ok(())
    }

    /// It is tried again, soon unless a person is needed.
    fn not_replaced(&mut self, error: &AgentError) {
        let lasting = matches!(error, AgentError::Refused(_) | AgentError::Home(_));
        let wait = if lasting {
            BACKOFF_REFUSED
        } else {
            REPLACE_AGAIN
        };
        self.replace_at_ms = self.clock.monotonic_ms().saturating_add(millis(wait));
        self.last_error = Some(error.to_string());
        self.publish();
        if let AgentError::Refused(refusal) = error {
            self.replace_refused = true;
            // Only a person can change that, so nobody waits for it.
            for waiter in self.syncs.drain(..) {
                let _ = waiter.reply.send(Err(AgentError::Refused(refusal.clone())));
            }
        }
    }

    /// Whether it is about to put things right by itself, so that a refusal may be over soon.
    pub(super) fn repairs_itself(&self) -> bool {
        self.must_be_replaced() && !self.replace_refused
    }
}

struct Replacement {
    identity: IdentityServices,
    old: Arc<SecretKey>,
    new: Arc<SecretKey>,
    log: Arc<IdentityLog>,
    tips: Vec<SignedTip>,
}

async fn replace(with: Replacement) -> Result<Vec<ReceiptParts>, AgentError> {
    let (old, new) = (
        with.old.public_key().device_id(),
        with.new.public_key().device_id(),
    );
    let caller = |key: &Arc<SecretKey>| Caller {
        ledger_id: with.log.ledger_id(),
        identity: with.log.identity(),
        key: CallerKey::Device(key.clone()),
    };
    let mut session = match with.identity.sign_in(&caller(&with.old)).await {
        // Its place was taken: perhaps by the new key, and only the answer was lost.
        Err(AgentError::Refused(refusal)) if refusal.reason == "DEVICE_REVOKED" => {
            let session = with.identity.sign_in(&caller(&with.new)).await;
            session.map_err(|_| AgentError::Refused(refusal))?
        }
        session => session?,
    };
    let record = with.log.device(&old);
    let description = record.map(|record| Description {
        identity: with.log.identity(),
        name: record.name.clone(),
        platform: record.platform.clone(),
        replaces: Some(old),
    });
    let description = description.ok_or(AgentError::Stopped)?;
    let certificate = Certificate::sign(with.log.ledger_id(), &with.new, &description)?;
    let is_done = |log: &IdentityLog| {
        log.device(&new)
            .is_some_and(|record| record.state == DeviceState::Active)
    };
    let act = |_: &IdentityLog| Act::Replace {
        old,
        certificate: Box::new(certificate.clone()),
        tips: with.tips.clone(),
    };
    let keys = [SigningAs::Device(&with.old), SigningAs::Device(&with.new)];
    statement::append(&mut session, &with.log, is_done, act, &keys).await
}
