//! What metrics tell of entries: how many, and why not, never whose.

use std::time::Duration;

use edge_ledger_chassis::Reason;
use edge_ledger_core::sync::Outcome;
use edge_ledger_proto::ledger::RefusedReason;
use edge_ledger_store::ingest::Ingested;
use edge_ledger_telemetry::meters::{self, Meters, meters};

/// What the contract puts before the name of each reason.
const PREFIX: &str = "REFUSED_REASON_";

/// How a stream can end, beside by a refusal.
pub(crate) const DONE: &str = "DONE";
pub(crate) const GONE: &str = "GONE";
pub(crate) const BROKEN: &str = "BROKEN";

/// Refusals that end streams day by day.
const ENDS: [Reason; 5] = [
    Reason::DeviceRevoked,
    Reason::Draining,
    Reason::SlowConsumer,
    Reason::StoreUnavailable,
    Reason::Superseded,
];

/// From the start there is a series for everything that is watched: one that appears with its first
/// event has no increase then.
pub(crate) fn begin() {
    let meters = meters();
    meters.session_active.add(0, &[]);
    meters.entry_kept.add(0, &[]);
    meters.entry_waiting.add(0, &[]);
    meters.fork.add(0, &[]);
    for reason in (0..)
        .map_while(|number| RefusedReason::try_from(number).ok())
        .skip(1)
    {
        meters
            .entry_refused
            .add(0, &meters::reason(name_of(reason)));
    }
    let ends = ENDS.iter().map(|reason| reason.as_str());
    for end in ends.chain([DONE, GONE, BROKEN]) {
        meters.session_cut.add(0, &meters::reason(end));
    }
}

/// The stream of a device ended.
pub(crate) fn ended(why: &'static str) {
    meters().session_cut.add(1, &meters::reason(why));
}

fn name_of(reason: RefusedReason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix(PREFIX).unwrap_or(name)
}

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
                let reason = name_of(RefusedReason::from(*refusal));
                entry_refused.add(1, &meters::reason(reason));
            }
        }
    }
    if !ingested.fresh.is_empty() {
        merge_duration.record(took.as_secs_f64(), &[]);
    }
}
