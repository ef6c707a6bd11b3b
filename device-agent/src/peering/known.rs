//! Whom this device has heard of, and whom it is to call next. No I/O, no clock.

use std::collections::BTreeMap;

use edge_ledger_core::ids::DeviceId;

use crate::limits::{
    CALL_AGAIN_FIRST_MS, CALL_AGAIN_MAX_MS, CONTACTS_MAX, MISBEHAVED_FOR_MS, NONCE_LIFE_MS,
};

/// How a device can be reached with a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Route {
    /// Through the identity service.
    Service,
    /// Straight to a device on the local network, by the number of the connection to it.
    Nearby(u64),
}

/// How a session with a peer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PeerEnd {
    /// It said farewell.
    Left,
    /// One of the two is not let in, as the log has it.
    NotAllowed,
    /// It broke the protocol.
    Misbehaved,
    /// The link broke.
    Broken,
}

/// Somebody to be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) device: DeviceId,
    pub(super) route: Route,
    /// What the device said last on that route.
    pub(super) nonce: [u8; 32],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// There is no link, and from then on one may be tried.
    Apart { from_ms: u64 },
    /// An offer or an answer is on the way.
    Meeting,
    /// There is a link.
    Together,
    /// Not before the identity log has grown.
    NotAllowed,
    /// It broke the protocol.
    Banned { until_ms: u64 },
}

#[derive(Debug)]
struct Contact {
    /// By route: the last nonce, and when it was heard.
    heard: BTreeMap<Route, ([u8; 32], u64)>,
    state: State,
    failures: u32,
}

impl Contact {
    /// When it may be called, unless there is a reason not to.
    fn free_ms(&self) -> Option<u64> {
        match self.state {
            State::Apart { from_ms } => Some(from_ms),
            State::Banned { until_ms } => Some(until_ms),
            State::Meeting | State::Together | State::NotAllowed => None,
        }
    }
}

/// All devices that were heard of.
#[derive(Debug, Default)]
pub(super) struct Known {
    contacts: BTreeMap<DeviceId, Contact>,
}

impl Known {
    /// A device says that it is there. Says whether it was not known to be, on this route.
    pub(super) fn heard(
        &mut self,
        now_ms: u64,
        device: DeviceId,
        route: Route,
        nonce: [u8; 32],
    ) -> bool {
        if self.contacts.len() >= CONTACTS_MAX && !self.contacts.contains_key(&device) {
            return false;
        }
        let contact = self.contact(now_ms, device);
        contact.heard.insert(route, (nonce, now_ms)).is_none()
    }

    /// A device has left a route, or the route ended.
    pub(super) fn gone(&mut self, route: Route, device: Option<DeviceId>) {
        for (id, contact) in &mut self.contacts {
            if device.is_none_or(|device| device == *id) {
                contact.heard.remove(&route);
            }
        }
    }

    /// The local network is not looked at any more.
    pub(super) fn local_ended(&mut self) {
        for contact in self.contacts.values_mut() {
            contact.heard.retain(|route, _| *route == Route::Service);
        }
    }

    /// An offer or answer of a device is being followed up.
    pub(super) fn meeting(&mut self, now_ms: u64, device: DeviceId) {
        self.contact(now_ms, device).state = State::Meeting;
    }

    /// A link to it opened.
    pub(super) fn together(&mut self, now_ms: u64, device: DeviceId) {
        let contact = self.contact(now_ms, device);
        (contact.state, contact.failures) = (State::Together, 0);
    }

    /// No link came about. `jitter` is 0 to 1.
    pub(super) fn failed(&mut self, now_ms: u64, device: DeviceId, jitter: f64) {
        let contact = self.contact(now_ms, device);
        let doubled = CALL_AGAIN_FIRST_MS.saturating_mul(1 << contact.failures.min(16));
        let wait_ms = doubled.min(CALL_AGAIN_MAX_MS) as f64 * (1.0 + jitter.clamp(0.0, 1.0));
        contact.failures = contact.failures.saturating_add(1);
        contact.state = State::Apart {
            from_ms: now_ms.saturating_add(wait_ms as u64),
        };
    }

