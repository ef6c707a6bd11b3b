//! Acks: sent by the service, checked by the device, and passed on between devices.
//!
//! Whatever way they come, they are receipts of the service and signed by it: what a peer says
//! itself has no form that could be taken for one.

use super::{Exchange, Role};
use crate::identity::{ServiceCertificate, ServiceRole};
use crate::ids::StoreEpoch;
use crate::ledger::ack::{Ack, AckBody};
use crate::limits::{FRAME_ACKS_MAX, FRAME_RELAYED_ACKS_MAX, WAITING_ACKS_MAX};
use crate::sync::frame::{AckParts, Frame, RelayedAck};
use crate::sync::shell::{Close, Output, Outputs};

/// An ack with what it is checked by.
#[derive(Debug)]
pub(super) struct AckToCheck {
    parts: AckParts,
    store_epoch: StoreEpoch,
    service: ServiceCertificate,
}

/// Sends receipts for entries, in as many frames as they need.
pub(super) fn send(acks: &[Ack], out: &mut Outputs) {
    for acks in acks.chunks(FRAME_ACKS_MAX) {
        let parts = acks.iter().map(AckParts::from).collect();
        out.push(Output::Send(Frame::Acks(parts)));
    }
}

impl Exchange {
    /// Acks of the service at the other end.
    pub(super) fn acks(&mut self, acks: Vec<AckParts>, out: &mut Outputs) -> Result<(), Close> {
        let Role::Device { service, .. } = &self.role else {
            return Err(Close::BadMessage("Acks"));
        };
        let with = |parts| AckToCheck {
            parts,
            store_epoch: self.store_epoch,
            service: (**service).clone(),
        };
        self.check_acks(acks.into_iter().map(with).collect(), out)
    }

    /// Acks of a service that a peer passes on.
    pub(super) fn relayed_acks(
        &mut self,
        acks: Vec<RelayedAck>,
        out: &mut Outputs,
    ) -> Result<(), Close> {
        let Role::Peer { .. } = &self.role else {
            return Err(Close::BadMessage("RelayedAcks"));
        };
        let mut to_check: Vec<AckToCheck> = Vec::with_capacity(acks.len());
        for relayed in acks {
            // Most are of one key, which needs to be checked once.
            let before = to_check.last().map(|ack| &ack.service).filter(|service| {
                *service.body() == relayed.certificate_body
                    && *service.signature() == relayed.certificate_signature
            });
            let service = match before {
                Some(service) => service.clone(),
                None => self.service_key(&relayed)?,
            };
            to_check.push(AckToCheck {
                parts: relayed.ack,
                store_epoch: relayed.store_epoch,
                service,
            });
        }
        self.check_acks(to_check, out)
    }

    fn service_key(&self, relayed: &RelayedAck) -> Result<ServiceCertificate, Close> {
        let body = relayed.certificate_body.clone();
        let genesis = self.log.genesis();
        ServiceCertificate::verify(genesis, body, relayed.certificate_signature)
            .ok()
            .filter(|service| service.role() == ServiceRole::Service)
            .ok_or(Close::BadMessage("RelayedAcks"))
    }

    /// Passes receipts on, in as many frames as they need.
    pub(super) fn relay_acks(&self, acks: &[(Ack, ServiceCertificate)], out: &mut Outputs) {
        if !matches!(self.role, Role::Peer { .. }) {
            return;
        }
        for acks in acks.chunks(FRAME_RELAYED_ACKS_MAX) {
            let relayed = acks
                .iter()
                .map(|(ack, service)| RelayedAck::new(ack, service));
            out.push(Output::Send(Frame::RelayedAcks(relayed.collect())));
        }
    }

    /// Checks acks; those that name a place of the log that is not known yet wait for it.
    pub(super) fn check_acks(
        &mut self,
        acks: Vec<AckToCheck>,
        out: &mut Outputs,
    ) -> Result<(), Close> {
        let mut checked: Vec<(Ack, ServiceCertificate)> = Vec::new();
        for ack in acks {
            let parts = &ack.parts;
            let Some(log_hash) = self.log.hash_at(parts.log_position) else {
                if self.acks_waiting.len() >= WAITING_ACKS_MAX {
                    self.acks_waiting.pop_front();
                }
                self.acks_waiting.push_back(ack);
                continue;
            };
            let body = AckBody {
                identity: self.log.identity(),
                device: parts.device,
                point: parts.point,
                log_position: parts.log_position,
                log_hash,
                level: parts.level,
                store_epoch: ack.store_epoch,
                service_time_ms: parts.service_time_ms,
                key_serial: parts.key_serial,
            };
            let signature = parts.signature;
            let full = Ack { body, signature };
            if full.verify(self.log.ledger_id(), &ack.service).is_err() {
                return Err(Close::BadMessage(match &self.role {
                    Role::Peer { .. } => "RelayedAcks",
                    Role::Service { .. } | Role::Device { .. } => "Acks",
                }));
            }
            checked.push((full, ack.service));
        }
        told(checked, out);
        Ok(())
    }
}

/// Tells what was checked: one output for each key.
fn told(checked: Vec<(Ack, ServiceCertificate)>, out: &mut Outputs) {
    for same in checked.chunk_by(|(_, one), (_, other)| one == other) {
        if let Some((_, service)) = same.first() {
            out.push(Output::Acked {
                acks: same.iter().map(|(ack, _)| *ack).collect(),
                service: service.clone(),
            });
        }
    }
}
