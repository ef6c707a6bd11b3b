//! Links to the other devices of the identity: who is there, who calls whom, and what becomes of it.
//!
//! One task hears of devices by *routes* (the identity service, the local network), exchanges
//! signed offers and answers over the route that a device was heard on, and hands links that opened
//! to the engine, which alone talks over them. An offer can also be carried by hand.
//!
//! Whoever has no link to a device that it hears of offers one. If two offers cross, that of the
//! device with the smaller id holds. A new link takes the place of an older one: an end that offers
//! has lost the older one, whatever the other end thinks.

mod attempt;
mod by_hand;
mod calls;
mod known;
mod local;
mod network;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use edge_ledger_core::identity::{DeviceState, IdentityLog};
use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::keys::SecretKey;
use edge_ledger_core::signal::{Seen, SignalBody};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::engine::Snapshot;
use crate::limits::PEERS_LOOK_EVERY;
use crate::signalling::{Nonces, SignalCommand, SignalEvent};
use crate::webrtc::{IceServers, LinkConfig, PeerLink, Restarter};

use attempt::{AttemptError, Opened};
use known::Known;
use local::Local;
use network::Network;

pub(crate) use by_hand::ByHand;
pub use by_hand::{PeerCode, PeerCodeError};
pub(crate) use known::{PeerEnd, Route};

/// A link that opened; its other end has the certificate that the device signed for.
pub(crate) struct NewLink {
    pub(crate) device: DeviceId,
    pub(crate) link: PeerLink,
}

/// A session over a link that ended.
pub(crate) struct PeerEnded {
    pub(crate) device: DeviceId,
    pub(crate) end: PeerEnd,
}

/// What the task starts with.
pub(crate) struct Start {
    pub(crate) key: watch::Receiver<Arc<SecretKey>>,
    pub(crate) snapshot: watch::Receiver<Snapshot>,
    pub(crate) clock: Clock,
    pub(crate) stop: CancellationToken,
    pub(crate) link: LinkConfig,
    /// Servers that the identity service names.
    pub(crate) servers: watch::Receiver<IceServers>,
    pub(crate) links: mpsc::Sender<NewLink>,
    pub(crate) ended: mpsc::Receiver<PeerEnded>,
    pub(crate) by_hand: mpsc::Receiver<ByHand>,
    /// What is heard on all routes.
    pub(crate) heard: mpsc::Receiver<(Route, SignalEvent)>,
    /// The way back.
    pub(crate) service: mpsc::Sender<SignalCommand>,
    pub(crate) nonces: Nonces,
    /// Whether only devices on this machine are looked for.
    pub(crate) loopback_only: bool,
}

/// An offer of this device that waits for its answer.
struct Offered {
    /// Whose answer is waited for; `None` for whoever takes an offer that is carried by hand.
    to: Option<DeviceId>,
    hash: [u8; 32],
    answered: oneshot::Sender<SignalBody>,
    attempt: AbortHandle,
}

/// How an attempt ended; with whom, if that is known.
type Finished = (Option<DeviceId>, Result<Opened, AttemptError>);

pub(crate) struct Peering {
    key: watch::Receiver<Arc<SecretKey>>,
    snapshot: watch::Receiver<Snapshot>,
    clock: Clock,
    link: LinkConfig,
    servers: watch::Receiver<IceServers>,
    links: mpsc::Sender<NewLink>,
    service: mpsc::Sender<SignalCommand>,
    nonces: Nonces,
    known: Known,
    seen: Seen,
    /// By connection.
    offered: BTreeMap<[u8; 16], Offered>,
    attempts: JoinSet<Finished>,
    restarters: BTreeMap<DeviceId, Restarter>,
    network: Network,
    local: Local,
    loopback_only: bool,
    log_position: u64,
}

