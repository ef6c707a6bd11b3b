//! One task per identity that has a stream here. It alone holds the runs that wait, and it alone
//! appends for this process; between processes the store's compare decides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use edge_ledger_chassis::{Clock, Signing, Tasks};
use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_core::identity::service_key::ServiceSigner;
use edge_ledger_core::identity::{Genesis, IdentityLog};
use edge_ledger_core::ids::{DeviceId, IdentityId, StoreEpoch};
use edge_ledger_core::ledger::admission::Refusal;
use edge_ledger_core::ledger::{Ack, Admission, Run};
use edge_ledger_core::sync::Outcome;
use edge_ledger_store::identity::StatementOutcome;
use edge_ledger_store::ingest::{Ingested, Under, ingest};
use edge_ledger_store::log_view::{self, read_log};
use edge_ledger_store::{IdentityStore, LedgerStore, LogView, Origin, StoreError};
use edge_ledger_telemetry::Stopwatch;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tracing::{Instrument as _, Span};

use crate::acks;
use crate::fanout::Notice;
use crate::limits::{LEDGER_JOBS_MAX, LOG_MOVED_RETRIES_MAX, NOTICES_MAX};
use crate::measure;
use crate::streams::Streams;

/// What all ledgers of a process share.
pub(crate) struct Shared {
    pub(crate) genesis: Genesis,
    pub(crate) identities: Arc<dyn IdentityStore>,
    pub(crate) ledgers: Arc<dyn LedgerStore>,
    pub(crate) signer: Signing,
    pub(crate) clock: Clock,
    pub(crate) tasks: Tasks,
}

/// Runs of one frame, to be ingested.
pub(crate) struct Frame {
    pub(crate) origin: Origin,
    pub(crate) peer_ahead: bool,
    /// Whose stream it is.
    pub(crate) own: DeviceId,
    pub(crate) runs: Vec<Run>,
    /// The key that greeted the stream, which signs its acks.
    pub(crate) signer: Arc<ServiceSigner>,
    /// Since it came.
    pub(crate) watch: Stopwatch,
    /// In which it came.
    pub(crate) span: Span,
}

pub(crate) enum Job {
    Ingest(
        Frame,
        oneshot::Sender<Result<(Ingested, Vec<Ack>), StoreError>>,
    ),
    /// Statements, and whose stream brings them.
    Adopt(
        DeviceId,
        Vec<ReceiptParts>,
        oneshot::Sender<Result<Option<LogView>, StoreError>>,
    ),
    /// The log changed in the store.
    Refresh,
}

/// Access to one identity's ledger; its task ends with the last of these.
#[derive(Clone)]
pub(crate) struct LedgerHandle {
    pub(crate) jobs: mpsc::Sender<Job>,
    pub(crate) notices: broadcast::Sender<Notice>,
    pub(crate) log: watch::Receiver<Option<LogView>>,
    pub(crate) streams: Streams,
}

struct WeakHandle {
    jobs: mpsc::WeakSender<Job>,
    notices: broadcast::Sender<Notice>,
    log: watch::Receiver<Option<LogView>>,
    streams: Streams,
}

/// The ledgers that are open in this process.
pub(crate) struct Ledgers {
    shared: Arc<Shared>,
    open: Mutex<BTreeMap<IdentityId, WeakHandle>>,
}

impl Ledgers {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            open: Mutex::new(BTreeMap::new()),
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The ledger of an identity, if a stream has it open.
    pub(crate) fn get(&self, identity: IdentityId) -> Option<LedgerHandle> {
        self.lock().get(&identity).and_then(WeakHandle::upgrade)
    }

    /// All ledgers that are open.
    pub(crate) fn all(&self) -> Vec<LedgerHandle> {
        self.lock()
            .values()
            .filter_map(WeakHandle::upgrade)
            .collect()
    }

