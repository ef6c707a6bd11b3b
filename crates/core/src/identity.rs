//! Who may speak: deployments, keys, the signed statements of an identity log, and the log.

pub mod branch;
pub mod certificate;
pub mod challenge;
pub mod evidence;
pub mod genesis;
pub mod log;
pub mod pikey;
pub mod receipt;
pub mod rendezvous;
pub mod service_key;
pub mod statement;
pub mod tip;

pub use branch::Branch;
pub use certificate::Certificate;
pub use challenge::{Challenge, Purpose};
pub use evidence::Evidence;
pub use genesis::{CreditPolicy, Genesis, Periods};
pub use log::{
    DeviceRecord, DeviceState, EnrolmentRecord, IdentityLog, LogError, LogHead, Recovery,
};
pub use receipt::{ReceiptedStatement, StatementRecord};
pub use rendezvous::rendezvous;
pub use service_key::{ServiceCertificate, ServiceRole};
pub use statement::{Act, RevokeReason, RotateReason, Statement, StatementBody};
pub use tip::{Cut, Point, SignedTip};

use prost::Message;

/// Bytes that are not what they claim to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Not a message of the expected type.
    #[error("{0} cannot be decoded")]
    Undecodable(&'static str),
    /// A message that does not equal its own re-encoding.
    #[error("{0} is not canonical")]
    NotCanonical(&'static str),
    /// A field that is missing or out of its limits.
    #[error("{0} is missing or out of its limits")]
    Field(&'static str),
    /// A key or signature that the policy refuses.
    #[error("{0}: {1}")]
    Key(&'static str, #[source] crate::keys::KeyError),
    /// An object of another deployment or identity.
    #[error("{0} belongs to another deployment or identity")]
    Foreign(&'static str),
}

/// Decodes signed bytes and refuses everything but the one canonical encoding.
pub(crate) fn decode_canonical<M: Message + Default>(
    what: &'static str,
    bytes: &[u8],
) -> Result<M, FormatError> {
    let message = M::decode(bytes).map_err(|_| FormatError::Undecodable(what))?;
    if message.encode_to_vec() == bytes {
        Ok(message)
    } else {
        Err(FormatError::NotCanonical(what))
    }
}
