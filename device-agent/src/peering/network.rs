//! What changes under a device without a sign: its addresses, and time that it slept through.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::limits::SLEPT_MS;

pub(super) struct Network {
    addresses: BTreeSet<IpAddr>,
    looked_ms: u64,
}

impl Network {
    pub(super) fn new(now_ms: u64) -> Self {
        Self {
            addresses: addresses(),
            looked_ms: now_ms,
        }
    }

    /// Whether this device has other addresses than when it was last asked.
    pub(super) fn changed(&mut self) -> bool {
        let addresses = addresses();
        let before = std::mem::replace(&mut self.addresses, addresses);
        before != self.addresses
    }

    /// Whether it was not asked for so long that the process, or the machine, must have slept.
    pub(super) fn slept(&mut self, now_ms: u64) -> bool {
        let before = std::mem::replace(&mut self.looked_ms, now_ms);
        now_ms.saturating_sub(before) > SLEPT_MS
    }
}

/// None when the system does not say: then nothing changes.
fn addresses() -> BTreeSet<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    interfaces
        .into_iter()
        .map(|interface| interface.ip())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_between_two_looks_is_sleep() {
        let mut network = Network::new(0);
        assert!(!network.slept(SLEPT_MS));
        assert!(network.slept(2 * SLEPT_MS + 1));
        assert!(!network.slept(2 * SLEPT_MS + 2));
    }
}
