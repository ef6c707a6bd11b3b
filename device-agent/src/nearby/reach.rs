//! Which addresses are on this device's own networks. Nobody else is dialled, whatever the network
//! says, and nobody else is let in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use if_addrs::{IfAddr, Interface};
use mdns_sd::ScopedIp;

/// The networks that this device is on, as far as they matter here.
pub(super) enum Reach {
    /// Only this machine.
    Loopback,
    /// Whoever shares a network with one of these interfaces.
    Networks(Vec<Interface>),
}

impl Reach {
    /// As it is at this moment.
    pub(super) fn now(loopback_only: bool) -> Self {
        if loopback_only {
            return Self::Loopback;
        }
        let mut interfaces = if_addrs::get_if_addrs().unwrap_or_default();
        // The other end of a tunnel is not near.
        interfaces.retain(|interface| !interface.is_p2p());
        Self::Networks(interfaces)
    }

    /// Whether an address is on one of the networks.
    pub(super) fn includes(&self, address: IpAddr) -> bool {
        match (self, address.to_canonical()) {
            (Self::Loopback, address) => address.is_loopback(),
            (Self::Networks(_), address) if !ordinary(address) => false,
            (Self::Networks(_), IpAddr::V6(address)) if address.is_unicast_link_local() => true,
            (Self::Networks(interfaces), address) => interfaces
                .iter()
                .any(|interface| shares(interface, address)),
        }
    }

    /// Where an instance that says it is at an address can be dialled; `None` for elsewhere.
    pub(super) fn to(&self, ip: &ScopedIp, port: u16) -> Option<SocketAddr> {
        let address = ip.to_ip_addr();
        if port == 0 || !self.includes(address) {
            return None;
        }
        match (ip, address) {
            (ScopedIp::V6(scoped), IpAddr::V6(address)) if address.is_unicast_link_local() => {
                let scope = scoped.scope_id().index;
                Some(SocketAddrV6::new(address, port, 0, scope).into())
            }
            _ => Some(SocketAddr::new(address, port)),
        }
    }
}

fn ordinary(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !(address.is_loopback() || address.is_unspecified() || address.is_multicast() || broadcast)
}

fn shares(interface: &Interface, address: IpAddr) -> bool {
    match (&interface.addr, address) {
        (IfAddr::V4(own), IpAddr::V4(address)) => {
            let network = |ip: Ipv4Addr| ip & own.netmask;
            !own.netmask.is_unspecified() && network(own.ip) == network(address)
        }
        (IfAddr::V6(own), IpAddr::V6(address)) => {
            let network = |ip: Ipv6Addr| ip & own.netmask;
            !own.netmask.is_unspecified() && network(own.ip) == network(address)
        }
        (IfAddr::V4(_), IpAddr::V6(_)) | (IfAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use if_addrs::{IfOperStatus, Ifv4Addr, Ifv6Addr};

    use super::*;

    fn interface(addr: IfAddr) -> Interface {
        Interface {
            name: "lan".to_owned(),
            addr,
            index: Some(1),
            oper_status: IfOperStatus::Up,
            is_p2p: false,
        }
    }

    fn networks() -> Reach {
        let v4 = Ifv4Addr {
            ip: Ipv4Addr::new(192, 168, 7, 2),
            netmask: Ipv4Addr::new(255, 255, 255, 0),
            prefixlen: 24,
            broadcast: None,
        };
        let v6 = Ifv6Addr {
            ip: "fd00:1::2".parse().unwrap(),
            netmask: "ffff:ffff:ffff:ffff::".parse().unwrap(),
            prefixlen: 64,
            broadcast: None,
        };
        Reach::Networks(vec![interface(IfAddr::V4(v4)), interface(IfAddr::V6(v6))])
    }

    #[test]
    fn only_neighbours_are_dialled_and_let_in() {
        let reach = networks();
        for near in ["192.168.7.9", "::ffff:192.168.7.9", "fd00:1::9", "fe80::1"] {
            assert!(reach.includes(near.parse().unwrap()), "{near}");
        }
        for far in [
            "192.168.8.9",
            "10.0.0.1",
            "127.0.0.1",
            "::ffff:127.0.0.1",
            "0.0.0.0",
            "224.0.0.251",
            "255.255.255.255",
            "fd00:2::9",
            "::1",
            "::",
            "ff02::fb",
            "2001:db8::1",
        ] {
            let far: IpAddr = far.parse().unwrap();
            assert!(!reach.includes(far), "{far}");
            assert_eq!(reach.to(&ScopedIp::from(far), 7410), None, "{far}");
        }
        let near: IpAddr = "192.168.7.9".parse().unwrap();
        let there = reach.to(&ScopedIp::from(near), 7410);
        assert_eq!(there, Some(SocketAddr::new(near, 7410)));
        assert_eq!(reach.to(&ScopedIp::from(near), 0), None);
    }

    #[test]
    fn loopback_means_this_machine_alone() {
        for (address, included) in [("127.0.0.1", true), ("::1", true), ("192.168.7.9", false)] {
            assert_eq!(Reach::Loopback.includes(address.parse().unwrap()), included);
        }
    }
}
