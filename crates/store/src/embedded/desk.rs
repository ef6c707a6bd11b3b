//! The desk: where writes are handed in, and how they get to the committer.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::committer::Committer;
use super::fault::Fault;
use super::tables::Tables;
use super::write::{Decision, Queued, Write};
use crate::StoreError;

/// Most writes that wait for the committer; who comes then waits for a place.
const QUEUE_WRITES_MAX: usize = 1_024;
/// Most writes in one group.
const GROUP_WRITES_MAX: usize = 512;
/// Bytes after which a group takes no further write.
const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Where writes are handed in.
pub(super) enum Desk {
    /// A thread of its own commits: a sync would block the caller's.
    Thread {
        queue: Option<mpsc::Sender<Box<dyn Queued>>>,
        thread: Option<JoinHandle<()>>,
    },
    /// The caller commits, one at a time: in memory nothing blocks, and a simulation in which
    /// only its own tasks run stays reproducible.
    Caller(Mutex<Committer>),
}

impl Desk {
    /// Starts a committer with a thread of its own. When there is no room it looks that often
    /// whether there is some again.
    pub(super) fn with_thread(
        committer: Committer,
        probe_every: Duration,
    ) -> std::io::Result<Self> {
        let (queue, waiting) = mpsc::channel(QUEUE_WRITES_MAX);
        let timer = Builder::new_current_thread().enable_time().build()?;
        let mut inbox = Inbox {
            waiting,
            timer,
            probe_every,
        };
        let thread = std::thread::Builder::new()
            .name("store-committer".to_owned())
            .spawn(move || run(&committer, &mut inbox))?;
        Ok(Self::Thread {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// Hands in one write of about so many bytes, and waits until it is committed or refused.
    pub(super) async fn write<T, F>(&self, bytes: usize, act: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Tables<'_>) -> Result<Decision<T>, Fault> + Send + 'static,
    {
        let gone = || StoreError::Unavailable("the committer ended".to_owned());
        let (reply, decided) = oneshot::channel();
        let write = Box::new(Write::new(act, bytes, reply));
        match self {
            Self::Thread { queue, .. } => {
                let queue = queue.as_ref().ok_or_else(gone)?;
                queue.send(write).await.map_err(|_| gone())?;
            }
            Self::Caller(committer) => {
                let committer = committer.lock().unwrap_or_else(PoisonError::into_inner);
                committer.commit(vec![write]);
            }
        }
        decided.await.map_err(|_| gone())?
    }

    /// Commits what was handed in, and takes no more.
    pub(super) fn finish(&mut self) {
        if let Self::Thread { queue, thread } = self {
            drop(queue.take());
            if let Some(thread) = thread.take() {
                // It ends in a panic only if replying panics: nobody waits for a reply here.
                let _ = thread.join();
            }
        }
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Thread { .. } => "Thread",
            Self::Caller(_) => "Caller",
        })
    }
}

/// What was handed in.
struct Inbox {
    waiting: mpsc::Receiver<Box<dyn Queued>>,
    timer: Runtime,
    probe_every: Duration,
}

impl Inbox {
    /// Waits for the next write; none when nobody can hand in any more.
    fn next(&mut self, committer: &Committer) -> Option<Box<dyn Queued>> {
        while committer.is_full() {
            let (waiting, probe_every) = (&mut self.waiting, self.probe_every);
            let next = async { timeout(probe_every, waiting.recv()).await };
            match self.timer.block_on(next) {
                Ok(next) => return next,
                Err(_) => committer.probe(),
            }
        }
        self.waiting.blocking_recv()
    }
}

/// Commits group after group until nobody can hand in any more.
fn run(committer: &Committer, inbox: &mut Inbox) {
    while let Some(first) = inbox.next(committer) {
        let mut bytes = first.bytes();
        let mut group = vec![first];
        while group.len() < GROUP_WRITES_MAX && bytes < GROUP_BYTES_MAX {
            let Ok(next) = inbox.waiting.try_recv() else {
                break;
            };
            bytes += next.bytes();
            group.push(next);
        }
        committer.commit(group);
    }
}
