//! The way to other devices through the identity service: says that this device is there, hears of
//! others, and carries signals both ways. It comes back by itself, for as long as the agent runs.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use backon::BackoffBuilder as _;
use bytes::Bytes;
use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::keys::SecretKey;
use edge_ledger_core::limits::SIGNAL_BYTES_MAX;
use edge_ledger_proto::signal as pb;
use edge_ledger_proto::signal::signal_request::Message as Said;
use edge_ledger_proto::signal::signal_response::Message as Heard;
use edge_ledger_proto::signal::signal_service_client::SignalServiceClient;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, Streaming};
use tonic_types::StatusExt as _;

use crate::engine::Snapshot;
use crate::error::{AgentError, SUPERSEDED};
use crate::identity_client::{Caller, CallerKey, IdentitySession, from_status, timed};
use crate::identity_services::IdentityServices;
use crate::limits::{
    BACKOFF_FIRST, BACKOFF_MAX, BEACON_EVERY, CALL_WITHIN, OUTBOUND_SIGNALS_MAX,
    SIGNAL_SENT_WITHIN, SUPERSEDED_FOR,
};
use crate::peering::Route;
use crate::webrtc::{IceServers, TurnServer};

/// What is heard on a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SignalEvent {
    /// The route works.
    Up,
    /// A device is there.
    Beacon {
        /// Which.
        device: DeviceId,
        /// What a call of it has to name.
        nonce: [u8; 32],
    },
    /// A device says something.
    Signal {
        /// An encoded signal.
        bytes: Bytes,
    },
    /// A device is there no more.
    Left {
        /// Which.
        device: DeviceId,
    },
    /// The route does not work any more: nobody is there.
    Down,
}

/// What is sent on a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SignalCommand {
    /// A signal for one device.
    Send {
        /// Which.
        to: DeviceId,
        /// An encoded signal.
        bytes: Bytes,
    },
}

/// The nonces that this device has said last, on any route: a call that names none of them is old.
#[derive(Clone, Default)]
pub(crate) struct Nonces {
    /// The current one, and that before it.
    last: Arc<Mutex<Last>>,
}

#[derive(Default)]
struct Last {
    current: Option<([u8; 32], Instant)>,
    before: Option<[u8; 32]>,
}

impl Nonces {
    /// What to say now: a new one, if the current one has been said for long enough.
    pub(crate) fn say(&self) -> [u8; 32] {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match last.current {
            Some((current, since)) if since.elapsed() < BEACON_EVERY => current,
            before => {
                let new = rand::random();
                last.before = before.map(|(before, _)| before);
                last.current = Some((new, Instant::now()));
                new
            }
        }
    }

    /// Whether a call is fresh that names this one.
    pub(crate) fn is_current(&self, nonce: &[u8; 32]) -> bool {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let current = last.current.map(|(current, _)| current);
        [current, last.before].contains(&Some(*nonce))
    }
}

/// What signalling starts with.
pub(crate) struct Start {
    pub(crate) identity: IdentityServices,
    pub(crate) key: watch::Receiver<Arc<SecretKey>>,
    pub(crate) snapshot: watch::Receiver<Snapshot>,
    pub(crate) events: mpsc::Sender<(Route, SignalEvent)>,
    pub(crate) commands: mpsc::Receiver<SignalCommand>,
    pub(crate) nonces: Nonces,
    /// Servers that the service names.
    pub(crate) servers: watch::Sender<IceServers>,
}

/// Runs until nobody listens any more.
pub(crate) async fn run(mut start: Start) {
    let new_backoff = || {
        backon::ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(BACKOFF_FIRST)
            .with_max_delay(BACKOFF_MAX)
            .without_max_times()
            .build()
    };
    let mut backoff = new_backoff();
    loop {
        let mut was_up = false;
        let ended = start.stream(&mut was_up).await;
        if was_up {
            backoff = new_backoff();
            let _ = start.events.send((Route::Service, SignalEvent::Down)).await;
        }
        let wait = match &ended {
            // Two copies of one device do not take turns.
            Err(AgentError::Superseded) => SUPERSEDED_FOR,
            Ok(()) | Err(_) => backoff.next().unwrap_or(BACKOFF_MAX),
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "no signalling");
        }
        let pause = tokio::time::sleep(wait);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => break,
                () = start.events.closed() => return,
                // Nobody can be reached now: who wants to say something says it again.
                command = start.commands.recv() => if command.is_none() { return },
            }
        }
    }
}

