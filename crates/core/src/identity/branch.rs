//! A part of an identity log that another log of the identity has not: what a service gave out
//! beside it for the same positions.

use crate::identity::receipt::ReceiptParts;
use crate::identity::{FormatError, IdentityLog, LogHead};
use crate::wire;

/// Receipted statements, unchecked, from the first that the other log does not have. What they
/// are worth is the log's to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    statements: Vec<ReceiptParts>,
}

impl Branch {
    /// What a whole log, told from its beginning, has that contradicts another one; nothing if one
    /// of them is the beginning of the other.
    pub fn leaving(other: &IdentityLog, told: &[ReceiptParts]) -> Option<Self> {
        let mut held = told
            .iter()
            .zip(1..)
            .map(|(parts, position)| other.has(position, parts));
        let from = held.position(|same| same == Some(false))?;
        Some(Self {
            statements: told[from..].to_vec(),
        })
    }

    /// A branch as it was kept.
    pub fn new(statements: Vec<ReceiptParts>) -> Self {
        Self { statements }
    }

    /// The statements.
    pub fn statements(&self) -> &[ReceiptParts] {
        &self.statements
    }

    /// The position that was given twice; 0 if it cannot be read.
    pub fn position(&self) -> u64 {
        self.statements.first().map_or(0, ReceiptParts::position)
    }

    /// Where it ends, as its last receipt says.
    pub fn head(&self) -> Option<LogHead> {
        let last = self.statements.last()?;
        Some(LogHead {
            position: last.position(),
            hash: last.log_hash()?,
        })
    }

    pub(in crate::identity) fn to_wire(&self) -> Vec<wire::ReceiptedStatement> {
        self.statements.iter().map(ReceiptParts::to_wire).collect()
    }

    pub(in crate::identity) fn from_wire(
        branch: &[wire::ReceiptedStatement],
    ) -> Result<Self, FormatError> {
        let statements = branch.iter().map(ReceiptParts::from_wire);
        Ok(Self {
            statements: statements.collect::<Result<_, _>>()?,
        })
    }
}
