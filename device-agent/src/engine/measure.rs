//! What metrics tell of the engine. Each is of this device alone, and names nobody.

use edge_ledger_telemetry::meters::{self, Meters, meters};

use crate::status::{Path, Status};

/// All ways, so that each has a value.
const PATHS: [Path; 4] = [Path::Service, Path::Peers, Path::Both, Path::None];

pub(super) fn record(status: &Status) {
    let Meters {
        link_path,
        entry_unacked,
        peer_active,
        peer_lag,
        ..
    } = meters();
    for path in PATHS {
        let is_in_use = u64::from(path == status.path);
        link_path.record(is_in_use, &meters::path(path.as_str()));
    }
    entry_unacked.record(status.unacked_entries(), &[]);
    let live = status.peers.iter().filter(|peer| peer.live);
    let lag = live.clone().map(|peer| peer.unanswered_frames).max();
    peer_active.record(live.count() as u64, &[]);
    peer_lag.record(lag.unwrap_or(0) as u64, &[]);
}