impl Start {
    /// One stream, for as long as it lasts.
    async fn stream(&mut self, was_up: &mut bool) -> Result<(), AgentError> {
        let mut session = self.session().await?;
        let (url, channel) = (
            session.client().url().to_owned(),
            session.client().channel(),
        );
        let mut client = SignalServiceClient::new(channel)
            .max_decoding_message_size(2 * SIGNAL_BYTES_MAX)
            .max_encoding_message_size(2 * SIGNAL_BYTES_MAX);
        let asked = session.signed_in(timed(pb::GetIceServersRequest {}))?;
        if let Ok(named) = client.get_ice_servers(asked).await {
            self.servers.send_replace(named_servers(named.into_inner()));
        }
        let (outbound, requests) = mpsc::channel(OUTBOUND_SIGNALS_MAX);
        let request = session.signed_in(Request::new(ReceiverStream::new(requests)))?;
        let opened = tokio::time::timeout(CALL_WITHIN, client.signal(request)).await;
        let opened = opened.map_err(|_| AgentError::Unreachable {
            service: "identity",
            url: url.clone(),
            why: "it does not answer".to_owned(),
        })?;
        let inbound = match opened {
            Ok(response) => response.into_inner(),
            Err(status) => {
                return Err(ended(&url, &status));
            }
        };
        *was_up = true;
        let _ = self.events.send((Route::Service, SignalEvent::Up)).await;
        self.converse(&url, inbound, outbound).await
    }

    async fn session(&self) -> Result<IdentitySession, AgentError> {
        let caller = {
            let log = self.snapshot.borrow().log.clone();
            Caller {
                ledger_id: log.ledger_id(),
                identity: log.identity(),
                key: CallerKey::Device(self.key.borrow().clone()),
            }
        };
        self.identity.sign_in(&caller).await
    }

    async fn converse(
        &mut self,
        url: &str,
        mut inbound: Streaming<pb::SignalResponse>,
        outbound: mpsc::Sender<pb::SignalRequest>,
    ) -> Result<(), AgentError> {
        let mut beacon = tokio::time::interval(BEACON_EVERY);
        let mut heard_of = BTreeSet::new();
        let mut key = self.key.clone();
        key.mark_unchanged();
        loop {
            tokio::select! {
                _ = beacon.tick() => say(&outbound, self.nonces.say()).await?,
                // The session is that of the key before.
                _ = key.changed() => return Ok(()),
                () = self.events.closed() => return Ok(()),
                command = self.commands.recv() => match command {
                    Some(SignalCommand::Send { to, bytes }) => {
                        let to = Bytes::copy_from_slice(to.as_bytes());
                        let signal = pb::OutgoingSignal { to, signal: bytes };
                        send(&outbound, Said::Signal(signal)).await?;
                    }
                    None => return Ok(()),
                },
                response = inbound.message() => {
                    let response = response.map_err(|status| ended(url, &status))?;
                    let Some(response) = response else { return Ok(()) };
                    let Some(event) = event(response) else { continue };
                    match &event {
                        // It has not heard of this device before, either.
                        SignalEvent::Beacon { device, .. } if heard_of.insert(*device) => {
                            say(&outbound, self.nonces.say()).await?;
                        }
                        SignalEvent::Left { device } => drop(heard_of.remove(device)),
                        SignalEvent::Up | SignalEvent::Signal { .. } | SignalEvent::Beacon { .. } | SignalEvent::Down => {}
                    }
                    let _ = self.events.send((Route::Service, event)).await;
                }
            }
        }
    }
}

async fn say(
    outbound: &mpsc::Sender<pb::SignalRequest>,
    nonce: [u8; 32],
) -> Result<(), AgentError> {
    let nonce = Bytes::copy_from_slice(&nonce);
    send(outbound, Said::Beacon(pb::Beacon { nonce })).await
}

async fn send(outbound: &mpsc::Sender<pb::SignalRequest>, said: Said) -> Result<(), AgentError> {
    let request = pb::SignalRequest {
        message: Some(said),
    };
    // A stream that takes nothing more has ended, and says why.
    let sent = tokio::time::timeout(SIGNAL_SENT_WITHIN, outbound.send(request)).await;
    sent.ok().and_then(Result::ok).ok_or(AgentError::TimedOut)
}

/// What it means that a stream was ended.
fn ended(url: &str, status: &Status) -> AgentError {
    let info = status.get_details_error_info();
    if info.is_some_and(|info| info.reason == SUPERSEDED) {
        return AgentError::Superseded;
    }
    from_status("identity", url, status)
}

/// What a message says; nothing if it makes no sense.
fn event(response: pb::SignalResponse) -> Option<SignalEvent> {
    Some(match response.message? {
        Heard::Beacon(beacon) => SignalEvent::Beacon {
            device: DeviceId::try_from(&beacon.device[..]).ok()?,
            nonce: beacon.nonce[..].try_into().ok()?,
        },
        Heard::Signal(signal) => SignalEvent::Signal {
            bytes: signal.signal,
        },
        Heard::Left(left) => SignalEvent::Left {
            device: DeviceId::try_from(&left.device[..]).ok()?,
        },
    })
}

fn named_servers(named: pb::GetIceServersResponse) -> IceServers {
    let turn = |url: String| TurnServer {
        url,
        username: named.username.clone(),
        password: named.password.clone(),
    };
    IceServers {
        turn: named.turn_urls.into_iter().map(turn).collect(),
        stun: named.stun_urls,
    }
}
