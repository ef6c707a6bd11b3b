//! What metrics tell of entries: how many, and why not, never whose.

use std::time::Duration;

use edge_ledger_core::sync::Outcome;
use edge_ledger_proto::ledger::RefusedReason;
use edge_ledger_store::ingest::Ingested;
use edge_ledger_telemetry::meters::{self, Meters, meters};

/// What the contract puts before the name of each reason.
const PREFIX: &str = "REFUSED_REASON_";

/// A frame was ingested, that long after it came.
pub(crate) fn record(ingested: &Ingested, took: Duration) {
    let Meters {
        entry_kept,
        entry_refused,
        entry_waiting,
        fork,
        merge_duration,
        ..
    } = meters();
    entry_kept.add(ingested.fresh.len() as u64, &[]);
    fork.add(ingested.forked.len() as u64, &[]);
    for outcome in &ingested.outcomes {
        match outcome {
            Outcome::Kept => {}
            Outcome::Waiting => entry_waiting.add(1, &[]),
            Outcome::Refused(refusal) => {
                let name = RefusedReason::from(*refusal).as_str_name();
                let reason = name.strip_prefix(PREFIX).unwrap_or(name);
                entry_refused.add(1, &meters::reason(reason));
            }
        }
    }
    if !ingested.fresh.is_empty() {
        merge_duration.record(took.as_secs_f64(), &[]);
    }
}
