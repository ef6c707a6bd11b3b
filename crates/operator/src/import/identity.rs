//! One identity that arrives.

use edge_ledger_chassis::status::store_refusal;
use edge_ledger_chassis::{Reason, refusal};
use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_core::ids::{IdentityId, StoreEpoch};
use edge_ledger_core::ledger::admission::Refusal;
use edge_ledger_core::ledger::{Admission, Heads, Run, Tip};
use edge_ledger_core::limits::{FRAME_RUNS_MAX, FRAME_STATEMENTS_MAX, PAGE_BYTES_MAX};
use edge_ledger_core::sync::Outcome;
use edge_ledger_proto::admin as wire;
use edge_ledger_store::identity::StatementOutcome;
use edge_ledger_store::ingest::{Ingested, Under, ingest};
use edge_ledger_store::log_view::{adopt, follow};
use edge_ledger_store::operator::{Terms, TermsOutcome};
use edge_ledger_store::{LogView, Origin, StoreError};
use tonic::Status;

use super::{damaged, malformed, same};
use crate::limits::LOG_MOVED_RETRIES_MAX;
use crate::place::Place;

/// Nobody's stream.
const NOBODY: Origin = Origin(0);

/// What came of an identity that was not here before.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Came {
    pub(super) statements: u64,
    pub(super) entries: u64,
    pub(super) cut_off: u64,
}

/// An identity of which the end has not come. Statements and runs wait until there are enough for
/// one step.
pub(super) struct Arriving {
    identity: IdentityId,
    epoch: StoreEpoch,
    terms: Terms,
    view: Option<LogView>,
    admission: Admission,
    statements: Vec<(u64, ReceiptParts)>,
    runs: Vec<(u64, Run)>,
    bytes: usize,
    came: Came,
}

impl Arriving {
    pub(super) async fn new(
        place: &Place,
        identity: IdentityId,
        epoch: StoreEpoch,
        terms: Terms,
    ) -> Result<Self, Status> {
        Ok(Self {
            identity,
            epoch,
            terms,
            view: place.read(identity, None).await?,
            admission: Admission::default(),
            statements: Vec::new(),
            runs: Vec::new(),
            bytes: 0,
            came: Came::default(),
        })
    }

    pub(super) async fn statement(
        &mut self,
        place: &Place,
        number: u64,
        parts: ReceiptParts,
    ) -> Result<(), Status> {
        self.keep_runs(place).await?;
        self.statements.push((number, parts));
        if self.statements.len() >= FRAME_STATEMENTS_MAX {
            self.keep_statements(place).await?;
        }
        Ok(())
    }

    pub(super) async fn run(&mut self, place: &Place, number: u64, run: Run) -> Result<(), Status> {
        self.keep_statements(place).await?;
        self.bytes += run.weight();
        self.runs.push((number, run));
        if self.bytes >= PAGE_BYTES_MAX || self.runs.len() >= FRAME_RUNS_MAX {
            self.keep_runs(place).await?;
        }
        Ok(())
    }

    /// Ends it: what the archive promises must be here.
    pub(super) async fn whole(
        mut self,
        place: &Place,
        number: u64,
        whole: wire::ArchiveWhole,
    ) -> Result<Came, Status> {
        self.keep_statements(place).await?;
        self.keep_runs(place).await?;
        let view = place.read(self.identity, self.view.as_ref()).await?;
        let view = view.ok_or_else(|| damaged(number, "the identity has no log"))?;
        let log_hash = view.log.hash_at(whole.log_position);
        let is_log = log_hash.is_some_and(|hash| same(&whole.log_hash, hash.as_bytes()));
        if !is_log || !same(&whole.identity, self.identity.as_bytes()) {
            return Err(damaged(
                number,
                "what came before is not the identity's log",
            ));
        }
        let mut tips = Vec::with_capacity(whole.tips.len());
        for tip in whole.tips {
            let tip: Tip = tip.try_into().map_err(|e| malformed(number, e))?;
            // A revocation that came here later has cut it off.
            let was_cut = view.log.head().position > whole.log_position
                && view.log.cut(&tip.device).is_some();
            if !was_cut {
                tips.push(tip);
            }
        }
        self.are_kept(place, number, Heads::new(tips)).await?;
        self.set_terms(place, view).await?;
        Ok(self.came)
    }

    /// Checks that tips, or what was appended to them here, are kept.
    async fn are_kept(&self, place: &Place, number: u64, tips: Heads) -> Result<(), Status> {
        let kept = place.heads(self.identity).await?.value;
        let has_journal = |tip: Tip| !kept.of(&tip.device).is_empty();
        let located = place.ledgers.locate(self.identity, &tips).await;
        let located = located.map_err(|error| store_refusal(&error))?.value;
        if located.is_empty() && tips.tips().all(has_journal) {
            return Ok(());
        }
        let blocked = self
            .view
            .as_ref()
            .and_then(|view| view.terms.block.as_ref());
        if blocked.is_some() {
            return Err(store_refusal(&StoreError::Blocked));
        }
        Err(damaged(
            number,
            "entries of the identity are missing before it",
        ))
    }

