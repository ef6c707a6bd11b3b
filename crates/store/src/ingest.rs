//! Ingest: from the runs of one frame to what is kept of them. Admission decides under the log,
//! the store appends in one step, and what waited for it is appended after it.

use edge_ledger_core::identity::{IdentityLog, Point};
use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::ledger::admission::{Admissible, Refusal};
use edge_ledger_core::ledger::{Admission, Admitted, Extended, Run, Tip, VerifiedEntry};
use edge_ledger_core::sync::Outcome;

use crate::ledger::AppendOutcome;
use crate::{LedgerStore, LogVersion, Origin, StoreError};

/// Under what a frame is ingested.
#[derive(Debug, Clone, Copy)]
pub struct Under<'a> {
    /// The identity log.
    pub log: &'a IdentityLog,
    /// Its version in the store.
    pub version: LogVersion,
    /// Who brings the runs.
    pub origin: Origin,
    /// Whether the bringer's log is longer than ours.
    pub peer_ahead: bool,
    /// A device whose forked journal the bringer may not push on.
    pub refuse: Option<DeviceId>,
}

/// What became of a frame.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ingested {
    /// One per run.
    pub outcomes: Vec<Outcome>,
    /// The ends of the runs that are kept, each with the parent of the run.
    pub kept: Vec<(Tip, Point)>,
    /// Whether a run's device is not in the log, though the bringer's is longer.
    pub log_wanted: bool,
    /// Whether a run waits for a parent that the bringer has to send.
    pub heads_wanted: bool,
    /// Journals that are forked now.
    pub forked: Vec<DeviceId>,
    /// The entries that are new here, parents first.
    pub fresh: Vec<VerifiedEntry>,
}

/// Admits and appends the runs of one frame. `None` when the log has changed since: read it, and
/// ingest the same runs again.
///
/// # Errors
/// [`StoreError`]: nothing may be answered then.
pub async fn ingest(
    store: &dyn LedgerStore,
    admission: &mut Admission,
    under: Under<'_>,
    runs: &[Run],
) -> Result<Option<Ingested>, StoreError> {
    let identity = under.log.identity();
    let mut done = Ingested::default();
    let mut batch: Vec<Admissible> = Vec::new();
    // For each run of the batch the run of the frame that it answers for, if any.
    let mut answers: Vec<Option<usize>> = Vec::new();
    for (index, run) in runs.iter().enumerate() {
        let outcome = match admit(admission, &under, run) {
            Admitted::Append(chain) => {
                answers.extend(std::iter::repeat_n(None, chain.len().saturating_sub(1)));
                answers.push(Some(index));
                batch.extend(chain);
                Outcome::Waiting
            }
            Admitted::LogWanted => {
                done.log_wanted = true;
                Outcome::Waiting
            }
            Admitted::Waiting { .. } => Outcome::Waiting,
            Admitted::Refused(refusal) => Outcome::Refused(refusal),
        };
        done.outcomes.push(outcome);
    }
    while !batch.is_empty() {
        let appended = match store
            .append(identity, under.version, under.origin, batch.clone())
            .await?
        {
            AppendOutcome::Appended(appended) => appended,
            AppendOutcome::LogMoved => return Ok(None),
            AppendOutcome::Blocked => return Err(StoreError::Blocked),
            AppendOutcome::OverQuota => return Err(StoreError::OverQuota),
        };
        let mut next = Vec::new();
        for ((admissible, extended), answer) in batch.into_iter().zip(appended).zip(&answers) {
            let outcome = settle(admission, &mut done, &mut next, admissible, extended);
            if let Some(index) = answer {
                done.outcomes[*index] = outcome;
            }
        }
        answers = vec![None; next.len()];
        batch = next;
    }
    Ok(Some(done))
}

fn admit(admission: &mut Admission, under: &Under<'_>, run: &Run) -> Admitted {
    if under.refuse == Some(run.device) {
        return Admitted::Refused(Refusal::Forked);
    }
    admission.admit(under.log, under.peer_ahead, run)
}

fn settle(
    admission: &mut Admission,
    done: &mut Ingested,
    next: &mut Vec<Admissible>,
    admissible: Admissible,
    extended: Extended,
) -> Outcome {
    let run = admissible.run;
    let end = (
        Tip {
            device: run.device(),
            point: run.last(),
        },
        run.parent(),
    );
    match extended {
        Extended::Kept { tips, from } => {
            done.fresh.extend_from_slice(&run.entries()[from..]);
            if tips.len() > 1 && !done.forked.contains(&run.device()) {
                done.forked.push(run.device());
            }
            // Above a cut nothing is let in that does not lead to a named tip.
            if !admissible.in_cut {
                next.extend(
                    admission
                        .release(&run)
                        .into_iter()
                        .map(|run| Admissible { run, in_cut: false }),
                );
            }
            done.kept.push(end);
            Outcome::Kept
        }
        Extended::Duplicate => {
            done.kept.push(end);
            Outcome::Kept
        }
        Extended::Waiting { .. } => {
            done.heads_wanted = true;
            if !admissible.in_cut {
                admission.park(run);
            }
            Outcome::Waiting
        }
        Extended::TooManyTips => Outcome::Refused(Refusal::TooManyTips),
    }
}
