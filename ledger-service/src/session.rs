//! The shell of one stream: frames in, frames out, and what the session asks of the store.

use std::collections::VecDeque;
use std::sync::Arc;

use edge_ledger_core::identity::ReceiptedStatement;
use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_core::identity::service_key::ServiceSigner;
use edge_ledger_core::ids::{DeviceId, IdentityId};
use edge_ledger_core::ledger::Heads;
use edge_ledger_core::ledger::journals::Have;
use edge_ledger_core::sync::{
    Close, Frame, GoAwayReason, Input, Output, Outputs, Session, Standing,
};
use edge_ledger_store::log_view::read_log;
use edge_ledger_store::{LogVersion, LogView, Origin, StoreError};
use edge_ledger_telemetry::{Stopwatch, meters};
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesOrdered;
use tokio::sync::{broadcast, oneshot};
use tracing::Span;

use crate::acks;
use crate::fanout::Notice;
use crate::ledgers::{self, Job, LedgerHandle, Ledgers};
use crate::limits::RECEIPTS_PER_FRAME;
use crate::streams::Seated;

type Answer = Result<Vec<Input>, StoreError>;

/// What ended a session from inside.
pub(crate) enum End {
    /// The session itself.
    Close(Close),
    /// The store.
    Store(StoreError),
}

/// A session with what it needs to carry out its outputs.
pub(crate) struct Shell {
    origin: Origin,
    session: Session,
    ledgers: Arc<Ledgers>,
    /// The key that greeted the stream.
    signer: Arc<ServiceSigner>,
    ledger: Option<Joined>,
    turns: Turns,
    /// Frames to be sent, oldest first.
    pub(crate) held: VecDeque<Frame>,
    reads: FuturesOrdered<BoxFuture<'static, Answer>>,
    ingests: FuturesOrdered<BoxFuture<'static, Answer>>,
}

/// The ledger of the identity that said hello.
struct Joined {
    device: DeviceId,
    identity: IdentityId,
    handle: LedgerHandle,
    notices: broadcast::Receiver<Notice>,
    /// The version of the log that the session was told last.
    told: Option<LogVersion>,
    /// Once it is live.
    seated: Option<Seated>,
    live: Option<Live>,
}

/// A stream after its welcome, as metrics count it.
struct Live;

impl Live {
    fn new() -> Self {
        meters().session_active.add(1, &[]);
        Self
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        meters().session_active.add(-1, &[]);
    }
}

/// Which of the streams of a device at several processes is the latest.
#[derive(Default)]
struct Turns {
    /// This one's, once it is known.
    own: Option<u64>,
    /// The highest of those at other processes.
    others: Option<u64>,
}

impl Turns {
    fn are_over(&self) -> bool {
        self.own.is_some() && self.others > self.own
    }
}

