//! The instances that were seen on the network, and when each is dialled. Most may be strangers:
//! that cannot be told but by trying, so who was tried in vain is left alone for longer each time.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tokio::time::Instant;

use super::discovery::Instance;
use crate::limits::{NEARBY_AGAIN_FIRST, NEARBY_AGAIN_MAX, NEARBY_INSTANCES_MAX};

#[derive(Default)]
pub(super) struct Neighbours {
    known: BTreeMap<Instance, Neighbour>,
}

struct Neighbour {
    addresses: Vec<SocketAddr>,
    /// Dials in vain, since the last that was not.
    in_vain: u32,
    /// `None` while it is dialled, or connected.
    due: Option<Instant>,
}

impl Neighbours {
    /// An instance was seen; `false` if there is no place for it.
    pub(super) fn found(
        &mut self,
        instance: Instance,
        addresses: Vec<SocketAddr>,
        now: Instant,
    ) -> bool {
        if let Some(known) = self.known.get_mut(&instance) {
            let moved = known.addresses != addresses;
            known.addresses = addresses;
            if moved && known.due.is_some() {
                known.due = Some(now);
            }
            return true;
        }
        if self.known.len() >= NEARBY_INSTANCES_MAX && !self.give_way() {
            return false;
        }
        let neighbour = Neighbour {
            addresses,
            in_vain: 0,
            due: Some(now),
        };
        self.known.insert(instance, neighbour);
        true
    }

    /// An instance took its leave, or was not heard for long.
    pub(super) fn lost(&mut self, instance: &Instance) {
        self.known.remove(instance);
    }

    /// Forgets all but those who are dialled or connected: they will be seen anew.
    pub(super) fn forget(&mut self) {
        self.known.retain(|_, one| one.due.is_none());
    }

    /// When somebody is to be dialled.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.known.values().filter_map(|one| one.due).min()
    }

    /// Who is to be dialled now: it is not due again until [`Self::done`].
    pub(super) fn due(&mut self, now: Instant) -> Option<(Instance, Vec<SocketAddr>)> {
        let first = self.next_due().filter(|due| *due <= now)?;
        let mut known = self.known.iter_mut();
        let (instance, neighbour) = known.find(|(_, one)| one.due == Some(first))?;
        neighbour.due = None;
        Some((*instance, neighbour.addresses.clone()))
    }

    /// The dial is over, or the connection that came of it. `spread` from 0 to 1 is chance, so that
    /// two devices do not go on in step.
    pub(super) fn done(&mut self, instance: &Instance, connected: bool, spread: f64, now: Instant) {
        let Some(neighbour) = self.known.get_mut(instance) else {
            return;
        };
        neighbour.in_vain = if connected { 0 } else { neighbour.in_vain + 1 };
        let doubled = NEARBY_AGAIN_FIRST * 2_u32.saturating_pow(neighbour.in_vain.min(16));
        let wait = doubled.min(NEARBY_AGAIN_MAX);
        neighbour.due = Some(now + wait.mul_f64(0.5 + 0.5 * spread));
    }

    /// Forgets whoever was dialled in vain most often.
    fn give_way(&mut self) -> bool {
        let waiting = |one: &Neighbour| one.due.is_some() && one.in_vain > 0;
        let in_vain = self.known.iter().filter(|(_, one)| waiting(one));
        let Some(last) = in_vain.max_by_key(|(_, one)| one.in_vain).map(|(i, _)| *i) else {
            return false;
        };
        self.known.remove(&last);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn instance(number: usize) -> Instance {
        Instance::from_bytes((number as u128).to_be_bytes())
    }

    fn at(port: u16) -> Vec<SocketAddr> {
        vec![([127, 0, 0, 1], port).into()]
    }

    #[test]
    fn each_is_dialled_at_once_and_then_less_and_less_often() {
        let mut neighbours = Neighbours::default();
        let mut now = Instant::now();
        assert!(neighbours.found(instance(1), at(1), now));
        let mut waits = Vec::new();
        for _ in 0..9 {
            assert_eq!(neighbours.due(now), Some((instance(1), at(1))));
            assert_eq!(neighbours.due(now), None);
            assert_eq!(neighbours.next_due(), None);
            neighbours.done(&instance(1), false, 1.0, now);
            let due = neighbours.next_due().expect("due again");
            waits.push((due - now).as_secs());
            assert_eq!(neighbours.due(due - Duration::from_millis(1)), None);
            now = due;
        }
        assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60, 60, 60]);
        neighbours.due(now).expect("due");
        neighbours.done(&instance(1), true, 0.0, now);
        assert_eq!(neighbours.next_due(), Some(now + NEARBY_AGAIN_FIRST / 2));
    }

    #[test]
    fn who_moved_is_dialled_at_once_and_who_left_not_at_all() {
        let mut neighbours = Neighbours::default();
        let now = Instant::now();
        assert!(neighbours.found(instance(1), at(1), now));
        neighbours.due(now).expect("due");
        neighbours.done(&instance(1), false, 1.0, now);
        assert!(neighbours.found(instance(1), at(1), now));
        assert_eq!(neighbours.due(now), None);
        assert!(neighbours.found(instance(1), at(2), now));
        assert_eq!(neighbours.due(now), Some((instance(1), at(2))));
        neighbours.lost(&instance(1));
        neighbours.done(&instance(1), true, 1.0, now);
        assert_eq!(neighbours.next_due(), None);
    }

    #[test]
    fn strangers_give_way_and_nobody_else_does() {
        let mut neighbours = Neighbours::default();
        let now = Instant::now();
        for number in 0..NEARBY_INSTANCES_MAX {
            assert!(neighbours.found(instance(number), at(1), now));
        }
        assert!(!neighbours.found(instance(999), at(1), now));
        let (stranger, _) = neighbours.due(now).expect("due");
        assert!(
            !neighbours.found(instance(999), at(1), now),
            "it is dialled"
        );
        neighbours.done(&stranger, false, 0.0, now);
        assert!(neighbours.found(instance(999), at(1), now));
        assert!(!neighbours.known.contains_key(&stranger));
        assert_eq!(neighbours.known.len(), NEARBY_INSTANCES_MAX);
    }
}
