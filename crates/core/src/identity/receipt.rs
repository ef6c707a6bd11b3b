//! What the store records of a statement, and the receipt that the service signs of it.
//!
//! A receipt signs exactly what the atomic append recorded, so any replica can make it again
//! after a crash, and it proves place, time and cut to everybody. Made with another service key of
//! the deployment it says the same, in the same bytes, under another signature.

use bytes::Bytes;
use prost::Message as _;

use crate::identity::service_key::ServiceSigner;
use crate::identity::statement::{check_order, decode_tips};
use crate::identity::{
    FormatError, Genesis, ServiceCertificate, ServiceRole, SignedTip, Statement, decode_canonical,
};
use crate::ids::{IdentityId, LogHash};
use crate::keys::Signature;
use crate::limits::RECEIPT_TIPS_MAX;
use crate::tags::Tag;
use crate::wire;

/// One place of an identity log as a store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementRecord {
    /// The statement.
    pub statement: Statement,
    /// Service time of the append, in milliseconds since 1970.
    pub service_time_ms: i64,
    /// Tips that the store kept at that moment of the devices that the statement ends, by device,
    /// place and hash, each once.
    pub tips: Vec<SignedTip>,
}

impl StatementRecord {
    /// The one encoding of what the store recorded beside the statement: time, number of tips,
    /// and the tips, all of fixed length.
    pub(in crate::identity) fn recorded(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(16 + 120 * self.tips.len());
        bytes.extend_from_slice(&self.service_time_ms.to_be_bytes());
        bytes.extend_from_slice(&(self.tips.len() as u64).to_be_bytes());
        for tip in &self.tips {
            bytes.extend_from_slice(tip.device.as_bytes());
            bytes.extend_from_slice(&tip.point.seq.to_be_bytes());
            bytes.extend_from_slice(tip.point.hash.as_bytes());
            bytes.extend_from_slice(tip.signature.as_bytes());
        }
        bytes
    }

    /// Checks that the tips are in order, each once: one record has one hash.
    pub(in crate::identity) fn check_order(&self) -> Result<(), FormatError> {
        check_order(&self.tips)
    }

    fn receipt_body(&self, log_hash: LogHash) -> Bytes {
        wire::StatementReceiptBody {
            identity: self.statement.body().identity.as_bytes().to_vec(),
            position: self.statement.body().position,
            log_hash: log_hash.as_bytes().to_vec(),
            service_time_ms: self.service_time_ms,
            tips: self.tips.iter().map(|t| t.to_wire()).collect(),
        }
        .encode_to_vec()
        .into()
    }
}

/// One place of an identity log as it travels: the record, and the service's signature of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptedStatement {
    record: StatementRecord,
    body: Bytes,
    certificate: ServiceCertificate,
    signature: Signature,
}

/// The unchecked parts of a receipt, as they travel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptParts {
    /// Encoded statement.
    pub statement: Bytes,
    /// Encoded receipt body.
    pub body: Bytes,
    /// Encoded body of the service key's certificate.
    pub certificate_body: Bytes,
    /// The root's signature of the certificate.
    pub certificate_signature: Signature,
    /// The service key's signature of the receipt.
    pub signature: Signature,
}

impl ReceiptParts {
    /// The position that the receipt names; 0 if it cannot be read.
    pub fn position(&self) -> u64 {
        wire::StatementReceiptBody::decode(&self.body[..]).map_or(0, |body| body.position)
    }

    /// The service time that the receipt names; 0 if it cannot be read.
    pub fn service_time_ms(&self) -> i64 {
        wire::StatementReceiptBody::decode(&self.body[..]).map_or(0, |body| body.service_time_ms)
    }

    /// The log's hash that the receipt names, if it can be read.
    pub fn log_hash(&self) -> Option<LogHash> {
        let body = wire::StatementReceiptBody::decode(&self.body[..]).ok()?;
        LogHash::try_from(&body.log_hash[..]).ok()
    }

    pub(in crate::identity) fn to_wire(&self) -> wire::ReceiptedStatement {
        wire::ReceiptedStatement {
            statement: self.statement.clone(),
            receipt: Some(self.receipt_to_wire()),
        }
    }

    pub(in crate::identity) fn receipt_to_wire(&self) -> wire::StatementReceipt {
        wire::StatementReceipt {
            body: self.body.clone(),
            certificate: Some(wire::ServiceKeyCertificate {
                body: self.certificate_body.clone(),
                signature: self.certificate_signature.as_bytes().to_vec(),
            }),
            signature: self.signature.as_bytes().to_vec(),
        }
    }

