//! The committer: everything that is written goes through it, in groups.
//!
//! It takes all writes that wait, judges each inside one transaction, commits, and only then
//! replies and announces. The window is zero: a group is what came in while the group before it
//! was synced. A write that finds damaged data is left out, and the others are carried out
//! without it, from a clean transaction.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use redb::{Database, Durability};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::engine::Engine;
use super::fault::Fault;
use super::tables::Tables;
use crate::{Change, StoreError};

/// Most writes that wait for the committer; who comes then waits for a place.
const QUEUE_WRITES_MAX: usize = 1_024;
/// Most writes in one group.
const GROUP_WRITES_MAX: usize = 512;
/// Bytes after which a group takes no further write.
const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It reads and writes.
    Serving,
    /// The disk is full: reads go on, and the next write tries again.
    Full,
    /// A sync or a commit failed, so that nobody knows what the disk holds. No write is accepted
    /// until the process starts anew.
    Failed,
}

/// What a write decided inside the transaction.
pub(super) struct Decision<T> {
    pub(super) reply: T,
    wrote: bool,
    change: Option<Change>,
}

impl<T> Decision<T> {
    /// Nothing was written.
    pub(super) fn unchanged(reply: T) -> Self {
        Self {
            reply,
            wrote: false,
            change: None,
        }
    }

    /// Something was written.
    pub(super) fn wrote(reply: T) -> Self {
        Self {
            reply,
            wrote: true,
            change: None,
        }
    }

    /// Announces it after the commit.
    pub(super) fn announced(self, change: Change) -> Self {
        Self {
            change: Some(change),
            ..self
        }
    }
}

/// A write that waits. It may be carried out more than once, each time in a fresh transaction.
pub(super) trait Queued: Send {
    fn decide(&mut self, tables: &mut Tables<'_>) -> Result<bool, Fault>;
    fn settle(self: Box<Self>, feed: &broadcast::Sender<Change>);
    fn fail(self: Box<Self>, error: StoreError);
    fn bytes(&self) -> usize;
}

struct Write<T, F> {
    act: F,
    bytes: usize,
    decision: Option<Decision<T>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Queued for Write<T, F>
where
    T: Send,
    F: FnMut(&mut Tables<'_>) -> Result<Decision<T>, Fault> + Send,
{
    fn decide(&mut self, tables: &mut Tables<'_>) -> Result<bool, Fault> {
        let decision = (self.act)(tables)?;
        Ok(self.decision.insert(decision).wrote)
    }

    fn settle(self: Box<Self>, feed: &broadcast::Sender<Change>) {
        let Some(decision) = self.decision else {
            return;
        };
        // Both fail when nobody listens, which is nobody's loss: it is committed.
        if let Some(change) = decision.change {
            let _ = feed.send(change);
        }
        let _ = self.reply.send(Ok(decision.reply));
    }

    fn fail(self: Box<Self>, error: StoreError) {
        let _ = self.reply.send(Err(error));
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

type Group = Vec<Box<dyn Queued>>;

/// How far a group got.
#[derive(Debug, Clone, Copy)]
enum Phase {
    Beginning,
    Deciding(usize),
    Committing,
}

/// Carries out groups of writes.
pub(super) struct Committer {
    pub(super) engine: Arc<Engine>,
    pub(super) feed: broadcast::Sender<Change>,
    pub(super) health: watch::Sender<Health>,
}

impl Committer {
    fn commit(&self, mut group: Group) {
        let mut reopened = false;
        while !group.is_empty() {
            if *self.health.borrow() == Health::Failed || self.engine.sync_failed() {
                self.set_health(Health::Failed);
                return fail_all(
                    group,
                    &StoreError::Unavailable("a commit failed".to_owned()),
                );
            }
            let (phase, fault) = match self.attempt(&mut group) {
                Ok(wrote) => {
                    if wrote {
                        self.set_health(Health::Serving);
                    }
                    group.into_iter().for_each(|write| write.settle(&self.feed));
                    return;
                }
                Err(failure) => failure,
            };
            match phase {
                Phase::Deciding(index) if fault.is_damage() => {
                    tracing::error!(%fault, "a write met damaged data");
                    group.remove(index).fail(fault.into());
                    reopened = false;
                }
                Phase::Beginning | Phase::Deciding(_) if fault.is_latched() && !reopened => {
                    reopened = true;
                    self.reopen();
                }
                Phase::Beginning | Phase::Deciding(_) | Phase::Committing => {
                    return self.fail(group, fault);
                }
            }
        }
    }

    /// Says whether the group wrote anything, or what failed at which phase.
    fn attempt(&self, group: &mut Group) -> Result<bool, (Phase, Fault)> {
        let mut phase = Phase::Beginning;
        let attempt = AssertUnwindSafe(|| {
            self.engine
                .with(|database| attempt(database, group, &mut phase))
        });
        catch_unwind(attempt)
            .unwrap_or(Err(Fault::Panicked))
            .map_err(|fault| (phase, fault))
    }

    fn fail(&self, group: Group, fault: Fault) {
        if fault.is_full() && !self.engine.sync_failed() {
            tracing::warn!(%fault, "the store is full");
            self.set_health(Health::Full);
            self.reopen();
        } else {
            tracing::error!(%fault, "a commit failed: the store takes no more writes");
            self.set_health(Health::Failed);
        }
        fail_all(group, &fault.into());
    }

    fn reopen(&self) {
        if let Err(error) = self.engine.reopen() {
            tracing::warn!(%error, "the store could not be opened again");
        }
    }

    fn set_health(&self, health: Health) {
        self.health
            .send_if_modified(|now| std::mem::replace(now, health) != health);
    }
}

/// Judges all writes of a group in one transaction, and commits it if any of them wrote.
fn attempt(database: &Database, group: &mut Group, phase: &mut Phase) -> Result<bool, Fault> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    transaction.set_quick_repair(true);
    let mut wrote = false;
    let mut tables = Tables::open(&transaction)?;
    for (index, write) in group.iter_mut().enumerate() {
        *phase = Phase::Deciding(index);
        wrote |= write.decide(&mut tables)?;
    }
    drop(tables);
    *phase = Phase::Committing;
    if wrote {
        transaction.commit()?;
    }
    Ok(wrote)
}

fn fail_all(group: Group, error: &StoreError) {
    for write in group {
        write.fail(error.clone());
    }
}

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
    /// Starts a committer with a thread of its own.
    pub(super) fn with_thread(committer: Committer) -> std::io::Result<Self> {
        let (queue, waiting) = mpsc::channel(QUEUE_WRITES_MAX);
        let thread = std::thread::Builder::new()
            .name("store-committer".to_owned())
            .spawn(move || run(&committer, waiting))?;
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
        let write = Box::new(Write {
            act,
            bytes,
            decision: None,
            reply,
        });
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

/// Commits group after group until nobody can hand in any more.
fn run(committer: &Committer, mut waiting: mpsc::Receiver<Box<dyn Queued>>) {
    while let Some(first) = waiting.blocking_recv() {
        let mut bytes = first.bytes();
        let mut group = vec![first];
        while group.len() < GROUP_WRITES_MAX && bytes < GROUP_BYTES_MAX {
            let Ok(next) = waiting.try_recv() else { break };
            bytes += next.bytes();
            group.push(next);
        }
        committer.commit(group);
    }
}
