//! Looks for others on the network, and dials them: who of them is of this identity shows then.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use mdns_sd::ScopedIp;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::conversation::Conversations;
use super::discovery::{Discovery, Instance, Sighting};
use super::handshake::Role;
use super::neighbours::Neighbours;
use super::reach::Reach;
use crate::limits::{
    NEARBY_ADDRESSES_MAX, NEARBY_CONNECT_WITHIN, NEARBY_DIALS_MAX, NEARBY_DISCOVER_AGAIN,
    NEARBY_RECORDS_EVERY,
};

/// What this device says of itself on the network.
#[derive(Clone, Copy)]
pub(super) struct Announced {
    pub(super) instance: Instance,
    pub(super) host: Instance,
    port: u16,
    loopback_only: bool,
}

impl Announced {
    /// A listener's port, under names of its own.
    pub(super) fn at(port: u16, loopback_only: bool) -> Self {
        Self {
            instance: Instance::random(),
            host: Instance::random(),
            port,
            loopback_only,
        }
    }

    fn start(&self) -> mdns_sd::Result<Discovery> {
        Discovery::start(self.instance, self.host, self.port, self.loopback_only)
    }
}

pub(super) struct Seeker {
    announced: Announced,
    /// `None` for a while after it failed, or was flooded.
    discovery: Option<Discovery>,
    again: Instant,
    neighbours: Neighbours,
}

impl Seeker {
    pub(super) fn start(announced: Announced) -> mdns_sd::Result<Self> {
        Ok(Self {
            announced,
            discovery: Some(announced.start()?),
            again: now(),
            neighbours: Neighbours::default(),
        })
    }

    /// Looks and dials until it is stopped.
    pub(super) async fn run(mut self, conversations: Arc<Conversations>, stop: CancellationToken) {
        let dials = Semaphore::new(NEARBY_DIALS_MAX);
        // Bounded by the neighbours that are remembered.
        let mut talks = FuturesUnordered::new();
        let mut looks = interval(NEARBY_RECORDS_EVERY);
        loop {
            let due = self.neighbours.next_due();
            tokio::select! {
                () = stop.cancelled() => return self.rest().await,
                Some((instance, connected)) = talks.next(), if !talks.is_empty() => {
                    self.neighbours.done(&instance, connected, rand::random(), now());
                }
                Ok(permit) = turn(due, &dials) => {
                    if let Some((instance, addresses)) = self.neighbours.due(now()) {
                        talks.push(talk(instance, addresses, permit, &conversations));
                    }
                }
                sighting = next(self.discovery.as_ref()) => {
                    if !sighting.is_some_and(|sighting| self.saw(sighting)) {
                        self.rest().await;
                    }
                }
                _ = looks.tick() => {
                    if is_flooded(self.discovery.as_ref()).await {
                        self.rest().await;
                    }
                }
                () = sleep_until(self.again), if self.discovery.is_none() => self.start_again(),
            }
        }
    }

    /// Takes note; `false` if there is no room to.
    fn saw(&mut self, sighting: Sighting) -> bool {
        match sighting {
            Sighting::Found {
                instance,
                addresses,
                port,
            } => {
                let addresses = in_reach(&addresses, port, self.announced.loopback_only);
                addresses.is_empty() || self.neighbours.found(instance, addresses, now())
            }
            Sighting::Lost(instance) => {
                self.neighbours.lost(&instance);
                true
            }
        }
    }

    /// Takes leave of the network, for some time unless it is for good.
    async fn rest(&mut self) {
        if let Some(discovery) = self.discovery.take() {
            discovery.stop().await;
        }
        self.again = now() + NEARBY_DISCOVER_AGAIN;
    }

    fn start_again(&mut self) {
        self.neighbours.forget();
        self.again = now() + NEARBY_DISCOVER_AGAIN;
        match self.announced.start() {
            Ok(discovery) => self.discovery = Some(discovery),
            Err(error) => tracing::debug!(%error, "nobody can be looked for on the network"),
        }
    }
}

/// The time that timers go by.
fn now() -> Instant {
    Instant::now()
}

async fn next(discovery: Option<&Discovery>) -> Option<Sighting> {
    match discovery {
        Some(discovery) => discovery.next().await,
        None => std::future::pending().await,
    }
}

async fn is_flooded(discovery: Option<&Discovery>) -> bool {
    match discovery {
        Some(discovery) => discovery.is_flooded().await,
        None => false,
    }
}

/// Waits until somebody is due and may be dialled.
async fn turn(
    due: Option<Instant>,
    dials: &Semaphore,
) -> Result<SemaphorePermit<'_>, tokio::sync::AcquireError> {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
    dials.acquire().await
}

/// Those of an instance's addresses that may be dialled, the likeliest first.
fn in_reach(addresses: &[ScopedIp], port: u16, loopback_only: bool) -> Vec<SocketAddr> {
    let reach = Reach::now(loopback_only);
    let mut near: Vec<SocketAddr> = addresses
        .iter()
        .filter_map(|address| reach.to(address, port))
        .collect();
    let link_local = |ip| matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
    near.sort_by_key(|at| (link_local(at.ip()), *at));
    near.truncate(NEARBY_ADDRESSES_MAX);
    near
}

/// Dials an instance, and talks until the connection ends. Says whether anything came of it.
async fn talk(
    instance: Instance,
    addresses: Vec<SocketAddr>,
    permit: SemaphorePermit<'_>,
    conversations: &Conversations,
) -> (Instance, bool) {
    let mut permit = Some(permit);
    for address in addresses {
        let connecting = timeout(NEARBY_CONNECT_WITHIN, TcpStream::connect(address));
        let Ok(Ok(stream)) = connecting.await else {
            continue;
        };
        // Others may be dialled as soon as it is known who this is.
        let known = || drop(permit.take());
        if conversations.carry_on(stream, Role::Dialler, known).await {
            return (instance, true);
        }
    }
    (instance, false)
}
