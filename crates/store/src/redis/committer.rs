//! The committer: everything that is written goes through its one connection, in groups.
//!
//! It sends all writes that wait as one pipeline, and while the server syncs them, the next group
//! comes together. What the server did with a write that it did not answer is not known. Such a
//! write is sent again over a new connection with a mark: each script then looks for the stamp
//! (or the statement) that the first sending would have left, and says what became of it, in the
//! same step in which it would carry it out. So a write happens once, even when the first sending
//! arrives last. What was answered, but not synced where that has to be waited for, is sent again
//! likewise.

use std::sync::Arc;
use std::time::Duration;

use redis::{Pipeline, RedisResult, Value};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::timeout;

use super::answer::Said;
use super::check::Promise;
use super::connection::{Connector, Link};
use super::fault::Fault;
use super::fence::{self, Fences};
use super::health::PROBE_AFTER;
use super::script::{Call, Loaded};
use super::stamp::Stamps;
use crate::{Change, Health, StoreError};

/// Most writes that wait; who comes then waits for a place.
pub(super) const QUEUE_WRITES_MAX: usize = 1_024;
/// Most writes in one group.
const GROUP_WRITES_MAX: usize = 512;
/// Bytes after which a group takes no further write.
const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Times that a group is sent before its writes fail.
const ATTEMPTS_MAX: u32 = 5;
/// The pause after the first failed attempt; it doubles with each.
const PAUSE: Duration = Duration::from_millis(50);

/// What the server said to a write.
pub(super) struct Answer {
    pub(super) said: Said,
    /// Whether it was sent before, and that sending was not answered.
    pub(super) again: bool,
}

type Settle = Box<dyn FnOnce(Result<Answer, StoreError>, &broadcast::Sender<Change>) + Send>;

/// A write that waits, and whom to tell what became of it.
pub(super) struct Write {
    call: Call,
    again: bool,
    settle: Settle,
}

impl Write {
    pub(super) fn new(
        call: Call,
        settle: impl FnOnce(Result<Answer, StoreError>, &broadcast::Sender<Change>) + Send + 'static,
    ) -> Self {
        Self {
            call,
            again: false,
            settle: Box::new(settle),
        }
    }
}

/// Carries out groups of writes.
pub(super) struct Committer {
    pub(super) connector: Arc<Connector>,
    pub(super) link: Option<Link>,
    pub(super) promise: Promise,
    pub(super) fences: Arc<Fences>,
    pub(super) stamps: Arc<Stamps>,
    pub(super) feed: broadcast::Sender<Change>,
    pub(super) health: watch::Sender<Health>,
}

impl Committer {
    /// Commits group after group until nobody can hand in any more.
    pub(super) async fn run(mut self, mut waiting: mpsc::Receiver<Write>) {
        loop {
            let first = match timeout(PROBE_AFTER, waiting.recv()).await {
                Ok(Some(first)) => first,
                Ok(None) => return,
                Err(_) => {
                    self.probe().await;
                    continue;
                }
            };
            let mut bytes = first.call.bytes();
            let mut group = vec![first];
            while group.len() < GROUP_WRITES_MAX && bytes < GROUP_BYTES_MAX {
                let Ok(next) = waiting.try_recv() else { break };
                bytes += next.call.bytes();
                group.push(next);
            }
            self.commit(group).await;
        }
    }

    async fn commit(&mut self, mut group: Vec<Write>) {
        let mut failure = None;
        for attempt in 0..ATTEMPTS_MAX {
            if attempt > 0 {
                tokio::time::sleep(PAUSE * 2_u32.pow(attempt - 1)).await;
            }
            match self.attempt(&mut group).await {
                Ok(()) if group.is_empty() => return,
                Ok(()) => failure = Some(Fault::NoScript.into()),
                Err(error) => {
                    self.set_health(Health::Unavailable);
                    failure = Some(error);
                }
            }
        }
        let error = failure.unwrap_or_else(|| Fault::NoScript.into());
        tracing::warn!(%error, writes = group.len(), "writes are given up");
        self.doubt(group.iter().any(|write| write.again));
        for write in group {
            (write.settle)(Err(error.clone()), &self.feed);
        }
    }

