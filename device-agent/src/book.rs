//! The device's own ledger: its store, the identity log, the fold, and the making of entries.
//!
//! An entry is signed and committed with an fsync before anybody sees it, so a crash never lets
//! the device sign two entries for one place.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_core::identity::{Branch, IdentityLog, Point, ServiceCertificate};
use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::keys::SecretKey;
use edge_ledger_core::ledger::admission::Admissible;
use edge_ledger_core::ledger::entry::Author;
use edge_ledger_core::ledger::fold::fold;
use edge_ledger_core::ledger::{
    Ack, Admission, Draft, EntryContent, Extended, Fold, Heads, Kind, Level, Posting, Run,
    VerifiedEntry, VerifiedRun, gate,
};
use edge_ledger_core::limits::{ENTRY_PAYLOAD_BYTES_MAX, ENTRY_POSTINGS_MAX};
use edge_ledger_store::ingest::{Ingested, Under, ingest};
use edge_ledger_store::kept::read_entries;
use edge_ledger_store::ledger::AppendOutcome;
use edge_ledger_store::log_view::{self, Following, read_log};
use edge_ledger_store::{Embedded, LedgerStore as _, LogView, Origin, StoreError};

use crate::devices::LastEntries;
use crate::error::{AgentError, DEVICE_REVOKED, HomeError, Refusal};
use crate::history::history;
use crate::saved_ack;
use crate::status::{Balance, HistoryItem};
use crate::vault::Membership;

mod ended;
mod forks;
mod receipts;

pub(crate) use ended::has_left;
pub(crate) use forks::KnownLog;
use receipts::adopt_following;
pub(crate) use receipts::adopt_into;

const OWN: Origin = Origin(0);
const ACK_KEY: &str = "ack";
const REVOKED_KEY: &str = "revoked";

/// What a device keeps, and what it amounts to.
pub(crate) struct Book {
    pub(crate) store: Embedded,
    key: Arc<SecretKey>,
    device: DeviceId,
    /// The log as the store, and the service, has it.
    view: LogView,
    /// The log that devices and journals are judged by.
    log: Arc<IdentityLog>,
    branches: Vec<Branch>,
    fold: Fold,
    heads: Heads,
    admission: Admission,
    outbox: VecDeque<(u64, Posting)>,
    last_entries: Arc<LastEntries>,
    rolled_back: bool,
    /// Whether the service refused this device for good, as far as it is remembered.
    refused: bool,
}

impl Book {
    /// The identity log that a device's store holds.
    pub(crate) async fn log_of(
        store: &Embedded,
        membership: &Membership,
    ) -> Result<KnownLog, AgentError> {
        let (genesis, identity) = (&membership.genesis, membership.identity);
        let view = read_log(store, genesis, identity, None).await?;
        KnownLog::load(store, view.ok_or_else(without_log)?).await
    }

    /// Opens the store of a device that is in its log, and folds what it keeps.
    pub(crate) async fn open(
        store: Embedded,
        key: Arc<SecretKey>,
        known: KnownLog,
    ) -> Result<Self, AgentError> {
        let device = key.public_key().device_id();
        if known.log.device(&device).is_none() {
            return Err(without_log().into());
        }
        let mut outbox = VecDeque::new();
        for (id, bytes) in store.outbox().await? {
            outbox.push_back((id, Posting::decode(bytes)?));
        }
        let mut book = Self {
            store,
            key,
            device,
            view: known.view,
            log: known.log,
            branches: known.branches,
            fold: Fold::default(),
            heads: Heads::default(),
            admission: Admission::default(),
            outbox,
            last_entries: Arc::default(),
            rolled_back: false,
            refused: false,
        };
        book.refused = book.load_revoked().await?.is_some();
        book.refold().await?;
        Ok(book)
    }

    pub(crate) fn log(&self) -> &Arc<IdentityLog> {
        &self.log
    }

    pub(crate) fn device(&self) -> DeviceId {
        self.device
    }

    pub(crate) fn fold(&self) -> &Fold {
        &self.fold
    }

    pub(crate) fn heads(&self) -> &Heads {
        &self.heads
    }

