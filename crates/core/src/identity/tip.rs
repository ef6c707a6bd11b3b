//! Points of a journal, signed tips, and the cut that they make.

use std::collections::{BTreeMap, BTreeSet};

use crate::identity::FormatError;
use crate::ids::{DeviceId, EntryHash, LedgerId};
use crate::keys::{PublicKey, SecretKey, Signature};
use crate::tags::Tag;
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

    /// The author's signature of the entry. It covers the place beside the hash, so that whoever
    /// does not have the entry knows where it belongs.
    pub fn sign(self, ledger_id: LedgerId, key: &SecretKey) -> Signature {
        key.sign(&self.signed_hash(ledger_id))
    }

    /// Checks the author's signature.
    ///
    /// # Errors
    /// [`FormatError::Key`] when it does not fit.
    pub fn verify(
        self,
        ledger_id: LedgerId,
        key: &PublicKey,
        signature: &Signature,
    ) -> Result<(), FormatError> {
        key.verify(&self.signed_hash(ledger_id), signature)
            .map_err(|e| FormatError::Key("the signature of a tip", e))
    }

    fn signed_hash(self, ledger_id: LedgerId) -> [u8; 32] {
        let parts = [&self.seq.to_be_bytes()[..], self.hash.as_bytes()];
        Tag::Tip.hash(ledger_id, &parts)
    }
}

/// A point with its author's signature, so that a run can end there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignedTip {
    /// The journal's device.
    pub device: DeviceId,
    /// The entry.
    pub point: Point,
    /// The device's signature of the point.
    pub signature: Signature,
}

impl SignedTip {
    /// Checks the author's signature.
    ///
    /// # Errors
    /// [`FormatError::Key`] when it does not fit.
    pub fn verify(&self, ledger_id: LedgerId, key: &PublicKey) -> Result<(), FormatError> {
        self.point.verify(ledger_id, key, &self.signature)
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
pub struct Cut {
    points: BTreeMap<Point, Signature>,
    /// Those that a store kept when it recorded a statement: no later cut takes them away.
    recorded: BTreeSet<Point>,
}

impl Cut {
    /// The cut of a device out of named tips of any devices.
    pub fn of_device<'a>(device: DeviceId, tips: impl Iterator<Item = &'a SignedTip>) -> Self {
        let own = tips.filter(|tip| tip.device == device);
        Self {
            points: own.map(|tip| (tip.point, tip.signature)).collect(),
            recorded: BTreeSet::new(),
        }
    }

    /// The cut of a device by a statement: the tips that it names, those that were recorded beside
    /// it, and those that were recorded beside earlier ones. What was recorded was kept and may
    /// have been acked, which is final; what was only named, and did not arrive until a later
    /// statement, must be named again, or who names entries in time could show them after
    /// everything was over.
    pub(in crate::identity) fn after(
        before: Option<&Self>,
        device: DeviceId,
        named: &[SignedTip],
        recorded: &[SignedTip],
    ) -> Self {
        let mut cut = Self::of_device(device, named.iter().chain(recorded));
        let recorded = recorded.iter().filter(|tip| tip.device == device);
        cut.recorded = recorded.map(|tip| tip.point).collect();
        for point in before.iter().flat_map(|before| &before.recorded) {
            if let Some(signature) = before.and_then(|before| before.signature(point)) {
                cut.points.insert(*point, signature);
                cut.recorded.insert(*point);
            }
        }
        cut
    }

    /// What both keep: neither of two branches of a log takes away what the other one kept.
    pub(in crate::identity) fn with(&self, other: &Self) -> Self {
        let mut cut = self.clone();
        cut.points.extend(&other.points);
        cut.recorded.extend(&other.recorded);
        cut
    }

    /// Whether a point is named.
    pub fn names(&self, point: &Point) -> bool {
        self.points.contains_key(point)
    }

    /// The author's signature of a named point.
    pub fn signature(&self, point: &Point) -> Option<Signature> {
        self.points.get(point).copied()
    }

    /// The named points, by place.
    pub fn points(&self) -> impl DoubleEndedIterator<Item = Point> + '_ {
        self.points.keys().copied()
    }

    /// The highest named place; 0 when nothing is kept.
    pub fn last_seq(&self) -> u64 {
        self.points.keys().next_back().map_or(0, |p| p.seq)
    }
}
