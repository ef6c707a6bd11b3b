//! How many connections each address has.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::{IpNet, Ipv6Net};

/// Whoever has one address of such a network has all.
const IPV6_SITE_BITS: u8 = 64;

/// Counts connections by address.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    max: usize,
    trusted: Vec<IpNet>,
    open: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
}

/// A place that a connection takes until it is dropped.
#[derive(Debug)]
pub(super) struct Place(Option<(Addresses, IpAddr)>);

impl Addresses {
    pub(super) fn new(max: usize, trusted: Vec<IpNet>) -> Self {
        Self {
            max,
            trusted,
            open: Arc::default(),
        }
    }

    /// Takes a place; `None` when the address has as many as it may.
    pub(super) fn enter(&self, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        if is_trusted(&self.trusted, address) {
            return Some(Place(None));
        }
        let site = site(address);
        let mut open = self.lock();
        let count = open.entry(site).or_insert(0);
        if *count >= self.max {
            return None;
        }
        *count += 1;
        drop(open);
        Some(Place(Some((self.clone(), site))))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((addresses, site)) = self.0.take() else {
            return;
        };
        let mut open = addresses.lock();
        if let Some(count) = open.get_mut(&site) {
            *count -= 1;
            if *count == 0 {
                open.remove(&site);
            }
        }
    }
}

/// Whether an address stands for many clients.
pub(crate) fn is_trusted(trusted: &[IpNet], address: IpAddr) -> bool {
    trusted.iter().any(|net| net.contains(&address))
}

/// All that who has this address may have too.
pub(crate) fn site(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            Ipv6Net::new(v6, IPV6_SITE_BITS).map_or(address, |net| IpAddr::V6(net.network()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_so_many_places_and_gives_them_back() {
        let addresses = Addresses::new(2, Limits::default().trusted_proxies);
        for other in ["10.0.0.1", "2001:db8::1"] {
            let other = address(other);
            let first = addresses.enter(other);
            let second = addresses.enter(other);
            assert!(first.is_some() && second.is_some());
            assert!(addresses.enter(other).is_none());
            drop(first);
            assert!(addresses.enter(other).is_some());
        }
        assert!(addresses.lock().is_empty());
    }

    #[test]
    fn who_has_one_address_in_many_forms_has_it_once() {
        let addresses = Addresses::new(1, Vec::new());
        let _held = (
            addresses.enter(address("10.0.0.1")).unwrap(),
            addresses.enter(address("2001:db8:0:7::1")).unwrap(),
        );
        for same in ["::ffff:10.0.0.1", "2001:db8:0:7:ffff::2"] {
            assert!(addresses.enter(address(same)).is_none(), "{same}");
        }
        for other in ["10.0.0.2", "2001:db8:0:8::1"] {
            assert!(addresses.enter(address(other)).is_some(), "{other}");
        }
    }

    #[test]
    fn loopback_and_trusted_proxies_are_many_clients() {
        let mut trusted = Limits::default().trusted_proxies;
        trusted.push("10.1.0.0/16".parse().unwrap());
        let addresses = Addresses::new(1, trusted);
        for proxy in ["127.0.0.1", "::1", "::ffff:127.0.0.9", "10.1.2.3"] {
            let places: Vec<_> = (0..3).map(|_| addresses.enter(address(proxy))).collect();
            assert!(places.iter().all(Option::is_some), "{proxy}");
        }
        assert!(addresses.lock().is_empty());
    }
}
