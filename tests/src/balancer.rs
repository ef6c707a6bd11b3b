//! A balancer as a cluster puts it before replicas: one address, and each connection goes to the
//! next of them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A running balancer; its connections end with it.
#[derive(Debug)]
pub struct Balancer {
    addr: SocketAddr,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct State {
    targets: Mutex<Vec<SocketAddr>>,
    /// Counts the connections that were accepted.
    accepted: watch::Sender<usize>,
    /// Counts the cuts.
    cuts: watch::Sender<usize>,
}

impl Balancer {
    /// Binds to a free port, with nobody behind it yet.
    ///
    /// # Errors
    /// When it cannot bind.
    pub async fn bind() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let state = Arc::new(State {
            targets: Mutex::default(),
            accepted: watch::Sender::new(0),
            cuts: watch::Sender::new(0),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&state)));
        Ok(Self {
            addr,
            state,
            _tasks: tasks,
        })
    }

    /// Its address, as devices dial it.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Its name, as services must know it.
    pub fn authority(&self) -> String {
        self.addr.to_string()
    }

    /// Who is behind it from now on.
    pub fn put_behind(&self, targets: Vec<SocketAddr>) {
        *self.state.targets() = targets;
    }

    /// Cuts all connections, as when everything behind it is replaced.
    pub fn cut(&self) {
        self.state.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// How many connections were accepted.
    pub fn accepted(&self) -> usize {
        *self.state.accepted.borrow()
    }
}

impl State {
    fn targets(&self) -> MutexGuard<'_, Vec<SocketAddr>> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next of the targets.
    fn target(&self) -> Option<SocketAddr> {
        let mut targets = self.targets();
        if targets.is_empty() {
            return None;
        }
        targets.rotate_left(1);
        targets.last().copied()
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        state.accepted.send_modify(|accepted| *accepted += 1);
        connections.spawn(carry(client, Arc::clone(&state)));
        while connections.try_join_next().is_some() {}
    }
}

async fn carry(mut client: TcpStream, state: Arc<State>) {
    let mut cuts = state.cuts.subscribe();
    let Some(target) = state.target() else { return };
    // Who is not there any more takes nothing; the client comes again.
    let Ok(mut server) = TcpStream::connect(target).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    tokio::select! {
        _ = cuts.changed() => {}
        _ = copy_bidirectional(&mut client, &mut server) => {}
    }
}
