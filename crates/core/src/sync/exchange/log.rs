//! Statements of the identity log, and acks, which name a place in it.

use std::sync::Arc;

use super::{Exchange, Round};
use crate::identity::receipt::ReceiptParts;
use crate::identity::{DeviceState, IdentityLog};
use crate::ledger::ack::{Ack, AckBody};
use crate::limits::WAITING_ACKS_MAX;
use crate::sync::frame::{AckParts, Frame, GoAwayReason};
use crate::sync::session::{Close, Output, Outputs};

impl Exchange {
    pub(in crate::sync) fn log_changed(&mut self, now_ms: u64, log: Arc<IdentityLog>, out: &mut Outputs) -> Result<(), Close> {
        self.log = log;
        if let Some(peer) = self.peer
            && self.log.device(&peer).is_none_or(|d| d.state != DeviceState::Active)
        {
            let reason = GoAwayReason::DeviceRevoked;
            out.push(Output::Send(Frame::GoAway { reason, retry_after_ms: 0 }));
            return Err(Close::DeviceRevoked);
        }
        let acks = std::mem::take(&mut self.acks_waiting);
        self.acks(acks, out)?;
        self.push_log(out);
        let ended = self.log.devices().any(|(_, d)| d.cut.is_some());
        if std::mem::take(&mut self.again_after_log) || ended {
            if let Round::Told { at_ms } = self.round
                && at_ms < now_ms
            {
                self.round = Round::Quiet;
            }
            self.tell_heads(false, out);
        }
        self.pump(out);
        Ok(())
    }

    /// Tells the peer of statements that it lacks.
    pub(super) fn push_log(&mut self, out: &mut Outputs) {
        if self.log.head().position > self.peer_log {
            self.read_receipts(self.peer_log, out);
        }
    }

    pub(super) fn read_receipts(&mut self, after_position: u64, out: &mut Outputs) {
        if !self.receipts_asked {
            self.receipts_asked = true;
            out.push(Output::ReadReceipts { after_position });
        }
    }

    pub(in crate::sync) fn receipts(&mut self, parts: Vec<ReceiptParts>, out: &mut Outputs) {
        self.receipts_asked = false;
        self.peer_log = self.peer_log.saturating_add(parts.len() as u64).max(self.peer_log);
        let sent = !parts.is_empty();
        if sent {
            out.push(Output::Send(Frame::Statements(parts)));
            self.push_log(out);
        }
        self.pump(out);
    }

    pub(super) fn acks(&mut self, acks: Vec<AckParts>, out: &mut Outputs) -> Result<(), Close> {
        if acks.is_empty() {
            return Ok(());
        }
        let Some(certificate) = &self.certificate else { return Err(Close::BadMessage("Acks")) };
        let mut checked = Vec::new();
        for parts in acks {
            let Some(log_hash) = self.log.hash_at(parts.log_position) else {
                if self.acks_waiting.len() < WAITING_ACKS_MAX {
                    self.acks_waiting.push(parts);
                }
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
            };
            let ack = Ack { body, key_serial: parts.key_serial, signature: parts.signature };
            if ack.verify(self.log.ledger_id(), certificate.key()).is_err() {
                return Err(Close::BadMessage("Acks"));
            }
            checked.push(ack);
        }
        if !checked.is_empty() {
            out.push(Output::Acked(checked));
        }
        Ok(())
    }
}
