//! The last ack of the device's own journal, as it is kept: with everything that it takes to check
//! it again, years later and without the service. It is what proves that a store lost something.

use bytes::Bytes;
use edge_ledger_core::identity::{FormatError, IdentityLog, ServiceCertificate, ServiceRole};
use edge_ledger_core::ids::{LogHash, StoreEpoch};
use edge_ledger_core::ledger::Ack;
use edge_ledger_core::ledger::ack::AckBody;
use edge_ledger_core::sync::AckParts;
use edge_ledger_proto::convert::certificate_parts;
use edge_ledger_proto::{identity, ledger};
use edge_ledger_store::StoreError;
use prost::Message as _;

/// Length of the certificate's length.
const LEN: usize = 4;

/// Store epoch (16), log hash (32), length of the certificate (4), certificate, ack.
pub(crate) fn encode(ack: &Ack, service: &ServiceCertificate) -> Bytes {
    let certificate = identity::ServiceKeyCertificate {
        body: service.body().clone(),
        signature: Bytes::copy_from_slice(service.signature().as_bytes()),
    }
    .encode_to_vec();
    let len = u32::try_from(certificate.len()).expect("a certificate is short");
    let mut bytes = Vec::new();
    bytes.extend_from_slice(ack.body.store_epoch.as_bytes());
    bytes.extend_from_slice(ack.body.log_hash.as_bytes());
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.extend_from_slice(&certificate);
    bytes.extend_from_slice(&ledger::Ack::from(AckParts::from(ack)).encode_to_vec());
    bytes.into()
}

/// Reads what [`encode`] wrote, and checks it again: root, key and ack.
pub(crate) fn decode(bytes: &[u8], log: &IdentityLog) -> Result<Ack, StoreError> {
    let damaged = || StoreError::Damaged("the stored ack cannot be read".to_owned());
    let (epoch, rest) = bytes
        .split_first_chunk::<{ StoreEpoch::LEN }>()
        .ok_or_else(damaged)?;
    let (log_hash, rest) = rest
        .split_first_chunk::<{ LogHash::LEN }>()
        .ok_or_else(damaged)?;
    let (len, rest) = rest.split_first_chunk::<LEN>().ok_or_else(damaged)?;
    let (certificate, ack) = usize::try_from(u32::from_be_bytes(*len))
        .ok()
        .and_then(|len| rest.split_at_checked(len))
        .ok_or_else(damaged)?;
    let certificate =
        identity::ServiceKeyCertificate::decode(certificate).map_err(|_| damaged())?;
    let parts = ledger::Ack::decode(ack).map_err(|_| damaged())?;
    let parts = AckParts::try_from(parts).map_err(|_| damaged())?;
    let (body, signature) =
        certificate_parts("certificate", Some(certificate)).map_err(|_| damaged())?;
    let ack = Ack {
        body: AckBody {
            identity: log.identity(),
            device: parts.device,
            point: parts.point,
            log_position: parts.log_position,
            log_hash: LogHash::from_bytes(*log_hash),
            level: parts.level,
            store_epoch: StoreEpoch::from_bytes(*epoch),
            service_time_ms: parts.service_time_ms,
            key_serial: parts.key_serial,
        },
        signature: parts.signature,
    };
    let service = ServiceCertificate::verify(log.genesis(), body, signature);
    let sound = service.and_then(|service| match service.role() {
        ServiceRole::Service => ack.verify(log.ledger_id(), &service),
        ServiceRole::Issuer => Err(FormatError::Field("the role of an ack's key")),
    });
    sound.map_err(|error| StoreError::Damaged(format!("the stored ack: {error}")))?;
    Ok(ack)
}

#[cfg(test)]
mod tests {
    use edge_ledger_core::identity::genesis::{GenesisSpec, next_key_hash};
    use edge_ledger_core::identity::service_key::ServiceSigner;
    use edge_ledger_core::identity::{CreditPolicy, Genesis, Periods, Point};
    use edge_ledger_core::ids::{DeviceId, EntryHash, IdentityId};
    use edge_ledger_core::keys::SecretKey;
    use edge_ledger_core::ledger::Level;

    use super::*;

    fn log(root: &SecretKey) -> IdentityLog {
        let genesis = Genesis::create(GenesisSpec {
            service_root: root.public_key(),
            next_service_root_hash: next_key_hash(&root.public_key()),
            unit: "credit".to_owned(),
            decimals: 0,
            policy: CreditPolicy::Issued,
            random: [1; 16],
            periods: Periods::NONE,
        });
        IdentityLog::empty(genesis.unwrap(), IdentityId::from_bytes([2; 32]))
    }

    fn signer(root: &SecretKey, log: &IdentityLog, role: ServiceRole) -> ServiceSigner {
        let key = SecretKey::from_seed([3; 32]);
        let public = key.public_key();
        let certificate = ServiceCertificate::issue(root, log.ledger_id(), &public, role, 7);
        ServiceSigner::new(key, certificate).unwrap()
    }

    fn acked(log: &IdentityLog, signer: &ServiceSigner) -> Ack {
        let body = AckBody {
            identity: log.identity(),
            device: DeviceId::from_bytes([4; 16]),
            point: Point {
                seq: 5,
                hash: EntryHash::from_bytes([6; 32]),
            },
            log_position: 8,
            log_hash: LogHash::from_bytes([9; 32]),
            level: Level::Durable,
            store_epoch: StoreEpoch::from_bytes([10; 16]),
            service_time_ms: 11,
            key_serial: signer.certificate().serial(),
        };
        Ack::sign(signer, log.ledger_id(), body)
    }

    /// Nothing of the service is asked: the genesis is enough.
    #[test]
    fn a_saved_ack_is_checked_again_by_the_root_alone() {
        let root = SecretKey::from_seed([1; 32]);
        let log = log(&root);
        let signer = signer(&root, &log, ServiceRole::Service);
        let ack = acked(&log, &signer);
        let saved = encode(&ack, signer.certificate());
        assert_eq!(decode(&saved, &log).unwrap(), ack);
        for byte in 0..saved.len() {
            let mut flipped = saved.to_vec();
            flipped[byte] ^= 1;
            assert!(decode(&flipped, &log).is_err(), "byte {byte}");
            assert!(decode(&saved[..byte], &log).is_err(), "up to {byte}");
        }
    }

    #[test]
    fn a_key_of_another_role_or_root_saves_nothing() {
        let root = SecretKey::from_seed([1; 32]);
        let log = log(&root);
        let issuer = signer(&root, &log, ServiceRole::Issuer);
        let saved = encode(&acked(&log, &issuer), issuer.certificate());
        assert!(decode(&saved, &log).is_err());
        let stranger = signer(&SecretKey::from_seed([12; 32]), &log, ServiceRole::Service);
        let saved = encode(&acked(&log, &stranger), stranger.certificate());
        assert!(decode(&saved, &log).is_err());
    }
}
