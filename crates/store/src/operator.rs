//! The seam that operators use, beside the two of the services.
//!
//! What an operator says of an identity lives with the version of its log, and changing it raises
//! that version: so whatever was decided before is decided anew, at every replica, and who follows
//! the log hears of it.

use async_trait::async_trait;
use edge_ledger_core::ids::IdentityId;

use crate::StoreError;

/// What an operator says of an identity. Unless something is said, nothing is bounded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// Nothing of it is appended while there is one. Statements are: whoever was robbed of a device
    /// must be able to say so.
    pub block: Option<Block>,
    /// Most entries, at most [`QUOTA_MAX`]: the places of all journals, those of a forked one once for each branch.
    pub entries_max: Option<u64>,
}

/// An identity is blocked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Why, for operators.
    pub reason: String,
    /// Since when, in milliseconds since 1970.
    pub since_ms: i64,
}

/// The highest quota: what counts in a script of Redis without loss.
pub const QUOTA_MAX: u64 = (1 << 53) - 1;

/// What became of new terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TermsOutcome {
    /// They hold.
    Set,
    /// Others were in effect than was expected: read them again.
    Conflict,
    /// The store has no log of this identity.
    Unknown,
}

/// Where a walk through the identities goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub(crate) Vec<u8>);

/// A part of a walk through the identities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityPage {
    /// Some of them; maybe none, though there are more.
    pub identities: Vec<IdentityId>,
    /// Where the next part begins; none if this is the last.
    pub next: Option<Cursor>,
}

/// About how many identities one part of a walk looks at.
pub(crate) const PAGE_IDENTITIES: usize = 512;

/// What operators read and write.
#[async_trait]
pub trait OperatorStore: Send + Sync {
    /// Puts terms in the place of those that are expected to be in effect; in the same step raises
    /// the version of the identity's log, and announces it as a change of that. Terms that are
    /// in effect already change nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn set_terms(
        &self,
        identity: IdentityId,
        expected: Terms,
        terms: Terms,
    ) -> Result<TermsOutcome, StoreError>;

    /// A part of a walk through all identities that have a log, in no order. One that is there from
    /// the beginning of the walk to its end is met at least once.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn identities(&self, from: Option<Cursor>) -> Result<IdentityPage, StoreError>;
}

/// Version of the layout of terms.
const LAYOUT: u8 = 1;
const IS_BLOCKED: u8 = 1;
const IS_BOUNDED: u8 = 2;

impl Terms {
    /// As both stores keep them: nothing, unless something is said; else version (1), flags (1:
    /// blocked, bounded), most entries (8), since when it is blocked (8), why.
    pub(crate) fn encode(&self) -> Vec<u8> {
        if *self == Self::default() {
            return Vec::new();
        }
        let mut flags = 0;
        flags |= if self.block.is_some() { IS_BLOCKED } else { 0 };
        flags |= if self.entries_max.is_some() {
            IS_BOUNDED
        } else {
            0
        };
        let since_ms = self.block.as_ref().map_or(0, |block| block.since_ms);
        let mut bytes = vec![LAYOUT, flags];
        bytes.extend_from_slice(&self.entries_max.unwrap_or(0).to_be_bytes());
        bytes.extend_from_slice(&since_ms.to_be_bytes());
        if let Some(block) = &self.block {
            bytes.extend_from_slice(block.reason.as_bytes());
        }
        bytes
    }

    /// Reads them; none if they cannot be read.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let Some(rest) = bytes.strip_prefix(&[LAYOUT]) else {
            return bytes.is_empty().then(Self::default);
        };
        let (flags, rest) = rest.split_first()?;
        let (entries_max, rest) = rest.split_first_chunk()?;
        let (since_ms, reason) = rest.split_first_chunk()?;
        let block = Block {
            reason: str::from_utf8(reason).ok()?.to_owned(),
            since_ms: i64::from_be_bytes(*since_ms),
        };
        let entries_max = u64::from_be_bytes(*entries_max);
        Some(Self {
            block: (flags & IS_BLOCKED != 0).then_some(block),
            entries_max: (flags & IS_BOUNDED != 0).then_some(entries_max),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_read_as_they_were_written() {
        let block = Block {
            reason: "spam: π".to_owned(),
            since_ms: -7,
        };
        for block in [None, Some(block)] {
            for entries_max in [None, Some(0), Some(QUOTA_MAX)] {
                let block = block.clone();
                let terms = Terms { block, entries_max };
                assert_eq!(Terms::decode(&terms.encode()), Some(terms));
            }
        }
        assert!(Terms::default().encode().is_empty());
        for bad in [&[2][..], &[1], &[1, 3, 0], &[1; 17]] {
            assert_eq!(Terms::decode(bad), None, "{bad:?}");
        }
    }
}