    pub(crate) fn outbox_last(&self) -> Option<u64> {
        self.outbox.back().map(|(id, _)| *id)
    }

    pub(crate) fn outbox_first(&self) -> Option<u64> {
        self.outbox.front().map(|(id, _)| *id)
    }

    pub(crate) fn last_entries(&self) -> &Arc<LastEntries> {
        &self.last_entries
    }

    pub(crate) fn is_rolled_back(&self) -> bool {
        self.rolled_back
    }

    /// The end of this device's journal.
    pub(crate) fn tip(&self) -> Option<Point> {
        self.heads.of(&self.device).last().copied()
    }

    /// Whether the log has this device as one that may speak.
    pub(crate) fn is_active(&self) -> bool {
        let record = self.log().device(&self.device);
        record.is_some_and(|record| record.cut.is_none())
    }

    /// Whether this device may sign another entry: not when somebody else did so with its key, nor
    /// when it was told that it was ended, by a service that tells it no more of the log.
    pub(crate) fn may_sign(&self) -> bool {
        self.is_active() && !self.refused && !self.has_twin()
    }

    /// Whether somebody else signed with this device's key.
    pub(crate) fn has_twin(&self) -> bool {
        self.rolled_back || self.heads.of(&self.device).len() > 1
    }

    /// Goes on as the device of another key. Says whether the log knows it.
    pub(crate) fn succeed(&mut self, key: Arc<SecretKey>) -> bool {
        let device = key.public_key().device_id();
        let known = self.log().device(&device).is_some();
        if known {
            (self.key, self.device) = (key, device);
            (self.rolled_back, self.refused) = (false, false);
        }
        known
    }

    pub(crate) fn balance(&self) -> Balance {
        let waiting_debits: i128 = self
            .outbox
            .iter()
            .filter(|(_, p)| p.kind == Kind::Debit)
            .map(|(_, p)| i128::from(p.amount))
            .sum();
        let free = (self.fold.balance() - waiting_debits).max(0);
        Balance {
            balance: self.fold.balance(),
            available: u64::try_from(free).unwrap_or(u64::MAX),
            credited: self.fold.credited(),
            debited: self.fold.debited(),
            refunded: self.fold.refunded(),
            waiting: self.outbox.len(),
            upgrade_required: self.fold.upgrade_required(),
        }
    }

    /// A posting with the same key that waits or counts already: its amount.
    pub(crate) fn recorded(&self, posting: &Posting) -> Option<u64> {
        let waiting = self
            .outbox
            .iter()
            .find(|(_, p)| p.kind == posting.kind && p.event_key == posting.event_key);
        if let Some((_, waiting)) = waiting {
            return Some(waiting.amount);
        }
        let lineage = self.log().lineage(&self.device).unwrap_or(self.device);
        let spent = self.fold.spent().get(&(lineage, posting.event_key.clone()));
        match posting.kind {
            Kind::Credit => self.fold.credits().get(&posting.event_key).copied(),
            Kind::Debit => spent.map(|s| s.debit).filter(|amount| *amount > 0),
            Kind::Refund => spent.map(|s| s.refund).filter(|amount| *amount > 0),
        }
    }

    /// The debit of this lineage with a key, counted or waiting.
    pub(crate) fn debit(&self, posting: &Posting) -> Option<u64> {
        let debit = Posting {
            kind: Kind::Debit,
            ..posting.clone()
        };
        self.recorded(&debit)
    }

    /// Makes postings durable, to be closed into an entry later.
    pub(crate) async fn record(&mut self, postings: Vec<Posting>) -> Result<(), AgentError> {
        let ids = self
            .store
            .record(postings.iter().map(Posting::encode).collect())
            .await?;
        self.outbox.extend(ids.into_iter().zip(postings));
        Ok(())
    }

