//! Two receipts for one position of one identity log: proof that its service gave the place twice.

use bytes::Bytes;
use prost::Message as _;

use crate::identity::receipt::{ReceiptParts, verify_receipt};
use crate::identity::{FormatError, Genesis, decode_canonical};
use crate::ids::{IdentityId, LogHash};
use crate::keys::Signature;
use crate::wire;

/// Two valid receipts with different hashes for one position. Who holds it needs nothing else to
/// check it but the id of the deployment, which is that of its genesis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    bytes: Bytes,
    genesis: Genesis,
    identity: IdentityId,
    position: u64,
    hashes: [LogHash; 2],
}

impl Evidence {
    /// Takes two receipts, in any order.
    ///
    /// # Errors
    /// [`FormatError`] when one of them is not valid, or they do not contradict each other.
    pub fn of(
        genesis: &Genesis,
        one: &ReceiptParts,
        other: &ReceiptParts,
    ) -> Result<Self, FormatError> {
        let mut receipts = [one, other].map(ReceiptParts::receipt_to_wire);
        // The order of the hashes decides, and they are checked when it is decoded.
        receipts.sort_by_key(log_hash);
        let evidence = wire::Evidence {
            genesis: genesis.bytes().clone(),
            receipts: receipts.to_vec(),
        };
        Self::decode(evidence.encode_to_vec().into())
    }

    /// Takes encoded evidence, and checks all of it.
    ///
    /// # Errors
    /// [`FormatError`] for anything but canonical evidence of a contradiction.
    pub fn decode(bytes: Bytes) -> Result<Self, FormatError> {
        let message: wire::Evidence = decode_canonical("evidence", &bytes)?;
        let genesis = Genesis::decode(message.genesis)?;
        let [one, other] = &message.receipts[..] else {
            return Err(FormatError::Field("the number of receipts"));
        };
        let (one, other) = (receipt(&genesis, one)?, receipt(&genesis, other)?);
        if one.identity != other.identity || one.position != other.position {
            return Err(FormatError::Field("the place of the receipts"));
        }
        let hash = |body: &wire::StatementReceiptBody| {
            LogHash::try_from(&body.log_hash[..])
                .map_err(|_| FormatError::Field("the log hash of a receipt"))
        };
        let hashes = [hash(&one)?, hash(&other)?];
        if hashes[0] >= hashes[1] {
            return Err(FormatError::Field("the order of the receipts"));
        }
        Ok(Self {
            bytes,
            genesis,
            identity: IdentityId::try_from(&one.identity[..])
                .map_err(|_| FormatError::Field("the identity of a receipt"))?,
            position: one.position,
            hashes,
        })
    }

    /// The encoding: what a file holds.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The deployment whose service gave the receipts.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The identity.
    pub fn identity(&self) -> IdentityId {
        self.identity
    }

    /// The position that was given twice.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The two hashes, in their order.
    pub fn hashes(&self) -> [LogHash; 2] {
        self.hashes
    }
}

fn log_hash(receipt: &wire::StatementReceipt) -> Vec<u8> {
    wire::StatementReceiptBody::decode(&receipt.body[..])
        .map_or_else(|_| Vec::new(), |body| body.log_hash)
}

fn receipt(
    genesis: &Genesis,
    receipt: &wire::StatementReceipt,
) -> Result<wire::StatementReceiptBody, FormatError> {
    let signature = |what, bytes: &[u8]| {
        Signature::try_from(bytes).map_err(|error| FormatError::Key(what, error))
    };
    let certificate = receipt.certificate.as_ref();
    let certificate = certificate.ok_or(FormatError::Field("the key of a receipt"))?;
    let (_, body) = verify_receipt(
        genesis,
        certificate.body.clone(),
        signature("the signature of a service key", &certificate.signature)?,
        &receipt.body,
        &signature("the signature of a receipt", &receipt.signature)?,
    )?;
    Ok(body)
}
