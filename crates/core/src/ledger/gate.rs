//! The gate: the one place where untrusted runs become verified entries.
//!
//! It rebuilds the headers, hashes every entry, and checks one signature per run. Nothing here
//! depends on what else is kept: a run passes or fails by itself, everywhere alike.

use bytes::Bytes;
use prost::Message as _;

use crate::identity::Point;
use crate::ids::EntryHash;
use crate::ledger::entry::{Author, EntryContent, VerifiedEntry, entry_hash};
use crate::ledger::posting::{Posting, PostingError};
use crate::ledger::run::{Run, VerifiedRun};
use crate::limits::{ENTRY_FORMAT, ENTRY_PAYLOAD_BYTES_MAX, ENTRY_POSTINGS_MAX, RUN_BYTES_MAX};
use crate::wire;

/// Why a run was refused; nothing of it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reject {
    /// No entries, not one format for each or format 0, or `seq` and `prev` that do not agree.
    #[error("the run is malformed")]
    BadRun,
    /// A payload, memo, event key, number of postings, or the run, out of its limits.
    #[error("an entry is out of its limits")]
    EntrySize,
    /// An amount of 0 or above 2^53 − 1.
    #[error("an amount is out of its range")]
    AmountRange,
    /// A payload of format 1 that does not equal its own re-encoding.
    #[error("a payload is not canonical")]
    NotCanonical,
    /// A memo that is not plain text.
    #[error("a memo has characters that control, hide or reorder what is shown")]
    BadText,
    /// The signature does not fit place, hashes, key, identity and deployment.
    #[error("the signature does not fit")]
    BadSignature,
    /// The run is of another device than the author.
    #[error("the run is of another device")]
    Foreign,
}

/// Verifies one run of a device of an identity.
///
/// # Errors
/// [`Reject`] saying why; nothing of the run may be used then.
pub fn verify(author: Author<'_>, run: &Run) -> Result<VerifiedRun, Reject> {
    if run.device != author.key.device_id() {
        return Err(Reject::Foreign);
    }
    let starts = run.first_seq == 1;
    let last_seq = run.first_seq.checked_add(run.payloads.len() as u64);
    if run.payloads.is_empty()
        || run.formats.len() != run.payloads.len()
        || run.formats.contains(&0)
        || run.first_seq == 0
        || last_seq.is_none()
        || starts != (run.first_prev == EntryHash::ZERO)
    {
        return Err(Reject::BadRun);
    }
    if run.weight() > RUN_BYTES_MAX {
        return Err(Reject::EntrySize);
    }
    let mut entries = Vec::with_capacity(run.payloads.len());
    let mut at = run.parent();
    for (format, payload) in run.formats.iter().copied().zip(&run.payloads) {
        let content = read_payload(format, payload)?;
        let seq = at.seq + 1;
        let hash = entry_hash(author, format, seq, at.hash, payload);
        entries.push(VerifiedEntry {
            device: run.device,
            format,
            point: Point { seq, hash },
            prev: at.hash,
            payload: payload.clone(),
            content,
        });
        at = Point { seq, hash };
    }
    at.verify(author.ledger_id, author.key, &run.signature)
        .map_err(|_| Reject::BadSignature)?;
    Ok(VerifiedRun {
        entries,
        signature: run.signature,
    })
}

fn read_payload(format: u16, payload: &Bytes) -> Result<EntryContent, Reject> {
    if payload.is_empty() || payload.len() > ENTRY_PAYLOAD_BYTES_MAX {
        return Err(Reject::EntrySize);
    }
    if format != ENTRY_FORMAT {
        return Ok(EntryContent::Unreadable);
    }
    let message = wire::EntryPayload::decode(payload.clone()).map_err(|_| Reject::NotCanonical)?;
    if message.encoded_len() != payload.len() || message.encode_to_vec() != *payload {
        return Err(Reject::NotCanonical);
    }
    if message.postings.is_empty() || message.postings.len() > ENTRY_POSTINGS_MAX {
        return Err(Reject::EntrySize);
    }
    let postings = message
        .postings
        .into_iter()
        .map(Posting::from_wire)
        .collect::<Result<_, _>>()
        .map_err(|e| match e {
            PostingError::Size(_) => Reject::EntrySize,
            PostingError::Amount => Reject::AmountRange,
            PostingError::Text(_) => Reject::BadText,
            PostingError::Kind => Reject::NotCanonical,
        })?;
    Ok(EntryContent::V1 {
        wall_ms: message.wall_ms,
        postings,
    })
}
