//! How an entry is laid out.
//!
//! Value: version (1), format (2), prev (32), 1 if signed (1), signature if signed (64), checksum
//! of these (8), payload, checksum of that checksum and the payload (8). There are two checksums
//! because most reads walk from child to parent and have no use for the payload.

use bytes::Bytes;
use edge_ledger_core::identity::Point;
use edge_ledger_core::ids::{DeviceId, EntryHash};
use edge_ledger_core::keys::Signature;
use edge_ledger_core::ledger::journal::Freight;
use edge_ledger_core::ledger::page::Row;

use super::fault::Fault;
use super::layout::{CHECK_LEN, Reading, Writing, check};
use super::tables::{EntryKey, entry_point};

const ENTRY: &str = "an entry";

/// What an entry's value says before the payload.
pub(super) struct EntryHead {
    pub(super) format: u16,
    pub(super) prev: EntryHash,
    pub(super) signature: Option<Signature>,
}

impl EntryHead {
    /// The entry before the one at a point.
    pub(super) fn parent(&self, point: Point) -> Point {
        Point {
            seq: point.seq.saturating_sub(1),
            hash: self.prev,
        }
    }

    /// The value of the entry with this payload.
    pub(super) fn encode(&self, key: &EntryKey, payload: &[u8]) -> Vec<u8> {
        let head = Writing::with_capacity(116 + payload.len())
            .field(&self.format.to_be_bytes())
            .field(self.prev.as_bytes());
        let head = match &self.signature {
            Some(signature) => head.field(&[1]).field(signature.as_bytes()),
            None => head.field(&[0]),
        };
        let mut value = head.sealed(ENTRY, key);
        let payload_from = value.len() - CHECK_LEN;
        value.extend_from_slice(payload);
        let check = check(ENTRY, key, &value[payload_from..]);
        value.extend_from_slice(&check);
        value
    }

    /// The head, and the rest from its checksum on.
    pub(super) fn decode<'a>(key: &EntryKey, value: &'a [u8]) -> Result<(Self, &'a [u8]), Fault> {
        let mut reading = Reading::unsealed(ENTRY, value)?;
        let format = reading.u16()?;
        let prev = EntryHash::from_bytes(reading.bytes()?);
        let signature = match reading.byte()? {
            0 => None,
            1 => Some(Signature::from_bytes(reading.bytes()?)),
            _ => return Err(Fault::damaged(ENTRY)),
        };
        let rest = reading.rest();
        let fields = &value[..value.len() - rest.len()];
        if !rest.starts_with(&check(ENTRY, key, fields)) {
            return Err(Fault::damaged(ENTRY));
        }
        let head = Self {
            format,
            prev,
            signature,
        };
        Ok((head, rest))
    }
}

/// Reads how an entry travels, without the payload.
pub(super) fn decode_freight(key: &EntryKey, value: &[u8]) -> Result<Freight, Fault> {
    let (head, rest) = EntryHead::decode(key, value)?;
    let bytes = rest.len().checked_sub(2 * CHECK_LEN);
    Ok(Freight {
        bytes: bytes.ok_or_else(|| Fault::damaged(ENTRY))?,
        signed: head.signature.is_some(),
    })
}

/// Reads an entry.
pub(super) fn decode_entry(device: DeviceId, key: &EntryKey, value: &[u8]) -> Result<Row, Fault> {
    let (head, rest) = EntryHead::decode(key, value)?;
    let sealed = rest.split_last_chunk::<CHECK_LEN>();
    let (body, seal) = sealed.ok_or_else(|| Fault::damaged(ENTRY))?;
    let payload = body.get(CHECK_LEN..).ok_or_else(|| Fault::damaged(ENTRY))?;
    if check(ENTRY, key, body) != *seal {
        return Err(Fault::damaged(ENTRY));
    }
    Ok(Row {
        device,
        format: head.format,
        point: entry_point(key),
        prev: head.prev,
        payload: Bytes::copy_from_slice(payload),
        signature: head.signature,
    })
}