impl Shell {
    pub(crate) fn new(
        origin: Origin,
        session: Session,
        ledgers: Arc<Ledgers>,
        signer: Arc<ServiceSigner>,
    ) -> Self {
        Self {
            origin,
            session,
            ledgers,
            signer,
            ledger: None,
            turns: Turns::default(),
            held: VecDeque::new(),
            reads: FuturesOrdered::new(),
            ingests: FuturesOrdered::new(),
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.session.is_open()
    }

    /// Whether it was told to end and takes no more frames.
    pub(crate) fn is_leaving(&self) -> bool {
        self.session.is_leaving()
    }

    /// Whether everything that was received has been answered.
    pub(crate) fn is_answered(&self) -> bool {
        self.reads.is_empty() && self.ingests.is_empty()
    }

    /// Waits for an answer of the store, or for news of the identity.
    pub(crate) async fn next_inputs(&mut self) -> Result<Vec<Input>, End> {
        loop {
            let answer = match &mut self.ledger {
                None => match self.reads.next().await {
                    Some(answer) => answer,
                    None => std::future::pending().await,
                },
                Some(joined) => tokio::select! {
                    biased;
                    Some(answer) = self.ingests.next() => answer,
                    Some(answer) = self.reads.next() => answer,
                    Ok(()) = joined.handle.log.changed() => Ok(Vec::new()),
                    () = superseded(&mut joined.seated) => {
                        Ok(vec![Input::GoAway(GoAwayReason::Superseded)])
                    }
                    notice = joined.notices.recv() => Ok(self.notice(notice)),
                },
            };
            let mut inputs = answer.map_err(End::Store)?;
            // Before everything else: what was read, judged or committed under a log is told to
            // nobody whom it has ended.
            if let Some(view) = self.changed_log() {
                let view = unblocked(view).map_err(End::Store)?;
                inputs.insert(0, Input::LogChanged(view.log));
            }
            if !inputs.is_empty() {
                return Ok(inputs);
            }
        }
    }

    /// The log as this process knows it, if the session was not told.
    fn changed_log(&mut self) -> Option<LogView> {
        let joined = self.ledger.as_mut()?;
        let view = joined.handle.log.borrow_and_update().clone()?;
        let told = joined.told.replace(view.version);
        (told != Some(view.version)).then_some(view)
    }

    fn notice(&mut self, notice: Result<Notice, broadcast::error::RecvError>) -> Vec<Input> {
        match notice {
            Ok(Notice::Entries { origin, runs, told }) if origin != self.origin => {
                let lag = told.seconds();
                meters().fanout_lag.record(lag, &[]);
                vec![Input::Committed(runs)]
            }
            Ok(Notice::Opened {
                device,
                stream,
                order,
            }) => {
                match stream {
                    Some(stream) if stream == self.origin => self.turns.own = Some(order),
                    None if self.serves(device) => {
                        self.turns.others = self.turns.others.max(Some(order));
                    }
                    Some(_) | None => {}
                }
                if !self.turns.are_over() {
                    return Vec::new();
                }
                vec![Input::GoAway(GoAwayReason::Superseded)]
            }
            Ok(Notice::Entries { .. }) => Vec::new(),
            Ok(Notice::Missed) | Err(_) => vec![Input::Missed],
        }
    }

    fn serves(&self, device: DeviceId) -> bool {
        self.ledger
            .as_ref()
            .is_some_and(|joined| joined.device == device)
    }

    /// Feeds one input to the session and starts what it asks for.
    pub(crate) fn handle(&mut self, input: Input) -> Result<(), End> {
        let mut outputs = Outputs::new();
        let now_ms = self.ledgers.shared().clock.monotonic_ms();
        self.session.handle(now_ms, input, &mut outputs);
        for output in outputs {
            self.perform(output)?;
        }
        Ok(())
    }

    fn perform(&mut self, output: Output) -> Result<(), End> {
        match output {
            Output::Send(frame) => self.held.push_back(frame),
            Output::Close(close) => return Err(End::Close(close)),
            Output::Identify { identity, device } => self.identify(identity, device),
            Output::Adopt(parts) => self.adopt(parts),
            Output::Judge {
                frame_id,
                runs,
                peer_ahead,
            } => self.judge(frame_id, runs, peer_ahead),
            Output::Read(have) => self.read(have),
            Output::Locate(heads) => self.locate(heads),
            Output::ReadHeads => self.read_heads(),
            Output::ReadReceipts { after_position } => self.read_receipts(after_position),
            Output::Live { .. } => {
                if let Some(joined) = &mut self.ledger {
                    let streams = &joined.handle.streams;
                    joined.live.get_or_insert_with(Live::new);
                    joined.seated = Some(streams.seat(joined.device, self.origin));
                    let (identity, device, stream) = (joined.identity, joined.device, self.origin);
                    let shared = self.ledgers.shared().clone();
                    self.reads.push_back(Box::pin(async move {
                        shared.ledgers.tell_opened(identity, device, stream).await;
                        Ok(Vec::new())
                    }));
                }
            }
            // A service has nothing of its own to keep track of.
            Output::Taken(_)
            | Output::Acked { .. }
            | Output::Flushed { .. }
            | Output::PeerGoesAway { .. } => {}
        }
        Ok(())
    }

    /// Joins the ledger first and reads then, so that nothing falls between.
    fn identify(&mut self, identity: IdentityId, device: DeviceId) {
        let handle = self.ledgers.open(identity);
        let notices = handle.notices.subscribe();
        self.ledger = Some(Joined {
            device,
            identity,
            handle,
            notices,
            told: None,
            seated: None,
            live: None,
        });
        let (shared, signer) = (self.ledgers.shared().clone(), Arc::clone(&self.signer));
        self.reads.push_back(Box::pin(async move {
            let view = read_log(&*shared.identities, &shared.genesis, identity, None).await?;
            standing(&shared, &signer, identity, device, view).await
        }));
    }

    fn adopt(&mut self, parts: Vec<ReceiptParts>) {
        let Some(joined) = &self.ledger else { return };
        let (jobs, shared) = (joined.handle.jobs.clone(), self.ledgers.shared().clone());
        let (identity, device, open) = (joined.identity, joined.device, self.session.is_open());
        let signer = Arc::clone(&self.signer);
        self.reads.push_back(Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            let view = ask(&jobs, Job::Adopt(device, parts, reply), answer).await??;
            // A session that is open hears of it as a change of the log.
            if open {
                Ok(Vec::new())
            } else {
                standing(&shared, &signer, identity, device, view).await
            }
        }));
    }

    fn judge(&mut self, frame_id: u64, runs: Vec<edge_ledger_core::ledger::Run>, peer_ahead: bool) {
        let Some(joined) = &self.ledger else { return };
        let frame = ledgers::Frame {
            origin: self.origin,
            peer_ahead,
            own: joined.device,
            runs,
            signer: Arc::clone(&self.signer),
            watch: Stopwatch::start(),
            span: Span::current(),
        };
        let jobs = joined.handle.jobs.clone();
        self.ingests.push_back(Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            let (ingested, acks) = ask(&jobs, Job::Ingest(frame, reply), answer).await??;
            Ok(vec![Input::Judged {
                frame_id,
                outcomes: ingested.outcomes,
                kept: ingested.kept,
                log_wanted: ingested.log_wanted,
                heads_wanted: ingested.heads_wanted,
                acks,
            }])
        }));
    }

    fn read(&mut self, have: Have) {
        let Some(joined) = &self.ledger else { return };
        let (shared, identity) = (self.ledgers.shared().clone(), joined.identity);
        let known = joined.handle.log.borrow().clone();
        self.reads.push_back(Box::pin(async move {
            let page = shared.ledgers.missing(identity, &have).await?;
            let mut inputs = newer_log(&shared, identity, known, page.version).await?;
            inputs.push(Input::Page {
                runs: page.value.runs,
                more: page.value.more,
            });
            Ok(inputs)
        }));
    }

    fn locate(&mut self, heads: Heads) {
        let Some(joined) = &self.ledger else { return };
        let (shared, identity) = (self.ledgers.shared().clone(), joined.identity);
        let known = joined.handle.log.borrow().clone();
        self.reads.push_back(Box::pin(async move {
            let located = shared.ledgers.locate(identity, &heads).await?;
            let mut inputs = newer_log(&shared, identity, known, located.version).await?;
            inputs.push(Input::Located(located.value));
            Ok(inputs)
        }));
    }

    fn read_heads(&mut self) {
        let Some(joined) = &self.ledger else { return };
        let (shared, identity) = (self.ledgers.shared().clone(), joined.identity);
        let known = joined.handle.log.borrow().clone();
        self.reads.push_back(Box::pin(async move {
            let heads = shared.ledgers.heads(identity).await?;
            let mut inputs = newer_log(&shared, identity, known, heads.version).await?;
            inputs.push(Input::Heads(heads.value));
            Ok(inputs)
        }));
    }

    fn read_receipts(&mut self, after_position: u64) {
        let Some(joined) = &self.ledger else { return };
        let (shared, identity) = (self.ledgers.shared().clone(), joined.identity);
        let known = joined.handle.log.borrow().clone();
        self.reads.push_back(Box::pin(async move {
            let (store, genesis) = (&*shared.identities, &shared.genesis);
            let view = read_log(store, genesis, identity, known.as_ref()).await?;
            let Some(view) = view else {
                return Ok(vec![Input::Receipts(Vec::new())]);
            };
            let receipts = receipts(&shared, &view, after_position);
            // The log itself goes first: whom it has ended is told nothing that it says.
            Ok(vec![Input::LogChanged(view.log), Input::Receipts(receipts)])
        }));
    }
}