/// Runs until the agent stops.
pub(crate) async fn run(start: Start) {
    let Start {
        stop,
        mut ended,
        mut by_hand,
        mut heard,
        key,
        snapshot,
        clock,
        link,
        servers,
        links,
        service,
        nonces,
        loopback_only,
    } = start;
    let log_position = snapshot.borrow().log.head().position;
    let mut peering = Peering {
        key,
        snapshot,
        clock,
        link,
        servers,
        links,
        service,
        nonces,
        known: Known::default(),
        seen: Seen::default(),
        offered: BTreeMap::new(),
        attempts: JoinSet::new(),
        restarters: BTreeMap::new(),
        network: Network::new(clock.monotonic_ms()),
        local: Local::default(),
        loopback_only,
        log_position,
    };
    let mut look = tokio::time::interval(PEERS_LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let now = clock.monotonic_ms();
        let next = peering.known.next_ms(now);
        let pause = next.map(|at_ms| Duration::from_millis(at_ms - now));
        tokio::select! {
            () = stop.cancelled() => break,
            Some((route, event)) = heard.recv() => peering.heard(route, event).await,
            Some(finished) = peering.attempts.join_next() => peering.finished(finished).await,
            Some(end) = ended.recv() => peering.ended(&end),
            Some(by_hand) = by_hand.recv() => peering.by_hand(by_hand).await,
            event = peering.local.heard() => peering.heard_nearby(event).await,
            _ = look.tick() => peering.look().await,
            () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
        }
        peering.call_whoever_is_due().await;
    }
    peering.attempts.shutdown().await;
    peering.local.stop().await;
}

impl Peering {
    fn log(&self) -> Arc<IdentityLog> {
        self.snapshot.borrow().log.clone()
    }

    /// How links are made now.
    fn link_config(&self) -> LinkConfig {
        LinkConfig {
            servers: self.servers.borrow().clone(),
            ..self.link.clone()
        }
    }

    fn us(&self) -> DeviceId {
        self.key.borrow().public_key().device_id()
    }

    /// Whether this device may speak to others at all.
    fn is_active(&self) -> bool {
        let log = self.log();
        let record = log.device(&self.us());
        record.is_some_and(|record| record.state == DeviceState::Active)
    }

    async fn heard(&mut self, route: Route, event: SignalEvent) {
        let now = self.clock.monotonic_ms();
        match event {
            SignalEvent::Beacon { device, nonce } if device != self.us() => {
                let ended =
                    |d: &edge_ledger_core::identity::DeviceRecord| d.state != DeviceState::Active;
                if !self.log().device(&device).is_some_and(ended) {
                    self.known.heard(now, device, route, nonce);
                }
            }
            SignalEvent::Beacon { .. } | SignalEvent::Up => {}
            SignalEvent::Signal { bytes } => self.signal(route, &bytes).await,
            SignalEvent::Left { device } => self.known.gone(route, Some(device)),
            SignalEvent::Down => self.known.gone(route, None),
        }
    }

    async fn finished(&mut self, finished: Result<Finished, tokio::task::JoinError>) {
        let now = self.clock.monotonic_ms();
        // An attempt that gave way to another one is not told of.
        let Ok((device, outcome)) = finished else {
            return;
        };
        self.offered
            .retain(|_, offered| !offered.attempt.is_finished());
        match outcome {
            Ok(Opened { device, link }) => {
                self.known.together(now, device);
                self.restarters.insert(device, link.restarter.clone());
                // The engine takes links as they come; when it is gone, so is this.
                let _ = self.links.send(NewLink { device, link }).await;
            }
            Err(error) => {
                tracing::debug!(%error, "no link to another device");
                if let Some(device) = device {
                    self.known.failed(now, device, rand::random());
                }
            }
        }
    }

    fn ended(&mut self, ended: &PeerEnded) {
        let now = self.clock.monotonic_ms();
        self.restarters.remove(&ended.device);
        self.known
            .ended(now, ended.device, ended.end, rand::random());
    }

    /// Looks whether something has changed that nobody tells of.
    async fn look(&mut self) {
        let now = self.clock.monotonic_ms();
        let position = self.log().head().position;
        if std::mem::replace(&mut self.log_position, position) != position {
            self.known.log_grew(now);
        }
        self.look_nearby(now).await;
        if self.network.slept(now) {
            self.known.start_anew(now);
        }
        if self.network.changed() {
            // Where the old path still works the channel moves over; a new one is called for in
            // case it does not.
            for restarter in self.restarters.values() {
                restarter.restart();
            }
            self.known.start_anew(now);
        }
    }
}
