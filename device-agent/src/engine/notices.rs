//! What the devices of an identity tell each other's people: who was linked, and who was cut off.

use edge_ledger_core::identity::{Act, DeviceState, IdentityLog, StatementRecord};
use edge_ledger_core::ids::DeviceId;

use super::Engine;
use crate::event::Event;

impl Engine {
    /// Tells what the log says anew. What it said when the device was opened is no news.
    pub(super) fn tell_devices(&mut self) {
        let log = self.book.log().clone();
        let log_position = log.head().position;
        if log_position <= self.told_position {
            return;
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
        Act::Revoke { device, .. } => {
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
                })
                .collect()
        }
        Act::Incept { .. } | Act::Replace { .. } | Act::Rename { .. } => Vec::new(),
    }
}

/// The youngest device of a lineage, which people know.
fn last_of(log: &IdentityLog, lineage: DeviceId) -> DeviceId {
    let of_lineage = log.devices().filter(|(_, d)| d.lineage == lineage);
    let last = of_lineage.max_by_key(|(_, d)| d.added_at);
    last.map_or(lineage, |(id, _)| *id)
}
