//! A log of which the service gave out two branches.
//!
//! The device goes on with the branch that the service has now, and keeps the other one, with its
//! receipts, until a statement takes it over. Until then it judges by what both say together: who
//! was ended in either is ended here.

use std::sync::Arc;

use bytes::Bytes;
use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_core::identity::{Branch, Evidence, IdentityLog};
use edge_ledger_core::ids::StoreEpoch;
use edge_ledger_core::ledger::Heads;
use edge_ledger_core::ledger::journals::Have;
use edge_ledger_core::limits::FORKS_MAX;
use edge_ledger_proto::{identity as pb, ledger};
use edge_ledger_store::identity::{Adoption, LogEnd, StatementOutcome};
use edge_ledger_store::log_view::{cuts, follow, read_log};
use edge_ledger_store::{Embedded, LogView, Renewal, StoreError};
use prost::Message as _;

use super::Book;
use super::receipts::receipt_key;
use crate::error::AgentError;

/// The log that a device's store holds, and what is known beside it.
pub(crate) struct KnownLog {
    /// As the service has it.
    pub(super) view: LogView,
    /// What devices and journals are judged by: the same, with what the other branches say.
    pub(crate) log: Arc<IdentityLog>,
    /// The branches that no statement has taken over yet.
    pub(super) branches: Vec<Branch>,
}

impl KnownLog {
    /// Puts together what a store holds.
    pub(super) async fn load(store: &Embedded, view: LogView) -> Result<Self, AgentError> {
        let mut branches = Vec::new();
        for (_, bytes) in store.list(BRANCH).await? {
            let damaged = |why: &dyn std::fmt::Display| StoreError::Damaged(why.to_string());
            let told = ledger::Statements::decode(bytes).map_err(|error| damaged(&error))?;
            let told = told.statements.into_iter().map(ReceiptParts::try_from);
            let told = told.collect::<Result<Vec<_>, _>>();
            branches.push(Branch::new(told.map_err(|error| damaged(&error))?));
        }
        Self::of(view, branches)
    }

    pub(super) fn of(view: LogView, mut branches: Vec<Branch>) -> Result<Self, AgentError> {
        branches.retain(|branch| is_open(branch, &view.log));
        let log = joined(&view.log, &branches)?;
        Ok(Self {
            view,
            log,
            branches,
        })
    }
}

/// What a log says, together with branches of it.
pub(super) fn joined(
    log: &Arc<IdentityLog>,
    branches: &[Branch],
) -> Result<Arc<IdentityLog>, AgentError> {
    let mut joined = log.clone();
    for branch in branches {
        let more = joined.joined(branch);
        joined = Arc::new(more.map_err(|error| StoreError::Damaged(error.to_string()))?);
    }
    Ok(joined)
}

/// Whether nothing has taken a branch over yet.
fn is_open(branch: &Branch, log: &IdentityLog) -> bool {
    let head = branch.head();
    head.is_some_and(|head| !log.has_abandoned(head))
}

impl Book {
    /// The branches that no statement has taken over yet.
    pub(crate) fn branches(&self) -> &[Branch] {
        &self.branches
    }

    /// The proof that the service gave a position twice, while that is not settled.
    pub(crate) async fn evidence(&self) -> Result<Option<Evidence>, AgentError> {
        let Some(branch) = self.branches.first() else {
            return Ok(None);
        };
        let own = self.receipts_after(branch.position() - 1).await?;
        let both = own.first().zip(branch.statements().first());
        let both = both.ok_or_else(|| StoreError::Damaged("a receipt is gone".to_owned()))?;
        Ok(Some(Evidence::of(self.log.genesis(), both.0, both.1)?))
    }

    /// What is shown to the service: not the journals of devices that its log does not have.
    pub(crate) fn shown_heads(&self) -> Heads {
        let log = &self.view.log;
        let tips = self.heads.tips();
        Heads::new(tips.filter(|tip| log.device(&tip.device).is_some()))
    }

