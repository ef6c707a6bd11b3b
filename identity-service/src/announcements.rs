//! Announcements: wakes those who wait for a log or a link, and nobody else.
//!
//! The store's feed tells of every change; one task reads it, so that thousands of watchers do
//! not each read all of it. An announcement is a hint: whoever waits also looks by itself, now
//! and then.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use edge_ledger_chassis::Tasks;
use edge_ledger_core::ids::IdentityId;
use edge_ledger_store::{Change, ChangeFeed};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

/// What can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Topic {
    /// An identity's log.
    Log(IdentityId),
    /// A link session.
    Link([u8; 32]),
}

type Waiting = Mutex<BTreeMap<Topic, watch::Sender<()>>>;

/// Those who wait.
#[derive(Clone, Default)]
pub(crate) struct Announcements {
    waiting: Arc<Waiting>,
}

/// Waits for one topic.
pub(crate) struct Waiter {
    topic: Topic,
    woken: watch::Receiver<()>,
    waiting: Arc<Waiting>,
}

impl Announcements {
    /// Reads a feed until the service stops.
    pub(crate) fn start(tasks: &Tasks, mut feed: ChangeFeed) -> Self {
        let announcements = Self::default();
        let (reader, stopping) = (announcements.clone(), tasks.stopping());
        tasks.spawn(async move {
            while let Some(change) = stopping.run_until_cancelled(feed.recv()).await {
                match change {
                    Ok(Change::Log { identity }) => reader.wake(Topic::Log(identity)),
                    Ok(Change::Link { session }) => reader.wake(Topic::Link(session)),
                    Ok(
                        Change::Entries { .. }
                        | Change::Elsewhere { .. }
                        | Change::Opened { .. }
                        | Change::Signal(_),
                    ) => {}
                    Ok(Change::Lost) | Err(RecvError::Lagged(_)) => reader.wake_all(),
                    Err(RecvError::Closed) => break,
                }
            }
        });
        announcements
    }

    /// Waits for a topic from now on.
    pub(crate) fn wait_for(&self, topic: Topic) -> Waiter {
        let mut waiting = lock(&self.waiting);
        let sender = waiting.entry(topic).or_default();
        Waiter {
            topic,
            woken: sender.subscribe(),
            waiting: Arc::clone(&self.waiting),
        }
    }

    fn wake(&self, topic: Topic) {
        if let Some(sender) = lock(&self.waiting).get(&topic) {
            sender.send_replace(());
        }
    }

    fn wake_all(&self) {
        for sender in lock(&self.waiting).values() {
            sender.send_replace(());
        }
    }
}

impl Waiter {
    /// Returns once the topic was announced since the last time.
    pub(crate) async fn announced(&mut self) {
        if self.woken.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut waiting = lock(&self.waiting);
        // The one that is being dropped still counts.
        let last = |sender: &watch::Sender<()>| sender.receiver_count() <= 1;
        if waiting.get(&self.topic).is_some_and(last) {
            waiting.remove(&self.topic);
        }
    }
}

fn lock(waiting: &Waiting) -> MutexGuard<'_, BTreeMap<Topic, watch::Sender<()>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use tokio::sync::broadcast;

    use super::*;

    #[tokio::test]
    async fn only_those_who_wait_for_it_are_woken_and_nobody_is_left_behind() {
        let (sender, feed) = broadcast::channel(4);
        let announcements = Announcements::start(&Tasks::new(), feed);
        let identity = IdentityId::from_bytes([1; 32]);
        let mut log = announcements.wait_for(Topic::Log(identity));
        let mut link = announcements.wait_for(Topic::Link([2; 32]));
        sender.send(Change::Log { identity }).unwrap();
        log.announced().await;
        assert!(log.announced().now_or_never().is_none(), "announced once");
        assert!(link.announced().now_or_never().is_none());
        for _ in 0..9 {
            let _ = sender.send(Change::Link { session: [3; 32] });
        }
        link.announced().await;
        drop((log, link));
        assert!(lock(&announcements.waiting).is_empty());
    }
}
