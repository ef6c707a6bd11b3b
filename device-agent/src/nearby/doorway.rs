//! Who was let in and has not proved anything. There is room for few, and a newcomer is never sent
//! away: the one that is there longest must go. A device needs some milliseconds for its proof, so
//! whoever fills the doorway with silent connections keeps nobody out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::limits::{NEARBY_UNPROVEN_MAX, NEARBY_UNPROVEN_PER_ADDRESS_MAX};

#[derive(Clone, Default)]
pub(super) struct Doorway {
    inside: Arc<Mutex<Inside>>,
}

#[derive(Default)]
struct Inside {
    entered: u64,
    /// In order of their coming.
    waiting: BTreeMap<u64, (IpAddr, CancellationToken)>,
}

/// A place in the doorway, as long as it is held.
pub(super) struct Waiting {
    doorway: Doorway,
    number: u64,
    /// Somebody else needs the place.
    pub(super) must_go: CancellationToken,
}

impl Doorway {
    /// Lets a connection in, and sends another away if there is no room for both.
    pub(super) fn enter(&self, address: IpAddr) -> Waiting {
        let mut inside = self.lock();
        let of_address = |(_, (of, _)): &(&u64, &(IpAddr, CancellationToken))| *of == address;
        let same = inside.waiting.iter().filter(of_address).count();
        let leaving = if same >= NEARBY_UNPROVEN_PER_ADDRESS_MAX {
            inside.waiting.iter().find(of_address)
        } else if inside.waiting.len() >= NEARBY_UNPROVEN_MAX {
            inside.waiting.iter().next()
        } else {
            None
        };
        if let Some(number) = leaving.map(|(number, _)| *number)
            && let Some((_, must_go)) = inside.waiting.remove(&number)
        {
            must_go.cancel();
        }
        inside.entered += 1;
        let number = inside.entered;
        let must_go = CancellationToken::new();
        inside.waiting.insert(number, (address, must_go.clone()));
        drop(inside);
        Waiting {
            doorway: self.clone(),
            number,
            must_go,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.doorway.lock().waiting.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(number: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, number).into()
    }

    fn gone(waiting: &[Waiting]) -> Vec<usize> {
        let gone = waiting.iter().enumerate();
        gone.filter(|(_, one)| one.must_go.is_cancelled())
            .map(|(at, _)| at)
            .collect()
    }

    #[test]
    fn the_longest_there_gives_way_first_of_the_same_address() {
        let doorway = Doorway::default();
        let mut all: Vec<_> = (0..2).map(|one| doorway.enter(address(one))).collect();
        all.extend((0..NEARBY_UNPROVEN_PER_ADDRESS_MAX).map(|_| doorway.enter(address(9))));
        assert!(gone(&all).is_empty());
        all.push(doorway.enter(address(9)));
        assert_eq!(gone(&all), [2]);
        let more = NEARBY_UNPROVEN_MAX - NEARBY_UNPROVEN_PER_ADDRESS_MAX - 2;
        all.extend((0..more).map(|one| doorway.enter(address(u8::try_from(20 + one).unwrap()))));
        assert_eq!(gone(&all), [2]);
        all.push(doorway.enter(address(100)));
        assert_eq!(gone(&all), [0, 2]);
    }

    #[test]
    fn who_proved_itself_makes_room() {
        let doorway = Doorway::default();
        let first = doorway.enter(address(1));
        for _ in 0..10 * NEARBY_UNPROVEN_MAX {
            drop(doorway.enter(address(1)));
        }
        assert!(!first.must_go.is_cancelled());
        assert_eq!(doorway.lock().waiting.len(), 1);
    }
}
