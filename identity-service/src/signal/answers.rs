//! What a device hears on its stream, and last why the stream ends.
//!
//! The last word waits beside what is said before it, so that ending a stream never waits for a
//! device that does not read; and what it costs until its connection ends is one message.

use std::future::ready;

use edge_ledger_proto::signal as wire;
use futures::{Stream, StreamExt as _, stream};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

/// Where a device's answers go.
pub(super) struct Outbox {
    answers: mpsc::Sender<wire::SignalResponse>,
    last: oneshot::Sender<LastWord>,
}

/// Why a stream ends, and what must not end before that was said.
struct LastWord {
    status: Status,
    _inbound: Streaming<wire::SignalRequest>,
}

/// A place for one answer.
pub(super) type Room<'a> = mpsc::Permit<'a, wire::SignalResponse>;

/// Both ends of what a device hears.
pub(super) fn channel() -> (
    Outbox,
    impl Stream<Item = Result<wire::SignalResponse, Status>> + Send,
) {
    let (answers, waiting) = mpsc::channel(1);
    let (last, ending) = oneshot::channel::<LastWord>();
    let ending = stream::once(ending).filter_map(|last| ready(last.ok()));
    let heard = ReceiverStream::new(waiting)
        .map(Ok)
        .chain(ending.map(|last| Err(last.status)));
    (Outbox { answers, last }, heard)
}

impl Outbox {
    /// Waits until the device takes more; `None` when it is gone.
    pub(super) async fn room(&self) -> Option<Room<'_>> {
        self.answers.reserve().await.ok()
    }

    /// Waits until the device is gone.
    pub(super) async fn closed(&self) {
        self.answers.closed().await;
    }

    /// Ends the stream with a last word.
    pub(super) fn close(self, status: Status, inbound: Streaming<wire::SignalRequest>) {
        let last = LastWord {
            status,
            _inbound: inbound,
        };
        // A device that is gone hears nothing.
        let _ = self.last.send(last);
    }
}
