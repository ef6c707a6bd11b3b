//! A service whose identity log contradicts this device's: a store that was put back, or a
//! dishonest service. The device keeps the proof, goes on with the service's log, and judges by
//! both until a recovery puts them together.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_core::ids::{IdentityId, LedgerId};
use edge_ledger_core::keys::SecretKey;

use super::{Comeback, Engine, millis};
use crate::book::Book;
use crate::error::{AgentError, Refusal};
use crate::event::Event;
use crate::identity_client::{Caller, CallerKey};
use crate::identity_services::IdentityServices;
use crate::limits::SEEK_EVIDENCE_AGAIN;
use crate::status::ForkedLog;
use crate::vault::{self, Vault};

/// The service's log on its way, and the refusal that began it.
pub(super) struct Seeking {
    search: Pin<Box<dyn Future<Output = Result<Vec<ReceiptParts>, AgentError>> + Send>>,
    refusal: Refusal,
}

/// Waits for a search that is under way, for ever if there is none.
pub(super) async fn found(seeking: &mut Option<Seeking>) -> Result<Vec<ReceiptParts>, AgentError> {
    match seeking {
        Some(seeking) => seeking.search.as_mut().await,
        None => std::future::pending().await,
    }
}

/// The fork that is not settled, with the place of its proof.
pub(super) fn fork_of(book: &Book, vault: &Vault) -> Option<ForkedLog> {
    let position = book.branches().first()?.position();
    Some(ForkedLog {
        position,
        file: vault::evidence_file(vault.folder(), position),
    })
}

impl Engine {
    /// The ledger service said, or showed, that its log is another one.
    pub(super) fn log_is_forked(&mut self, refusal: &Refusal) {
        let due = self.clock.monotonic_ms() >= self.seek_at_ms;
        if self.seeking.is_some() || !due {
            return;
        }
        let wait = millis(SEEK_EVIDENCE_AGAIN);
        self.seek_at_ms = self.clock.monotonic_ms().saturating_add(wait);
        let log = self.book.log();
        let search = Box::pin(seek(Search {
            services: self.identity.clone(),
            key: self.key.borrow().clone(),
            ledger_id: log.ledger_id(),
            identity: log.identity(),
        }));
        let refusal = refusal.clone();
        self.seeking = Some(Seeking { search, refusal });
    }

    /// Goes on with the log that was found.
    pub(super) async fn sought(&mut self, found: Result<Vec<ReceiptParts>, AgentError>) {
        let ended = self.seeking.take();
        let taken_over = match found {
            Ok(theirs) => self.take_over_log(&theirs).await,
            Err(error) => Err(error),
        };
        match taken_over {
            // Who waits is answered by the session that comes now.
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "the service's log was not taken over"),
        }
        if let Some(Seeking { refusal, .. }) = ended {
            for waiter in self.syncs.drain(..) {
                let _ = waiter.reply.send(Err(AgentError::Refused(refusal.clone())));
            }
        }
    }

    /// Goes on with the service's log, told from its beginning, if that contradicts this device's.
    /// Says whether it did.
    pub(super) async fn take_over_log(
        &mut self,
        theirs: &[ReceiptParts],
    ) -> Result<bool, AgentError> {
        let Some(kept) = self.book.take_over(theirs).await? else {
            return Ok(false);
        };
        // The stream was opened with another log.
        (self.connection, self.opening) = (None, None);
        for waiter in &mut self.syncs {
            waiter.ping_id = None;
        }
        self.last_error = None;
        self.comeback = Comeback::at_once(self.clock.monotonic_ms());
        self.told_position = self.told_position.min(kept);
        self.note_fork().await;
        self.publish();
        if let Some(ForkedLog { position, file }) = self.forked.clone() {
            self.events.push(Event::LogForked { position, file });
        }
        self.tell_devices();
        self.remember_leaving().await;
        Ok(true)
    }

    /// Notes whether two branches wait to be put together, and keeps the proof.
    pub(super) async fn note_fork(&mut self) {
        self.forked = fork_of(&self.book, &self.vault);
        let folder = self.vault.folder();
        let kept = match self.book.evidence().await {
            Ok(Some(evidence)) => vault::keep_evidence(folder, &evidence).map_err(Into::into),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = kept {
            tracing::warn!(%error, "the evidence of the forked log cannot be kept");
        }
        match vault::settled_evidence(folder, self.book.log()) {
            Ok(settled) => {
                self.settled = settled.map(|(position, file)| ForkedLog { position, file });
            }
            Err(error) => tracing::warn!(%error, "evidence cannot be read"),
        }
    }
}

struct Search {
    services: IdentityServices,
    key: Arc<SecretKey>,
    ledger_id: LedgerId,
    identity: IdentityId,
}

/// Reads the service's log from its beginning.
async fn seek(search: Search) -> Result<Vec<ReceiptParts>, AgentError> {
    let caller = Caller {
        ledger_id: search.ledger_id,
        identity: search.identity,
        key: CallerKey::Device(search.key),
    };
    search.services.sign_in(&caller).await?.log_after(0).await
}
