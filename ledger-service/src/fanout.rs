//! From the store's announcements to the sessions of the identity that they are about.
//!
//! Announcements are a hint: whoever falls behind is told so and reads the store.

use std::sync::Arc;

use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::ledger::VerifiedRun;
use edge_ledger_store::{Change, ChangeFeed, Origin};
use edge_ledger_telemetry::Stopwatch;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::ledgers::{Job, LedgerHandle, Ledgers};

/// What a session hears of the others of its identity.
#[derive(Debug, Clone)]
pub(crate) enum Notice {
    /// Entries were committed.
    Entries {
        /// By whom.
        origin: Origin,
        /// The runs.
        runs: Arc<[VerifiedRun]>,
        /// When this process was told.
        told: Stopwatch,
    },
    /// Some announcements were lost.
    Missed,
    /// A device opened a stream.
    Opened {
        /// Which.
        device: DeviceId,
        /// The new session, if it is in this process.
        stream: Option<Origin>,
        /// Later streams have higher ones.
        order: u64,
    },
}

/// Carries announcements until it is stopped.
pub(crate) async fn run(mut feed: ChangeFeed, ledgers: Arc<Ledgers>, stop: CancellationToken) {
    loop {
        let change = tokio::select! {
            () = stop.cancelled() => return,
            change = feed.recv() => change,
        };
        match change {
            Ok(Change::Entries {
                identity,
                origin,
                runs,
                ..
            }) => {
                if let Some(ledger) = ledgers.get(identity) {
                    // Nobody listening is no failure.
                    let _ = ledger.notices.send(Notice::Entries {
                        origin,
                        runs,
                        told: Stopwatch::start(),
                    });
                }
            }
            Ok(Change::Log { identity }) => {
                if let Some(ledger) = ledgers.get(identity) {
                    refresh(&ledger.jobs);
                }
            }
            Ok(Change::Elsewhere { identity }) => {
                if let Some(ledger) = ledgers.get(identity) {
                    let _ = ledger.notices.send(Notice::Missed);
                }
            }
            // Those are heard by the identity service.
            Ok(Change::Opened {
                identity,
                device,
                stream,
                order,
            }) => {
                if let Some(ledger) = ledgers.get(identity) {
                    let _ = ledger.notices.send(Notice::Opened {
                        device,
                        stream,
                        order,
                    });
                }
            }
            Ok(Change::Link { .. } | Change::Signal(_)) => {}
            Ok(Change::Lost) => ledgers.all().iter().for_each(missed),
            Err(RecvError::Lagged(behind)) => {
                tracing::warn!(behind, "announcements were missed");
                ledgers.all().iter().for_each(missed);
            }
            Err(RecvError::Closed) => return,
        }
    }
}

/// What happened stands in the store.
fn missed(ledger: &LedgerHandle) {
    let _ = ledger.notices.send(Notice::Missed);
    refresh(&ledger.jobs);
}

/// Never waits: a ledger whose jobs are full hears of the log from its next append, and one that
/// is closed has no session that would want to know.
fn refresh(jobs: &tokio::sync::mpsc::Sender<Job>) {
    let _ = jobs.try_send(Job::Refresh);
}
