//! Postings and their event keys.

use std::fmt;

use bytes::Bytes;
use prost::Message as _;

use crate::limits::{AMOUNT_MAX, EVENT_KEY_BYTES_MAX, ISSUER_PROOF_BYTES_MAX, MEMO_BYTES_MAX};
use crate::text::is_plain;
use crate::wire;

/// Idempotency key of a posting: 1 to 128 bytes, independent of its place in a journal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKey(Bytes);

impl EventKey {
    /// Takes 1 to 128 bytes.
    ///
    /// # Errors
    /// [`PostingError::Size`] for an empty or longer key.
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, PostingError> {
        let bytes = bytes.into();
        if bytes.is_empty() || bytes.len() > EVENT_KEY_BYTES_MAX {
            return Err(PostingError::Size("an event key"));
        }
        Ok(Self(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A key of printable ASCII is shown as it is; any other, or one that starts with `0x`, as `0x`
/// and hex digits.
impl fmt::Display for EventKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::str::from_utf8(&self.0) {
            Ok(text) if !text.starts_with("0x") && text.bytes().all(|b| b.is_ascii_graphic()) => {
                f.write_str(text)
            }
            _ => write!(f, "0x{}", hex::encode(&self.0)),
        }
    }
}

impl fmt::Debug for EventKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventKey({self})")
    }
}

/// Reads what [`Display`](fmt::Display) writes.
impl std::str::FromStr for EventKey {
    type Err = PostingError;

    fn from_str(text: &str) -> Result<Self, PostingError> {
        match text.strip_prefix("0x").map(hex::decode) {
            Some(Ok(bytes)) => Self::new(bytes),
            Some(Err(_)) | None => Self::new(text.as_bytes().to_vec()),
        }
    }
}

/// What a posting does to the balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The identity earns.
    Credit,
    /// The lineage spends.
    Debit,
    /// Cumulative amount given back for the debit with the same event key.
    Refund,
}

/// One accounting fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    /// What it does.
    pub kind: Kind,
    /// Its idempotency key.
    pub event_key: EventKey,
    /// Minor units, 1 to 2^53 − 1.
    pub amount: u64,
    /// For people, at most 128 bytes of plain text.
    pub memo: String,
    /// Encoded proof of an issuer; empty under a self-reported policy.
    pub issuer_proof: Bytes,
}

/// Why a posting cannot be part of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PostingError {
    /// A part is empty or too long.
    #[error("{0} is empty or too long")]
    Size(&'static str),
    /// The amount is 0 or above 2^53 − 1.
    #[error("an amount must be from 1 to {AMOUNT_MAX}")]
    Amount,
    /// Text that is not plain.
    #[error("{0} has characters that control, hide or reorder what is shown")]
    Text(&'static str),
    /// It is of no known kind.
    #[error("a posting is of no known kind")]
    Kind,
}

impl Posting {
    /// A posting without memo or proof.
    ///
    /// # Errors
    /// [`PostingError::Amount`].
    pub fn new(kind: Kind, event_key: EventKey, amount: u64) -> Result<Self, PostingError> {
        let posting = Self {
            kind,
            event_key,
            amount,
            memo: String::new(),
            issuer_proof: Bytes::new(),
        };
        posting.check()?;
        Ok(posting)
    }

    /// The same with a memo.
    ///
    /// # Errors
    /// [`PostingError::Size`] above 128 bytes, [`PostingError::Text`] if it is not plain.
    pub fn with_memo(mut self, memo: impl Into<String>) -> Result<Self, PostingError> {
        self.memo = memo.into();
        self.check()?;
        Ok(self)
    }

    /// Checks all limits.
    ///
    /// # Errors
    /// The first [`PostingError`].
    pub fn check(&self) -> Result<(), PostingError> {
        if self.amount == 0 || self.amount > AMOUNT_MAX {
            return Err(PostingError::Amount);
        }
        if self.memo.len() > MEMO_BYTES_MAX {
            return Err(PostingError::Size("a memo"));
        }
        if self.issuer_proof.len() > ISSUER_PROOF_BYTES_MAX {
            return Err(PostingError::Size("an issuer proof"));
        }
        if !is_plain(&self.memo) {
            return Err(PostingError::Text("a memo"));
        }
        Ok(())
    }

    /// The encoding that it has inside an entry.
    pub fn encode(&self) -> Bytes {
        self.to_wire().encode_to_vec().into()
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// The first limit that it passes, or [`PostingError::Kind`] for anything else.
    pub fn decode(bytes: Bytes) -> Result<Self, PostingError> {
        wire::Posting::decode(bytes)
            .map_err(|_| PostingError::Kind)
            .and_then(Self::from_wire)
    }

    pub(crate) fn to_wire(&self) -> wire::Posting {
        wire::Posting {
            effect: Some(match self.kind {
                Kind::Credit => wire::Effect::Credit(self.amount),
                Kind::Debit => wire::Effect::Debit(self.amount),
                Kind::Refund => wire::Effect::Refund(self.amount),
            }),
            event_key: self.event_key.0.clone(),
            memo: self.memo.clone(),
            issuer_proof: self.issuer_proof.clone(),
        }
    }

    pub(crate) fn from_wire(posting: wire::Posting) -> Result<Self, PostingError> {
        let (kind, amount) = match posting.effect {
            Some(wire::Effect::Credit(amount)) => (Kind::Credit, amount),
            Some(wire::Effect::Debit(amount)) => (Kind::Debit, amount),
            Some(wire::Effect::Refund(amount)) => (Kind::Refund, amount),
            None => return Err(PostingError::Kind),
        };
        let posting = Self {
            kind,
            event_key: EventKey::new(posting.event_key)?,
            amount,
            memo: posting.memo,
            issuer_proof: posting.issuer_proof,
        };
        posting.check()?;
        Ok(posting)
    }
}
