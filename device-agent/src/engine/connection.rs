//! One stream with its session, and what the session asks for.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::keys::SecretKey;
use edge_ledger_core::sync::{Close, Fingerprints, Frame, PeerChannel, Session, WhoWeAre};
use edge_ledger_proto::ledger as pb;
use tokio::sync::mpsc;
use tonic::Streaming;
use tonic_types::StatusExt as _;

use crate::book::Book;
use crate::endpoints::is_of_the_address;
use crate::error::{AgentError, LOG_FORKED, Refusal, SUPERSEDED, UNTRUSTED};
use crate::identity_client::{authority, from_status};
use crate::limits::SUPERSEDED_FOR;
use crate::security::Secured;
use crate::stream::{self, Held, Stream};
use crate::webrtc::{LinkError, PeerLink};

/// The reason of a service that ends its streams in order.
const DRAINING: &str = "DRAINING";
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
    pipe: Pipe,
    /// Frames to be sent, oldest first.
    pub(super) held: VecDeque<Held>,
    /// Whether the service said that another stream of this device took its place.
    pub(super) superseded: bool,
}

/// What carries the frames.
enum Pipe {
    Service {
        inbound: Box<Streaming<pb::SyncResponse>>,
        outbound: mpsc::Sender<pb::SyncRequest>,
    },
    Peer(PeerLink),
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
    /// The link to a peer broke.
    Link(LinkError),
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
    /// Why, in words.
    pub(super) fn why(&self) -> String {
        match self {
            Self::Status(status) => status.message().to_owned(),
            Self::Closed => "it left".to_owned(),
            Self::Link(error) => error.to_string(),
            Self::Session(close) => close.to_string(),
            Self::Error(error) => error.to_string(),
        }
    }

    /// `superseded`: another stream of this device took the place of this one, as the service said
    /// before; `was_open`: there was a session.
    pub(super) fn meaning(self, url: &str, mut superseded: bool, was_open: bool) -> Meaning {
        let (mut retry_after, mut draining, mut of_this_device) = (None, false, false);
        let mut error = match self {
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
            Self::Link(error) => unreachable(url, error.to_string()),
            Self::Session(close) => unreachable(url, close.to_string()),
            Self::Error(error) => error,
        };
        if superseded {
            let said = retry_after.unwrap_or_default();
            retry_after = Some(said.max(SUPERSEDED_FOR));
            // It is there, and serves whoever came later.
            if matches!(error, AgentError::Unreachable { .. }) {
                error = AgentError::Superseded;
            }
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

/// What happens next on a connection; nothing if there is none.
pub(super) async fn step(connection: &mut Option<Connection>) -> Step {
    match connection {
        Some(connection) => connection.step().await,
        None => std::future::pending().await,
    }
}

fn received(frame: Result<Option<Frame>, tonic::Status>) -> Step {
    match frame {
        Ok(Some(frame)) => Step::Frame(frame),
        Ok(None) => Step::Ended(Ended::Closed),
        Err(status) => Step::Ended(Ended::Status(status)),
    }
}

fn arrived(frame: Option<Result<Frame, LinkError>>) -> Step {
    match frame {
        Some(Ok(frame)) => Step::Frame(frame),
        Some(Err(error)) => Step::Ended(Ended::Link(error)),
        None => Step::Ended(Ended::Closed),
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
        let who = WhoWeAre::Device {
            key: key.clone(),
            log: book.log().clone(),
            heads: book.shown_heads(),
            dialled: authority("ledger", url)?,
            nonce: rand::random(),
        };
        let pipe = Pipe::Service {
            inbound: Box::new(stream.inbound),
            outbound: stream.outbound,
        };
        Ok(Self::over(pipe, who, now_ms))
    }

    /// A session with another device, which signed for the other end of the link.
    pub(super) fn with_peer(
        link: PeerLink,
        expected: DeviceId,
        key: Arc<SecretKey>,
        book: &Book,
        now_ms: u64,
    ) -> Self {
        let who = WhoWeAre::Peer {
            key,
            log: book.log().clone(),
            heads: book.shown_heads(),
            channel: PeerChannel {
                expected,
                fingerprints: Fingerprints {
                    ours: link.ours,
                    theirs: link.theirs,
                },
                greeting_nonce: rand::random(),
                hello_nonce: rand::random(),
            },
        };
        Self::over(Pipe::Peer(link), who, now_ms)
    }

    fn over(pipe: Pipe, who: WhoWeAre, now_ms: u64) -> Self {
        Self {
            session: Session::new(who),
            opened_at_ms: now_ms,
            pipe,
            held: VecDeque::new(),
            superseded: false,
        }
    }

    /// Sends what is held, or waits for the next frame.
    pub(super) async fn step(&mut self) -> Step {
        let has_held = !self.held.is_empty();
        match &mut self.pipe {
            Pipe::Service { inbound, outbound } => tokio::select! {
                biased;
                permit = outbound.reserve(), if has_held => match permit {
                    Ok(permit) => {
                        if let Some(frame) = self.held.pop_front() {
                            permit.send(frame.into_request());
                        }
                        Step::Sent
                    }
                    // The service takes no more: what it still says comes first, then why.
                    Err(_) => received(stream::next_frame(inbound).await),
                },
                frame = stream::next_frame(inbound) => received(frame),
            },
            Pipe::Peer(link) => tokio::select! {
                biased;
                permit = link.outbound.reserve(), if has_held => match permit {
                    Ok(permit) => {
                        if let Some(frame) = self.held.pop_front() {
                            permit.send(frame.frame);
                        }
                        Step::Sent
                    }
                    Err(_) => arrived(link.inbound.recv().await),
                },
                frame = link.inbound.recv() => arrived(frame),
            },
        }
    }

    /// Sends what is held, then closes this end and waits for the other to close its own, so that
    /// nothing on the way is cut off.
    pub(super) async fn finish(self, within: Duration) {
        let finish = async {
            match self.pipe {
                Pipe::Service {
                    mut inbound,
                    outbound,
                } => {
                    for frame in self.held {
                        if outbound.send(frame.into_request()).await.is_err() {
                            break;
                        }
                    }
                    drop(outbound);
                    while let Ok(Some(_)) = inbound.message().await {}
                }
                Pipe::Peer(mut link) => {
                    for frame in self.held {
                        if link.outbound.send(frame.frame).await.is_err() {
                            break;
                        }
                    }
                    drop(link.outbound);
                    while let Some(Ok(_)) = link.inbound.recv().await {}
                }
            }
        };
        // Who does not answer is not waited for.
        let _ = tokio::time::timeout(within, finish).await;
    }
}
