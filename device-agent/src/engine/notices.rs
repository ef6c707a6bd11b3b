//! What the devices of an identity tell each other's people: who was linked, and who was cut off.

use edge_ledger_core::identity::{Act, DeviceState, IdentityLog, StatementRecord};
use edge_ledger_core::ids::DeviceId;

use super::Engine;
use crate::event::{Event, KeyChange};

impl Engine {
    /// Tells what the log says anew. What it said when the device was opened is no news.
    pub(super) fn tell_devices(&mut self) {
        let log = self.book.log().clone();
        let log_position = log.head().position;
        if log_position <= self.told_position {
            return;
        }
        if let Err(error) = self.vault.settle_root_keys(&log) {
            tracing::warn!(%error, "the root keys cannot be moved up");
        }
        self.events.push(Event::DevicesChanged { log_position });
        let own = self.book.device();
        for record in log.records_after(self.told_position) {
            for notice in notices(record, &log, own) {
                self.events.push(notice);
            }
        }
        self.told_position = log_position;
    }
}

/// The notices of one statement: none of what this device does itself.
fn notices(record: &StatementRecord, log: &IdentityLog, own: DeviceId) -> Vec<Event> {
    match &record.statement.body().act {
        Act::AddDevice { certificate, admin } => {
            let device = certificate.key().device_id();
            if device == own {
                return Vec::new();
            }
            vec![Event::DeviceLinked {
                device,
                name: certificate.name().to_owned(),
                platform: certificate.platform().to_owned(),
                admin: *admin,
            }]
        }
        Act::Revoke { device, reason, .. } => {
            let lineage = log.lineage(device);
            let ended = log.devices().filter(|(id, record)| {
                Some(record.lineage) == lineage
                    && record.state == DeviceState::Revoked
                    && **id == last_of(log, record.lineage)
            });
            ended
                .map(|(id, record)| Event::DeviceRevoked {
                    device: *id,
                    name: record.name.clone(),
                    reason: *reason,
                })
                .collect()
        }
        Act::Incept { .. } | Act::Replace { .. } | Act::Rename { .. } => Vec::new(),
        Act::RotateRoot { .. }
        | Act::SetRecovery { .. }
        | Act::Recover { .. }
        | Act::RecoverFork { .. }
        | Act::Veto { .. }
        | Act::EnrolmentKey { .. }
        | Act::RevokeEnrolment { .. } => key_change(record, log)
            .map(|change| Event::KeysChanged { change })
            .into_iter()
            .collect(),
    }
}

/// What a statement changes of the identity's keys.
fn key_change(record: &StatementRecord, log: &IdentityLog) -> Option<KeyChange> {
    match &record.statement.body().act {
        Act::RotateRoot { .. } => Some(KeyChange::RootRotated),
        Act::SetRecovery { .. } => Some(KeyChange::RecoverySet),
        // One that is over already is no news.
        Act::Recover { .. } => log
            .recovery(log.time())
            .map(|recovery| KeyChange::RecoveryAsked {
                position: recovery.position,
                effective_ms: recovery.effective_ms,
            }),
        Act::RecoverFork { .. } => Some(KeyChange::ForkSettled),
        Act::Veto { .. } => Some(KeyChange::RecoveryVetoed),
        Act::EnrolmentKey { name, uses, .. } => Some(KeyChange::EnrolmentKeyAdded {
            name: name.clone(),
            uses: *uses,
        }),
        Act::RevokeEnrolment { key } => Some(KeyChange::EnrolmentKeyRevoked {
            name: log
                .enrolment(&key.device_id())
                .map_or_else(String::new, |record| record.name.clone()),
        }),
        Act::Incept { .. }
        | Act::AddDevice { .. }
        | Act::Revoke { .. }
        | Act::Replace { .. }
        | Act::Rename { .. } => None,
    }
}

/// The youngest device of a lineage, which people know.
fn last_of(log: &IdentityLog, lineage: DeviceId) -> DeviceId {
    let of_lineage = log.devices().filter(|(_, d)| d.lineage == lineage);
    let last = of_lineage.max_by_key(|(_, d)| d.added_at);
    last.map_or(lineage, |(id, _)| *id)
}
