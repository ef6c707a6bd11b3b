//! The UDP sockets of a link, one for each address of this machine, and the relays behind them.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;
use tokio::net::UdpSocket;
use tokio::time::Instant;

use super::relay::{Handled, Relay};

/// Longest datagram that is read whole; a longer one belongs to nobody here.
pub(super) const DATAGRAM_BYTES_MAX: usize = 2_000;

/// One socket.
#[derive(Debug)]
struct Socket {
    socket: UdpSocket,
    local: SocketAddr,
    /// Which gathering it comes from.
    generation: u32,
}

/// A datagram that is there for the reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrived {
    pub(super) length: usize,
    pub(super) source: SocketAddr,
    /// The address of this machine that it came to.
    pub(super) local: SocketAddr,
}

/// All sockets of a link.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    open: Vec<Socket>,
    relays: Vec<Relay>,
    generation: u32,
    /// Which one is looked at first, so that none is forgotten behind a busy one.
    first: usize,
}

impl Sockets {
    /// Opens a socket on each of these addresses that lets itself be bound.
    pub(super) async fn bind(addresses: &[IpAddr]) -> Result<Self, io::Error> {
        let mut sockets = Self::default();
        let mut refused = None;
        for &address in addresses {
            match bind(address).await {
                Ok(socket) => sockets.open.push(socket),
                Err(error) => refused = Some(error),
            }
        }
        match refused {
            Some(error) if sockets.open.is_empty() => Err(error),
            _ => Ok(sockets),
        }
    }

    pub(super) fn locals(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.open.iter().map(|socket| socket.local)
    }

    pub(super) fn add_relay(&mut self, relay: Relay) {
        self.relays.push(relay);
    }

    pub(super) fn relays_mut(&mut self) -> impl Iterator<Item = &mut Relay> {
        self.relays.iter_mut()
    }

    /// Adds the sockets of a later gathering. Those of all others are closed, but for those of the
    /// one from which data goes out now.
    pub(super) fn add_generation(&mut self, new: Self, carrying: Option<SocketAddr>) {
        self.retire(carrying);
        self.generation += 1;
        let generation = self.generation;
        self.open.extend(new.open.into_iter().map(|socket| Socket {
            generation,
            ..socket
        }));
        self.relays.extend(new.relays);
    }

    /// Closes the sockets of all gatherings but the last, and but that of an address.
    pub(super) fn retire(&mut self, carrying: Option<SocketAddr>) {
        let carrying = carrying.map(|source| self.base(source));
        let carrying = self
            .open
            .iter()
            .find(|socket| Some(socket.local) == carrying);
        let keep = [
            Some(self.generation),
            carrying.map(|socket| socket.generation),
        ];
        self.open
            .retain(|socket| keep.contains(&Some(socket.generation)));
        let open = &self.open;
        self.relays
            .retain(|relay| open.iter().any(|socket| socket.local == relay.local()));
    }

    /// The address of the socket that a datagram from an address goes through.
    fn base(&self, source: SocketAddr) -> SocketAddr {
        let relay = self.relays.iter().find(|relay| relay.is_at(source));
        relay.map_or(source, Relay::local)
    }

    /// Whether an address from which something goes out belongs to the last gathering.
    pub(super) fn is_latest(&self, source: SocketAddr) -> bool {
        let local = self.base(source);
        self.open
            .iter()
            .any(|socket| socket.local == local && socket.generation == self.generation)
    }

    pub(super) fn is_relayed(&self, source: SocketAddr) -> bool {
        self.relays.iter().any(|relay| relay.is_at(source))
    }

    /// Sends from one of the own addresses, or through a relay. What a socket does not take at
    /// once is lost, as on any network.
    pub(super) fn send(&mut self, source: SocketAddr, to: SocketAddr, data: &[u8], now: Instant) {
        let Self { open, relays, .. } = self;
        if let Some(relay) = relays.iter_mut().find(|relay| relay.is_at(source)) {
            relay.send(to, data, now, |from, to, data| put(open, from, to, data));
        } else {
            put(open, source, to, data);
        }
    }

    /// Looks whether what arrived comes from a relay, and what is in it if so.
    pub(super) fn unwrap(&mut self, arrived: &Arrived, data: &[u8], now: Instant) -> Handled {
        let Self { open, relays, .. } = self;
        let relay = relays
            .iter_mut()
            .find(|relay| relay.local() == arrived.local && relay.server() == arrived.source);
        let Some(relay) = relay else {
            return Handled::NotMine;
        };
        relay.receive(data, now, |from, to, data| put(open, from, to, data))
    }

    /// Lets the relays do what is due; the time when the next is.
    pub(super) fn turn_relays(&mut self, now: Instant) -> Option<Instant> {
        let Self { open, relays, .. } = self;
        let turns = relays
            .iter_mut()
            .map(|relay| relay.turn(now, |from, to, data| put(open, from, to, data)));
        turns.min()
    }

    /// Gives the relays back, as far as one datagram each can do that.
    pub(super) fn close_relays(&mut self, now: Instant) {
        let Self { open, relays, .. } = self;
        for relay in relays {
            relay.close(now, |from, to, data| put(open, from, to, data));
        }
    }

    /// Reads the next datagram of any socket.
    pub(super) async fn receive(&mut self, buffer: &mut [u8]) -> Arrived {
        std::future::poll_fn(|context| self.poll_receive(context, buffer)).await
    }

    fn poll_receive(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Arrived> {
        let mut turns = 0;
        while turns < self.open.len() {
            let at = (self.first + turns) % self.open.len();
            match self.open[at].poll_receive(context, buffer) {
                Poll::Ready(Ok(arrived)) => {
                    self.first = at + 1;
                    return Poll::Ready(arrived);
                }
                // Its address is gone. If it was the last one, the silence ends the link.
                Poll::Ready(Err(error)) => {
                    let closed = self.open.remove(at);
                    tracing::debug!(local = %closed.local, %error, "a socket of a link is closed");
                }
                Poll::Pending => turns += 1,
            }
        }
        Poll::Pending
    }
}

async fn bind(address: IpAddr) -> Result<Socket, io::Error> {
    let socket = UdpSocket::bind((address, 0)).await?;
    // Without a look at it first, the first datagram would not go out.
    socket.writable().await?;
    let local = socket.local_addr()?;
    Ok(Socket {
        socket,
        local,
        generation: 0,
    })
}

impl Socket {
    fn poll_receive(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<Arrived, io::Error>> {
        let mut buffer = ReadBuf::new(buffer);
        let source = ready!(self.socket.poll_recv_from(context, &mut buffer))?;
        Poll::Ready(Ok(Arrived {
            length: buffer.filled().len(),
            source,
            local: self.local,
        }))
    }
}

fn put(open: &[Socket], source: SocketAddr, to: SocketAddr, data: &[u8]) {
    let socket = open.iter().find(|socket| socket.local == source);
    let sent = socket.map(|socket| socket.socket.try_send_to(data, to));
    if let Some(Err(error)) = sent {
        tracing::trace!(%source, %to, %error, "a datagram is lost");
    }
}
