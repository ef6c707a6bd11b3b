//! Entries: the signed members of a journal.

use bytes::Bytes;
use prost::Message as _;

use crate::identity::Point;
use crate::ids::{DeviceId, EntryHash, IdentityId, LedgerId};
use crate::keys::{PublicKey, SecretKey};
use crate::ledger::posting::{Posting, PostingError};
use crate::ledger::run::Run;
use crate::limits::{ENTRY_FORMAT, ENTRY_PAYLOAD_BYTES_MAX, ENTRY_POSTINGS_MAX};
use crate::tags::Tag;
use crate::wire;

/// What the hash of an entry depends on beside the entry itself.
#[derive(Debug, Clone, Copy)]
pub struct Author<'a> {
    /// The deployment.
    pub ledger_id: LedgerId,
    /// The identity.
    pub identity: IdentityId,
    /// The device.
    pub key: &'a PublicKey,
}

/// The hash of an entry: SHA-256 over the tag, the deployment, the author, the header and the
/// payload (`docs/protocol.md`, "entry").
pub fn entry_hash(
    author: Author<'_>,
    format: u16,
    seq: u64,
    prev: EntryHash,
    payload: &[u8],
) -> EntryHash {
    EntryHash::from_bytes(Tag::Entry.hash(
        author.ledger_id,
        &[
            author.identity.as_bytes(),
            author.key.as_bytes(),
            &format.to_be_bytes(),
            &seq.to_be_bytes(),
            prev.as_bytes(),
            payload,
        ],
    ))
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryContent {
    /// A payload of format 1.
    V1 {
        /// The device's clock, for display only, in milliseconds since 1970.
        wall_ms: i64,
        /// 1 to 1,000 postings.
        postings: Vec<Posting>,
    },
    /// A format that this code cannot read: kept and relayed, not counted.
    Unreadable,
}

/// An entry that passed the gate: its hash is right and a valid signature of its device covers
/// it. Only [`gate::verify`](crate::ledger::gate::verify) makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedEntry {
    pub(in crate::ledger) device: DeviceId,
    pub(in crate::ledger) format: u16,
    pub(in crate::ledger) point: Point,
    pub(in crate::ledger) prev: EntryHash,
    pub(in crate::ledger) payload: Bytes,
    pub(in crate::ledger) content: EntryContent,
}

impl VerifiedEntry {
    /// The journal's device.
    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// The payload's format.
    pub fn format(&self) -> u16 {
        self.format
    }

    /// Place and hash.
    pub fn point(&self) -> Point {
        self.point
    }

    /// Place and hash of the entry before; [`Point::START`] for the first.
    pub fn parent(&self) -> Point {
        Point {
            seq: self.point.seq - 1,
            hash: self.prev,
        }
    }

    /// The verbatim payload.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// What it says.
    pub fn content(&self) -> &EntryContent {
        &self.content
    }
}

/// The content of an entry that is about to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The device's clock, for display only, in milliseconds since 1970.
    pub wall_ms: i64,
    /// 1 to 1,000 postings.
    pub postings: Vec<Posting>,
}

impl Draft {
    /// Encodes and signs the entry that follows `parent`, as a run of one.
    ///
    /// # Errors
    /// [`PostingError`] when a limit of the format is passed.
    pub fn sign(
        &self,
        ledger_id: LedgerId,
        identity: IdentityId,
        key: &SecretKey,
        parent: Point,
    ) -> Result<Run, PostingError> {
        if self.postings.is_empty() || self.postings.len() > ENTRY_POSTINGS_MAX {
            return Err(PostingError::Size("the list of postings"));
        }
        for posting in &self.postings {
            posting.check()?;
        }
        let message = wire::EntryPayload {
            wall_ms: self.wall_ms,
            postings: self.postings.iter().map(Posting::to_wire).collect(),
        };
        let payload = Bytes::from(message.encode_to_vec());
        if payload.len() > ENTRY_PAYLOAD_BYTES_MAX {
            return Err(PostingError::Size("the entry"));
        }
        let public_key = key.public_key();
        let author = Author {
            ledger_id,
            identity,
            key: &public_key,
        };
        let seq = parent.seq + 1;
        let hash = entry_hash(author, ENTRY_FORMAT, seq, parent.hash, &payload);
        Ok(Run {
            device: public_key.device_id(),
            first_seq: seq,
            first_prev: parent.hash,
            formats: vec![ENTRY_FORMAT],
            payloads: vec![payload],
            signature: Point { seq, hash }.sign(ledger_id, key),
        })
    }

    /// Bytes that a posting adds to an entry, at most.
    pub fn posting_bytes(posting: &Posting) -> usize {
        posting.to_wire().encoded_len() + 4
    }
}

/// Signs payload bytes of some formats as they are, whatever they say: for tests of the gate.
#[cfg(any(test, feature = "testing"))]
pub fn sign_raw(
    ledger_id: LedgerId,
    identity: IdentityId,
    key: &SecretKey,
    parent: Point,
    payloads: Vec<(u16, Bytes)>,
) -> Run {
    let public_key = key.public_key();
    let author = Author {
        ledger_id,
        identity,
        key: &public_key,
    };
    let mut at = parent;
    for (format, payload) in &payloads {
        let hash = entry_hash(author, *format, at.seq.wrapping_add(1), at.hash, payload);
        at = Point {
            seq: at.seq.wrapping_add(1),
            hash,
        };
    }
    Run {
        device: public_key.device_id(),
        first_seq: parent.seq.wrapping_add(1),
        first_prev: parent.hash,
        formats: payloads.iter().map(|(format, _)| *format).collect(),
        payloads: payloads.into_iter().map(|(_, payload)| payload).collect(),
        signature: at.sign(ledger_id, key),
    }
}
