//! How values are laid out: a version byte, fields of fixed length in big-endian order, at most
//! one field of variable length at the end, and a checksum.
//!
//! The engine trusts its pages once the file is open, so a flipped bit would be read as data.
//! The checksum is the first 8 bytes of a SHA-256 over the table's name, the key and the fields:
//! it also finds a value that is whole and in the wrong place.

use sha2::{Digest as _, Sha256};

use super::fault::Fault;

/// Version of every layout here.
const LAYOUT: u8 = 1;
/// Length of a checksum, in bytes.
pub(super) const CHECK_LEN: usize = 8;

/// The checksum of some fields of a value.
pub(super) fn check(table: &str, key: &[u8], fields: &[u8]) -> [u8; CHECK_LEN] {
    let hash = Sha256::new()
        .chain_update(table)
        .chain_update([0])
        .chain_update(key)
        .chain_update(fields)
        .finalize();
    let mut check = [0; CHECK_LEN];
    check.copy_from_slice(&hash[..CHECK_LEN]);
    check
}

/// A value that is being written.
pub(super) struct Writing(Vec<u8>);

impl Writing {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        let mut value = Vec::with_capacity(bytes + 1 + CHECK_LEN);
        value.push(LAYOUT);
        Self(value)
    }

    pub(super) fn field(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn sealed(mut self, table: &str, key: &[u8]) -> Vec<u8> {
        let check = check(table, key, &self.0);
        self.0.extend_from_slice(&check);
        self.0
    }
}

/// A value that is being read.
pub(super) struct Reading<'a> {
    table: &'static str,
    rest: &'a [u8],
}

impl<'a> Reading<'a> {
    /// Checks a sealed value.
    pub(super) fn sealed(table: &'static str, key: &[u8], value: &'a [u8]) -> Result<Self, Fault> {
        let (fields, seal) = value
            .split_last_chunk::<CHECK_LEN>()
            .ok_or_else(|| Fault::damaged(table))?;
        if check(table, key, fields) != *seal {
            return Err(Fault::damaged(table));
        }
        Self::unsealed(table, fields)
    }

    /// Reads fields whose checksum the caller looks at.
    pub(super) fn unsealed(table: &'static str, fields: &'a [u8]) -> Result<Self, Fault> {
        match fields.split_first() {
            Some((&LAYOUT, rest)) => Ok(Self { table, rest }),
            Some(_) | None => Err(Fault::damaged(table)),
        }
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (field, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or_else(|| Fault::damaged(self.table))?;
        self.rest = rest;
        Ok(*field)
    }

    pub(super) fn slice(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        let (field, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or_else(|| Fault::damaged(self.table))?;
        self.rest = rest;
        Ok(field)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        Ok(self.bytes::<1>()?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, Fault> {
        Ok(u16::from_be_bytes(self.bytes()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Fault> {
        Ok(u64::from_be_bytes(self.bytes()?))
    }

    pub(super) fn i64(&mut self) -> Result<i64, Fault> {
        Ok(i64::from_be_bytes(self.bytes()?))
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// The last field, of whatever length.
    pub(super) fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// Fails if there is more than was read.
    pub(super) fn end(self) -> Result<(), Fault> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Fault::damaged(self.table))
        }
    }
}
