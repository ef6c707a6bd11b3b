//! Direct links to other devices: how their tasks hang together, and what is carried by hand.

use std::sync::Arc;

use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::keys::SecretKey;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Agent, PeerLinks};
use crate::clock::Clock;
use crate::engine::{Peers, Snapshot};
use crate::error::AgentError;
use crate::identity_services::IdentityServices;
use crate::limits::{LINK_OPEN_WITHIN, LINKS_WAITING_MAX, OUTBOUND_SIGNALS_MAX};
use crate::peering::{self, ByHand, NewLink, PeerCode, PeerEnded};
use crate::security::is_loopback;
use crate::signalling::{self, Nonces};
use crate::vault::Membership;
use crate::webrtc::{IceServers, LinkConfig, Reach};

/// What engine and handle keep.
pub(super) struct Wires {
    pub(super) engine: Peers,
    pub(super) by_hand: mpsc::Sender<ByHand>,
}

/// What the tasks of links get.
pub(super) struct Ends {
    links: mpsc::Sender<NewLink>,
    ended: mpsc::Receiver<PeerEnded>,
    by_hand: mpsc::Receiver<ByHand>,
}

pub(super) fn wires() -> (Wires, Ends) {
    let (links, opened) = mpsc::channel(LINKS_WAITING_MAX);
    let (tell_ended, ended) = mpsc::channel(LINKS_WAITING_MAX);
    let (by_hand, asked) = mpsc::channel(LINKS_WAITING_MAX);
    let wires = Wires {
        engine: Peers::new(opened, tell_ended),
        by_hand,
    };
    let ends = Ends {
        links,
        ended,
        by_hand: asked,
    };
    (wires, ends)
}

/// What the tasks look at.
pub(super) struct Views<'a> {
    pub(super) membership: &'a Membership,
    pub(super) identity: &'a IdentityServices,
    pub(super) key: &'a watch::Receiver<Arc<SecretKey>>,
    pub(super) snapshot: &'a watch::Receiver<Snapshot>,
    pub(super) clock: Clock,
    pub(super) stop: &'a CancellationToken,
}

impl Ends {
    /// Starts to look for other devices, unless it is not to.
    pub(super) fn start(self, peer_links: PeerLinks, tasks: &TaskTracker, views: Views<'_>) {
        if peer_links == PeerLinks::Off {
            return;
        }
        let nonces = Nonces::default();
        let (tell_heard, heard) = mpsc::channel(OUTBOUND_SIGNALS_MAX);
        let (service, commands) = mpsc::channel(OUTBOUND_SIGNALS_MAX);
        let (tell_servers, servers) = watch::channel(IceServers::default());
        tasks.spawn(signalling::run(signalling::Start {
            identity: views.identity.clone(),
            key: views.key.clone(),
            snapshot: views.snapshot.clone(),
            events: tell_heard,
            commands,
            nonces: nonces.clone(),
            servers: tell_servers,
        }));
        // A service on this machine has devices that are on this machine.
        let reach = match views.membership.identity_urls.iter().all(is_loopback) {
            true => Reach::LoopbackToo,
            false => Reach::Host,
        };
        tasks.spawn(peering::run(peering::Start {
            key: views.key.clone(),
            snapshot: views.snapshot.clone(),
            clock: views.clock,
            stop: views.stop.clone(),
            link: LinkConfig {
                servers: IceServers::default(),
                reach,
                open_within: LINK_OPEN_WITHIN,
                tasks: tasks.clone(),
            },
            servers,
            links: self.links,
            ended: self.ended,
            by_hand: self.by_hand,
            heard,
            service,
            nonces,
            loopback_only: reach == Reach::LoopbackToo,
        }));
    }
}

impl Agent {
    /// Makes an offer for another device of the identity, to be carried there by hand and given to
    /// [`peer_follow`](Self::peer_follow) within 10 minutes. For when no service can be reached and
    /// the two are not on one network.
    ///
    /// # Errors
    /// [`AgentError::Peer`] when this machine has no address to offer, or links are off.
    pub async fn peer_offer(&self) -> Result<PeerCode, AgentError> {
        self.by_hand(|reply| ByHand::Offer { reply }).await
    }

    /// Follows a code of another device: an offer gets an answer, to be carried back by hand; an
    /// answer completes the link. Says which device made the code.
    ///
    /// # Errors
    /// [`AgentError::Peer`] for a code of another identity, of a device that was ended, out of date,
    /// or followed before.
    pub async fn peer_follow(
        &self,
        code: PeerCode,
    ) -> Result<(DeviceId, Option<PeerCode>), AgentError> {
        self.by_hand(|reply| ByHand::Follow { code, reply }).await
    }

    async fn by_hand<T>(
        &self,
        ask: impl FnOnce(oneshot::Sender<Result<T, AgentError>>) -> ByHand,
    ) -> Result<T, AgentError> {
        let (reply, answer) = oneshot::channel();
        let off = || AgentError::Peer("this device does not look for direct links".to_owned());
        let asked = self.shared.by_hand.send(ask(reply)).await;
        asked.map_err(|_| off())?;
        answer.await.map_err(|_| off())?
    }
}
