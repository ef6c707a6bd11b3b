//! Sessions with other devices of the identity, beside that with the service.

use std::collections::BTreeMap;
use std::time::Duration;

use edge_ledger_core::identity::ServiceCertificate;
use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::ledger::Ack;
use edge_ledger_core::sync::{Close, Input};
use futures::future::select_all;
use tokio::sync::{mpsc, watch};

use super::connection::{Connection, Ended, Step};
use super::feed::Via;
use super::{Engine, millis};
use crate::event::Event;
use crate::limits::LIVE_WITHIN;
use crate::peering::{NewLink, PeerEnd, PeerEnded};
use crate::status::{Path, PeerStatus};
use crate::webrtc::{LinkError, LinkReport};

/// A session with one device.
struct Peer {
    connection: Connection,
    report: watch::Receiver<LinkReport>,
}

/// All of them, and where links come from and are given back to.
pub(crate) struct Peers {
    links: mpsc::Receiver<NewLink>,
    ended: mpsc::Sender<PeerEnded>,
    peers: BTreeMap<DeviceId, Peer>,
    /// The best receipt of each journal, for peers that cannot reach the service.
    receipts: BTreeMap<DeviceId, (Ack, ServiceCertificate)>,
}

/// What happens with peers.
pub(super) enum Next {
    /// A link was opened.
    Opened(NewLink),
    /// Something happened in a session.
    Step(DeviceId, Step),
}

impl Peers {
    pub(crate) fn new(links: mpsc::Receiver<NewLink>, ended: mpsc::Sender<PeerEnded>) -> Self {
        Self {
            links,
            ended,
            peers: BTreeMap::new(),
            receipts: BTreeMap::new(),
        }
    }

    pub(super) fn devices(&self) -> impl Iterator<Item = DeviceId> {
        self.peers.keys().copied()
    }

    pub(super) fn connection(&mut self, device: DeviceId) -> Option<&mut Connection> {
        self.peers.get_mut(&device).map(|peer| &mut peer.connection)
    }

    /// How many have let this device in.
    pub(super) fn live(&self) -> usize {
        let live = |peer: &&Peer| peer.connection.session.is_open();
        self.peers.values().filter(live).count()
    }

    /// Frames of entries that the slowest of them has not answered.
    pub(super) fn unanswered(&self) -> usize {
        let each = self.peers.values();
        each.map(|peer| peer.connection.session.unanswered())
            .max()
            .unwrap_or(0)
    }

    /// What happens next.
    pub(super) async fn next(&mut self) -> Next {
        let steps = self.peers.iter_mut().map(|(device, peer)| {
            Box::pin(async { Next::Step(*device, peer.connection.step().await) })
        });
        let steps: Vec<_> = steps.collect();
        let step = async {
            if steps.is_empty() {
                std::future::pending().await
            } else {
                select_all(steps).await.0
            }
        };
        tokio::select! {
            Some(link) = self.links.recv() => Next::Opened(link),
            next = step => next,
        }
    }

    /// Ends all of them, without a word.
    pub(super) fn leave_all(&mut self) {
        self.peers.clear();
        self.receipts.clear();
    }

    /// Ends all of them, once what is held was sent.
    pub(super) async fn finish(&mut self, within: Duration) {
        let all = std::mem::take(&mut self.peers);
        let each = all.into_values().map(|peer| peer.connection.finish(within));
        futures::future::join_all(each).await;
    }
}

impl Engine {
    /// Starts a session over a new link; one that is there with the same device ends: the two
    /// devices agree on links, so the other end has left it.
    pub(super) async fn peer_opened(&mut self, link: NewLink) {
        let NewLink { device, link } = link;
        let now = self.clock.monotonic_ms();
        let report = link.report.clone();
        let key = self.key.borrow().clone();
        let connection = Connection::with_peer(link, device, key, &self.book, now);
        let peer = Peer { connection, report };
        self.peers.peers.insert(device, peer);
        self.feed(Via::Peer(device), Input::Opened).await;
    }

    /// The handshake with a peer is done.
    pub(super) fn peer_live(&mut self, device: DeviceId) -> Vec<Input> {
        self.events.push(Event::PeerConnected { device });
        let receipts = self.peers.receipts.values().cloned().collect();
        let wanted = self.paths.peers_flow();
        vec![Input::Flow { wanted }, Input::RelayAcks(receipts)]
    }

