//! Takes the connections of whoever dials this device.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::conversation::Conversations;
use super::doorway::{Doorway, Waiting};
use super::handshake::Role;
use super::reach::Reach;
use crate::limits::NEARBY_ACCEPT_AGAIN;

/// Connections that the system keeps until they are taken.
const BACKLOG: i32 = 64;

/// A listener on a port that the system chooses: on this machine alone, or on all its interfaces
/// by IPv6 and IPv4, as far as the machine has them.
pub(super) fn listen(loopback_only: bool) -> std::io::Result<TcpListener> {
    if loopback_only {
        return bound(Domain::IPV4, Ipv4Addr::LOCALHOST.into());
    }
    bound(Domain::IPV6, Ipv6Addr::UNSPECIFIED.into())
        .or_else(|_| bound(Domain::IPV4, Ipv4Addr::UNSPECIFIED.into()))
}

fn bound(domain: Domain, address: IpAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::new(address, 0).into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Takes connections until it is stopped.
pub(super) async fn accept(
    listener: TcpListener,
    loopback_only: bool,
    conversations: Arc<Conversations>,
    stop: CancellationToken,
) {
    let doorway = Doorway::default();
    // Bounded by the doorway, and by the room for those that are proved.
    let mut taken = FuturesUnordered::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(()) = taken.next(), if !taken.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) if Reach::now(loopback_only).includes(from.ip()) => {
                    let waiting = doorway.enter(from.ip().to_canonical());
                    taken.push(take(stream, waiting, &conversations));
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, "a connection on the network could not be taken");
                    tokio::time::sleep(NEARBY_ACCEPT_AGAIN).await;
                }
            },
        }
    }
}

async fn take(stream: TcpStream, waiting: Waiting, conversations: &Conversations) {
    let must_go = waiting.must_go.clone();
    // Who has left the doorway is not sent away any more.
    let leave = || drop(waiting);
    tokio::select! {
        _ = conversations.carry_on(stream, Role::Listener, leave) => {}
        () = must_go.cancelled() => {}
    }
}
