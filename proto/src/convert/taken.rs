//! Verdicts on runs.

use edge_ledger_core::ledger::Reject;
use edge_ledger_core::ledger::admission::Refusal;
use edge_ledger_core::sync::Outcome;

use super::{ConvertError, Problem, known};
use crate::ledger::{RefusedReason, RunTaken, RunVerdict};

impl From<Outcome> for RunTaken {
    fn from(outcome: Outcome) -> Self {
        let (verdict, reason) = match outcome {
            Outcome::Kept => (RunVerdict::Kept, RefusedReason::Unspecified),
            Outcome::Waiting => (RunVerdict::Waiting, RefusedReason::Unspecified),
            Outcome::Refused(refusal) => (RunVerdict::Refused, refusal.into()),
        };
        Self {
            verdict: verdict.into(),
            reason: reason.into(),
        }
    }
}

impl TryFrom<RunTaken> for Outcome {
    type Error = ConvertError;

    fn try_from(taken: RunTaken) -> Result<Self, ConvertError> {
        const REASON: &str = "run_taken.reason";
        let verdict: RunVerdict = known("run_taken.verdict", taken.verdict)?;
        let reason: RefusedReason = known(REASON, taken.reason)?;
        let unrefused = |outcome| {
            if reason == RefusedReason::Unspecified {
                return Ok(outcome);
            }
            Err(ConvertError {
                field: REASON,
                problem: Problem::Contradiction,
            })
        };
        match verdict {
            RunVerdict::Unspecified => Err(ConvertError::range("run_taken.verdict")),
            RunVerdict::Kept => unrefused(Self::Kept),
            RunVerdict::Waiting => unrefused(Self::Waiting),
            RunVerdict::Refused => reason.try_into().map(Self::Refused),
        }
    }
}

/// A run of another device than its author's is, to whoever sent it, a foreign entry.
impl From<Refusal> for RefusedReason {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Gate(Reject::BadRun) => Self::BadRun,
            Refusal::Gate(Reject::EntrySize) => Self::EntrySize,
            Refusal::Gate(Reject::AmountRange) => Self::AmountRange,
            Refusal::Gate(Reject::NotCanonical) => Self::NotCanonical,
            Refusal::Gate(Reject::BadText) => Self::BadText,
            Refusal::Gate(Reject::BadSignature) => Self::BadSignature,
            Refusal::Gate(Reject::Foreign) | Refusal::ForeignEntry => Self::ForeignEntry,
            Refusal::OutsideCut => Self::OutsideCut,
            Refusal::Forked => Self::Forked,
            Refusal::TooManyTips => Self::TooManyTips,
        }
    }
}

impl TryFrom<RefusedReason> for Refusal {
    type Error = ConvertError;

    fn try_from(reason: RefusedReason) -> Result<Self, ConvertError> {
        match reason {
            RefusedReason::Unspecified => Err(ConvertError::range("run_taken.reason")),
            RefusedReason::BadRun => Ok(Self::Gate(Reject::BadRun)),
            RefusedReason::EntrySize => Ok(Self::Gate(Reject::EntrySize)),
            RefusedReason::AmountRange => Ok(Self::Gate(Reject::AmountRange)),
            RefusedReason::NotCanonical => Ok(Self::Gate(Reject::NotCanonical)),
            RefusedReason::BadText => Ok(Self::Gate(Reject::BadText)),
            RefusedReason::BadSignature => Ok(Self::Gate(Reject::BadSignature)),
            RefusedReason::ForeignEntry => Ok(Self::ForeignEntry),
            RefusedReason::OutsideCut => Ok(Self::OutsideCut),
            RefusedReason::Forked => Ok(Self::Forked),
            RefusedReason::TooManyTips => Ok(Self::TooManyTips),
        }
    }
}
