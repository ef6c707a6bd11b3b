//! Every bound of a service's connections, in one place.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Connections that are open at once.
pub const CONNECTIONS_MAX: usize = 16_384;
/// Connections of one address that are open at once; of an IPv6 address, those of its /64.
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 50;
/// Age at which a connection is told to end, give or take a tenth.
pub const CONNECTION_AGE: Duration = Duration::from_secs(30 * 60);
/// Time that its calls have to end then.
pub const CONNECTION_AGE_GRACE: Duration = Duration::from_secs(10);
/// Streams of one connection that are open at once.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 256;
/// Streams that a client may reset before they were accepted.
pub const PENDING_RESETS_MAX: usize = 20;
/// Bytes of one request's header list beyond which HTTP/2 itself refuses it.
pub const HEADER_LIST_BYTES_MAX: u32 = 16 * 1024;
/// Bytes of names and values of one request's metadata.
pub const METADATA_BYTES_MAX: usize = 8 * 1024;
/// Entries of one request's metadata.
pub const METADATA_ENTRIES_MAX: usize = 64;
/// STUN servers that a configuration may name, and TURN servers.
pub const ICE_SERVERS_MAX: usize = 8;
/// Longest address of one of them.
pub const ICE_SERVER_BYTES_MAX: usize = 255;
/// Time from the accept to the first request.
pub const FIRST_REQUEST: Duration = Duration::from_secs(5);
/// Silence after which a connection is asked whether it lives.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// Time that it has to answer.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the files of a certificate, and the folder of the keys, are looked at.
pub const RELOAD_EVERY: Duration = Duration::from_secs(10);
/// How often they are looked at until files that cannot be used are complained of again: every ten
/// minutes.
pub const COMPLAIN_LOOKS: u32 = 60;
/// How often a sealing key is seen before it seals: for five minutes, within which every replica
/// gets it.
pub const SEAL_LOOKS: u32 = 30;
/// Sealing keys that are used at once, the latest: the others open nothing any more.
pub const SEALING_KEYS_MAX: usize = 3;
/// Pause after an accept that failed, so that a lack of file descriptors does not spin.
pub const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// A process that is told to end is gone within this.
pub const EXIT_WITHIN: Duration = Duration::from_secs(5);
/// The longest time that a drain may be given.
pub const GRACE_MAX: Duration = Duration::from_millis(4_500);
/// Time for what still runs after a drain: to hear that it is ended, and to be left behind.
pub const LEAVE_WITHIN: Duration = Duration::from_millis(200);

const _: () = assert!(
    GRACE_MAX.as_millis() + 2 * LEAVE_WITHIN.as_millis() <= EXIT_WITHIN.as_millis(),
    "the longest drain ends in time"
);

/// Connections of the admin port that are open at once.
pub const ADMIN_CONNECTIONS_MAX: usize = 32;
/// Age at which one of them is closed.
pub const ADMIN_CONNECTION_AGE: Duration = Duration::from_secs(5 * 60);

/// The bounds that a deployment, or a test, may change.
#[derive(Debug, Clone)]
pub struct Limits {
    /// See [`CONNECTIONS_MAX`].
    pub connections_max: usize,
    /// See [`CONNECTIONS_PER_ADDRESS_MAX`].
    pub connections_per_address_max: usize,
    /// Networks whose addresses stand for many clients each, so that their connections are not
    /// counted by address: proxies and gateways. Loopback is one unless this is set anew.
    pub trusted_proxies: Vec<IpNet>,
    /// See [`CONNECTION_AGE`].
    pub connection_age: Duration,
    /// See [`CONNECTION_AGE_GRACE`].
    pub connection_age_grace: Duration,
    /// See [`FIRST_REQUEST`].
    pub first_request: Duration,
    /// See [`KEEPALIVE_INTERVAL`].
    pub keepalive_interval: Duration,
    /// See [`KEEPALIVE_TIMEOUT`].
    pub keepalive_timeout: Duration,
}

/// One bound in effect, to be shown to operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// Its name: that of its setting, if it has one.
    pub name: &'static str,
    /// Its value, with its unit.
    pub value: String,
    /// What it bounds.
    pub meaning: &'static str,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: CONNECTIONS_MAX,
            connections_per_address_max: CONNECTIONS_PER_ADDRESS_MAX,
            trusted_proxies: loopback(),
            connection_age: CONNECTION_AGE,
            connection_age_grace: CONNECTION_AGE_GRACE,
            first_request: FIRST_REQUEST,
            keepalive_interval: KEEPALIVE_INTERVAL,
            keepalive_timeout: KEEPALIVE_TIMEOUT,
        }
    }
}

fn loopback() -> Vec<IpNet> {
    vec![
        IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
        IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
    ]
}
