//! A service whose identity log contradicts this device's: a store that was put back, or a
//! dishonest service. Two receipts of it for one position are looked for, and kept as evidence.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_core::identity::{Evidence, IdentityLog};
use edge_ledger_core::keys::SecretKey;

use super::{Engine, millis};
use crate::book::Book;
use crate::error::{AgentError, Refusal};
use crate::event::Event;
use crate::identity_client::{Caller, CallerKey};
use crate::identity_services::IdentityServices;
use crate::limits::SEEK_EVIDENCE_AGAIN;
use crate::status::ForkedLog;
use crate::vault;

/// The search on its way, and the refusal that began it.
pub(super) struct Seeking {
    search: Pin<Box<dyn Future<Output = Result<Option<Evidence>, AgentError>> + Send>>,
    refusal: Refusal,
}

/// Waits for a search that is under way, for ever if there is none.
pub(super) async fn found(seeking: &mut Option<Seeking>) -> Result<Option<Evidence>, AgentError> {
    match seeking {
        Some(seeking) => seeking.search.as_mut().await,
        None => std::future::pending().await,
    }
}

impl Engine {
    /// The ledger service said, or showed, that its log is another one.
    pub(super) async fn log_is_forked(&mut self, refusal: &Refusal) {
        let due = self.clock.monotonic_ms() >= self.seek_at_ms;
        if self.seeking.is_some() || self.forked.is_some() || !due {
            return;
        }
        let wait = millis(SEEK_EVIDENCE_AGAIN);
        self.seek_at_ms = self.clock.monotonic_ms().saturating_add(wait);
        match own_receipts(&self.book).await {
            Ok(own) => {
                let search = Box::pin(seek(Search {
                    identity: self.identity.clone(),
                    key: self.key.borrow().clone(),
                    log: self.book.log().clone(),
                    own,
                }));
                let refusal = refusal.clone();
                self.seeking = Some(Seeking { search, refusal });
            }
            Err(error) => tracing::warn!(%error, "own receipts cannot be read"),
        }
    }

    /// Keeps what was found, and tells it.
    pub(super) fn sought(&mut self, found: Result<Option<Evidence>, AgentError>) {
        let ended = self.seeking.take();
        let kept = match found {
            Ok(Some(evidence)) => self.keep_evidence(&evidence).map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        match kept {
            Ok(Some((position, file))) => {
                self.forked = Some(ForkedLog {
                    position,
                    file: file.clone(),
                });
                self.publish();
                self.events.push(Event::LogForked { position, file });
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "no evidence of the forked log was kept"),
        }
        // Who waits was not told before there was something to show.
        if let Some(Seeking { refusal, .. }) = ended {
            for waiter in self.syncs.drain(..) {
                let _ = waiter.reply.send(Err(AgentError::Refused(refusal.clone())));
            }
        }
    }

    fn keep_evidence(&self, evidence: &Evidence) -> Result<(u64, PathBuf), AgentError> {
        let file = vault::keep_evidence(self.vault.folder(), evidence)?;
        Ok((evidence.position(), file))
    }
}

/// All receipts that this device keeps.
async fn own_receipts(book: &Book) -> Result<Vec<ReceiptParts>, AgentError> {
    let mut own: Vec<ReceiptParts> = Vec::new();
    loop {
        let more = book.receipts_after(own.len() as u64).await?;
        if more.is_empty() {
            return Ok(own);
        }
        own.extend(more);
    }
}

struct Search {
    identity: IdentityServices,
    key: Arc<SecretKey>,
    log: Arc<IdentityLog>,
    own: Vec<ReceiptParts>,
}

/// Reads the service's log, and finds the first position at which it is another.
async fn seek(search: Search) -> Result<Option<Evidence>, AgentError> {
    let caller = Caller {
        ledger_id: search.log.ledger_id(),
        identity: search.log.identity(),
        key: CallerKey::Device(search.key),
    };
    let theirs = search.identity.sign_in(&caller).await?.log_after(0).await?;
    let differs = theirs
        .iter()
        .zip(&search.own)
        .zip(1..)
        .find(|((theirs, _), position)| search.log.has(*position, theirs) == Some(false));
    let Some(((theirs, own), _)) = differs else {
        return Ok(None);
    };
    Ok(Some(Evidence::of(search.log.genesis(), own, theirs)?))
}
