//! S-34: a client that goes on saying something, and never gets to a request, has no more time than
//! one that says nothing.

use std::time::Duration;

use edge_ledger_chassis::{Clock, Limits, Serving, Tls};
use futures::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::certificates::Authority;
use super::{PATIENCE, stub};

/// The time from the accept to the first request.
const DEADLINE: Duration = Duration::from_millis(500);
/// Far more often than the deadline, so that a deadline that began anew would never be over.
const DRIP_EVERY: Duration = Duration::from_millis(5);
/// Enough to see that nobody is refused for what drips in.
const DRIPS: usize = 20;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const EMPTY_SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
/// The head of a frame of headers, which are not at their end: 16 KiB of them follow.
const HEADERS: &[u8] = &[0, 64, 0, 1, 0, 0, 0, 0, 1];
const PING: &[u8] = &[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
/// The head of a TLS record of 16 KiB with the first message of a handshake.
const CLIENT_HELLO: &[u8] = &[22, 3, 1, 63, 255, 1, 0, 63, 251, 3, 3];

/// What a client says at once, and what it says again and again.
type Dripping = (Vec<u8>, &'static [u8]);

fn plain() -> Vec<Dripping> {
    let http2 = |then: &[u8]| [PREFACE, EMPTY_SETTINGS, then].concat();
    vec![
        (b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: ".to_vec(), b"x"),
        (http2(HEADERS), &[0x82]),
        (http2(&[]), PING),
    ]
}

fn limits(first_request: Duration) -> Limits {
    Limits {
        first_request,
        ..Limits::default()
    }
}

async fn over_tls(first_request: Duration) -> Serving {
    let folder = tempfile::tempdir().unwrap();
    let tls = Tls::load(Authority::new().files(folder.path()), Clock::system()).unwrap();
    let listener = stub::bind().await;
    listener.serve(
        stub::routes(),
        stub::methods(),
        limits(first_request),
        Some(tls),
    )
}

/// Drips until the service closes the connection.
async fn drip(serving: &Serving, (first, again): Dripping) {
    let tcp = TcpStream::connect(serving.local_addr()).await.unwrap();
    let (mut from, mut to) = tcp.into_split();
    to.write_all(&first).await.unwrap();
    let dripping = async {
        while to.write_all(again).await.is_ok() {
            sleep(DRIP_EVERY).await;
        }
    };
    let closed = async {
        let mut byte = [0];
        while matches!(from.read(&mut byte).await, Ok(1)) {}
    };
    tokio::select! {
        () = dripping => {}
        () = closed => {}
    }
}

/// The first byte of a preface at a time, which is over before the deadline is.
async fn drip_preface(serving: &Serving) {
    let mut tcp = TcpStream::connect(serving.local_addr()).await.unwrap();
    for byte in PREFACE {
        if tcp.write_all(&[*byte]).await.is_err() {
            return;
        }
        sleep(DRIP_EVERY).await;
    }
    // Nothing more comes: what was said until then did not count.
    let mut rest = Vec::new();
    let _ = tcp.read_to_end(&mut rest).await;
}

#[tokio::test]
async fn s34_what_drips_in_does_not_extend_the_deadline() {
    let serving = stub::serve(limits(DEADLINE)).await;
    let dripping = join_all(plain().into_iter().map(|what| drip(&serving, what)));
    let closed = timeout(PATIENCE, async {
        tokio::join!(dripping, drip_preface(&serving))
    });
    assert!(closed.await.is_ok(), "still open");

    let serving = over_tls(DEADLINE).await;
    let hello = (CLIENT_HELLO.to_vec(), &[0][..]);
    let closed = timeout(PATIENCE, drip(&serving, hello)).await;
    assert!(closed.is_ok(), "still open in a handshake");
}

#[tokio::test]
async fn s34_what_drips_in_does_not_use_up_the_grace() {
    let never = PATIENCE * 2;
    for (serving, dripping) in [
        (stub::serve(limits(never)).await, plain()),
        (
            over_tls(never).await,
            vec![(CLIENT_HELLO.to_vec(), &[0][..])],
        ),
    ] {
        let mut clients = Vec::new();
        for (first, again) in dripping {
            let mut tcp = TcpStream::connect(serving.local_addr()).await.unwrap();
            tcp.write_all(&first).await.unwrap();
            clients.push((tcp, again));
        }
        for _ in 0..DRIPS {
            for (tcp, again) in &mut clients {
                tcp.write_all(again).await.unwrap();
            }
            sleep(DRIP_EVERY).await;
        }
        let drips = join_all(clients.iter_mut().map(|(tcp, again)| async move {
            while tcp.write_all(again).await.is_ok() {
                sleep(DRIP_EVERY).await;
            }
        }));
        let (_, ended) = tokio::join!(drips, timeout(PATIENCE, serving.shutdown(never)));
        assert_eq!(ended, Ok(true));
    }
}
