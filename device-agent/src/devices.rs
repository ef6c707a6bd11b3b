//! What the log, and the entries that are kept, say about each device.

use std::collections::BTreeMap;

use edge_ledger_core::identity::statement::Signer;
use edge_ledger_core::identity::{Act, DeviceRecord, DeviceState, IdentityLog, RevokeReason};
use edge_ledger_core::ids::DeviceId;

use crate::status::DeviceInfo;

/// The newest entry of each device that is kept: its place and its time, by the device's clock.
pub(crate) type LastEntries = BTreeMap<DeviceId, (u64, i64)>;

/// Who signed a device or an enrolment key into the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddedBy {
    /// A root key: it opened the identity, or came out of a backup.
    Root,
    /// Another device; the old one, where this one took its place by itself.
    Device(DeviceId),
    /// An enrolment key.
    Enrolment {
        /// The id that it would have as a device.
        id: DeviceId,
        /// Its name.
        name: String,
    },
}

/// Who signed the statement at a position.
pub(crate) fn added_by(log: &IdentityLog, position: u64) -> AddedBy {
    let before = position.saturating_sub(1);
    let record = log.records_after(before).first();
    match record.and_then(|record| record.statement.signers().next()) {
        Some(Signer::Device(key)) => AddedBy::Device(key.device_id()),
        Some(Signer::Enrolment(key)) => {
            let id = key.device_id();
            AddedBy::Enrolment {
                name: log
                    .enrolment(&id)
                    .map_or_else(String::new, |e| e.name.clone()),
                id,
            }
        }
        // The log takes no first signature of another key for an act that adds somebody.
        Some(Signer::Root(_) | Signer::Recovery(_)) | None => AddedBy::Root,
    }
}

/// All devices that ever were in a log, in the order in which they were added.
pub(crate) fn devices(
    log: &IdentityLog,
    this: DeviceId,
    last_entries: &LastEntries,
) -> Vec<DeviceInfo> {
    let last_statements = last_statements(log);
    let time_of = |position: u64| {
        let record = log.records_after(position.saturating_sub(1)).first();
        record.map_or(0, |record| record.service_time_ms)
    };
    let mut devices: Vec<DeviceInfo> = log
        .devices()
        .map(|(id, record)| DeviceInfo {
            device: *id,
            name: record.name.clone(),
            platform: record.platform.clone(),
            admin: record.admin,
            probation_ends_ms: record.probation_ends_ms,
            state: record.state,
            revoked_for: revoked_for(log, record),
            added_at: record.added_at,
            added_ms: time_of(record.added_at),
            added_by: added_by(log, record.added_at),
            last_entry_ms: last_entries.get(id).map(|(_, wall_ms)| *wall_ms),
            last_statement_ms: last_statements.get(id).copied(),
            this: *id == this,
        })
        .collect();
    devices.sort_by_key(|device| device.added_at);
    devices
}

/// Why a device was revoked: the reason that was given last for its lineage.
fn revoked_for(log: &IdentityLog, record: &DeviceRecord) -> Option<RevokeReason> {
    if record.state != DeviceState::Revoked {
        return None;
    }
    let records = log.records_after(0).iter().rev();
    records.map(|r| &r.statement.body().act).find_map(|act| {
        // A lineage that was ended grows no more, so it is the one that was meant.
        if let Act::Revoke { device, reason, .. } = act
            && log.lineage(device) == Some(record.lineage)
        {
            Some(*reason)
        } else {
            None
        }
    })
}

/// When each device last signed a statement, by the time in its receipt, which never goes back.
fn last_statements(log: &IdentityLog) -> BTreeMap<DeviceId, i64> {
    let mut last = BTreeMap::new();
    for record in log.records_after(0) {
        for signer in record.statement.signers() {
            if let Signer::Device(key) = signer {
                last.insert(key.device_id(), record.service_time_ms);
            }
        }
    }
    last
}