    /// Closes waiting postings into one entry, as many as fit.
    pub(crate) async fn close_entry(
        &mut self,
        wall_ms: i64,
    ) -> Result<Option<Arc<[VerifiedRun]>>, AgentError> {
        if self.outbox.is_empty() || !self.may_sign() {
            return Ok(None);
        }
        let mut bytes = 16;
        let fitting = self
            .outbox
            .iter()
            .take(ENTRY_POSTINGS_MAX)
            .take_while(|(_, posting)| {
                bytes += Draft::posting_bytes(posting);
                bytes <= ENTRY_PAYLOAD_BYTES_MAX
            });
        let (ids, postings): (Vec<u64>, Vec<Posting>) = fitting.cloned().unzip();
        let count = ids.len();
        let run = self.sign(wall_ms, postings)?;
        self.commit(run.clone(), Some(ids)).await?;
        self.outbox.drain(..count);
        Ok(Some(Arc::from([run])))
    }

    /// Makes one entry of postings that are not in the outbox.
    pub(crate) async fn make_entry(
        &mut self,
        wall_ms: i64,
        postings: Vec<Posting>,
    ) -> Result<Arc<[VerifiedRun]>, AgentError> {
        let run = self.sign(wall_ms, postings)?;
        self.commit(run.clone(), None).await?;
        Ok(Arc::from([run]))
    }

    fn sign(&self, wall_ms: i64, postings: Vec<Posting>) -> Result<VerifiedRun, AgentError> {
        let log = self.log();
        let parent = self.tip().unwrap_or(Point::START);
        let run =
            Draft { wall_ms, postings }.sign(log.ledger_id(), log.identity(), &self.key, parent)?;
        let key = self.key.public_key();
        let author = Author {
            ledger_id: log.ledger_id(),
            identity: log.identity(),
            key: &key,
        };
        // What this device would send passes the gate that everybody else applies to it.
        gate::verify(author, &run).map_err(|reject| AgentError::Untrusted(reject.to_string()))
    }

    async fn commit(
        &mut self,
        run: VerifiedRun,
        outbox: Option<Vec<u64>>,
    ) -> Result<(), AgentError> {
        let identity = self.log().identity();
        let admissible = Admissible {
            run: run.clone(),
            in_cut: false,
        };
        let (version, ids) = (self.view.version, outbox.unwrap_or_default());
        let outcome = self
            .store
            .close_entry(identity, version, OWN, admissible, ids)
            .await?;
        match outcome {
            AppendOutcome::Appended(extended)
                if matches!(extended[..], [Extended::Kept { .. }]) =>
            {
                self.keep(run.entries()).await
            }
            AppendOutcome::Appended(_) | AppendOutcome::LogMoved => {
                Err(StoreError::Damaged("the journal does not end where it did".to_owned()).into())
            }
            // No operator says anything to a device's own store.
            AppendOutcome::Blocked => Err(StoreError::Blocked.into()),
            AppendOutcome::OverQuota => Err(StoreError::OverQuota.into()),
        }
    }

    /// Admits and appends what somebody sent.
    pub(crate) async fn ingest(
        &mut self,
        peer_ahead: bool,
        runs: &[Run],
    ) -> Result<Ingested, AgentError> {
        let log = self.log().clone();
        let under = Under {
            log: &log,
            version: self.view.version,
            origin: OWN,
            peer_ahead,
            refuse: None,
        };
        let ingested = ingest(&self.store, &mut self.admission, under, runs).await?;
        let ingested = ingested.ok_or_else(|| {
            StoreError::Damaged("the log moved though nobody else writes it".to_owned())
        })?;
        self.rolled_back |= ingested
            .fresh
            .iter()
            .any(|entry| entry.device() == self.device);
        self.keep(&ingested.fresh).await?;
        Ok(ingested)
    }

    /// Adds new entries to what they amount to.
    async fn keep(&mut self, fresh: &[VerifiedEntry]) -> Result<(), AgentError> {
        let log = self.log().clone();
        for entry in fresh {
            if self.fold.extend(&log, entry).is_err() {
                return self.refold().await;
            }
            let mut tips = self.heads.of(&entry.device()).to_vec();
            tips.retain(|tip| *tip != entry.parent());
            tips.push(entry.point());
            self.heads.set(entry.device(), tips);
        }
        note_times(Arc::make_mut(&mut self.last_entries), fresh);
        Ok(())
    }

