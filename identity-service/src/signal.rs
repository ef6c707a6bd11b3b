//! Signalling: the devices of one identity say that they are there, and pass offers and answers to
//! each other.
//!
//! Nothing is kept. What a device says is stamped with the device of its session, and handed to the
//! store's feed, which brings it to whichever process the others are at. A stream ends with its
//! session, when its device is ended, and when another stream of it is opened.

mod ice;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use edge_ledger_chassis::status::from_decode;
use edge_ledger_chassis::{Clock, Leaving, Reason, Tasks, random, refusal};
use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::limits::SIGNAL_BYTES_MAX;
use edge_ledger_proto::signal as wire;
use edge_ledger_proto::signal::signal_request::Message as Said;
use edge_ledger_proto::signal::signal_response::Message as Heard;
use edge_ledger_proto::signal::signal_service_server::SignalService;
use edge_ledger_store::{DeviceSignal, IdentityStore, LogView, SignalWord};
use futures::Stream;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::announcements::{Announcements, Topic, Waiter};
use crate::authn::{Authn, Caller, may_speak, revoked};
use crate::limits::{SIGNAL_LAST_WORD, SIGNALS_AT_ONCE, SIGNALS_PER_SECOND, WATCH_EVERY};
use crate::log::Logs;
use crate::refusals;
use crate::sessions::Session;
use crate::switchboard::{Line, Switchboard};

pub use ice::{IceConfig, TurnSecret};

/// The signalling service behind its contract.
pub(crate) struct Signals {
    pub(crate) authn: Arc<Authn>,
    pub(crate) logs: Arc<Logs>,
    pub(crate) store: Arc<dyn IdentityStore>,
    pub(crate) announcements: Announcements,
    pub(crate) switchboard: Switchboard,
    pub(crate) clock: Clock,
    pub(crate) tasks: Tasks,
    pub(crate) ice: IceConfig,
}

type Outbound = mpsc::Sender<Result<wire::SignalResponse, Status>>;
type Inbound = Streaming<wire::SignalRequest>;

#[tonic::async_trait]
impl SignalService for Signals {
    type SignalStream = Pin<Box<dyn Stream<Item = Result<wire::SignalResponse, Status>> + Send>>;

