//! What the engine shows of itself after every step.

use edge_ledger_core::identity::DeviceState;
use edge_ledger_core::identity::pikey::short_id;

use super::{Engine, Snapshot, measure};
use crate::book::{Book, has_left};
use crate::limits::STALE_AFTER_MS;
use crate::status::{Path, State, Status};

pub(super) fn empty(book: &Book) -> Status {
    let log = book.log();
    let device = book.device();
    Status {
        state: State::Starting,
        ledger_id: log.ledger_id(),
        identity: log.identity(),
        short_id: short_id(&log.identity()),
        device,
        device_name: log
            .device(&device)
            .map_or_else(String::new, |d| d.name.clone()),
        devices_active: log
            .devices()
            .filter(|(_, d)| d.state == DeviceState::Active)
            .count(),
        log_position: log.head().position,
        balance: book.balance(),
        tip: book.tip(),
        acked: None,
        oldest_unacked_ms: None,
        digest: book.heads().digest(log).to_string(),
        synced_ms_ago: None,
        heard_ms_ago: None,
        stale: true,
        rolled_back: book.is_rolled_back(),
        revoked: None,
        forked_log: None,
        settled_fork: None,
        left: has_left(log, &device),
        last_error: None,
        path: Path::None,
        peers: Vec::new(),
        identity_endpoints: Vec::new(),
        ledger_endpoints: Vec::new(),
    }
}

impl Engine {
    pub(super) fn publish(&mut self) {
        let now = self.clock.monotonic_ms();
        let tip = self.book.tip().map_or(0, |point| point.seq);
        self.unacked_since_ms = match self.acked {
            Some((point, _)) if point.seq >= tip => None,
            _ if tip == 0 => None,
            _ => Some(self.unacked_since_ms.unwrap_or(now)),
        };
        let ago = |at: Option<u64>| at.map(|at| now.saturating_sub(at));
        let status = Status {
            state: self.state,
            acked: self.acked,
            oldest_unacked_ms: ago(self.unacked_since_ms),
            synced_ms_ago: ago(self.synced_at_ms),
            heard_ms_ago: ago(self.heard_at_ms),
            stale: ago(self.heard_at_ms).is_none_or(|ms| ms > STALE_AFTER_MS),
            revoked: self.revoked.clone(),
            forked_log: self.forked.clone(),
            settled_fork: self.settled.clone(),
            last_error: self.last_error.clone(),
            path: self.shown_path(),
            peers: self.peer_statuses(),
            identity_endpoints: self.identity.shown(),
            ledger_endpoints: self.ledgers.shown(now),
            ..empty(&self.book)
        };
        measure::record(&status);
        self.snapshot.send_replace(Snapshot {
            status,
            log: self.book.log().clone(),
            last_entries: self.book.last_entries().clone(),
            at_ms: now,
        });
    }
}
