//! Somebody on the way between two links, who can swallow datagrams.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::UdpSocket;

use super::*;

/// A way over loopback between an offering and an answering link, the only one that they know.
#[derive(Clone)]
pub(super) struct Between {
    /// The answering link as the offering one sees it, and the other way round.
    at_offering: Arc<UdpSocket>,
    at_answering: Arc<UdpSocket>,
    pub(super) swallows: Arc<AtomicBool>,
}

impl Between {
    pub(super) async fn open() -> Self {
        let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
        Self {
            at_offering: Arc::new(bind().await.expect("a socket")),
            at_answering: Arc::new(bind().await.expect("a socket")),
            swallows: Arc::default(),
        }
    }

    /// Two links that have only this way.
    pub(super) async fn connected(&self, tasks: &TaskTracker) -> (PeerLink, PeerLink) {
        let (mut offering_at, mut answering_at) = (None, None);
        let (offering, answering) = connecting(
            |sdp| moved(&sdp, &self.at_answering, &mut offering_at),
            |sdp| moved(&sdp, &self.at_offering, &mut answering_at),
        )
        .await;
        let (offering_at, answering_at) = (offering_at.unwrap(), answering_at.unwrap());
        let here = self.clone();
        tasks.spawn(async move {
            tokio::join!(
                here.carry(
                    &here.at_offering,
                    offering_at,
                    &here.at_answering,
                    answering_at
                ),
                here.carry(
                    &here.at_answering,
                    answering_at,
                    &here.at_offering,
                    offering_at
                ),
            )
        });
        let (offering, answering) = tokio::join!(offering.opened(), answering.opened());
        (offering.expect("a link"), answering.expect("a link"))
    }

    async fn carry(&self, from: &UdpSocket, source: SocketAddr, to: &UdpSocket, there: SocketAddr) {
        let mut buffer = [0; 2_000];
        loop {
            let (length, came_from) = from.recv_from(&mut buffer).await.expect("a datagram");
            if came_from == source && !self.swallows.load(Ordering::Relaxed) {
                let _ = to.try_send_to(&buffer[..length], there);
            }
        }
    }
}

/// The description with one candidate, which is us; where the real one is.
fn moved(sdp: &str, us: &UdpSocket, real: &mut Option<SocketAddr>) -> String {
    let mut moved = String::new();
    for line in sdp.lines() {
        let Some(candidate) = line.strip_prefix("a=") else {
            moved.push_str(line);
            moved.push_str("\r\n");
            continue;
        };
        if let Ok(found) = Candidate::from_sdp_string(candidate) {
            if found.addr().ip() != Ipv4Addr::LOCALHOST {
                continue;
            }
            *real = Some(found.addr());
            let us = us.local_addr().unwrap();
            let us = Candidate::host(us, "udp").unwrap();
            moved.push_str(&format!("a={}\r\n", us.to_sdp_string()));
        } else {
            moved.push_str(line);
            moved.push_str("\r\n");
        }
    }
    moved
}
