//! The `Sync` call: reads frames, writes frames, and keeps the deadlines of the stream.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use edge_ledger_chassis::status::{from_decode, refusal};
use edge_ledger_chassis::{Audiences, Authority, Leaving, Reason, Tasks};
use edge_ledger_core::limits::FRAME_BYTES_MAX;
use edge_ledger_core::sync::{Frame, GoAwayReason, Input, NewGreeting, Session, WhoWeAre, greet};
use edge_ledger_proto::ledger as pb;
use edge_ledger_proto::ledger::frame::Message;
use edge_ledger_proto::ledger::ledger_service_server::{LedgerService, LedgerServiceServer};
use edge_ledger_store::Origin;
use edge_ledger_telemetry::context::{StreamSpan, TraceParent};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use tracing::Span;

use crate::close;
use crate::ledgers::Ledgers;
use crate::limits::{
    FAREWELL_WITHIN, HELD_FRAMES_MAX, HELLO_WITHIN, OUTBOUND_FRAMES_MAX, SLOW_AFTER, TICK_EVERY,
};
use crate::measure;
use crate::session::{End, Shell};

/// Bytes of a signature.
const PROOF_BYTES: usize = 64;

type Outbound = mpsc::Sender<Result<pb::SyncResponse, Status>>;

pub(crate) struct Rpc {
    pub(crate) ledgers: Arc<Ledgers>,
    pub(crate) audiences: Audiences,
    pub(crate) next_origin: AtomicU64,
}

/// The service with its message limits set.
pub(crate) fn service(rpc: Rpc) -> LedgerServiceServer<Rpc> {
    LedgerServiceServer::new(rpc)
        .max_decoding_message_size(FRAME_BYTES_MAX)
        .max_encoding_message_size(FRAME_BYTES_MAX)
}

#[tonic::async_trait]
impl LedgerService for Rpc {
    type SyncStream = Pin<Box<dyn Stream<Item = Result<pb::SyncResponse, Status>> + Send>>;

    async fn sync(
        &self,
        request: Request<Streaming<pb::SyncRequest>>,
    ) -> Result<Response<Self::SyncStream>, Status> {
        let authority = request.extensions().get::<Authority>();
        let audience = authority.and_then(|Authority(authority)| self.audiences.check(authority));
        let audience = audience
            .ok_or_else(|| {
                refusal(
                    Reason::AudienceUnknown,
                    "this service does not answer to that name",
                )
            })?
            .to_owned();
        let shared = self.ledgers.shared();
        let ledger_id = shared.genesis.ledger_id();
        // What is said in this stream is signed by one key, whatever comes meanwhile.
        let signer = shared.signer.current();
        let greeting = greet(
            &signer,
            ledger_id,
            NewGreeting {
                nonce: rand::random(),
                audience,
            },
        );
        let origin = Origin(self.next_origin.fetch_add(1, Ordering::Relaxed));
        let session = Session::new(WhoWeAre::Service {
            ledger_id,
            greeting,
            signer: Arc::clone(&signer),
        });
        let (outbound, responses) = mpsc::channel(OUTBOUND_FRAMES_MAX);
        let stream = SyncStream {
            shell: Shell::new(origin, session, self.ledgers.clone(), signer),
            leaving: Leaving::of(request.extensions()),
            call: request.extensions().get::<StreamSpan>().cloned(),
            inbound: request.into_inner(),
            outbound,
        };
        shared.tasks.spawn(stream.run(shared.tasks.clone()));
        Ok(Response::new(Box::pin(ReceiverStream::new(responses))))
    }
}

struct SyncStream {
    shell: Shell,
    inbound: Streaming<pb::SyncRequest>,
    outbound: Outbound,
    leaving: CancellationToken,
    /// The call that became this stream.
    call: Option<StreamSpan>,
}

/// What ends a stream.
enum Stop {
    /// The device closed its end and everything was answered.
    Done,
    /// The stream ends with a status.
    Status(Status),
    /// The device is gone: nobody reads a status.
    Gone,
}

impl SyncStream {
    /// A span for a frame of entries: part of the act that the device names, and linked to the call
    /// that became this stream.
    fn span_of(&self, frame: &Frame, act: Option<&TraceParent>) -> Span {
        let Frame::Runs { runs, .. } = frame else {
            return Span::none();
        };
        let runs = runs.len();
        let span = tracing::info_span!(parent: None, "merge", otel.kind = "consumer", runs);
        if let Some(act) = act {
            act.adopt(&span);
        }
        if let Some(call) = &self.call {
            call.link(&span);
        }
        span
    }