    /// What was said of it goes with it, unless something was said here.
    async fn set_terms(&self, place: &Place, mut view: LogView) -> Result<(), Status> {
        for _ in 0..LOG_MOVED_RETRIES_MAX {
            let nothing = Terms::default();
            if self.terms == nothing || view.terms != nothing {
                return Ok(());
            }
            let set = place
                .terms
                .set_terms(self.identity, nothing, self.terms.clone());
            match set.await.map_err(|error| store_refusal(&error))? {
                TermsOutcome::Set => return Ok(()),
                TermsOutcome::Conflict | TermsOutcome::Unknown => {}
            }
            view = place.known(self.identity).await?;
        }
        Err(moving())
    }

    /// Adopts the statements that wait.
    async fn keep_statements(&mut self, place: &Place) -> Result<(), Status> {
        let waiting = std::mem::take(&mut self.statements);
        if waiting.is_empty() {
            return Ok(());
        }
        for _ in 0..LOG_MOVED_RETRIES_MAX {
            let empty = || place.empty_log(self.identity);
            let log = self
                .view
                .as_ref()
                .map_or_else(empty, |view| view.log.clone());
            let mut new = Vec::new();
            for (number, parts) in &waiting {
                match log.has(parts.position(), parts) {
                    Some(true) => {}
                    Some(false) => return Err(conflict(*number, &parts.clone())),
                    None => new.push((*number, parts.clone())),
                }
            }
            let parts: Vec<_> = new.iter().map(|(_, parts)| parts.clone()).collect();
            let following = follow(&log, &parts);
            if following.taken.len() < new.len() {
                let odd = new.get(following.taken.len());
                let number = odd.map_or(0, |(number, _)| *number);
                return Err(damaged(number, "the statement or its receipt does not fit"));
            }
            if new.is_empty() {
                return Ok(());
            }
            let adopted = adopt(&*place.identities, &log, &following, self.epoch).await;
            let adopted = adopted.map_err(|error| store_refusal(&error))?;
            self.view = place.read(self.identity, self.view.as_ref()).await?;
            if let StatementOutcome::Appended(_) = adopted {
                self.came.statements += new.len() as u64;
                return Ok(());
            }
        }
        Err(moving())
    }

    /// Appends the runs that wait.
    async fn keep_runs(&mut self, place: &Place) -> Result<(), Status> {
        let waiting = std::mem::take(&mut self.runs);
        self.bytes = 0;
        let Some((first, _)) = waiting.first() else {
            return Ok(());
        };
        let (numbers, runs): (Vec<u64>, Vec<Run>) = waiting.iter().cloned().unzip();
        for _ in 0..LOG_MOVED_RETRIES_MAX {
            let Some(view) = self.view.clone() else {
                return Err(damaged(*first, "no statement comes before it"));
            };
            if view.terms.block.is_some() {
                // Its end says whether all of it is here.
                return Ok(());
            }
            let under = Under {
                log: &view.log,
                version: view.version,
                origin: NOBODY,
                peer_ahead: false,
                refuse: None,
            };
            let ingested = ingest(&*place.ledgers, &mut self.admission, under, &runs).await;
            if let Some(ingested) = ingested.map_err(|error| store_refusal(&error))? {
                return self.judged(&numbers, &runs, &ingested);
            }
            self.view = place.read(self.identity, Some(&view)).await?;
        }
        Err(moving())
    }

    /// Looks at what became of runs. One that waits is found out at the end, if it is never let in.
    fn judged(&mut self, numbers: &[u64], runs: &[Run], ingested: &Ingested) -> Result<(), Status> {
        self.came.entries += ingested.fresh.len() as u64;
        for ((number, run), outcome) in numbers.iter().zip(runs).zip(&ingested.outcomes) {
            match outcome {
                Outcome::Kept | Outcome::Waiting => {}
                Outcome::Refused(Refusal::OutsideCut) => {
                    self.came.cut_off += run.payloads.len() as u64;
                }
                Outcome::Refused(refused) => {
                    return Err(damaged(
                        *number,
                        &format!("the run is refused: {refused:?}"),
                    ));
                }
            }
        }
        Ok(())
    }
}

fn conflict(number: u64, parts: &ReceiptParts) -> Status {
    let position = parts.position();
    let what = format!("line {number}: the identity has another statement {position} here");
    refusal(Reason::ArchiveConflict, &what)
}

fn moving() -> Status {
    store_refusal(&StoreError::Unavailable(
        "an identity does not stand still".to_owned(),
    ))
}
