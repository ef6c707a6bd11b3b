//! Acks: signed after the commit, one per journal.

use std::collections::BTreeMap;

use edge_ledger_core::identity::Point;
use edge_ledger_core::identity::service_key::ServiceSigner;
use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::ledger::ack::AckBody;
use edge_ledger_core::ledger::{Ack, Level, Tip};
use edge_ledger_store::LogView;

/// Signs one ack for the highest of the tips of each journal, under the log that they were
/// committed or read under, by the key that greeted the stream.
pub(crate) fn sign(
    signer: &ServiceSigner,
    view: &LogView,
    level: Level,
    service_time_ms: i64,
    tips: impl IntoIterator<Item = Tip>,
) -> Vec<Ack> {
    let mut highest: BTreeMap<DeviceId, Point> = BTreeMap::new();
    for tip in tips {
        let point = highest.entry(tip.device).or_insert(tip.point);
        *point = (*point).max(tip.point);
    }
    let head = view.log.head();
    let ack = |(device, point)| {
        let body = AckBody {
            identity: view.log.identity(),
            device,
            point,
            log_position: head.position,
            log_hash: head.hash,
            level,
            store_epoch: view.epoch,
            service_time_ms,
            key_serial: signer.certificate().serial(),
        };
        Ack::sign(signer, view.log.ledger_id(), body)
    };
    highest.into_iter().map(ack).collect()
}
