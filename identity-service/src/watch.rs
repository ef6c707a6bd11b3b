//! Following a log: what is there, then what comes.
//!
//! A stream ends with its session, after 10 minutes, because a token reads no longer than that;
//! and when its device is ended, after the statement that ended it, which is the proof.

use std::sync::Arc;
use std::time::Duration;

use edge_ledger_chassis::{Clock, Reason, refusal};
use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_store::LogView;
use futures::{Stream, stream};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::announcements::Waiter;
use crate::authn::{Caller, may_speak, revoked, session_ended};
use crate::limits::WATCH_EVERY;
use crate::log::Logs;
use crate::sessions::Session;

/// One stream over a log.
pub(crate) struct Watch {
    logs: Arc<Logs>,
    clock: Clock,
    session: Session,
    session_ends: Instant,
    waiter: Waiter,
    leaving: CancellationToken,
    view: LogView,
    position: u64,
    ended: bool,
}

impl Watch {
    /// Starts after a position. `waiter` must have been there before the caller's log was read.
    pub(crate) fn new(
        logs: Arc<Logs>,
        clock: Clock,
        leaving: CancellationToken,
        waiter: Waiter,
        caller: Caller,
        after_position: u64,
    ) -> Self {
        let left_ms = caller.session.expires_ms.saturating_sub(clock.wall_ms());
        let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or(0));
        Self {
            logs,
            session: caller.session,
            session_ends: Instant::now() + left,
            clock,
            waiter,
            leaving,
            view: caller.view,
            position: after_position,
            ended: false,
        }
    }

    /// The statements, and at last why there are no more.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Result<ReceiptParts, Status>> + Send {
        stream::unfold(Some(self), |watch| async {
            let mut watch = watch?;
            match watch.next().await {
                Ok(parts) => Some((Ok(parts), Some(watch))),
                Err(status) => Some((Err(status), None)),
            }
        })
    }

    async fn next(&mut self) -> Result<ReceiptParts, Status> {
        loop {
            if self.ended {
                return Err(revoked());
            }
            if let Some(parts) = self.take() {
                return Ok(parts);
            }
            if !may_speak(&self.view, &self.session.device, self.clock.wall_ms()) {
                return Err(revoked());
            }
            self.wait().await?;
            let view = self.logs.read(self.session.identity).await?;
            self.view = view.ok_or_else(session_ended)?;
        }
    }

    /// The next statement, if there is one.
    fn take(&mut self) -> Option<ReceiptParts> {
        let log = &self.view.log;
        let record = log.records_after(self.position).first()?;
        let parts = self.logs.receipt(log, record)?;
        self.ended = log.ends(&record.statement).contains(&self.session.device);
        self.position += 1;
        Some(parts)
    }

    async fn wait(&mut self) -> Result<(), Status> {
        tokio::select! {
            () = self.leaving.cancelled() => {
                return Err(refusal(Reason::Draining, "the service ends this stream"));
            }
            () = sleep_until(self.session_ends) => return Err(session_ended()),
            () = self.waiter.announced() => {}
            () = sleep(WATCH_EVERY) => {}
        }
        // The clock may have been set since the stream began.
        if self.clock.wall_ms() >= self.session.expires_ms {
            return Err(session_ended());
        }
        Ok(())
    }
}