    async fn run(mut self, tasks: Tasks) {
        let stop = match self.converse().await {
            Ok(stop) => stop,
            Err(end) => Stop::Status(close::status(&end)),
        };
        let why = match &stop {
            Stop::Done => measure::DONE,
            Stop::Gone => measure::GONE,
            Stop::Status(status) => Reason::of(status).map_or(measure::BROKEN, Reason::as_str),
        };
        measure::ended(why);
        let Stop::Status(status) = stop else { return };
        let (held, inbound) = (self.shell.held, self.inbound);
        let outbound = self.outbound;
        tasks.spawn_for_client(async move {
            take_leave(&outbound, held, status).await;
            drop(inbound);
        });
    }

    async fn converse(&mut self) -> Result<Stop, End> {
        let mut tick = interval(TICK_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let hello_until = Instant::now() + HELLO_WITHIN;
        let mut taken_at = Instant::now();
        let (mut half_closed, mut told) = (false, false);
        self.shell.handle(Input::Opened)?;
        loop {
            if half_closed && self.shell.is_answered() && self.shell.held.is_empty() {
                return Ok(Stop::Done);
            }
            self.shell.show_waiting();
            let holds = !self.shell.held.is_empty();
            if !holds {
                taken_at = Instant::now();
            }
            let takes = !half_closed && !self.shell.is_leaving();
            let reads_on = takes && self.shell.held.len() < HELD_FRAMES_MAX;
            tokio::select! {
                biased;
                () = self.leaving.cancelled(), if !told => {
                    told = true;
                    self.shell.handle(Input::GoAway(GoAwayReason::Draining))?;
                }
                permit = self.outbound.reserve(), if holds => {
                    let Ok(permit) = permit else { return Ok(Stop::Gone) };
                    if let Some(frame) = self.shell.held.pop_front() {
                        permit.send(Ok(response(frame)));
                    }
                    taken_at = Instant::now();
                }
                inputs = self.shell.next_inputs() => {
                    for input in inputs? {
                        self.shell.handle(input)?;
                    }
                }
                message = self.inbound.message(), if reads_on => match message {
                    Ok(Some(request)) => match frame(request) {
                        Ok((frame, act)) => {
                            let span = self.span_of(&frame, act.as_ref());
                            span.in_scope(|| self.shell.handle(Input::Frame(frame)))?;
                        }
                        Err(status) => return Ok(Stop::Status(status)),
                    },
                    Ok(None) => half_closed = true,
                    Err(status) => return Ok(Stop::Status(from_decode(status))),
                },
                _ = tick.tick() => self.shell.handle(Input::Tick)?,
                () = sleep_until(hello_until), if !self.shell.is_open() => {
                    return Ok(Stop::Status(refusal(Reason::HelloTimeout, "no hello arrived in time")));
                }
                () = sleep_until(taken_at + SLOW_AFTER), if holds => {
                    return Ok(Stop::Status(refusal(Reason::SlowConsumer, "the device takes no frames")));
                }
            }
        }
    }
}

/// What is left (a GoAway, an answer) goes out before the status, if the device reads.
async fn take_leave(outbound: &Outbound, held: VecDeque<Frame>, status: Status) {
    let farewell = async {
        for frame in held {
            if outbound.send(Ok(response(frame))).await.is_err() {
                return;
            }
        }
        let _ = outbound.send(Err(status)).await;
    };
    let _ = tokio::time::timeout(FAREWELL_WITHIN, farewell).await;
}

fn frame(request: pb::SyncRequest) -> Result<(Frame, Option<TraceParent>), Status> {
    let act = TraceParent::read(&request.traceparent);
    let frame = request
        .frame
        .ok_or_else(|| refusal(Reason::BadMessage, "a message without a frame"))?;
    if let Some(Message::Hello(hello)) = &frame.message
        && hello.proof.len() != PROOF_BYTES
    {
        return Err(refusal(Reason::ProofInvalid, "the hello has no proof"));
    }
    let frame =
        Frame::try_from(frame).map_err(|error| refusal(Reason::BadMessage, &error.to_string()))?;
    Ok((frame, act))
}

fn response(frame: Frame) -> pb::SyncResponse {
    pb::SyncResponse {
        frame: Some(frame.into()),
    }
}
