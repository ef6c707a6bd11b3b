//! The frames that only devices exchange with each other.

use bytes::Bytes;
use edge_ledger_core::identity::LogHead;
use edge_ledger_core::ids::{Digest, LogHash, StoreEpoch};
use edge_ledger_core::sync::{AckParts, PeerWelcome, RelayedAck};

use super::identity::{certificate, certificate_parts};
use super::{ConvertError, fixed, present};
use crate::ledger;

impl From<PeerWelcome> for ledger::PeerWelcome {
    fn from(welcome: PeerWelcome) -> Self {
        Self {
            log_position: welcome.log.position,
            log_hash: Bytes::copy_from_slice(welcome.log.hash.as_bytes()),
            digest: Bytes::copy_from_slice(welcome.digest.as_bytes()),
        }
    }
}

impl TryFrom<ledger::PeerWelcome> for PeerWelcome {
    type Error = ConvertError;

    fn try_from(welcome: ledger::PeerWelcome) -> Result<Self, ConvertError> {
        Ok(Self {
            log: LogHead {
                position: welcome.log_position,
                hash: LogHash::from_bytes(fixed("peer_welcome.log_hash", &welcome.log_hash)?),
            },
            digest: Digest::from_bytes(fixed("peer_welcome.digest", &welcome.digest)?),
        })
    }
}

impl From<RelayedAck> for ledger::RelayedAck {
    fn from(relayed: RelayedAck) -> Self {
        Self {
            ack: Some(relayed.ack.into()),
            store_epoch: Bytes::copy_from_slice(relayed.store_epoch.as_bytes()),
            certificate: Some(certificate(
                relayed.certificate_body,
                &relayed.certificate_signature,
            )),
        }
    }
}

impl TryFrom<ledger::RelayedAck> for RelayedAck {
    type Error = ConvertError;

    fn try_from(relayed: ledger::RelayedAck) -> Result<Self, ConvertError> {
        let (certificate_body, certificate_signature) =
            certificate_parts("relayed_ack.certificate", relayed.certificate)?;
        Ok(Self {
            ack: AckParts::try_from(present("relayed_ack.ack", relayed.ack)?)?,
            store_epoch: StoreEpoch::from_bytes(fixed(
                "relayed_ack.store_epoch",
                &relayed.store_epoch,
            )?),
            certificate_body,
            certificate_signature,
        })
    }
}
