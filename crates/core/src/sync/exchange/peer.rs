//! What the peer is known to have.

use std::collections::BTreeSet;

use crate::identity::Point;
use crate::ids::DeviceId;
use crate::ledger::journals::Have;
use crate::ledger::{Heads, Tip};
use crate::limits::HAVE_POINTS_MAX;

/// Points of each journal that the peer has: it has all below them too.
#[derive(Debug, Default)]
pub(super) struct PeerHas {
    points: Have,
    count: usize,
}

impl PeerHas {
    /// What somebody has whose tips these are.
    pub(super) fn of(heads: &Heads) -> Self {
        let mut has = Self::default();
        for tip in heads.tips() {
            has.insert(tip);
        }
        has
    }

    /// Notes points that the peer told.
    pub(super) fn add(&mut self, points: Vec<Tip>) {
        for tip in points {
            if self.count < HAVE_POINTS_MAX {
                self.insert(tip);
            }
        }
    }

    /// Notes that the peer gets, or showed, a run; its end takes the place of its parent.
    pub(super) fn gets(&mut self, tip: Tip, parent: Point) {
        self.insert(tip);
        let Some(points) = self.points.get_mut(&tip.device) else {
            return;
        };
        self.count -= usize::from(points.remove(&parent));
        if self.count > HAVE_POINTS_MAX && points.pop_first().is_some() {
            self.count -= 1;
        }
    }

    /// Whether the peer is known to have a point. Everybody has the start of a journal, but only
    /// who has nothing of it needs to be told so.
    pub(super) fn has(&self, device: DeviceId, point: Point) -> bool {
        match self.points.get(&device) {
            Some(points) => points.contains(&point),
            None => point == Point::START,
        }
    }

    /// What to read by.
    pub(super) fn points(&self) -> &Have {
        &self.points
    }

    fn insert(&mut self, tip: Tip) {
        let points: &mut BTreeSet<Point> = self.points.entry(tip.device).or_default();
        self.count += usize::from(points.insert(tip.point));
    }
}
