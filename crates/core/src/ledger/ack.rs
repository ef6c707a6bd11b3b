//! Acks: the service's signed word that a journal is kept up to an entry.

use crate::identity::service_key::ServiceSigner;
use crate::identity::{FormatError, Point, ServiceCertificate};
use crate::ids::{DeviceId, IdentityId, LedgerId, LogHash, StoreEpoch};
use crate::keys::Signature;
use crate::tags::Tag;

/// What an acked entry survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing: it frees the sender and proves nothing.
    Volatile,
    /// Power loss of the node that acked.
    Durable,
    /// Loss of any one node, and a failover.
    Replicated,
}

impl Level {
    /// The level's byte in signed acks.
    pub const fn code(self) -> u8 {
        match self {
            Self::Volatile => 1,
            Self::Durable => 2,
            Self::Replicated => 3,
        }
    }
}

/// What an ack says. Everything in it is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AckBody {
    /// The identity.
    pub identity: IdentityId,
    /// The journal's device.
    pub device: DeviceId,
    /// The acked entry; it covers all its ancestors.
    pub point: Point,
    /// Position of the log head under which it was given.
    pub log_position: u64,
    /// Hash of the log at that position.
    pub log_hash: LogHash,
    /// What the entry survives.
    pub level: Level,
    /// The identity's place in the store.
    pub store_epoch: StoreEpoch,
    /// Service time, in milliseconds since 1970.
    pub service_time_ms: i64,
    /// Serial of the service key that signs.
    pub key_serial: u64,
}

impl AckBody {
    /// The tagged hash that a service key signs (`docs/protocol.md`, "ack").
    pub fn hash(&self, ledger_id: LedgerId) -> [u8; 32] {
        Tag::Ack.hash(
            ledger_id,
            &[
                self.identity.as_bytes(),
                self.device.as_bytes(),
                &self.point.seq.to_be_bytes(),
                self.point.hash.as_bytes(),
                &self.log_position.to_be_bytes(),
                self.log_hash.as_bytes(),
                &[self.level.code()],
                self.store_epoch.as_bytes(),
                &self.service_time_ms.to_be_bytes(),
                &self.key_serial.to_be_bytes(),
            ],
        )
    }
}

/// A signed ack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// What is said.
    pub body: AckBody,
    /// The service key's signature.
    pub signature: Signature,
}

impl Ack {
    /// Signs an ack.
    pub fn sign(signer: &ServiceSigner, ledger_id: LedgerId, body: AckBody) -> Self {
        let signature = signer.sign(&body.hash(ledger_id));
        Self { body, signature }
    }

    /// Checks serial and signature by a service key that was checked against the genesis.
    ///
    /// # Errors
    /// [`FormatError`] when one does not fit.
    pub fn verify(
        &self,
        ledger_id: LedgerId,
        service: &ServiceCertificate,
    ) -> Result<(), FormatError> {
        if self.body.key_serial != service.serial() {
            return Err(FormatError::Field("the serial of an ack's key"));
        }
        let key = service.key();
        key.verify(&self.body.hash(ledger_id), &self.signature)
            .map_err(|e| FormatError::Key("the signature of an ack", e))
    }
}