    /// Takes over statements, and judges everything anew under the longer log. Returns whether
    /// the log grew.
    pub(crate) async fn adopt(&mut self, parts: &[ReceiptParts]) -> Result<bool, AgentError> {
        let log = self.view.log.clone();
        let following = log_view::follow(&log, parts);
        let grown = forks::joined(&Arc::new(following.grown), &self.branches)?;
        self.save_what_is_cut(&grown).await?;
        let following = Following {
            grown: Arc::unwrap_or_clone(grown),
            taken: following.taken,
        };
        if !adopt_following(&self.store, &log, &following).await? {
            return Ok(false);
        }
        let view = read_log(&self.store, log.genesis(), log.identity(), Some(&self.view)).await?;
        let view =
            view.ok_or_else(|| StoreError::Damaged("the identity log is gone".to_owned()))?;
        let branches = std::mem::take(&mut self.branches);
        self.stand_on(KnownLog::of(view, branches)?).await?;
        Ok(true)
    }

    /// Judges everything anew.
    async fn stand_on(&mut self, known: KnownLog) -> Result<(), AgentError> {
        (self.view, self.log, self.branches) = (known.view, known.log, known.branches);
        self.admission.forget_ended(&self.log);
        self.refold().await
    }

    /// Remembers the last ack of this device's journal, with all that it takes to check it.
    pub(crate) async fn save_ack(
        &self,
        ack: &Ack,
        service: &ServiceCertificate,
    ) -> Result<(), AgentError> {
        let bytes = saved_ack::encode(ack, service);
        Ok(self.store.put(ACK_KEY, bytes).await?)
    }

    /// How far the service keeps this device's journal, as it last said.
    pub(crate) async fn load_ack(&self) -> Result<Option<(Point, Level)>, AgentError> {
        let Some(bytes) = self.store.get(ACK_KEY).await? else {
            return Ok(None);
        };
        let body = saved_ack::decode(&bytes, self.log())?.body;
        Ok((body.device == self.device).then_some((body.point, body.level)))
    }

    /// All postings with whether they count, by the devices' clocks.
    pub(crate) async fn history(&self) -> Result<Vec<HistoryItem>, AgentError> {
        let entries = read_entries(&self.store, self.log()).await?;
        Ok(history(self.log(), &entries))
    }

    /// Why the service refused this device for good, if it did.
    pub(crate) async fn load_revoked(&self) -> Result<Option<Refusal>, AgentError> {
        let stored = self.store.get(REVOKED_KEY).await?;
        let Some(bytes) = stored.filter(|bytes| !bytes.is_empty()) else {
            return Ok(None);
        };
        let message = String::from_utf8(bytes.to_vec())
            .map_err(|_| StoreError::Damaged("the stored refusal cannot be read".to_owned()))?;
        Ok(Some(Refusal {
            reason: DEVICE_REVOKED.to_owned(),
            message,
        }))
    }

    /// Remembers that the service refused this device for good, or that it does no longer.
    pub(crate) async fn save_revoked(
        &mut self,
        refusal: Option<&Refusal>,
    ) -> Result<(), AgentError> {
        self.refused = refusal.is_some();
        let message = refusal.map_or(String::new(), |refusal| refusal.message.clone());
        Ok(self.store.put(REVOKED_KEY, Bytes::from(message)).await?)
    }

    async fn refold(&mut self) -> Result<(), AgentError> {
        let entries = read_entries(&self.store, self.log()).await?;
        self.fold = fold(self.log(), &entries);
        let mut last_entries = LastEntries::new();
        note_times(&mut last_entries, &entries);
        self.last_entries = Arc::new(last_entries);
        self.heads = self.store.heads(self.log().identity()).await?.value;
        Ok(())
    }
}

/// Takes down when the newest entry of each device was made.
fn note_times(last: &mut LastEntries, entries: &[VerifiedEntry]) {
    for entry in entries {
        let EntryContent::V1 { wall_ms, .. } = entry.content() else {
            continue;
        };
        let seq = entry.point().seq;
        let known = last.entry(entry.device()).or_insert((seq, *wall_ms));
        if known.0 <= seq {
            *known = (seq, *wall_ms);
        }
    }
}

fn without_log() -> HomeError {
    HomeError::Damaged {
        path: "ledger.redb".to_owned(),
        why: "it does not hold this device's identity log".to_owned(),
    }
}
