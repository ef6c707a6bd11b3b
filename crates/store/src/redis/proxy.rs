//! A proxy for tests that spoils one exchange: what of it gets through is what the mode says.
//!
//! Like the server behind it, it panics where it cannot do its work: that is the end of a test.

#![expect(clippy::unwrap_used, reason = "a test ends where its proxy fails")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// What happens to the next write that passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoil {
    /// The connection is cut before the request gets to the server.
    Request,
    /// The connection is cut after the request got to the server.
    Reply,
    /// The request gets there, and no reply comes back, while the connection stays.
    Silence,
    /// The connection is cut; the request gets to the server this much later.
    Late(Duration),
    /// As `Reply`, and no further connection is let in until [`Proxy::let_in`].
    ReplyAndShut,
}

#[derive(Debug, Default)]
struct State {
    armed: Mutex<Option<Spoil>>,
    shut: Mutex<bool>,
    spoiled: Notify,
}

/// A running proxy in front of a server; it ends when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Starts one in front of the server at a port of loopback.
    pub async fn before(server_port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, server_port, Arc::clone(&state)));
        Self {
            port,
            state,
            _tasks: tasks,
        }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address, as [`RedisConfig`](super::RedisConfig) takes it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Spoils the next write.
    pub fn arm(&self, spoil: Spoil) {
        *self.state.armed.lock().unwrap() = Some(spoil);
    }

    /// Waits until a write was spoiled.
    pub async fn spoiled(&self) {
        self.state.spoiled.notified().await;
    }

    /// Whether what it was armed for has not come yet.
    pub fn is_armed(&self) -> bool {
        self.state.armed.lock().unwrap().is_some()
    }

    /// Lets connections in again.
    pub fn let_in(&self) {
        *self.state.shut.lock().unwrap() = false;
    }
}

async fn accept(listener: TcpListener, server_port: u16, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        if *state.shut.lock().unwrap() {
            continue;
        }
        let server = TcpStream::connect(("127.0.0.1", server_port)).await;
        if let Ok(server) = server {
            connections.spawn(carry(client, server, Arc::clone(&state)));
        }
    }
}

async fn carry(mut client: TcpStream, mut server: TcpStream, state: Arc<State>) {
    let (mut request, mut reply) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut silent = false;
    loop {
        tokio::select! {
            len = client.read(&mut request) => {
                let Ok(len @ 1..) = len else { return };
                let sent = &request[..len];
                match take_if_write(&state, sent) {
                    None => server.write_all(sent).await.unwrap_or_default(),
                    Some(Spoil::Silence) => {
                        silent = true;
                        server.write_all(sent).await.unwrap();
                        state.spoiled.notify_one();
                    }
                    Some(spoil) => {
                        drop(client);
                        return end(server, sent, spoil, &state).await;
                    }
                }
            }
            len = server.read(&mut reply) => {
                let Ok(len @ 1..) = len else { return };
                if !silent && client.write_all(&reply[..len]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Ends a connection whose client was cut off.
async fn end(mut server: TcpStream, sent: &[u8], spoil: Spoil, state: &State) {
    match spoil {
        Spoil::Request | Spoil::Silence => {}
        Spoil::Late(by) => {
            state.spoiled.notify_one();
            tokio::time::sleep(by).await;
        }
        Spoil::Reply => {}
        Spoil::ReplyAndShut => *state.shut.lock().unwrap() = true,
    }
    if spoil != Spoil::Request {
        server.write_all(sent).await.unwrap();
        // Until it was carried out.
        let _ = server.read(&mut [0; 1024]).await;
    }
    state.spoiled.notify_one();
}

/// The writes are the calls of scripts whose first argument is a digit.
fn take_if_write(state: &State, sent: &[u8]) -> Option<Spoil> {
    let has = |part: &[u8]| sent.windows(part.len()).any(|window| window == part);
    let write =
        has(b"EVALSHA") && (has(b"\r\n$1\r\n0\r\n$16\r\n") || has(b"\r\n$1\r\n1\r\n$16\r\n"));
    if write {
        state.armed.lock().unwrap().take()
    } else {
        None
    }
}
