//! Identity logs: the one place that makes new positions, and signs what was recorded of them.
//!
//! An append compares the end of the log in the store and records time and tips in the same step. A receipt
//! signs exactly what was recorded, so the same statement gets a receipt that says the same from any replica,
//! however often it is sent, whichever of the deployment's service keys it signs with.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use edge_ledger_chassis::status::store_refusal;
use edge_ledger_chassis::{Clock, Reason, Signing, random, refusal};
use edge_ledger_core::identity::log::next_hash;
use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_core::identity::{
    Act, FormatError, Genesis, IdentityLog, ReceiptedStatement, Statement, StatementRecord,
};
use edge_ledger_core::ids::{IdentityId, LogHash, StoreEpoch};
use edge_ledger_core::limits::STATEMENT_BYTES_MAX;
use edge_ledger_store::identity::{Adoption, LogEnd, StatementAppend, StatementOutcome};
use edge_ledger_store::log_view::{cuts, read_log};
use edge_ledger_store::{IdentityStore, LogView, StoreError};
use tonic::Status;

use crate::limits::{APPEND_TRIES_MAX, LOGS_CACHED_MAX, PAGE_BYTES_MAX, PAGE_STATEMENTS_MAX};
use crate::refusals;

/// The logs in the store.
pub(crate) struct Logs {
    store: Arc<dyn IdentityStore>,
    genesis: Genesis,
    signer: Signing,
    clock: Clock,
    /// Logs as they were read, so that only what is new is replayed.
    views: Mutex<BTreeMap<IdentityId, LogView>>,
}

/// A part of a log.
pub(crate) struct Page {
    pub(crate) statements: Vec<ReceiptParts>,
    pub(crate) more: bool,
}

impl Logs {
    pub(crate) fn new(
        store: Arc<dyn IdentityStore>,
        genesis: Genesis,
        signer: Signing,
        clock: Clock,
    ) -> Self {
        Self {
            store,
            genesis,
            signer,
            clock,
            views: Mutex::default(),
        }
    }

    /// The deployment.
    pub(crate) fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// An identity's log as the store has it; `None` for an unknown identity.
    pub(crate) async fn read(&self, identity: IdentityId) -> Result<Option<LogView>, Status> {
        let known = self.cached(&identity);
        let view = read_log(&*self.store, &self.genesis, identity, known.as_ref())
            .await
            .map_err(|error| store_refusal(&error))?;
        if let Some(view) = &view {
            self.cache(identity, view.clone());
        }
        Ok(view)
    }

    /// Opens a log by a statement that proves itself. Nothing is looked up before it did, so that
    /// only the owner of the root key learns whether the identity exists.
    /// One that is there already is told again, to whoever signed it; a new one has to be admitted.
    pub(crate) async fn register(
        &self,
        bytes: Bytes,
        admit: impl Future<Output = Result<(), Status>>,
    ) -> Result<ReceiptParts, Status> {
        let statement = self.decode(bytes, refusals::malformed_incept)?;
        let identity = statement.body().identity;
        if !matches!(statement.body().act, Act::Incept { .. }) || statement.body().position != 1 {
            return Err(refusal(
                Reason::BadMessage,
                "only an Incept at position 1 opens a log",
            ));
        }
        IdentityLog::empty(self.genesis.clone(), identity)
            .check(&statement, self.clock.wall_ms())
            .map_err(|error| refusals::statement(&statement, &error))?;
        if let Some(view) = self.read(identity).await?
            && let Some(receipt) = self.given_before(&view.log, &statement)
        {
            return Ok(receipt);
        }
        admit.await?;
        self.make_position(&statement).await
    }

    /// Appends a statement to the caller's log.
    pub(crate) async fn append(
        &self,
        caller: IdentityId,
        bytes: Bytes,
    ) -> Result<ReceiptParts, Status> {
        let statement = self.decode(bytes, refusals::malformed)?;
        if statement.body().identity != caller {
            return Err(refusals::not_yours());
        }
        self.make_position(&statement).await
    }

    /// The statements after a position, as many as fit into one answer.
    pub(crate) fn page(&self, log: &IdentityLog, after: u64) -> Page {
        let records = log.records_after(after);
        let mut statements = Vec::new();
        let mut bytes = 0;
        for record in records.iter().take(PAGE_STATEMENTS_MAX) {
            let Some(parts) = self.receipt(log, record) else {
                break;
            };
            bytes += parts.statement.len() + parts.body.len();
            if bytes > PAGE_BYTES_MAX && !statements.is_empty() {
                break;
            }
            statements.push(parts);
        }
        Page {
            more: statements.len() < records.len(),
            statements,
        }
    }

    /// Signs what was recorded of a statement.
    pub(crate) fn receipt(
        &self,
        log: &IdentityLog,
        record: &StatementRecord,
    ) -> Option<ReceiptParts> {
        let log_hash = log.hash_at(record.statement.body().position)?;
        Some(self.sign(record.clone(), log_hash))
    }