    /// The session over a link ended.
    pub(super) fn ended(&mut self, now_ms: u64, device: DeviceId, end: PeerEnd, jitter: f64) {
        let contact = self.contact(now_ms, device);
        match end {
            PeerEnd::Broken => self.failed(now_ms, device, jitter),
            // It comes back when it wants to, and says so.
            PeerEnd::Left => {
                contact.heard.clear();
                contact.state = State::Apart { from_ms: now_ms };
            }
            PeerEnd::NotAllowed => contact.state = State::NotAllowed,
            PeerEnd::Misbehaved => {
                let until_ms = now_ms.saturating_add(MISBEHAVED_FOR_MS);
                contact.state = State::Banned { until_ms };
            }
        }
    }

    /// The identity log grew: whoever was not let in may be now.
    pub(super) fn log_grew(&mut self, now_ms: u64) {
        for contact in self.contacts.values_mut() {
            if contact.state == State::NotAllowed {
                contact.state = State::Apart { from_ms: now_ms };
            }
        }
    }

    /// The network changed, or this device slept: links may be dead without a sign, so everybody is
    /// called anew.
    pub(super) fn start_anew(&mut self, now_ms: u64) {
        for contact in self.contacts.values_mut() {
            if matches!(contact.state, State::Together | State::Apart { .. }) {
                contact.state = State::Apart { from_ms: now_ms };
                contact.failures = 0;
            }
        }
    }

    /// Whether calls of a device are taken now.
    pub(super) fn may_meet(&self, now_ms: u64, device: DeviceId) -> bool {
        match self.contacts.get(&device).map(|contact| contact.state) {
            Some(State::NotAllowed) => false,
            Some(State::Banned { until_ms }) => until_ms <= now_ms,
            Some(State::Apart { .. } | State::Meeting | State::Together) | None => true,
        }
    }

    /// Whom to call now: everybody without a link whose word is fresh, by the first route.
    pub(super) fn calls(&self, now_ms: u64) -> Vec<Call> {
        let call = |(device, contact): (&DeviceId, &Contact)| {
            let due = contact.free_ms().is_some_and(|from_ms| from_ms <= now_ms);
            let fresh = |heard_ms: u64| heard_ms.saturating_add(NONCE_LIFE_MS) > now_ms;
            let mut heard = contact.heard.iter().filter(|(_, (_, at_ms))| fresh(*at_ms));
            let (route, (nonce, _)) = heard.next().filter(|_| due)?;
            Some(Call {
                device: *device,
                route: *route,
                nonce: *nonce,
            })
        };
        self.contacts.iter().filter_map(call).collect()
    }

    /// When somebody is to be called next, if nothing happens before.
    pub(super) fn next_ms(&self, now_ms: u64) -> Option<u64> {
        let heard = self.contacts.values().filter(|c| !c.heard.is_empty());
        let times = heard.filter_map(Contact::free_ms);
        times.filter(|from_ms| *from_ms > now_ms).min()
    }

