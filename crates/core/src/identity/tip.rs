//! Points of a journal, signed tips, and the cut that they make.

use std::collections::BTreeMap;

use crate::identity::FormatError;
use crate::ids::{DeviceId, EntryHash};
use crate::keys::{PublicKey, Signature};
use crate::wire;

/// One entry of a journal, by place and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// Place in the journal, 1 and up; 0 with the zero hash stands for "before the first".
    pub seq: u64,
    /// Hash of the entry.
    pub hash: EntryHash,
}

impl Point {
    /// Before the first entry.
    pub const START: Self = Self {
        seq: 0,
        hash: EntryHash::ZERO,
    };
}

/// A point with its author's signature, so that a run can end there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignedTip {
    /// The journal's device.
    pub device: DeviceId,
    /// The entry.
    pub point: Point,
    /// The device's signature of the entry's hash.
    pub signature: Signature,
}

impl SignedTip {
    /// Checks the author's signature.
    ///
    /// # Errors
    /// [`FormatError::Key`] when it does not fit.
    pub fn verify(&self, key: &PublicKey) -> Result<(), FormatError> {
        key.verify(self.point.hash.as_bytes(), &self.signature)
            .map_err(|e| FormatError::Key("the signature of a tip", e))
    }

    pub(crate) fn to_wire(self) -> wire::SignedTip {
        wire::SignedTip {
            device: self.device.as_bytes().to_vec(),
            seq: self.point.seq,
            hash: self.point.hash.as_bytes().to_vec(),
            signature: self.signature.as_bytes().to_vec(),
        }
    }

    pub(crate) fn from_wire(tip: &wire::SignedTip) -> Result<Self, FormatError> {
        if tip.seq == 0 {
            return Err(FormatError::Field("the seq of a tip"));
        }
        Ok(Self {
            device: DeviceId::try_from(&tip.device[..])
                .map_err(|_| FormatError::Field("the device of a tip"))?,
            point: Point {
                seq: tip.seq,
                hash: EntryHash::try_from(&tip.hash[..])
                    .map_err(|_| FormatError::Field("the hash of a tip"))?,
            },
            signature: Signature::try_from(&tip.signature[..])
                .map_err(|e| FormatError::Key("the signature of a tip", e))?,
        })
    }
}

/// The tips that end a journal: an entry counts iff it is one of them or an ancestor of one.
/// An empty cut keeps nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cut(BTreeMap<Point, Signature>);

impl Cut {
    /// The cut of a device out of tips of any devices.
    pub fn of_device<'a>(device: DeviceId, tips: impl Iterator<Item = &'a SignedTip>) -> Self {
        Self(
            tips.filter(|t| t.device == device)
                .map(|t| (t.point, t.signature))
                .collect(),
        )
    }

    /// Whether a point is named.
    pub fn names(&self, point: &Point) -> bool {
        self.0.contains_key(point)
    }

    /// The author's signature of a named point.
    pub fn signature(&self, point: &Point) -> Option<Signature> {
        self.0.get(point).copied()
    }

    /// The named points, by place.
    pub fn points(&self) -> impl DoubleEndedIterator<Item = Point> + '_ {
        self.0.keys().copied()
    }

    /// The highest named place; 0 when nothing is kept.
    pub fn last_seq(&self) -> u64 {
        self.0.keys().next_back().map_or(0, |p| p.seq)
    }
}
