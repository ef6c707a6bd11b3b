//! The devices of a log, for display.

use edge_ledger_core::identity::IdentityLog;
use edge_ledger_proto::identity as wire;

/// All devices in the order in which they were added.
pub(crate) fn list(log: &IdentityLog) -> Vec<wire::Device> {
    let mut devices: Vec<wire::Device> = log.devices().map(wire::Device::from).collect();
    devices.sort_by_key(|device| device.added_at);
    devices
}
