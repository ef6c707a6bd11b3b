//! One write: what it decides inside the transaction, and who waits for it.

use tokio::sync::{broadcast, oneshot};

use super::fault::Fault;
use super::tables::Tables;
use crate::{Change, StoreError};

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
    /// Judges it; says whether it wrote anything.
    fn decide(&mut self, tables: &mut Tables<'_>) -> Result<bool, Fault>;
    /// Announces and replies what was decided, which is committed.
    fn settle(self: Box<Self>, feed: &broadcast::Sender<Change>);
    /// Replies that it was not carried out, or may not have been.
    fn fail(self: Box<Self>, error: StoreError);
    /// About what it weighs.
    fn bytes(&self) -> usize;
}

/// A write, and whom to tell what became of it.
pub(super) struct Write<T, F> {
    act: F,
    bytes: usize,
    decision: Option<Decision<T>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Write<T, F> {
    pub(super) fn new(act: F, bytes: usize, reply: oneshot::Sender<Result<T, StoreError>>) -> Self {
        Self {
            act,
            bytes,
            decision: None,
            reply,
        }
    }
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
