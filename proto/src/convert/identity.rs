//! Receipts, service keys, devices.

use bytes::Bytes;
use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_core::identity::{DeviceRecord, DeviceState, Purpose, ServiceCertificate};
use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::keys::Signature;

use super::{ConvertError, present, signature};
use crate::identity;

impl From<ReceiptParts> for identity::ReceiptedStatement {
    fn from(parts: ReceiptParts) -> Self {
        Self {
            statement: parts.statement,
            receipt: Some(identity::StatementReceipt {
                body: parts.body,
                certificate: Some(certificate(
                    parts.certificate_body,
                    &parts.certificate_signature,
                )),
                signature: Bytes::copy_from_slice(parts.signature.as_bytes()),
            }),
        }
    }
}

impl TryFrom<identity::ReceiptedStatement> for ReceiptParts {
    type Error = ConvertError;

    fn try_from(receipted: identity::ReceiptedStatement) -> Result<Self, ConvertError> {
        let receipt = present("receipted_statement.receipt", receipted.receipt)?;
        let (certificate_body, certificate_signature) =
            certificate_parts("statement_receipt.certificate", receipt.certificate)?;
        Ok(Self {
            statement: receipted.statement,
            body: receipt.body,
            certificate_body,
            certificate_signature,
            signature: signature("statement_receipt.signature", &receipt.signature)?,
        })
    }
}

impl From<&ServiceCertificate> for identity::ServiceKeyCertificate {
    fn from(checked: &ServiceCertificate) -> Self {
        certificate(checked.body().clone(), checked.signature())
    }
}

pub(super) fn certificate(body: Bytes, signature: &Signature) -> identity::ServiceKeyCertificate {
    identity::ServiceKeyCertificate {
        body,
        signature: Bytes::copy_from_slice(signature.as_bytes()),
    }
}

/// Body and signature of a service key's certificate, for
/// [`ServiceCertificate::verify`] to check against the genesis.
///
/// # Errors
/// [`ConvertError`] naming `field` if it is unset, or its signature if that is no signature.
pub fn certificate_parts(
    field: &'static str,
    certificate: Option<identity::ServiceKeyCertificate>,
) -> Result<(Bytes, Signature), ConvertError> {
    let certificate = present(field, certificate)?;
    let signature = signature("service_key_certificate.signature", &certificate.signature)?;
    Ok((certificate.body, signature))
}

impl From<DeviceState> for identity::DeviceState {
    fn from(state: DeviceState) -> Self {
        match state {
            DeviceState::Active => Self::Active,
            DeviceState::Replaced { .. } => Self::Replaced,
            DeviceState::Revoked => Self::Revoked,
        }
    }
}

/// One way only: a row is for display, the log is the proof.
impl From<(&DeviceId, &DeviceRecord)> for identity::Device {
    fn from((device, record): (&DeviceId, &DeviceRecord)) -> Self {
        Self {
            device: Bytes::copy_from_slice(device.as_bytes()),
            public_key: Bytes::copy_from_slice(record.key.as_bytes()),
            name: record.name.clone(),
            platform: record.platform.clone(),
            admin: record.admin,
            state: identity::DeviceState::from(record.state).into(),
            added_at: record.added_at,
            probation_ends_ms: record.probation_ends_ms.unwrap_or_default(),
        }
    }
}

impl From<Purpose> for identity::ChallengePurpose {
    fn from(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Identity => Self::Identity,
        }
    }
}

impl TryFrom<identity::ChallengePurpose> for Purpose {
    type Error = ConvertError;

    fn try_from(purpose: identity::ChallengePurpose) -> Result<Self, ConvertError> {
        match purpose {
            identity::ChallengePurpose::Unspecified => {
                Err(ConvertError::range("get_challenge_request.purpose"))
            }
            identity::ChallengePurpose::Identity => Ok(Self::Identity),
        }
    }
}