    fn contact(&mut self, now_ms: u64, device: DeviceId) -> &mut Contact {
        self.contacts.entry(device).or_insert_with(|| Contact {
            heard: BTreeMap::new(),
            state: State::Apart { from_ms: now_ms },
            failures: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHONE: DeviceId = DeviceId::from_bytes([1; 16]);
    const NONCE: [u8; 32] = [7; 32];

    fn heard() -> Known {
        let mut known = Known::default();
        assert!(known.heard(0, PHONE, Route::Service, NONCE));
        known
    }

    fn calls(known: &Known, now_ms: u64) -> usize {
        known.calls(now_ms).len()
    }

    #[test]
    fn whoever_is_heard_of_is_called_at_once_and_once() {
        let mut known = heard();
        assert!(!known.heard(1, PHONE, Route::Service, [8; 32]));
        let call = known.calls(1)[0];
        assert_eq!((call.device, call.nonce), (PHONE, [8; 32]));
        known.meeting(1, PHONE);
        assert_eq!(calls(&known, 2), 0);
        known.together(3, PHONE);
        assert_eq!(calls(&known, 4), 0);
    }

    #[test]
    fn failures_wait_longer_and_longer_up_to_a_bound() {
        let mut known = heard();
        let mut waits = Vec::new();
        for round in 0..20 {
            let now_ms = round * 1_000_000;
            known.heard(now_ms, PHONE, Route::Service, NONCE);
            known.failed(now_ms, PHONE, 0.0);
            waits.push(known.next_ms(now_ms).unwrap() - now_ms);
        }
        assert_eq!(
            waits[..3],
            [
                CALL_AGAIN_FIRST_MS,
                2 * CALL_AGAIN_FIRST_MS,
                4 * CALL_AGAIN_FIRST_MS
            ]
        );
        assert_eq!(waits[19], CALL_AGAIN_MAX_MS);
        known.failed(0, PHONE, 1.0);
        assert_eq!(known.next_ms(0), Some(2 * CALL_AGAIN_MAX_MS));
    }

    #[test]
    fn an_old_word_is_not_acted_on() {
        let mut known = heard();
        assert_eq!(calls(&known, NONCE_LIFE_MS - 1), 1);
        assert_eq!(calls(&known, NONCE_LIFE_MS), 0);
        known.heard(NONCE_LIFE_MS, PHONE, Route::Nearby(1), NONCE);
        assert_eq!(known.calls(NONCE_LIFE_MS)[0].route, Route::Nearby(1));
        known.gone(Route::Nearby(1), None);
        assert_eq!(calls(&known, NONCE_LIFE_MS), 0);
    }

    #[test]
    fn who_left_is_called_when_it_is_heard_again_and_who_broke_off_before_that() {
        let mut known = heard();
        known.together(0, PHONE);
        known.ended(5, PHONE, PeerEnd::Left, 0.0);
        assert_eq!(calls(&known, 1_000), 0);
        assert!(known.heard(1_000, PHONE, Route::Service, NONCE));
        assert_eq!(calls(&known, 1_000), 1);
        known.together(1_000, PHONE);
        known.ended(1_000, PHONE, PeerEnd::Broken, 0.0);
        assert_eq!(calls(&known, 1_000), 0);
        assert_eq!(calls(&known, 1_000 + CALL_AGAIN_FIRST_MS), 1);
    }

    #[test]
    fn who_is_not_let_in_waits_for_the_log_and_who_misbehaves_for_a_while() {
        let mut known = heard();
        known.ended(0, PHONE, PeerEnd::NotAllowed, 0.0);
        assert!(calls(&known, 10) == 0 && !known.may_meet(10, PHONE));
        known.start_anew(10);
        assert_eq!(calls(&known, 10), 0);
        known.log_grew(10);
        assert!(calls(&known, 10) == 1 && known.may_meet(10, PHONE));
        known.ended(10, PHONE, PeerEnd::Misbehaved, 0.0);
        known.heard(MISBEHAVED_FOR_MS, PHONE, Route::Service, NONCE);
        assert!(calls(&known, MISBEHAVED_FOR_MS) == 0 && !known.may_meet(20, PHONE));
        known.heard(10 + MISBEHAVED_FOR_MS, PHONE, Route::Service, NONCE);
        assert_eq!(calls(&known, 10 + MISBEHAVED_FOR_MS), 1);
    }

    #[test]
    fn after_a_change_of_the_network_everybody_is_called_anew() {
        let mut known = heard();
        known.together(0, PHONE);
        known.start_anew(1);
        assert_eq!(calls(&known, 1), 1);
    }

    #[test]
    fn strangers_cannot_fill_the_memory() {
        let mut known = Known::default();
        for number in 0..=CONTACTS_MAX {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&(number as u64).to_be_bytes());
            known.heard(0, DeviceId::from_bytes(id), Route::Service, NONCE);
        }
        assert_eq!(known.contacts.len(), CONTACTS_MAX);
    }
}