    /// What the service need not be sent: what it has, and what it does not take.
    pub(crate) fn not_wanted(&self, have: &Have) -> Have {
        let mut have = have.clone();
        for tip in self.heads.tips() {
            if self.view.log.device(&tip.device).is_none() {
                have.entry(tip.device).or_default().insert(tip.point);
            }
        }
        have
    }

    /// Goes on with the service's log, told from its beginning, if that contradicts the one here;
    /// what only the one here has is kept as a branch. Returns how many statements stay.
    pub(crate) async fn take_over(
        &mut self,
        theirs: &[ReceiptParts],
    ) -> Result<Option<u64>, AgentError> {
        let (genesis, identity) = (self.log.genesis().clone(), self.log.identity());
        let told = follow(&IdentityLog::empty(genesis.clone(), identity), theirs);
        if told.taken.len() != theirs.len() {
            let what = "the identity log that was sent does not prove itself";
            return Err(AgentError::Untrusted(what.to_owned()));
        }
        let new = Arc::new(told.grown);
        let own = self.all_receipts().await?;
        let Some(left) = Branch::leaving(&new, &own) else {
            return Ok(None);
        };
        let keep = left.position() - 1;
        let branches = self.branches_of(&new, left, &own);
        if branches.len() > FORKS_MAX {
            let what = "the service gave out more branches of the identity log than can be kept";
            return Err(AgentError::Untrusted(what.to_owned()));
        }
        let log = joined(&new, &branches)?;
        self.save_what_is_cut(&log).await?;
        let renewal = Renewal {
            keep,
            adoption: Adoption {
                expected: LogEnd::of(&self.view.log),
                records: new.records_after(keep).iter().map(Into::into).collect(),
                cuts: cuts(&log),
                fresh_epoch: StoreEpoch::from_bytes(rand::random()),
            },
            facts: facts(keep, theirs, &branches),
        };
        match self.store.renew(identity, renewal).await? {
            StatementOutcome::Appended(_) => {}
            StatementOutcome::Conflict => {
                let what = "the log moved though nobody else writes it";
                return Err(StoreError::Damaged(what.to_owned()).into());
            }
        }
        let view = read_log(&self.store, &genesis, identity, None).await?;
        let view =
            view.ok_or_else(|| StoreError::Damaged("the identity log is gone".to_owned()))?;
        self.stand_on(KnownLog::of(view, branches)?).await?;
        Ok(Some(keep))
    }

    /// The branches of a new log: what is left of the own one, and of those that were kept.
    fn branches_of(&self, new: &IdentityLog, left: Branch, own: &[ReceiptParts]) -> Vec<Branch> {
        let mut branches = vec![left];
        for known in &self.branches {
            let common = usize::try_from(known.position() - 1).unwrap_or(usize::MAX);
            let common = own.get(..common).unwrap_or(own);
            let whole = [common, known.statements()].concat();
            branches.extend(Branch::leaving(new, &whole));
        }
        branches.retain(|branch| is_open(branch, new));
        branches.dedup();
        branches
    }
}

/// Branches are facts under these names, as many as there may be.
const BRANCH: &str = "branch/";

/// The receipts of the new end of a log, and the branches.
fn facts(keep: u64, theirs: &[ReceiptParts], branches: &[Branch]) -> Vec<(String, Bytes)> {
    let wire = |parts: &ReceiptParts| pb::ReceiptedStatement::from(parts.clone());
    let gained = (1..).zip(theirs).filter(|(position, _)| *position > keep);
    let receipts =
        gained.map(|(position, parts)| (receipt_key(position), wire(parts).encode_to_vec()));
    let kept = (0..FORKS_MAX).map(|number| {
        let told = branches.get(number).map_or(&[][..], Branch::statements);
        let statements = told.iter().map(wire).collect();
        let told = ledger::Statements { statements };
        (format!("{BRANCH}{number}"), told.encode_to_vec())
    });
    let all = receipts.chain(kept);
    all.map(|(key, bytes)| (key, Bytes::from(bytes))).collect()
}
