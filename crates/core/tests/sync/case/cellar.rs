//! A time in which the devices have only each other: those that let each other in come to hold the
//! same, before anybody has spoken to the service again.

use std::collections::BTreeSet;

use edge_ledger_core::identity::DeviceState;
use edge_ledger_core::ledger::Tip;

use super::Case;
use crate::network::SERVICE;

/// How long it may take. Nothing is lost on a channel, so nothing waits for a comparison but what
/// other devices have to bring first.
const REST_WITHIN_MS: u64 = 600_000;

impl Case {
    pub(crate) fn go_on_without_the_service(&mut self) {
        if !self.rng.percent(35) {
            return;
        }
        self.network.set_service(false);
        let devices = self.network.devices();
        for one in devices.clone() {
            for other in one + 1..devices.end {
                let has = |c: &crate::channels::Channel| c.places == [one, other];
                if !self.network.channels.iter().any(has) {
                    self.network.join(one, other);
                }
            }
        }
        let deadline_ms = self.network.now_ms + REST_WITHIN_MS;
        while self.network.now_ms < deadline_ms {
            self.network.settle();
            if self.cellar_is_at_rest() {
                self.nothing_lost_in_the_cellar();
                self.met.cellar = self.dwellers().len() > 1;
                return;
            }
            self.network.now_ms += 1_000;
            self.network.tick();
            self.network.redial();
            self.network.choose_paths();
        }
        panic!("the devices do not come to rest: {}", self.describe());
    }

    /// The devices that all others let in: active in every log, and with a journal that nobody
    /// holds forked.
    fn dwellers(&self) -> Vec<usize> {
        let lets_in = |at: usize, place: usize| {
            let replica = &self.network.replicas[at];
            let Some(member) = self.network.replicas[place].member else {
                return false;
            };
            let record = replica.log.device(&member.id);
            record.is_none_or(|record| record.state == DeviceState::Active)
                && replica.heads().of(&member.id).len() < 2
        };
        let devices = self.network.devices();
        let by_all = |place: &usize| devices.clone().all(|at| lets_in(at, *place));
        devices.clone().filter(by_all).collect()
    }

    fn cellar_is_at_rest(&self) -> bool {
        let dwellers = self.dwellers();
        let Some((first, others)) = dwellers.split_first() else {
            return true;
        };
        let replica = |place: &usize| &self.network.replicas[*place];
        let channels = self.network.channels.iter();
        let mut between = channels.filter(|c| c.places.iter().all(|p| dwellers.contains(p)));
        between.all(|channel| channel.is_open() && channel.is_idle())
            && others.iter().all(|other| {
                replica(other).position() == replica(first).position()
                    && replica(other).digest() == replica(first).digest()
            })
    }

    /// What one of them ever kept of a journal that goes on, all have.
    fn nothing_lost_in_the_cellar(&self) {
        let dwellers = self.dwellers();
        let mut expected: BTreeSet<Tip> = BTreeSet::new();
        for place in &dwellers {
            let replica = &self.network.replicas[*place];
            let goes_on = |tip: &&Tip| replica.log.cut(&tip.device).is_none();
            expected.extend(replica.ever.iter().filter(goes_on));
        }
        for place in dwellers {
            assert_ne!(place, SERVICE);
            let journals = &self.network.replicas[place].journals;
            for tip in &expected {
                assert!(journals.keeps(tip), "{tip:?} is not at {place}");
            }
        }
    }
}
