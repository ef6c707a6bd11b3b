//! How often an address may call, or somebody who has proved who it is.
//!
//! Counting costs a fixed amount of memory, however many call: each falls into one of 65,536
//! buckets by a hash whose key nobody knows, and a bucket is one time stamp (GCRA, by `governor`).
//! Calls without a session are never counted by key or identity: whoever knows those of a victim
//! could lock it out.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use http::Extensions;
use ipnet::IpNet;
use tonic::Status;

use crate::serve::{Peer, is_trusted, site};
use crate::status::{Reason, refusal_retry};

/// A limit of calls by address: so many at once, and as many again each minute.
pub struct Rate<C: Clock = DefaultClock> {
    buckets: Buckets<C>,
    trusted: Vec<IpNet>,
}

/// A limit of what those do who have proved who they are: so much at once, and so much a second.
pub struct Pace<C: Clock = DefaultClock>(Buckets<C>);

struct Buckets<C: Clock> {
    limiter: RateLimiter<u16, HashMapStateStore<u16>, C, NoOpMiddleware<C::Instant>>,
    clock: C,
    hash: RandomState,
}

impl<C: Clock + Clone> Buckets<C> {
    fn new(clock: C, quota: Quota) -> Self {
        Self {
            limiter: RateLimiter::new(quota, HashMapStateStore::default(), clock.clone()),
            clock,
            hash: RandomState::new(),
        }
    }

    fn admit(&self, who: impl Hash, what: &str) -> Result<(), Status> {
        let bucket = self.hash.hash_one(who).to_le_bytes();
        let bucket = u16::from_le_bytes([bucket[0], bucket[1]]);
        self.limiter.check_key(&bucket).map_err(|early| {
            let wait = early.wait_time_from(self.clock.now());
            refusal_retry(Reason::RateLimited, what, wait)
        })
    }
}

impl Pace {
    /// Counts on the system's monotonic clock.
    pub fn per_second(acts: NonZeroU32, at_once: NonZeroU32) -> Self {
        let quota = Quota::per_second(acts).allow_burst(at_once);
        Self(Buckets::new(DefaultClock::default(), quota))
    }
}

impl<C: Clock + Clone> Pace<C> {
    /// Counts what somebody does who has proved to be `who`.
    ///
    /// # Errors
    /// `RATE_LIMITED`, with the time until the next is taken.
    pub fn admit(&self, who: impl Hash) -> Result<(), Status> {
        self.0.admit(who, "this device does too much at once")
    }
}

impl Rate {
    /// Counts on the system's monotonic clock. Addresses of `trusted` networks, which stand for
    /// many clients each, are not counted.
    pub fn per_minute(calls: NonZeroU32, trusted: Vec<IpNet>) -> Self {
        Self::on(DefaultClock::default(), calls, trusted)
    }
}

impl<C: Clock + Clone> Rate<C> {
    fn on(clock: C, calls: NonZeroU32, trusted: Vec<IpNet>) -> Self {
        Self {
            buckets: Buckets::new(clock, Quota::per_minute(calls)),
            trusted,
        }
    }

    /// Counts a call, which has its peer in its extensions.
    ///
    /// # Errors
    /// `RATE_LIMITED`, with the time until the next call is taken.
    pub fn admit(&self, extensions: &Extensions) -> Result<(), Status> {
        let peer = extensions.get::<Peer>();
        let address = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
        self.admit_address(address)
    }

    fn admit_address(&self, address: IpAddr) -> Result<(), Status> {
        let address = address.to_canonical();
        if is_trusted(&self.trusted, address) {
            return Ok(());
        }
        let what = "this address calls too often";
        self.buckets.admit(site(address), what)
    }
}

impl<C: Clock> std::fmt::Debug for Rate<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rate").finish_non_exhaustive()
    }
}

impl<C: Clock> std::fmt::Debug for Pace<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pace").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;
    use tonic::Code;
    use tonic_types::StatusExt as _;

    use super::*;
    use crate::limits::Limits;
    use crate::status::reason_of;

    fn rate(calls: u32) -> (Rate<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let calls = NonZeroU32::new(calls).unwrap();
        let trusted = Limits::default().trusted_proxies;
        (Rate::on(clock.clone(), calls, trusted), clock)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn wait(refused: &Status) -> Duration {
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert_eq!(reason_of(refused).as_deref(), Some("RATE_LIMITED"));
        let retry = refused.get_details_retry_info().unwrap();
        retry.retry_delay.unwrap()
    }

    /// S-06: at the limit and one above it, and another address is not delayed.
    #[test]
    fn an_address_calls_so_often_and_is_told_when_to_come_back() {
        let (rate, clock) = rate(60);
        let flood = address("10.0.0.1");
        for _ in 0..60 {
            rate.admit_address(flood).unwrap();
        }
        let wait = wait(&rate.admit_address(flood).unwrap_err());
        assert!(
            wait > Duration::ZERO && wait <= Duration::from_secs(1),
            "{wait:?}"
        );
        rate.admit_address(address("10.0.0.2")).unwrap();
        clock.advance(wait);
        rate.admit_address(flood).unwrap();
        assert!(rate.admit_address(flood).is_err());
    }

    #[test]
    fn who_is_known_does_so_much_at_once_and_then_so_much_a_second() {
        let clock = FakeRelativeClock::default();
        let few = |count| NonZeroU32::new(count).unwrap();
        let quota = Quota::per_second(few(2)).allow_burst(few(5));
        let pace = Pace(Buckets::new(clock.clone(), quota));
        for _ in 0..5 {
            pace.admit("one").unwrap();
        }
        let wait = wait(&pace.admit("one").unwrap_err());
        assert!(
            wait > Duration::ZERO && wait <= Duration::from_millis(500),
            "{wait:?}"
        );
        pace.admit("other").unwrap();
        clock.advance(Duration::from_secs(1));
        for _ in 0..2 {
            pace.admit("one").unwrap();
        }
        assert!(pace.admit("one").is_err());
    }

    #[test]
    fn a_site_is_one_address_and_a_proxy_is_many() {
        let (rate, _) = rate(1);
        rate.admit_address(address("2001:db8:0:7::1")).unwrap();
        assert!(rate.admit_address(address("2001:db8:0:7:ffff::2")).is_err());
        rate.admit_address(address("10.0.0.1")).unwrap();
        assert!(rate.admit_address(address("::ffff:10.0.0.1")).is_err());
        for _ in 0..3 {
            rate.admit_address(address("127.0.0.1")).unwrap();
        }
    }

    #[test]
    fn a_flood_of_addresses_takes_no_more_than_the_buckets() {
        let (rate, _) = rate(1);
        for host in 0..200_000_u32 {
            // Some fall into a bucket that is taken.
            let _ = rate.admit_address(IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + host)));
        }
        assert!(
            rate.buckets.limiter.len() <= 1 << 16,
            "{}",
            rate.buckets.limiter.len()
        );
        assert!(
            rate.buckets.limiter.len() > 50_000,
            "{}",
            rate.buckets.limiter.len()
        );
    }
}
