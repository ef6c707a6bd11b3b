//! One stream with its session, and what the session asks for.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use edge_ledger_core::keys::SecretKey;
use edge_ledger_core::ledger::{Ack, Tip};
use edge_ledger_core::sync::{Close, Frame, Input, Outcome, Output, Session, WhoWeAre};
use edge_ledger_proto::ledger as pb;
use edge_ledger_store::LedgerStore as _;
use tokio::sync::mpsc;
use tonic::Streaming;
use tonic_types::StatusExt as _;

use super::{Engine, new_backoff};
use crate::book::Book;
use crate::error::{AgentError, Refusal};
use crate::event::Event;
use crate::identity_client::{authority, from_status};
use crate::limits::HELD_FRAMES_MAX;
use crate::status::State;
use crate::stream::{self, Stream};

pub(super) type Opening = Pin<Box<dyn Future<Output = Result<Stream, AgentError>> + Send>>;

pub(super) fn start(url: String) -> Opening {
    Box::pin(async move { stream::open(&url).await })
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
    held: VecDeque<Frame>,
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
    /// When the service wants to see this device again, if it said so.
    pub(super) retry_after: Option<Duration>,
}

impl Ended {
    pub(super) fn meaning(self, url: &str) -> Meaning {
        let mut retry_after = None;
        let error = match self {
            Self::Status(status) => {
                retry_after = status
                    .get_details_retry_info()
                    .and_then(|info| info.retry_delay);
                from_status("ledger", url, &status)
            }
            Self::Closed => unreachable(url, "it closed the stream".to_owned()),
            Self::Session(close @ (Close::Handshake(_) | Close::LogForked)) => {
                AgentError::Refused(Refusal {
                    reason: "UNTRUSTED".to_owned(),
                    message: close.to_string(),
                })
            }
            Self::Session(close) => unreachable(url, close.to_string()),
            Self::Error(error) => error,
        };
        Meaning {
            permanent: matches!(error, AgentError::Refused(_)),
            error,
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
        permit = connection.outbound.reserve(), if has_held => match (permit, connection.held.pop_front()) {
            (Ok(permit), Some(frame)) => {
                permit.send(stream::request(frame));
                Step::Sent
            }
            // The service ended the stream: its status says why.
            (Err(_), _) => ended(connection.inbound.message().await),
            (Ok(_), None) => Step::Sent,
        },
        frame = stream::next_frame(&mut connection.inbound) => match frame {
            Ok(Some(frame)) => Step::Frame(frame),
            Ok(None) => Step::Ended(Ended::Closed),
            Err(status) => Step::Ended(Ended::Status(status)),
        },
    }
}

fn ended(message: Result<Option<pb::SyncResponse>, tonic::Status>) -> Step {
    match message {
        Err(status) => Step::Ended(Ended::Status(status)),
        Ok(_) => Step::Ended(Ended::Closed),
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
        });
        Ok(Self {
            session,
            opened_at_ms: now_ms,
            inbound: stream.inbound,
            outbound: stream.outbound,
            held: VecDeque::new(),
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

impl Engine {
    pub(super) async fn perform(&mut self, output: Output) -> Result<Vec<Input>, Ended> {
        let inputs = match output {
            Output::Send(frame) => return self.hold(frame),
            Output::Close(close) => return Err(Ended::Session(close)),
            Output::Judge {
                frame_id,
                runs,
                peer_ahead,
            } => {
                let ingested = self
                    .book
                    .ingest(peer_ahead, &runs)
                    .await
                    .map_err(Ended::Error)?;
                self.kept(ingested.fresh.len(), &ingested.forked);
                vec![Input::Judged {
                    frame_id,
                    outcomes: ingested.outcomes,
                    kept: ingested.kept,
                    log_wanted: ingested.log_wanted,
                    heads_wanted: ingested.heads_wanted,
                }]
            }
            Output::Read(have) => {
                let page = self
                    .book
                    .store
                    .missing(self.book.log().identity(), &have)
                    .await;
                let page = page.map_err(|e| Ended::Error(e.into()))?.value;
                vec![Input::Page {
                    runs: page.runs,
                    more: page.more,
                }]
            }
            Output::Locate(heads) => {
                let located = self
                    .book
                    .store
                    .locate(self.book.log().identity(), &heads)
                    .await;
                vec![Input::Located(
                    located.map_err(|e| Ended::Error(e.into()))?.value,
                )]
            }
            Output::ReadHeads => vec![Input::Heads(self.book.heads().clone())],
            Output::ReadReceipts { after_position } => {
                vec![Input::Receipts(
                    self.book
                        .receipts_after(after_position)
                        .await
                        .map_err(Ended::Error)?,
                )]
            }
            Output::Adopt(parts) => {
                if !self.book.adopt(&parts).await.map_err(Ended::Error)? {
                    return Ok(Vec::new());
                }
                let log = self.book.log().clone();
                self.publish();
                self.events.push(Event::DevicesChanged {
                    log_position: log.head().position,
                });
                vec![Input::LogChanged(log)]
            }
            Output::Live { .. } => self.live(),
            Output::Taken(taken) => self.taken(&taken).await,
            Output::Acked(acks) => self.acks(&acks).await?,
            Output::Flushed { ping_id, equal } => self.flushed(ping_id, equal),
            // The status that ends the stream says the same; and only a service is asked who
            // somebody is.
            Output::PeerGoesAway { .. } | Output::Identify { .. } => Vec::new(),
        };
        Ok(inputs)
    }

    fn hold(&mut self, frame: Frame) -> Result<Vec<Input>, Ended> {
        let Some(connection) = &mut self.connection else {
            return Ok(Vec::new());
        };
        if connection.held.len() >= HELD_FRAMES_MAX {
            let why = "it takes no more frames".to_owned();
            return Err(Ended::Error(unreachable(&self.ledger_url, why)));
        }
        connection.held.push_back(frame);
        Ok(Vec::new())
    }

    fn live(&mut self) -> Vec<Input> {
        self.backoff = new_backoff();
        self.last_error = None;
        self.events.push(Event::Connected);
        self.enter(State::Online);
        let mut inputs = Vec::new();
        for waiter in &mut self.syncs {
            let ping_id = self.next_ping;
            self.next_ping += 1;
            waiter.ping_id = Some(ping_id);
            inputs.push(Input::Flush { ping_id });
        }
        inputs
    }

    async fn taken(&mut self, taken: &[(Tip, Outcome)]) -> Vec<Input> {
        for (tip, outcome) in taken {
            if let Outcome::Refused(refusal) = outcome {
                let why = format!("{refusal:?}");
                self.events.push(Event::Refused {
                    point: tip.point,
                    why,
                });
            }
        }
        // Boxed: what is closed now goes to the session at once.
        Box::pin(self.close_entries(false)).await;
        Vec::new()
    }

    async fn acks(&mut self, acks: &[Ack]) -> Result<Vec<Input>, Ended> {
        let device = self.book.device();
        for ack in acks.iter().filter(|ack| ack.body.device == device) {
            let (point, level) = (ack.body.point, ack.body.level);
            let better = self
                .acked
                .is_none_or(|(known, at)| point.seq > known.seq || (point == known && level > at));
            if !better {
                continue;
            }
            self.acked = Some((point, level));
            self.book.save_ack(ack).await.map_err(Ended::Error)?;
            self.publish();
            self.events.push(Event::Acked { point, level });
        }
        self.answer_ack_waiters();
        Ok(Vec::new())
    }

    fn kept(&mut self, entries: usize, forked: &[edge_ledger_core::ids::DeviceId]) {
        self.publish();
        for device in forked {
            self.events.push(Event::Forked { device: *device });
        }
        if entries > 0 {
            let balance = self.book.fold().balance();
            self.events.push(Event::EntriesKept {
                entries: entries as u64,
                balance,
            });
        }
    }
}
