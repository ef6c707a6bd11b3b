//! Tips, heads and their digest.

use std::collections::BTreeMap;

use crate::identity::{IdentityLog, Point};
use crate::ids::{DeviceId, Digest};
use crate::limits::JOURNAL_TIPS_MAX;
use crate::tags::Tag;

/// The end of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tip {
    /// The journal's device.
    pub device: DeviceId,
    /// Its last entry.
    pub point: Point,
}

/// All tips of an identity, sorted. A forked journal has several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heads(BTreeMap<DeviceId, Vec<Point>>);

impl Heads {
    /// Collects tips.
    pub fn new(tips: impl IntoIterator<Item = Tip>) -> Self {
        let mut heads: BTreeMap<DeviceId, Vec<Point>> = BTreeMap::new();
        for tip in tips {
            heads.entry(tip.device).or_default().push(tip.point);
        }
        for points in heads.values_mut() {
            points.sort_unstable();
            points.dedup();
        }
        Self(heads)
    }

    /// Sets the tips of one journal.
    pub fn set(&mut self, device: DeviceId, mut points: Vec<Point>) {
        points.sort_unstable();
        points.dedup();
        if points.is_empty() {
            self.0.remove(&device);
        } else {
            self.0.insert(device, points);
        }
    }

    /// The tips of one journal.
    pub fn of(&self, device: &DeviceId) -> &[Point] {
        self.0.get(device).map_or(&[], Vec::as_slice)
    }

    /// All tips, by device, place and hash.
    pub fn tips(&self) -> impl Iterator<Item = Tip> + '_ {
        self.0.iter().flat_map(|(device, points)| {
            points.iter().map(|point| Tip {
                device: *device,
                point: *point,
            })
        })
    }

    /// The journals that have a tip.
    pub fn devices(&self) -> impl Iterator<Item = DeviceId> + '_ {
        self.0.keys().copied()
    }

    /// Whether there is no entry at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// SHA-256 over the sorted tips. A journal that goes on and has as many tips as it may enters
    /// as a fixed mark, because replicas may then hold different branches of it; once it was
    /// ended, its cut says which ones they hold.
    pub fn digest(&self, log: &IdentityLog) -> Digest {
        let mut bytes = Vec::new();
        for (device, points) in &self.0 {
            if points.len() >= JOURNAL_TIPS_MAX && log.cut(device).is_none() {
                bytes.extend_from_slice(device.as_bytes());
                bytes.extend_from_slice(&[0xff; 40]);
                continue;
            }
            for point in points {
                bytes.extend_from_slice(device.as_bytes());
                bytes.extend_from_slice(&point.seq.to_be_bytes());
                bytes.extend_from_slice(point.hash.as_bytes());
            }
        }
        let identity = log.identity();
        let parts = [&identity.as_bytes()[..], &bytes];
        Digest::from_bytes(Tag::Digest.hash(log.ledger_id(), &parts))
    }
}