    fn decode(
        &self,
        bytes: Bytes,
        refuse: impl Fn(&FormatError) -> Status,
    ) -> Result<Statement, Status> {
        if bytes.len() > STATEMENT_BYTES_MAX {
            let what = "a statement has at most 64 KiB";
            return Err(refusal(Reason::MessageTooLarge, what));
        }
        Statement::decode(self.genesis.ledger_id(), bytes).map_err(|error| refuse(&error))
    }

    /// Gives a statement its place, or finds the place that it has.
    async fn make_position(&self, statement: &Statement) -> Result<ReceiptParts, Status> {
        let identity = statement.body().identity;
        for _ in 0..APPEND_TRIES_MAX {
            let view = self.read(identity).await?;
            let log = match &view {
                Some(view) => Arc::clone(&view.log),
                None => Arc::new(IdentityLog::empty(self.genesis.clone(), identity)),
            };
            if let Some(receipt) = self.given_before(&log, statement) {
                return Ok(receipt);
            }
            // Receipts never go back in time, whatever the clocks of replicas say.
            let now_ms = self.clock.wall_ms().max(log.time());
            log.check(statement, now_ms)
                .map_err(|error| refusals::statement(statement, &error))?;
            if let Some(receipt) = self.try_append(&log, statement, now_ms).await? {
                return Ok(receipt);
            }
            // Somebody else was faster, perhaps with the same statement; or the store went back, and
            // what is known of it is no part of its log.
            self.forget(&identity);
        }
        Err(refusals::conflict())
    }

    fn given_before(&self, log: &IdentityLog, statement: &Statement) -> Option<ReceiptParts> {
        let before = statement.body().position.checked_sub(1)?;
        let record = log.records_after(before).first()?;
        let same = record.statement.bytes() == statement.bytes();
        same.then(|| self.receipt(log, record)).flatten()
    }

    /// `None` when the store's log is not `log` any more.
    async fn try_append(
        &self,
        log: &IdentityLog,
        statement: &Statement,
        now_ms: i64,
    ) -> Result<Option<ReceiptParts>, Status> {
        let (identity, head) = (log.identity(), log.head());
        let append = StatementAppend {
            expected: LogEnd::of(log),
            statement: statement.bytes().clone(),
            service_time_ms: now_ms,
            ends: log.ends(statement).into_iter().collect(),
            fresh_epoch: StoreEpoch::from_bytes(random::bytes()),
        };
        let takes_over = matches!(statement.body().act, Act::RecoverFork { .. });
        let outcome = if takes_over {
            self.take_over(log, statement, append).await?
        } else {
            self.store.append_statement(identity, append).await
        };
        let recorded = match outcome.map_err(|error| store_refusal(&error))? {
            StatementOutcome::Appended(records) => records.into_iter().next(),
            StatementOutcome::Conflict => None,
        };
        let Some(recorded) = recorded else {
            return Ok(None);
        };
        tracing::info!(%identity, position = head.position + 1, "statement appended");
        let record = StatementRecord {
            statement: statement.clone(),
            service_time_ms: recorded.service_time_ms,
            tips: recorded.tips,
        };
        let log_hash = next_hash(log.ledger_id(), head.hash, &record);
        Ok(Some(self.sign(record, log_hash)))
    }

    /// A statement that takes over a branch ends journals where that says: entries that were kept
    /// in this one leave in the same step.
    async fn take_over(
        &self,
        log: &IdentityLog,
        statement: &Statement,
        append: StatementAppend,
    ) -> Result<Result<StatementOutcome, StoreError>, Status> {
        let record = StatementRecord {
            statement: statement.clone(),
            service_time_ms: append.service_time_ms,
            tips: Vec::new(),
        };
        let mut grown = log.clone();
        grown
            .apply(record.clone())
            .map_err(|error| refusals::statement(statement, &error))?;
        let adoption = Adoption {
            expected: append.expected,
            records: vec![(&record).into()],
            cuts: cuts(&grown),
            fresh_epoch: append.fresh_epoch,
        };
        Ok(self.store.adopt(log.identity(), adoption).await)
    }

    fn sign(&self, record: StatementRecord, log_hash: LogHash) -> ReceiptParts {
        ReceiptedStatement::sign(&self.signer.current(), &self.genesis, record, log_hash).parts()
    }

    fn cached(&self, identity: &IdentityId) -> Option<LogView> {
        let views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        views.get(identity).cloned()
    }

    fn forget(&self, identity: &IdentityId) {
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        views.remove(identity);
    }

    fn cache(&self, identity: IdentityId, view: LogView) {
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        if views.len() >= LOGS_CACHED_MAX && !views.contains_key(&identity) {
            // Identities are random, so whichever comes next is as good as any.
            let next = views
                .range(identity..)
                .next()
                .or_else(|| views.iter().next());
            if let Some(next) = next.map(|(identity, _)| *identity) {
                views.remove(&next);
            }
        }
        views.insert(identity, view);
    }
}