    pub(in crate::identity) fn from_wire(
        receipted: &wire::ReceiptedStatement,
    ) -> Result<Self, FormatError> {
        let receipt = receipted.receipt.as_ref();
        let receipt = receipt.ok_or(FormatError::Field("the receipt of a statement"))?;
        let certificate = receipt.certificate.as_ref();
        let certificate = certificate.ok_or(FormatError::Field("the key of a receipt"))?;
        let signature = |what, bytes: &[u8]| {
            Signature::try_from(bytes).map_err(|error| FormatError::Key(what, error))
        };
        let root = "the signature of a service key";
        Ok(Self {
            statement: receipted.statement.clone(),
            body: receipt.body.clone(),
            certificate_body: certificate.body.clone(),
            certificate_signature: signature(root, &certificate.signature)?,
            signature: signature("the signature of a receipt", &receipt.signature)?,
        })
    }

    /// Whether they say the same of the same statement, whoever signed the receipt.
    pub(in crate::identity) fn tell_of(&self, record: &StatementRecord, log_hash: LogHash) -> bool {
        self.statement == *record.statement.bytes() && self.body == record.receipt_body(log_hash)
    }
}

/// Checks who signed a receipt, and its form; not what it is about.
pub(in crate::identity) fn verify_receipt(
    genesis: &Genesis,
    certificate_body: Bytes,
    certificate_signature: Signature,
    body: &[u8],
    signature: &Signature,
) -> Result<(ServiceCertificate, wire::StatementReceiptBody), FormatError> {
    let certificate = ServiceCertificate::verify(genesis, certificate_body, certificate_signature)?;
    if certificate.role() != ServiceRole::Service {
        return Err(FormatError::Field("the role of a receipt's key"));
    }
    certificate
        .key()
        .verify(
            &Tag::StatementReceipt.hash(genesis.ledger_id(), &[body]),
            signature,
        )
        .map_err(|e| FormatError::Key("the signature of a receipt", e))?;
    Ok((certificate, decode_canonical("a receipt", body)?))
}

impl ReceiptedStatement {
    /// Signs the receipt of a record that is the `log_hash`-th state of its log.
    pub fn sign(
        signer: &ServiceSigner,
        genesis: &Genesis,
        record: StatementRecord,
        log_hash: LogHash,
    ) -> Self {
        let body = record.receipt_body(log_hash);
        let signature = signer.sign(&Tag::StatementReceipt.hash(genesis.ledger_id(), &[&body]));
        Self {
            record,
            body,
            certificate: signer.certificate().clone(),
            signature,
        }
    }

    /// Checks a receipt: certified service key, signature, and that it is about this statement
    /// at the place that follows `prev` in the log of `identity`.
    ///
    /// # Errors
    /// [`FormatError`] naming what does not fit.
    pub fn verify(
        genesis: &Genesis,
        identity: IdentityId,
        prev: LogHash,
        parts: ReceiptParts,
    ) -> Result<Self, FormatError> {
        let ledger_id = genesis.ledger_id();
        let (certificate, body) = verify_receipt(
            genesis,
            parts.certificate_body,
            parts.certificate_signature,
            &parts.body,
            &parts.signature,
        )?;
        let statement = Statement::decode(ledger_id, parts.statement)?;
        let record = StatementRecord {
            statement,
            service_time_ms: body.service_time_ms,
            tips: decode_tips(&body.tips, RECEIPT_TIPS_MAX)?,
        };
        let named = record.statement.body();
        let log_hash = super::log::next_hash(ledger_id, prev, &record);
        let fits = body.identity == identity.as_bytes()
            && named.identity == identity
            && body.position == named.position
            && body.log_hash == log_hash.as_bytes();
        if !fits {
            return Err(FormatError::Foreign("a receipt"));
        }
        Ok(Self {
            record,
            body: parts.body,
            certificate,
            signature: parts.signature,
        })
    }

    /// What the store recorded.
    pub fn record(&self) -> &StatementRecord {
        &self.record
    }

    /// Gives up the receipt and keeps the record.
    pub fn into_record(self) -> StatementRecord {
        self.record
    }

    /// The parts, verbatim, to be sent.
    pub fn parts(&self) -> ReceiptParts {
        ReceiptParts {
            statement: self.record.statement.bytes().clone(),
            body: self.body.clone(),
            certificate_body: self.certificate.body().clone(),
            certificate_signature: *self.certificate.signature(),
            signature: self.signature,
        }
    }
}
