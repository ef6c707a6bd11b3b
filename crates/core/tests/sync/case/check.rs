//! What must hold in the end.

use std::collections::BTreeSet;

use edge_ledger_core::ledger::Tip;
use edge_ledger_core::ledger::fold::fold;
use edge_ledger_core::sync::Input;

use super::{Case, Made, Met};
use crate::network::{SERVICE, Side};
use crate::replica::Replica;

impl Case {
    pub(crate) fn check(&mut self, tally: &mut Tally) {
        self.same_everywhere();
        self.nothing_outside_cuts();
        self.nothing_lost();
        self.revoked_get_nothing_new();
        self.flushes_are_equal();
        let forked_still = self.network.chronicle.log().devices().any(|(id, _)| {
            let heads = self.network.replicas[SERVICE].heads();
            heads.of(id).len() > 1
        });
        self.met.forks |= forked_still;
        tally.count(&self.met);
    }

    /// The service and the devices that are active.
    fn survivors(&self) -> impl Iterator<Item = &Replica> {
        let replicas = self.network.replicas.iter().enumerate();
        let active = replicas.filter(|(place, _)| self.network.is_active(*place));
        active.map(|(_, replica)| replica)
    }

    fn same_everywhere(&self) {
        let service = &self.network.replicas[SERVICE];
        let counted = |replica: &Replica| fold(&replica.log, replica.journals.entries());
        let expected = counted(service);
        for replica in self.survivors() {
            assert_eq!(replica.log.head(), service.log.head());
            assert_eq!(replica.heads(), service.heads());
            assert!(counted(replica) == expected, "the folds differ");
        }
    }

    /// Every tip of an ended journal is named by its cut, so everything below it is inside.
    fn nothing_outside_cuts(&self) {
        for replica in self.survivors() {
            for tip in replica.heads().tips() {
                let record = replica.log.device(&tip.device);
                let record = record.expect("entries of unknown devices are not kept");
                let inside = record.cut.as_ref().is_none_or(|cut| cut.names(&tip.point));
                assert!(inside, "an entry outside the cut is kept");
            }
        }
    }

    /// What any survivor ever kept of a journal that goes on is there, and of an ended journal
    /// what any of them had below a named tip when it learned of the cut.
    fn nothing_lost(&self) {
        let service = &self.network.replicas[SERVICE];
        let log = &service.log;
        let mut expected = BTreeSet::new();
        for replica in self.survivors() {
            let goes_on = |tip: &&Tip| log.cut(&tip.device).is_none();
            expected.extend(replica.ever.iter().filter(goes_on));
            for (device, points) in &replica.spared {
                let device = *device;
                expected.extend(points.iter().map(|point| Tip {
                    device,
                    point: *point,
                }));
            }
        }
        for tip in expected {
            assert!(service.journals.keeps(&tip), "{tip:?} was lost");
        }
    }

    /// The service gives a device nothing after its end, and no other device that knows of it does:
    /// what it makes reaches nobody who does not know as well.
    fn revoked_get_nothing_new(&self) {
        let only_by_service = self.network.channels.is_empty();
        for ended in &self.ended {
            assert!(self.network.links[ended.place].told_revoked);
            let replica = &self.network.replicas[ended.place];
            let later = self.made[ended.made_before..].iter();
            let of_others = later.filter(|made| made.by != ended.place);
            let known = |made: &&Made| only_by_service || made.position >= ended.position;
            for made in of_others.filter(known) {
                assert!(
                    !replica.ever.contains(&made.tip),
                    "a revoked device got an entry that {} made later",
                    made.by
                );
            }
        }
    }

    /// Somebody who asks whether all was told hears that it was; at the latest when a ping that
    /// was lost before is sent again.
    fn flushes_are_equal(&mut self) {
        let devices = self.network.devices();
        let active: Vec<usize> = devices.filter(|p| self.network.is_active(*p)).collect();
        let flush = || Input::Flush { ping_id: 77 };
        for place in &active {
            self.network.input(*place, Side::Device, flush());
        }
        self.network.settle();
        for place in active {
            for _ in 0..7 {
                if self.network.stream(place).device.seen.flushed.is_empty() {
                    self.network.pass(1, 10_000);
                }
            }
            let flushed = &self.network.stream(place).device.seen.flushed;
            assert_eq!(flushed.last(), Some(&(77, true)));
        }
    }
}

/// How many cases met what.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    forks: u64,
    losses: u64,
    repeats: u64,
    swaps: u64,
    breaks: u64,
    service_behind: u64,
    device_behind: u64,
    added: u64,
    revoked: u64,
    replaced: u64,
    old_cuts: u64,
    rolled_back: u64,
    channels: u64,
    cellars: u64,
}

impl Tally {
    fn count(&mut self, met: &Met) {
        self.forks += u64::from(met.forks);
        self.losses += u64::from(met.losses > 0);
        self.repeats += u64::from(met.repeats > 0);
        self.swaps += u64::from(met.swaps > 0);
        self.breaks += u64::from(met.breaks > 0);
        self.service_behind += u64::from(met.service_behind);
        self.device_behind += u64::from(met.device_behind);
        self.added += u64::from(met.added > 0);
        self.revoked += u64::from(met.revoked > 0);
        self.replaced += u64::from(met.replaced > 0);
        self.old_cuts += u64::from(met.old_cuts > 0);
        self.rolled_back += u64::from(met.rolled_back);
        self.channels += u64::from(met.channels > 0);
        self.cellars += u64::from(met.cellar);
    }

    /// A property that meets none of what it is about says nothing.
    pub(crate) fn check(&self, cases: u64) {
        let common = [
            self.forks,
            self.losses,
            self.repeats,
            self.swaps,
            self.breaks,
        ];
        let statements = [self.added, self.revoked, self.replaced, self.old_cuts];
        let starts = [self.service_behind, self.device_behind, self.rolled_back];
        let peers = [self.channels, self.cellars];
        let all = common
            .iter()
            .chain(&statements)
            .chain(&starts)
            .chain(&peers);
        for count in all {
            assert!(*count * 20 >= cases, "too rare to mean something: {self:?}");
        }
    }
}