/// The log, if what was read stood under a newer one than is known here: nothing is delivered
/// under an older log than it was read under.
async fn newer_log(
    shared: &ledgers::Shared,
    identity: IdentityId,
    known: Option<LogView>,
    version: LogVersion,
) -> Answer {
    if known.as_ref().is_some_and(|view| view.version >= version) {
        return Ok(Vec::new());
    }
    let (store, genesis) = (&*shared.identities, &shared.genesis);
    let view = read_log(store, genesis, identity, known.as_ref()).await?;
    let view = view.map(unblocked).transpose()?;
    Ok(view
        .map(|view| Input::LogChanged(view.log))
        .into_iter()
        .collect())
}

/// Nothing goes in or out while the operator blocks the identity.
fn unblocked(view: LogView) -> Result<LogView, StoreError> {
    match view.terms.block {
        Some(_) => Err(StoreError::Blocked),
        None => Ok(view),
    }
}

/// Waits until a stream that was opened later has taken over, which is told once.
async fn superseded(seated: &mut Option<Seated>) {
    match seated {
        Some(seat) => seat.superseded.cancelled().await,
        None => return std::future::pending().await,
    }
    *seated = None;
}

/// What the store holds of who says hello, and acks for what it holds of the device's journal:
/// the device may have missed them.
async fn standing(
    shared: &ledgers::Shared,
    signer: &ServiceSigner,
    identity: IdentityId,
    device: DeviceId,
    view: Option<LogView>,
) -> Answer {
    let Some(mut view) = view else {
        return Ok(vec![Input::Identified(None)]);
    };
    let heads = shared.ledgers.heads(identity).await?;
    if heads.version > view.version {
        // Judged under an older log, a device that was just ended would be told of tips.
        let (store, genesis) = (&*shared.identities, &shared.genesis);
        let newer = read_log(store, genesis, identity, Some(&view)).await?;
        view = newer.unwrap_or(view);
    }
    // A stranger is not told of it.
    if view.log.device(&device).is_some() {
        view = unblocked(view)?;
    }
    let own = heads.value.of(&device).to_vec();
    let standing = Standing {
        log: view.log.clone(),
        heads: heads.value,
        store_epoch: view.epoch,
    };
    let mut inputs = vec![Input::Identified(Some(standing))];
    if heads.version == view.version && own.len() == 1 {
        let tips = own
            .into_iter()
            .map(|point| edge_ledger_core::ledger::Tip { device, point });
        let now = shared.clock.wall_ms();
        inputs.push(Input::Acks(acks::sign(
            signer,
            &view,
            shared.ledgers.level(),
            now,
            tips,
        )));
    }
    Ok(inputs)
}

fn receipts(shared: &ledgers::Shared, view: &LogView, after_position: u64) -> Vec<ReceiptParts> {
    let signer = shared.signer.current();
    let records = view
        .log
        .records_after(after_position)
        .iter()
        .take(RECEIPTS_PER_FRAME);
    records
        .filter_map(|record| {
            let log_hash = view.log.hash_at(record.statement.body().position)?;
            Some(
                ReceiptedStatement::sign(&signer, &shared.genesis, record.clone(), log_hash)
                    .parts(),
            )
        })
        .collect()
}

async fn ask<T>(
    jobs: &tokio::sync::mpsc::Sender<Job>,
    job: Job,
    answer: oneshot::Receiver<T>,
) -> Result<T, StoreError> {
    let gone = || StoreError::Unavailable("the ledger is shutting down".to_owned());
    jobs.send(job).await.map_err(|_| gone())?;
    answer.await.map_err(|_| gone())
}