    async fn signal(
        &self,
        request: Request<Inbound>,
    ) -> Result<Response<Self::SignalStream>, Status> {
        let (metadata, extensions, inbound) = request.into_parts();
        let caller = self.authn.caller(&metadata).await?;
        let Session {
            identity, device, ..
        } = caller.session;
        if caller.view.log.device(&device).is_none() {
            return Err(refusals::not_yours());
        }
        let place = (self.clock.wall_ms(), u64::from_be_bytes(random::bytes()));
        let line = self.switchboard.line(identity, device, place);
        let stream = SignalStream {
            logs: Arc::clone(&self.logs),
            store: Arc::clone(&self.store),
            clock: self.clock.clone(),
            waiter: self.announcements.wait_for(Topic::Log(identity)),
            leaving: Leaving::of(&extensions),
            rate: RateLimiter::direct(
                Quota::per_second(SIGNALS_PER_SECOND).allow_burst(SIGNALS_AT_ONCE),
            ),
            session: caller.session,
            line,
        };
        stream.tell(None, SignalWord::Opened { place }).await;
        let (outbound, answers) = mpsc::channel(1);
        let tasks = self.tasks.clone();
        self.tasks.spawn_for_client(async move {
            serve(stream, caller, inbound, outbound, &tasks).await;
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn get_ice_servers(
        &self,
        request: Request<wire::GetIceServersRequest>,
    ) -> Result<Response<wire::GetIceServersResponse>, Status> {
        let caller = self.authn.caller(request.metadata()).await?;
        let now_ms = self.clock.wall_ms();
        Ok(Response::new(
            self.ice.servers(&caller.session.device, now_ms),
        ))
    }
}

/// One device's stream.
struct SignalStream {
    logs: Arc<Logs>,
    store: Arc<dyn IdentityStore>,
    clock: Clock,
    waiter: Waiter,
    leaving: CancellationToken,
    rate: DefaultDirectRateLimiter,
    session: Session,
    line: Line,
}

async fn serve(
    mut stream: SignalStream,
    caller: Caller,
    mut inbound: Inbound,
    outbound: Outbound,
    tasks: &Tasks,
) {
    let stopping = tasks.stopping();
    let ended = tokio::select! {
        ended = stream.run(caller.view, &mut inbound, &outbound) => ended,
        () = outbound.closed() => Ok(()),
        () = stopping.cancelled() => Err(draining()),
    };
    let superseded = ended.as_ref().is_err_and(|end| end.superseded);
    // Another stream of the device is there: it has not left.
    if !superseded {
        stream.tell(None, SignalWord::Left).await;
    }
    if let Err(End { status, .. }) = ended {
        // A device that does not read has left; its stream ends without a word.
        let _ = timeout(SIGNAL_LAST_WORD, outbound.send(Err(status))).await;
    }
}

/// Why a stream ends.
struct End {
    status: Status,
    superseded: bool,
}

impl From<Status> for End {
    fn from(status: Status) -> Self {
        Self {
            status,
            superseded: false,
        }
    }
}

fn draining() -> End {
    refusal(Reason::Draining, "the service ends this stream").into()
}

fn session_ended() -> End {
    refusal(Reason::SessionInvalid, "the session ended").into()
}

impl SignalStream {
    async fn tell(&self, to: Option<DeviceId>, word: SignalWord) {
        let (identity, from) = (self.session.identity, self.session.device);
        let signal = DeviceSignal {
            identity,
            from,
            to,
            word,
        };
        self.store.tell_signal(signal).await;
    }

    async fn run(
        &mut self,
        mut view: LogView,
        inbound: &mut Inbound,
        outbound: &Outbound,
    ) -> Result<(), End> {
        let left_ms = self.session.expires_ms.saturating_sub(self.clock.wall_ms());
        let ends = Instant::now() + Duration::from_millis(u64::try_from(left_ms).unwrap_or(0));
        loop {
            if !may_speak(&view, &self.session.device, self.clock.wall_ms()) {
                return Err(revoked().into());
            }
            tokio::select! {
                () = self.leaving.cancelled() => return Err(draining()),
                () = sleep_until(ends) => return Err(session_ended()),
                () = self.waiter.announced() => view = self.view().await?,
                () = sleep(WATCH_EVERY) => view = self.view().await?,
                said = inbound.message() => match said.map_err(from_decode)? {
                    Some(said) => self.said(said).await?,
                    None => return Ok(()),
                },
                heard = self.line.heard() => {
                    let heard = heard.ok_or_else(too_slow)?;
                    let response = response(heard)?;
                    // The line's queue holds what comes while this waits.
                    let _ = outbound.send(Ok(response)).await;
                }
            }
            // The clock may have been set since the stream began.
            if self.clock.wall_ms() >= self.session.expires_ms {
                return Err(session_ended());
            }
        }
    }

    async fn view(&self) -> Result<LogView, End> {
        let view = self.logs.read(self.session.identity).await?;
        view.ok_or_else(session_ended)
    }

    /// Passes on what the device says.
    async fn said(&self, said: wire::SignalRequest) -> Result<(), End> {
        if self.rate.check().is_err() {
            let what = "this device says too much at once";
            return Err(refusal(Reason::RateLimited, what).into());
        }
        match said.message {
            Some(Said::Beacon(beacon)) => {
                let nonce = beacon.nonce[..].try_into();
                let nonce = nonce.map_err(|_| malformed("a nonce has 32 bytes"))?;
                self.tell(None, SignalWord::Beacon { nonce }).await;
            }
            Some(Said::Signal(wire::OutgoingSignal { to, signal })) => {
                let to = DeviceId::try_from(&to[..]);
                let to = to.map_err(|_| malformed("a device has 16 bytes"))?;
                if signal.is_empty() || signal.len() > SIGNAL_BYTES_MAX {
                    return Err(malformed("a signal has 1 to 16,384 bytes"));
                }
                self.tell(Some(to), SignalWord::Signal(signal)).await;
            }
            None => return Err(malformed("a message without content")),
        }
        Ok(())
    }
}

fn malformed(what: &'static str) -> End {
    refusal(Reason::BadMessage, what).into()
}

fn too_slow() -> End {
    refusal(
        Reason::SlowConsumer,
        "the device does not read what others say",
    )
    .into()
}

fn response(heard: DeviceSignal) -> Result<wire::SignalResponse, End> {
    let device = bytes::Bytes::copy_from_slice(heard.from.as_bytes());
    let message = match heard.word {
        SignalWord::Opened { .. } => {
            let what = "another stream of this device was opened";
            return Err(End {
                status: refusal(Reason::Superseded, what),
                superseded: true,
            });
        }
        SignalWord::Beacon { nonce } => Heard::Beacon(wire::PeerBeacon {
            device,
            nonce: bytes::Bytes::copy_from_slice(&nonce),
        }),
        SignalWord::Signal(signal) => Heard::Signal(wire::IncomingSignal {
            from: device,
            signal,
        }),
        SignalWord::Left => Heard::Left(wire::Left { device }),
    };
    let message = Some(message);
    Ok(wire::SignalResponse { message })
}