    /// A session with a peer ended.
    pub(super) fn peer_ended(&mut self, device: DeviceId, ended: Ended) {
        let Some(peer) = self.peers.peers.remove(&device) else {
            return;
        };
        let end = match &ended {
            Ended::Session(Close::GoAway(_)) | Ended::Link(LinkError::Closed) | Ended::Closed => {
                PeerEnd::Left
            }
            Ended::Session(
                Close::Forbidden | Close::DeviceRevoked | Close::Forked | Close::LogForked,
            ) => PeerEnd::NotAllowed,
            Ended::Session(_) => PeerEnd::Misbehaved,
            Ended::Status(_) | Ended::Link(_) | Ended::Error(_) => PeerEnd::Broken,
        };
        let why = ended.why();
        tracing::debug!(%device, %why, "a peer is gone");
        if peer.connection.session.is_open() || matches!(end, PeerEnd::Misbehaved) {
            self.events.push(Event::PeerLost { device, why });
        }
        // A full queue is one of links that are all to be looked after anyway.
        let _ = self.peers.ended.try_send(PeerEnded { device, end });
    }

    pub(super) fn end_late_peers(&mut self, now_ms: u64) {
        let within = millis(LIVE_WITHIN);
        let is_late = |peer: &Peer| {
            let connection = &peer.connection;
            !connection.session.is_open() && connection.opened_at_ms + within < now_ms
        };
        let late = self.peers.peers.iter().filter(|(_, peer)| is_late(peer));
        let late: Vec<DeviceId> = late.map(|(device, _)| *device).collect();
        for device in late {
            self.peer_ended(device, Ended::Closed);
        }
    }

    /// Passes receipts on that are news for peers: those of others, and of this device too, so
    /// that everybody can show them.
    pub(super) fn relay(&mut self, via: Via, acks: &[Ack], service: &ServiceCertificate) {
        let mut news = Vec::new();
        for ack in acks {
            let known = self.peers.receipts.get(&ack.body.device);
            let better = known.is_none_or(|(known, _)| {
                let (old, new) = (&known.body, &ack.body);
                (new.point.seq, new.level) > (old.point.seq, old.level)
            });
            if better {
                let relayed = (*ack, service.clone());
                self.peers.receipts.insert(ack.body.device, relayed.clone());
                news.push(relayed);
            }
        }
        if news.is_empty() {
            return;
        }
        for device in self.peers.devices().collect::<Vec<_>>() {
            if via != Via::Peer(device) {
                let input = Input::RelayAcks(news.clone());
                self.inputs.push_back((Via::Peer(device), input));
            }
        }
    }

    /// Whether something that was sent on the way in use is unanswered.
    pub(super) fn is_waiting(&self) -> bool {
        if self.paths.service_answers() {
            let service = self.connection.as_ref();
            service.is_some_and(|c| c.session.unanswered() > 0)
        } else {
            self.peers.unanswered() > 0
        }
    }

    /// Looks whether entries go another way now, and tells the peers.
    pub(super) async fn choose_path(&mut self) {
        let now = self.clock.monotonic_ms();
        let service = self.connection.as_ref();
        let unanswered = service.map_or(0, |c| c.session.unanswered());
        let took = std::mem::take(&mut self.service_took);
        self.paths.unanswered(now, unanswered, took);
        self.paths.tick(now);
        if self.paths.is_handover() && self.handover_ping.is_none() {
            let ping_id = self.next_ping;
            self.next_ping += 1;
            self.handover_ping = Some(ping_id);
            self.feed(Via::Service, Input::Flush { ping_id }).await;
        }
        let wanted = self.paths.peers_flow();
        if self.told_flow != wanted {
            self.told_flow = wanted;
            for device in self.peers.devices().collect::<Vec<_>>() {
                let input = Input::Flow { wanted };
                self.inputs.push_back((Via::Peer(device), input));
            }
            self.pump().await;
        }
        self.tell_path();
    }

    fn tell_path(&mut self) {
        let path = self.shown_path();
        if std::mem::replace(&mut self.told_path, path) != path {
            self.publish();
            self.events.push(Event::PathChanged { path });
        }
    }

    /// The way that entries go, as far as there is one.
    pub(super) fn shown_path(&self) -> Path {
        match (self.paths.path(), self.peers.live()) {
            (Path::Both, 0) => Path::Service,
            (Path::Peers, 0) => Path::None,
            (path, _) => path,
        }
    }

    pub(super) fn peer_statuses(&self) -> Vec<PeerStatus> {
        let log = self.book.log();
        let name = |device| {
            log.device(&device)
                .map_or_else(String::new, |d| d.name.clone())
        };
        let status = |(device, peer): (&DeviceId, &Peer)| {
            let report = peer.report.borrow();
            PeerStatus {
                device: *device,
                name: name(*device),
                live: peer.connection.session.is_open(),
                unanswered_frames: peer.connection.session.unanswered(),
                local: report.local,
                remote: report.remote,
                rtt: report.rtt,
                heard_ms_ago: millis(report.heard_at.elapsed()),
                bytes_sent: report.bytes_sent,
                bytes_received: report.bytes_received,
                restarts: report.restarts,
            }
        };
        self.peers.peers.iter().map(status).collect()
    }
}
