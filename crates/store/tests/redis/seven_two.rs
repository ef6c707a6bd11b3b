//! A proxy that makes a server look like Redis 7.2: it answers `WAITAOF` itself, as it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

const FENCE: &str = "el:fence:{g}";

/// What `WAITAOF` says of a connection that wrote something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syncing {
    Synced,
    /// Nothing, until it is told something else.
    Held,
    /// No server synced in time.
    Late,
    /// The same once, then it is synced.
    LateOnce,
    Error,
}

struct State {
    syncing: watch::Sender<Syncing>,
    /// Waits for what was written.
    waits: watch::Sender<usize>,
    /// Waits that did not follow the fence.
    unfenced: AtomicUsize,
}

/// A running proxy in front of a server.
pub(super) struct SevenTwo {
    port: u16,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

impl SevenTwo {
    pub(super) async fn before(server_port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            syncing: watch::Sender::new(Syncing::Synced),
            waits: watch::Sender::new(0),
            unfenced: AtomicUsize::new(0),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, server_port, Arc::clone(&state)));
        Self {
            port,
            state,
            _tasks: tasks,
        }
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(super) fn say(&self, syncing: Syncing) {
        self.state.syncing.send_replace(syncing);
    }

    /// How often it was waited for what was written.
    pub(super) fn waits(&self) -> usize {
        *self.state.waits.borrow()
    }

    /// Waits until it was waited for so often.
    pub(super) async fn waited(&self, times: usize) {
        let mut waits = self.state.waits.subscribe();
        waits.wait_for(|waits| *waits >= times).await.unwrap();
    }

    /// Waits that did not follow the fence.
    pub(super) fn unfenced(&self) -> usize {
        self.state.unfenced.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, server_port: u16, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        if let Ok(server) = TcpStream::connect(("127.0.0.1", server_port)).await {
            connections.spawn(carry(client, server, Arc::clone(&state)));
        }
    }
}

/// Carries one command after the other, until a side ends.
async fn carry(mut client: TcpStream, mut server: TcpStream, state: Arc<State>) {
    // One small packet after the other.
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (mut requests, mut replies) = (Vec::new(), Vec::new());
    let (mut wrote, mut fenced) = (false, false);
    while let Some(request) = next(&mut client, &mut requests).await {
        let words = words(&request);
        let name = words[0].to_ascii_uppercase();
        if name == "HELLO" && words.get(1).is_some_and(|version| version == "3") {
            // A listener: the server speaks when it likes to.
            let sent = server.write_all(&[request, requests].concat()).await;
            let _ = (sent, copy_bidirectional(&mut client, &mut server).await);
            return;
        }
        let reply = if name == "WAITAOF" {
            wait(&state, wrote, fenced).await.to_vec()
        } else {
            if server.write_all(&request).await.is_err() {
                return;
            }
            let Some(reply) = next(&mut server, &mut replies).await else {
                return;
            };
            if name == "INFO" { newer(reply) } else { reply }
        };
        wrote |= name == "EVALSHA";
        fenced = name == "EVALSHA" && words[3] == FENCE;
        if client.write_all(&reply).await.is_err() {
            return;
        }
    }
}

/// A connection that wrote nothing has nothing to wait for, as with a real server.
async fn wait(state: &State, wrote: bool, fenced: bool) -> &'static [u8] {
    const SYNCED: &[u8] = b"*2\r\n:1\r\n:0\r\n";
    const LATE: &[u8] = b"*2\r\n:0\r\n:0\r\n";
    if !wrote {
        return SYNCED;
    }
    if !fenced {
        state.unfenced.fetch_add(1, Ordering::Relaxed);
    }
    state.waits.send_modify(|waits| *waits += 1);
    let mut syncing = state.syncing.subscribe();
    let told = syncing.wait_for(|syncing| *syncing != Syncing::Held).await;
    let told = *told.unwrap();
    match told {
        Syncing::Synced | Syncing::Held => SYNCED,
        Syncing::Late => LATE,
        Syncing::LateOnce => {
            state.syncing.send_replace(Syncing::Synced);
            LATE
        }
        Syncing::Error => b"-ERR WAITAOF cannot be used\r\n",
    }
}

/// The next whole value; `None` at the end.
async fn next(from: &mut TcpStream, read: &mut Vec<u8>) -> Option<Vec<u8>> {
    loop {
        if let Some(len) = value_len(read) {
            let rest = read.split_off(len);
            return Some(std::mem::replace(read, rest));
        }
        if from.read_buf(read).await.ok()? == 0 {
            return None;
        }
    }
}

/// How long the first value is, if all of it is there.
fn value_len(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|two| two == b"\r\n")? + 2;
    let count = || {
        str::from_utf8(&bytes[1..line - 2])
            .ok()?
            .parse::<i64>()
            .ok()
    };
    match bytes[0] {
        b'$' => {
            let len = usize::try_from(count()?).map_or(line, |len| line + len + 2);
            (bytes.len() >= len).then_some(len)
        }
        b'*' => (0..count()?).try_fold(line, |at, _| Some(at + value_len(&bytes[at..])?)),
        _ => Some(line),
    }
}

fn words(request: &[u8]) -> Vec<String> {
    let mut at = request.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let mut words = Vec::new();
    while let Some(len) = value_len(&request[at..]) {
        let word = &request[at..at + len - 2];
        let start = word.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        words.push(String::from_utf8_lossy(&word[start..]).into_owned());
        at += len;
    }
    words
}

fn newer(info: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8(info).unwrap();
    text.replace("redis_version:7.0.", "redis_version:7.2.")
        .into_bytes()
}
