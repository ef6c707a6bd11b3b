//! One address on a TURN server, through which a link can also go.

use std::net::SocketAddr;

use tokio::time::Instant;
use turn_client_proto::api::{
    CreatePermissionError, Transmit, TransmitBuild, TurnClientApi as _, TurnConfig, TurnEvent,
    TurnPollRet, TurnRecvRet,
};
use turn_client_proto::prelude::DelayedTransmitBuild as _;
use turn_client_proto::types::stun::TransportType;
use turn_client_proto::types::{AddressFamily, TurnCredentials};
use turn_client_proto::udp::TurnClientUdp;

use super::TurnServer;
use crate::limits::LINK_PING_EVERY;

/// What a datagram from the server was.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Handled {
    /// Not for the relay.
    NotMine,
    /// The server's own word.
    Done,
    /// Something that a peer sent to the relayed address.
    FromPeer(FromPeer),
}

/// A datagram that came through a relay.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FromPeer {
    pub(super) source: SocketAddr,
    pub(super) relayed: SocketAddr,
    pub(super) data: Vec<u8>,
}

/// How the request for an address went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allocation {
    Asked,
    At(SocketAddr),
    Refused,
}

/// A client of one server, from one socket.
#[derive(Debug)]
pub(super) struct Relay {
    client: TurnClientUdp,
    allocation: Allocation,
    started: Instant,
}

impl Relay {
    /// Asks for an address, of the same family as the server's.
    pub(super) fn allocate(
        local: SocketAddr,
        server: SocketAddr,
        account: &TurnServer,
        now: Instant,
    ) -> Self {
        let credentials = TurnCredentials::new(&account.username, &account.password);
        let mut config = TurnConfig::new(credentials);
        config.set_address_family(if server.is_ipv4() {
            AddressFamily::IPV4
        } else {
            AddressFamily::IPV6
        });
        Self {
            client: TurnClientUdp::allocate(local, server, config),
            allocation: Allocation::Asked,
            started: now,
        }
    }

    pub(super) fn local(&self) -> SocketAddr {
        self.client.local_addr()
    }

    pub(super) fn server(&self) -> SocketAddr {
        self.client.remote_addr()
    }

    pub(super) fn allocation(&self) -> Allocation {
        self.allocation
    }

    pub(super) fn is_at(&self, address: SocketAddr) -> bool {
        self.allocation == Allocation::At(address)
    }

    fn time(&self, now: Instant) -> turn_client_proto::stun::Instant {
        let since = now.saturating_duration_since(self.started).as_nanos();
        turn_client_proto::stun::Instant::from_nanos(i64::try_from(since).unwrap_or(i64::MAX))
    }

    /// Sends to a peer. The server wants to be told of each peer first; until it was, datagrams
    /// are lost, and ICE repeats its own.
    pub(super) fn send(
        &mut self,
        to: SocketAddr,
        data: &[u8],
        now: Instant,
        put: impl Fn(SocketAddr, SocketAddr, &[u8]),
    ) {
        let time = self.time(now);
        if !self.client.have_permission(TransportType::Udp, to.ip()) {
            match self
                .client
                .create_permission(TransportType::Udp, to.ip(), time)
            {
                Ok(()) | Err(CreatePermissionError::AlreadyExists) => {}
                Err(error) => tracing::debug!(%error, "a relay cannot send"),
            }
            self.turn(now, put);
            return;
        }
        match self.client.send_to(TransportType::Udp, to, data, time) {
            Ok(Some(TransmitBuild { data, from, to, .. })) => put(from, to, &data.build()),
            Ok(None) => {}
            Err(error) => tracing::trace!(%error, "a datagram is lost"),
        }
    }

    /// Takes a datagram that came from the server.
    pub(super) fn receive(
        &mut self,
        data: &[u8],
        now: Instant,
        put: impl Fn(SocketAddr, SocketAddr, &[u8]),
    ) -> Handled {
        let datagram = Transmit::new(data, TransportType::Udp, self.server(), self.local());
        let handled = match self.client.recv(datagram, self.time(now)) {
            TurnRecvRet::Ignored(_) => Handled::NotMine,
            TurnRecvRet::PeerData(peer) => match self.allocation {
                Allocation::At(relayed) => Handled::FromPeer(FromPeer {
                    source: peer.peer,
                    relayed,
                    data: peer.data().to_vec(),
                }),
                Allocation::Asked | Allocation::Refused => Handled::Done,
            },
            TurnRecvRet::Handled | TurnRecvRet::PeerIcmp { .. } => Handled::Done,
        };
        self.turn(now, put);
        handled
    }

    /// Does what is due; the time when something is next.
    pub(super) fn turn(
        &mut self,
        now: Instant,
        put: impl Fn(SocketAddr, SocketAddr, &[u8]),
    ) -> Instant {
        let time = self.time(now);
        let next = self.client.poll(time);
        while let Some(datagram) = self.client.poll_transmit(time) {
            put(datagram.from, datagram.to, &datagram.data);
        }
        while let Some(event) = self.client.poll_event() {
            match event {
                TurnEvent::AllocationCreated(_, address) => {
                    self.allocation = Allocation::At(address);
                }
                TurnEvent::AllocationCreateFailed(_) => self.allocation = Allocation::Refused,
                TurnEvent::PermissionCreated(..)
                | TurnEvent::PermissionCreateFailed(..)
                | TurnEvent::ChannelCreated(..)
                | TurnEvent::ChannelCreateFailed(..)
                | TurnEvent::TcpConnected(_)
                | TurnEvent::TcpConnectFailed(_) => {}
            }
        }
        match next {
            TurnPollRet::WaitUntil(at) => now + at.duration_since(time),
            TurnPollRet::Closed => {
                self.allocation = Allocation::Refused;
                now + LINK_PING_EVERY
            }
            // Of TCP, which was not asked for.
            TurnPollRet::AllocateTcpSocket { .. } | TurnPollRet::TcpClose { .. } => {
                now + LINK_PING_EVERY
            }
        }
    }

    /// Gives the address back.
    pub(super) fn close(&mut self, now: Instant, put: impl Fn(SocketAddr, SocketAddr, &[u8])) {
        if self.client.delete(self.time(now)).is_ok() {
            self.turn(now, put);
        }
    }
}
