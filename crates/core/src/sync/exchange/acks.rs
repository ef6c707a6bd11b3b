//! Acks: sent by the service, checked by the device.

use super::Exchange;
use crate::ledger::ack::{Ack, AckBody};
use crate::limits::{FRAME_ACKS_MAX, WAITING_ACKS_MAX};
use crate::sync::frame::{AckParts, Frame};
use crate::sync::shell::{Close, Output, Outputs};

/// Sends receipts for entries, in as many frames as they need.
pub(super) fn send(acks: &[Ack], out: &mut Outputs) {
    for acks in acks.chunks(FRAME_ACKS_MAX) {
        let parts = acks.iter().map(AckParts::from).collect();
        out.push(Output::Send(Frame::Acks(parts)));
    }
}

impl Exchange {
    /// Checks acks; those that name a place of the log that is not known yet wait for it.
    pub(super) fn acks(&mut self, acks: Vec<AckParts>, out: &mut Outputs) -> Result<(), Close> {
        let mut checked = Vec::new();
        for parts in acks {
            let Some(service) = &self.service else {
                return Err(Close::BadMessage("Acks"));
            };
            let Some(log_hash) = self.log.hash_at(parts.log_position) else {
                if self.acks_waiting.len() >= WAITING_ACKS_MAX {
                    self.acks_waiting.pop_front();
                }
                self.acks_waiting.push_back(parts);
                continue;
            };
            let body = AckBody {
                identity: self.log.identity(),
                device: parts.device,
                point: parts.point,
                log_position: parts.log_position,
                log_hash,
                level: parts.level,
                store_epoch: self.store_epoch,
                service_time_ms: parts.service_time_ms,
                key_serial: parts.key_serial,
            };
            let ack = Ack {
                body,
                signature: parts.signature,
            };
            if ack.verify(self.log.ledger_id(), service).is_err() {
                return Err(Close::BadMessage("Acks"));
            }
            checked.push(ack);
        }
        if let Some(service) = self.service.as_ref().filter(|_| !checked.is_empty()) {
            out.push(Output::Acked {
                acks: checked,
                service: service.clone(),
            });
        }
        Ok(())
    }
}
