//! Whoever reaches the port, and proves nothing.

use std::net::{Ipv4Addr, SocketAddr};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::*;
use crate::limits::{NEARBY_UNPROVEN_MAX, NEARBY_UNPROVEN_PER_ADDRESS_MAX};
use crate::nearby::handshake::{Role, prove};

/// Takes connections, and looks for nobody.
struct Listening {
    at: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
    heard: Heard,
}

fn listening(rendezvous: [u8; 32]) -> Listening {
    let listener = accepting::listen(true).expect("a port");
    let at = listener.local_addr().expect("its address");
    let (events, heard) = mpsc::channel(NEARBY_EVENTS_MAX);
    let conversations = Arc::new(Conversations::new(rendezvous, device(1), events));
    conversations.beacon([1; 32]);
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    tasks.spawn(accepting::accept(
        listener,
        true,
        conversations,
        stop.clone(),
    ));
    tasks.close();
    Listening {
        at,
        stop,
        tasks,
        heard,
    }
}

impl Listening {
    /// Stops it; nothing was heard.
    async fn stop_unheard(self) {
        self.stop.cancel();
        self.tasks.wait().await;
        assert_eq!(rest(self.heard).await, []);
    }
}

async fn closed(stream: &mut TcpStream) -> usize {
    let mut heard = Vec::new();
    // A reset is an end, too: it had not read all.
    let _ = stream.read_to_end(&mut heard).await;
    heard.len()
}

#[tokio::test]
async fn garbage_is_answered_by_a_key_and_an_end() {
    let listening = listening([7; 32]);
    for garbage in [&[0xff; 65_536][..], &[0; 64], b"GET / HTTP/1.1\r\n\r\n"] {
        let mut stream = TcpStream::connect(listening.at).await.expect("connected");
        let _ = stream.write_all(garbage).await;
        assert!(closed(&mut stream).await <= 36);
    }
    listening.stop_unheard().await;
}

/// From an address of this machine.
async fn dial(from: u8, at: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    let from = (Ipv4Addr::new(127, 0, 0, from), 0);
    socket.bind(from.into()).expect("an address");
    socket.connect(at).await.expect("connected")
}

/// Of silent connections few are kept, and a device gets in all the same.
#[tokio::test]
async fn a_flood_of_connections_keeps_nobody_out() {
    const FLOOD: usize = 200;
    let mut listening = listening([7; 32]);
    let mut flood = Vec::new();
    for number in 0..FLOOD {
        let from = u8::try_from(number / 20 + 2).expect("a host");
        flood.push(dial(from, listening.at).await);
    }
    let mut device = dial(1, listening.at).await;
    let proved = prove(&mut device, Role::Dialler, &[7; 32]).await;
    assert!(proved.is_ok());
    let mut closing: FuturesUnordered<_> = flood.iter_mut().map(closed).collect();
    for _ in 0..FLOOD - NEARBY_UNPROVEN_MAX {
        assert!(closing.next().await.is_some());
    }
    drop(device);
    let gone = NearbyEvent::Gone { connection: 1 };
    assert_eq!(next(&mut listening.heard).await, gone);
    drop(closing);
    listening.stop_unheard().await;
}

/// Who came first is sent away when its address brings more, and not when its time is over: then
/// the next would be, too.
#[tokio::test]
async fn who_is_there_longest_gives_way_at_once() {
    let mut listening = listening([7; 32]);
    let mut first = dial(2, listening.at).await;
    let mut second = dial(3, listening.at).await;
    let mut more = Vec::new();
    for _ in 0..NEARBY_UNPROVEN_PER_ADDRESS_MAX {
        more.push(dial(2, listening.at).await);
    }
    closed(&mut first).await;
    let proved = prove(&mut second, Role::Dialler, &[7; 32]).await;
    assert!(proved.is_ok());
    drop(second);
    let gone = NearbyEvent::Gone { connection: 1 };
    assert_eq!(next(&mut listening.heard).await, gone);
    listening.stop_unheard().await;
}
