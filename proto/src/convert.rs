//! Wire ⇄ domain, once. What arrives is read into the domain's types here or refused here, by
//! the name of the field; nothing behind this module sees a generated type.
//!
//! Only the envelope is converted. Signed bytes stay as they came: the domain decodes and
//! verifies them itself.

mod entry;
mod frame;
mod identity;
mod peers;
mod taken;

pub use identity::certificate_parts;

use edge_ledger_core::keys::Signature;

/// A message that does not say what it must.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct ConvertError {
    /// The field, as `message.field` of the contract.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It is not set.
    #[error("is missing")]
    Missing,
    /// Its bytes are too few or too many.
    #[error("must be {expected} bytes")]
    Length {
        /// How many it must be.
        expected: usize,
    },
    /// A number outside its range, or an enum value that is unspecified or unknown.
    #[error("is out of its range")]
    Range,
    /// It may not be set beside the other fields.
    #[error("contradicts the other fields")]
    Contradiction,
}

impl ConvertError {
    fn range(field: &'static str) -> Self {
        Self {
            field,
            problem: Problem::Range,
        }
    }
}

fn present<T>(field: &'static str, value: Option<T>) -> Result<T, ConvertError> {
    value.ok_or(ConvertError {
        field,
        problem: Problem::Missing,
    })
}

fn fixed<const N: usize>(field: &'static str, bytes: &[u8]) -> Result<[u8; N], ConvertError> {
    bytes.try_into().map_err(|_| ConvertError {
        field,
        problem: Problem::Length { expected: N },
    })
}

fn signature(field: &'static str, bytes: &[u8]) -> Result<Signature, ConvertError> {
    fixed(field, bytes).map(Signature::from_bytes)
}

/// A place in a journal or a log: 1 and up.
fn place(field: &'static str, number: u64) -> Result<u64, ConvertError> {
    if number == 0 {
        return Err(ConvertError::range(field));
    }
    Ok(number)
}

/// A known value of an enum; `UNSPECIFIED` is left to the caller's match.
fn known<E: TryFrom<i32>>(field: &'static str, number: i32) -> Result<E, ConvertError> {
    E::try_from(number).map_err(|_| ConvertError::range(field))
}
