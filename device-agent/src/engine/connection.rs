//! One stream with its session, and what the session asks for.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use edge_ledger_core::keys::SecretKey;
use edge_ledger_core::sync::{Close, Frame, Session, WhoWeAre};
use edge_ledger_proto::ledger as pb;
use tokio::sync::mpsc;
use tonic::Streaming;
use tonic_types::StatusExt as _;

use crate::book::Book;
use crate::endpoints::is_of_the_address;
use crate::error::{AgentError, LOG_FORKED, Refusal, UNTRUSTED};
use crate::identity_client::{authority, from_status};
use crate::limits::SUPERSEDED_FOR;
use crate::security::Secured;
use crate::stream::{self, Stream};

/// The reason of a service that ends its streams in order.
const DRAINING: &str = "DRAINING";
/// The reason of a stream that another stream of the same device took the place of.
const SUPERSEDED: &str = "SUPERSEDED";
/// What a service has against this device for a while: it would be no better elsewhere.
const OF_THIS_DEVICE: [&str; 3] = [SUPERSEDED, "RATE_LIMITED", "SLOW_CONSUMER"];

pub(super) type Opening = Pin<Box<dyn Future<Output = Result<Stream, AgentError>> + Send>>;

/// `patience`: as [`connect_healthy`](crate::health::connect_healthy) has it.
pub(super) fn start(url: String, patience: Option<Duration>, secured: Secured) -> Opening {
    Box::pin(async move { stream::open(&url, patience, &secured).await })
}

/// Waits for a connection that is being opened, for ever if there is none.
pub(super) async fn opened(opening: &mut Option<Opening>) -> Result<Stream, AgentError> {
    match opening {
        Some(opening) => opening.await,
        None => std::future::pending().await,
    }
}

pub(super) fn unreachable(url: &str, why: String) -> AgentError {
    AgentError::Unreachable {
        service: "ledger",
        url: url.to_owned(),
        why,
    }
}

pub(super) struct Connection {
    pub(super) session: Session,
    pub(super) opened_at_ms: u64,
    inbound: Streaming<pb::SyncResponse>,
    outbound: mpsc::Sender<pb::SyncRequest>,
    /// Frames to be sent, oldest first.
    pub(super) held: VecDeque<Frame>,
    /// Whether the service said that another stream of this device took its place.
    pub(super) superseded: bool,
}

/// What happened on a connection.
pub(super) enum Step {
    Frame(Frame),
    Sent,
    Ended(Ended),
}

/// Why a connection ended.
pub(super) enum Ended {
    /// The service ended it, with a reason that it announced before, if any.
    Status(tonic::Status),
    /// The service closed the stream.
    Closed,
    /// The session did.
    Session(Close),
    /// It was never opened, or this device's store failed.
    Error(AgentError),
}

/// What the end of a connection means.
pub(super) struct Meaning {
    pub(super) error: AgentError,
    /// Whether only a person can change it.
    pub(super) permanent: bool,
    /// Whether the service went away in order, having answered everything: that is a move to
    /// another or to the next one, no failure.
    pub(super) moves: bool,
    /// Whether it is about the address, so that another one may do better.
    pub(super) elsewhere: bool,
    /// When the service wants to see this device again, if it said so.
    pub(super) retry_after: Option<Duration>,
}

impl Ended {
    /// `superseded`: another stream of this device took the place of this one, as the service said
    /// before; `was_open`: there was a session.
    pub(super) fn meaning(self, url: &str, mut superseded: bool, was_open: bool) -> Meaning {
        let (mut retry_after, mut draining, mut of_this_device) = (None, false, false);
        let error = match self {
            Self::Status(status) => {
                let info = status.get_details_error_info();
                let reason = info.as_ref().map(|info| info.reason.as_str());
                draining = reason == Some(DRAINING);
                superseded |= reason == Some(SUPERSEDED);
                of_this_device = reason.is_some_and(|reason| OF_THIS_DEVICE.contains(&reason));
                retry_after = status
                    .get_details_retry_info()
                    .and_then(|info| info.retry_delay);
                from_status("ledger", url, &status)
            }
            Self::Closed => unreachable(url, "it closed the stream".to_owned()),
            Self::Session(close @ Close::Handshake(_)) => AgentError::Refused(Refusal {
                reason: UNTRUSTED.to_owned(),
                message: close.to_string(),
            }),
            // The service says the same when it is the one to notice.
            Self::Session(close @ Close::LogForked) => AgentError::Refused(Refusal {
                reason: LOG_FORKED.to_owned(),
                message: close.to_string(),
            }),
            Self::Session(close) => unreachable(url, close.to_string()),
            Self::Error(error) => error,
        };
        if superseded {
            let said = retry_after.unwrap_or_default();
            retry_after = Some(said.max(SUPERSEDED_FOR));
        }
        let moves = draining && was_open;
        Meaning {
            permanent: matches!(error, AgentError::Refused(_)),
            elsewhere: !moves && !superseded && !of_this_device && is_of_the_address(&error),
            error,
            moves,
            retry_after,
        }
    }
}

/// Sends what is held, or waits for the next frame.
pub(super) async fn step(connection: &mut Option<Connection>) -> Step {
    let Some(connection) = connection else {
        return std::future::pending().await;
    };
    let has_held = !connection.held.is_empty();
    tokio::select! {
        biased;
        permit = connection.outbound.reserve(), if has_held => match permit {
            Ok(permit) => {
                if let Some(frame) = connection.held.pop_front() {
                    permit.send(stream::request(frame));
                }
                Step::Sent
            }
            // The service takes no more: what it still says comes first, then why.
            Err(_) => received(stream::next_frame(&mut connection.inbound).await),
        },
        frame = stream::next_frame(&mut connection.inbound) => received(frame),
    }
}

fn received(frame: Result<Option<Frame>, tonic::Status>) -> Step {
    match frame {
        Ok(Some(frame)) => Step::Frame(frame),
        Ok(None) => Step::Ended(Ended::Closed),
        Err(status) => Step::Ended(Ended::Status(status)),
    }
}

impl Connection {
    pub(super) fn new(
        stream: Stream,
        url: &str,
        key: &Arc<SecretKey>,
        book: &Book,
        now_ms: u64,
    ) -> Result<Self, AgentError> {
        let session = Session::new(WhoWeAre::Device {
            key: key.clone(),
            log: book.log().clone(),
            heads: book.heads().clone(),
            dialled: authority("ledger", url)?,
            nonce: rand::random(),
        });
        Ok(Self {
            session,
            opened_at_ms: now_ms,
            inbound: stream.inbound,
            outbound: stream.outbound,
            held: VecDeque::new(),
            superseded: false,
        })
    }

    /// Sends what is held, then closes this end and waits for the service to close its own, so
    /// that nothing on the way is cut off.
    pub(super) async fn finish(&mut self, within: Duration) {
        let (closed, _) = mpsc::channel(1);
        let outbound = std::mem::replace(&mut self.outbound, closed);
        let held = std::mem::take(&mut self.held);
        let finish = async {
            for frame in held {
                if outbound.send(stream::request(frame)).await.is_err() {
                    break;
                }
            }
            drop(outbound);
            while let Ok(Some(_)) = self.inbound.message().await {}
        };
        // A service that does not answer is not waited for.
        let _ = tokio::time::timeout(within, finish).await;
    }
}
