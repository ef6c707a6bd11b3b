//! Issuer proofs: what makes a credit or a refund count under an `issued` policy.

use bytes::Bytes;
use prost::Message as _;

use crate::identity::service_key::ServiceSigner;
use crate::identity::{
    FormatError, IdentityLog, ServiceCertificate, ServiceRole, decode_canonical,
};
use crate::ids::{DeviceId, IdentityId, LedgerId};
use crate::keys::Signature;
use crate::ledger::posting::{EventKey, Kind, Posting};
use crate::tags::Tag;
use crate::wire;

/// What an issuer grants.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Who earns.
    pub identity: IdentityId,
    /// Credit or refund.
    pub refund: bool,
    /// The posting's key.
    pub event_key: EventKey,
    /// Minor units.
    pub amount: u64,
    /// The only lineage that may use it, by any of its devices. A refund always has one: whoever
    /// debited under the key could use it otherwise, each once.
    pub beneficiary: Option<DeviceId>,
}

impl Grant {
    fn check(&self) -> Result<(), FormatError> {
        if self.refund && self.beneficiary.is_none() {
            return Err(FormatError::Field("the beneficiary of a refund"));
        }
        Ok(())
    }

    fn hash(&self, ledger_id: LedgerId) -> [u8; 32] {
        let body = wire::IssuerProofBody {
            identity: self.identity.as_bytes().to_vec(),
            amount: self.amount,
            event_key: Bytes::copy_from_slice(self.event_key.as_bytes()),
            beneficiary: self
                .beneficiary
                .map_or_else(Vec::new, |d| d.as_bytes().to_vec()),
            refund: self.refund,
        };
        Tag::IssuerProof.hash(ledger_id, &[&body.encode_to_vec()])
    }

    /// Signs the encoded proof that a posting carries.
    ///
    /// # Errors
    /// [`FormatError::Field`] when the key's role is not issuer, or a refund has no beneficiary.
    pub fn sign(&self, ledger_id: LedgerId, issuer: &ServiceSigner) -> Result<Bytes, FormatError> {
        self.check()?;
        if issuer.certificate().role() != ServiceRole::Issuer {
            return Err(FormatError::Field("the role of an issuer key"));
        }
        let proof = wire::IssuerProof {
            issuer: issuer.certificate().body().clone(),
            issuer_signature: issuer.certificate().signature().as_bytes().to_vec(),
            signature: issuer.sign(&self.hash(ledger_id)).as_bytes().to_vec(),
            beneficiary: self
                .beneficiary
                .map_or_else(Vec::new, |d| d.as_bytes().to_vec()),
        };
        Ok(proof.encode_to_vec().into())
    }
}

/// Whether a posting of a device carries a valid proof of a certified issuer.
pub fn proves(log: &IdentityLog, device: DeviceId, posting: &Posting) -> bool {
    check(log, device, posting).is_ok()
}

fn check(log: &IdentityLog, device: DeviceId, posting: &Posting) -> Result<(), FormatError> {
    let (genesis, identity) = (log.genesis(), log.identity());
    let proof: wire::IssuerProof = decode_canonical("an issuer proof", &posting.issuer_proof)?;
    let signature = |bytes: &[u8]| {
        Signature::try_from(bytes).map_err(|e| FormatError::Key("an issuer proof", e))
    };
    let certificate = ServiceCertificate::verify(
        genesis,
        proof.issuer.clone(),
        signature(&proof.issuer_signature)?,
    )?;
    if certificate.role() != ServiceRole::Issuer {
        return Err(FormatError::Field("the role of an issuer key"));
    }
    let beneficiary = match &proof.beneficiary[..] {
        [] => None,
        bytes => {
            Some(DeviceId::try_from(bytes).map_err(|_| FormatError::Field("the beneficiary"))?)
        }
    };
    if beneficiary
        .is_some_and(|b| log.lineage(&b).is_none() || log.lineage(&b) != log.lineage(&device))
    {
        return Err(FormatError::Foreign("an issuer proof"));
    }
    let refund = match posting.kind {
        Kind::Credit => false,
        Kind::Refund => true,
        Kind::Debit => return Err(FormatError::Field("the kind of an issued posting")),
    };
    let grant = Grant {
        identity,
        refund,
        event_key: posting.event_key.clone(),
        amount: posting.amount,
        beneficiary,
    };
    grant.check()?;
    certificate
        .key()
        .verify(
            &grant.hash(genesis.ledger_id()),
            &signature(&proof.signature)?,
        )
        .map_err(|e| FormatError::Key("the signature of an issuer proof", e))
}