    /// Opens the ledger of an identity, or joins those who have it open.
    pub(crate) fn open(&self, identity: IdentityId) -> LedgerHandle {
        let mut open = self.lock();
        if let Some(handle) = open.get(&identity).and_then(WeakHandle::upgrade) {
            return handle;
        }
        open.retain(|_, weak| weak.jobs.strong_count() > 0);
        let (jobs, inbox) = mpsc::channel(LEDGER_JOBS_MAX);
        let (notices, _) = broadcast::channel(NOTICES_MAX);
        let (tell_log, log) = watch::channel(None);
        let ledger = Ledger {
            identity,
            shared: self.shared.clone(),
            admission: Admission::default(),
            forked: BTreeSet::new(),
            log: tell_log,
        };
        self.shared.tasks.spawn(ledger.run(inbox));
        let handle = LedgerHandle {
            jobs,
            notices,
            log,
            streams: Streams::default(),
        };
        open.insert(
            identity,
            WeakHandle {
                jobs: handle.jobs.downgrade(),
                notices: handle.notices.clone(),
                log: handle.log.clone(),
                streams: handle.streams.clone(),
            },
        );
        handle
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<IdentityId, WeakHandle>> {
        self.open
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl WeakHandle {
    fn upgrade(&self) -> Option<LedgerHandle> {
        let jobs = self.jobs.upgrade()?;
        Some(LedgerHandle {
            jobs,
            notices: self.notices.clone(),
            log: self.log.clone(),
            streams: self.streams.clone(),
        })
    }
}

struct Ledger {
    identity: IdentityId,
    shared: Arc<Shared>,
    admission: Admission,
    /// Journals that are forked and not ended: their own devices may not push on.
    forked: BTreeSet<DeviceId>,
    log: watch::Sender<Option<LogView>>,
}

impl Ledger {
    async fn run(mut self, mut inbox: mpsc::Receiver<Job>) {
        while let Some(job) = inbox.recv().await {
            match job {
                Job::Ingest(frame, reply) => {
                    // Whoever asked may be gone: what is committed stays committed.
                    let (watch, span) = (frame.watch, frame.span.clone());
                    let ingested = self.ingest(frame).instrument(span).await;
                    if let Ok((ingested, _)) = &ingested {
                        measure::record(ingested, watch.elapsed());
                    }
                    let _ = reply.send(ingested);
                }
                Job::Adopt(own, parts, reply) => {
                    let _ = reply.send(self.adopt(own, parts).await);
                }
                Job::Refresh => {
                    if let Err(error) = self.refresh().await {
                        tracing::warn!(%error, "the identity log cannot be read");
                    }
                }
            }
        }
    }

    async fn ingest(&mut self, frame: Frame) -> Result<(Ingested, Vec<Ack>), StoreError> {
        for _ in 0..LOG_MOVED_RETRIES_MAX {
            let Some(view) = self.view().await? else {
                break;
            };
            if view.log.cut(&frame.own).is_some() {
                return Ok((nothing_of(&frame.runs), Vec::new()));
            }
            let under = Under {
                log: &view.log,
                version: view.version,
                origin: frame.origin,
                peer_ahead: frame.peer_ahead,
                refuse: self.forked.contains(&frame.own).then_some(frame.own),
            };
            let store = &*self.shared.ledgers;
            if let Some(ingested) = ingest(store, &mut self.admission, under, &frame.runs).await? {
                self.forked.extend(&ingested.forked);
                let tips = ingested.kept.iter().map(|(tip, _)| *tip);
                let now = self.shared.clock.wall_ms();
                let acks = acks::sign(&frame.signer, &view, store.level(), now, tips);
                return Ok((ingested, acks));
            }
            self.refresh().await?;
        }
        Err(StoreError::Unavailable(
            "the identity log does not stand still".to_owned(),
        ))
    }

    async fn view(&mut self) -> Result<Option<LogView>, StoreError> {
        let view = self.log.borrow().clone();
        match view {
            Some(view) => Ok(Some(view)),
            None => self.refresh().await,
        }
    }

    /// Reads what the log has gained, and tells the sessions.
    async fn refresh(&mut self) -> Result<Option<LogView>, StoreError> {
        let known = self.log.borrow().clone();
        let view = read_log(
            &*self.shared.identities,
            &self.shared.genesis,
            self.identity,
            known.as_ref(),
        )
        .await?;
        if let Some(view) = &view {
            self.admission.forget_ended(&view.log);
            self.forked.retain(|device| view.log.cut(device).is_none());
            let moved = known.is_none_or(|known| known.version != view.version);
            if moved {
                self.log.send_replace(Some(view.clone()));
            }
        }
        Ok(view)
    }

    /// Takes over receipted statements that follow the log; what does not follow is left, and all
    /// that a device brings which the log has ended.
    async fn adopt(
        &mut self,
        own: DeviceId,
        parts: Vec<ReceiptParts>,
    ) -> Result<Option<LogView>, StoreError> {
        for _ in 0..LOG_MOVED_RETRIES_MAX {
            let view = self.refresh().await?;
            if view
                .as_ref()
                .is_some_and(|view| view.log.cut(&own).is_some())
            {
                return Ok(view);
            }
            let empty = || {
                Arc::new(IdentityLog::empty(
                    self.shared.genesis.clone(),
                    self.identity,
                ))
            };
            let log = view.as_ref().map_or_else(empty, |view| view.log.clone());
            let following = log_view::follow(&log, &parts);
            if following.taken.is_empty() {
                return Ok(view);
            }
            let fresh_epoch = StoreEpoch::from_bytes(rand::random());
            match log_view::adopt(&*self.shared.identities, &log, &following, fresh_epoch).await? {
                StatementOutcome::Appended(_) => return self.refresh().await,
                StatementOutcome::Conflict => {}
            }
        }
        Err(StoreError::Unavailable(
            "the identity log does not stand still".to_owned(),
        ))
    }
}

/// What becomes of a frame of a device that the log has ended: nothing is taken from it, be it of
/// its own journal or of another's, and nothing is acked to it.
fn nothing_of(runs: &[Run]) -> Ingested {
    Ingested {
        outcomes: vec![Outcome::Refused(Refusal::OutsideCut); runs.len()],
        ..Ingested::default()
    }
}