    /// Sends a group; leaves in it what was not carried out, or may not have been.
    async fn attempt(&mut self, group: &mut Vec<Write>) -> Result<(), StoreError> {
        let mut link = match self.link.take() {
            Some(link) => link,
            None => self.connect().await?,
        };
        let pipeline = self.pipeline(&link, group);
        let (answers, synced) = match self.send(&mut link, pipeline, group.len()).await {
            Ok(answered) => answered,
            Err(error) => {
                group.iter_mut().for_each(|write| write.again = true);
                return Err(Fault::from(error).into());
            }
        };
        let mut unanswered = None;
        let mut told = None;
        let mut is_denied = false;
        let sent = std::mem::take(group);
        for (mut write, answer) in sent.into_iter().zip(answers) {
            match answer.map_err(Fault::from) {
                Ok(_) if !synced => {
                    write.again = true;
                    group.push(write);
                    let why = "redis did not sync its file in time";
                    unanswered = Some(StoreError::Unavailable(why.to_owned()));
                }
                Ok(value) => {
                    let again = write.again;
                    let answer = Said::of(value).map(|said| Answer { said, again });
                    told.get_or_insert(Health::Serving);
                    (write.settle)(answer, &self.feed);
                }
                Err(Fault::NoScript) => group.push(write),
                Err(fault @ (Fault::Refused(_) | Fault::Denied(_))) => {
                    is_denied |= matches!(fault, Fault::Denied(_));
                    let error = StoreError::from(fault);
                    self.doubt(write.again);
                    told = Health::told_by(&error).or(told);
                    (write.settle)(Err(error), &self.feed);
                }
                Err(fault @ Fault::Unanswered(_)) => {
                    write.again = true;
                    group.push(write);
                    unanswered = Some(fault.into());
                }
            }
        }
        if let Some(error) = unanswered {
            return Err(error);
        }
        if let Some(health) = told {
            self.set_health(health);
        }
        if !group.is_empty() {
            link.loaded = Loaded::into_server(&mut link.connection)
                .await
                .map_err(Fault::from)?;
        }
        // After a denial a new connection finds out what else is denied.
        if !is_denied {
            self.link = Some(link);
        }
        Ok(())
    }

    /// A group as one pipeline, with what waits for the server to sync it.
    fn pipeline(&self, link: &Link, group: &[Write]) -> Pipeline {
        let mut pipeline = Pipeline::with_capacity(group.len() + 2);
        for write in group {
            pipeline.add_command(write.call.sent(&link.loaded, write.again));
        }
        if self.promise.fenced {
            let call = fence::call(self.stamps.write());
            pipeline.add_command(call.sent(&link.loaded, false));
            pipeline.add_command(fence::wait(fence::SYNC_WITHIN));
        }
        pipeline.ignore_errors();
        pipeline
    }

    /// Sends a group. Says what was answered to each write, and whether that is worth what this
    /// store promises.
    async fn send(
        &self,
        link: &mut Link,
        pipeline: Pipeline,
        writes: usize,
    ) -> RedisResult<(Vec<RedisResult<Value>>, bool)> {
        let mut answers: Vec<RedisResult<Value>> =
            pipeline.query_async(&mut link.connection).await?;
        if !self.promise.fenced {
            return Ok((answers, true));
        }
        let mut last = answers.split_off(writes.min(answers.len())).into_iter();
        let written = last.next().is_some_and(|answer| answer.is_ok());
        let synced = written && last.next().is_some_and(fence::is_synced);
        Ok((answers, synced))
    }

    /// A server that was started anew may have been given other settings.
    pub(super) async fn connect(&mut self) -> Result<Link, StoreError> {
        match self.connector.open_checked().await {
            Ok((link, promise)) if promise.level == self.promise.level => {
                self.promise = promise;
                self.fences.reset(promise.fenced);
                Ok(link)
            }
            Ok((_, promise)) => Err(StoreError::Unavailable(format!(
                "redis came back with another level: {:?} instead of {:?}",
                promise.level, self.promise.level
            ))),
            Err(error) => Err(StoreError::Unavailable(error.to_string())),
        }
    }

    /// Writes that are given up may have been carried out, or may yet be, and nobody waits for them
    /// to announce it: what was heard of them is unheard, and what is heard later is another
    /// process'.
    fn doubt(&self, unanswered: bool) {
        if unanswered {
            self.stamps.disown();
            let _ = self.feed.send(Change::Lost);
        }
    }
}
