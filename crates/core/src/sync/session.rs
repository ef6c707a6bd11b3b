//! The session: handshake, then exchange, then live, on both ends.

use std::sync::Arc;

use crate::identity::receipt::ReceiptParts;
use crate::identity::{DeviceState, IdentityLog, Point, LogHead, ServiceCertificate};
use crate::ids::{DeviceId, IdentityId, LedgerId, StoreEpoch};
use crate::keys::SecretKey;
use crate::ledger::journals::Have;
use crate::ledger::{Ack, Heads, KeptRun, Run, Tip, VerifiedRun};
use crate::limits::{FRAME_RUNS_MAX, FRAME_STATEMENTS_MAX, HEADS_TIPS_MAX, LOCATOR_POINTS_MAX};
use crate::sync::exchange::Exchange;
use crate::sync::frame::{Frame, GoAwayReason, Outcome, Welcome};
use crate::sync::handshake::{Greeting, HandshakeError, Hello, HelloBody};

/// What happened outside, for the session to know.
#[derive(Debug)]
pub enum Input {
    /// The stream is open.
    Opened,
    /// A frame arrived.
    Frame(Frame),
    /// Answers [`Output::Identify`], and [`Output::Adopt`] while the handshake is under way.
    Identified(Option<Standing>),
    /// The identity's log changed, here.
    LogChanged(Arc<IdentityLog>),
    /// Answers [`Output::Judge`].
    Judged {
        /// The frame.
        frame_id: u64,
        /// One per run.
        outcomes: Vec<Outcome>,
        /// The ends of those that are kept, each with the parent of the run.
        kept: Vec<(Tip, Point)>,
        /// Whether a run's device is not in our log, and the peer's log is longer.
        log_wanted: bool,
        /// Whether a run waits for a parent that the peer has to send.
        heads_wanted: bool,
    },
    /// Entries were committed by somebody else.
    Committed(Arc<[VerifiedRun]>),
    /// Announcements were missed: the store must be read.
    Missed,
    /// Answers [`Output::Read`].
    Page {
        /// The runs.
        runs: Vec<KeptRun>,
        /// Whether there are more.
        more: bool,
    },
    /// Answers [`Output::Locate`].
    Located(Vec<Tip>),
    /// Answers [`Output::ReadHeads`], in the order of asking.
    Heads(Heads),
    /// Answers [`Output::ReadReceipts`]: at most 64, nothing if there are none.
    Receipts(Vec<ReceiptParts>),
    /// Receipts for entries, to be sent; on the service's side only.
    Acks(Vec<Ack>),
    /// Somebody wants to know when both ends have told each other everything.
    Flush {
        /// Comes back in [`Output::Flushed`].
        ping_id: u64,
    },
    /// Time passed: at least once a second while the session lives.
    Tick,
    /// The session shall end; the shell closes the stream after sending what is left.
    GoAway(GoAwayReason),
}

/// What the shell shall do.
#[derive(Debug)]
pub enum Output {
    /// Send a frame.
    Send(Frame),
    /// Look up who says hello; answered by [`Input::Identified`].
    Identify {
        /// The identity.
        identity: IdentityId,
        /// The device, whose key was proved.
        device: DeviceId,
    },
    /// Check and take over statements; answered by [`Input::Identified`] during the handshake,
    /// by [`Input::LogChanged`] later, if anything changed.
    Adopt(Vec<ReceiptParts>),
    /// Admit and append runs; answered by [`Input::Judged`].
    Judge {
        /// The frame.
        frame_id: u64,
        /// The runs.
        runs: Vec<Run>,
        /// Whether the peer's log is longer than ours.
        peer_ahead: bool,
    },
    /// Read what is lacking where this is there; answered by [`Input::Page`].
    Read(Have),
    /// Look for tips that are unknown here; answered by [`Input::Located`].
    Locate(Heads),
    /// Read all tips; answered by [`Input::Heads`].
    ReadHeads,
    /// Read receipted statements; answered by [`Input::Receipts`].
    ReadReceipts {
        /// Positions after this one.
        after_position: u64,
    },
    /// What became of runs that were sent: the last point of each.
    Taken(Vec<(Tip, Outcome)>),
    /// Receipts arrived and were checked.
    Acked(Vec<Ack>),
    /// Handshake done: frames of entries flow from here on.
    Live {
        /// The identity's place in the service's store.
        store_epoch: StoreEpoch,
    },
    /// Answers [`Input::Flush`]: everything that either side had when it was asked was sent.
    Flushed {
        /// The flush.
        ping_id: u64,
        /// Whether nothing that was sent is unanswered, and both digests are equal.
        equal: bool,
    },
    /// The peer is about to end the stream.
    PeerGoesAway {
        /// Why.
        reason: GoAwayReason,
        /// When to come back; 0 for the usual back-off.
        retry_after_ms: u64,
    },
    /// End the stream for this reason, after sending what is left.
    Close(Close),
}

/// Why a session ended itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Close {
    /// The first frame was not the one that had to be.
    #[error("{0} was expected first")]
    Expected(&'static str),
    /// A frame that makes no sense here.
    #[error("the frame is malformed or out of place: {0}")]
    BadMessage(&'static str),
    /// The handshake failed.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// Not a device of a known identity.
    #[error("not a device of this identity")]
    Forbidden,
    /// The device was revoked or replaced.
    #[error("the device was revoked or replaced")]
    DeviceRevoked,
    /// The device's own journal is forked.
    #[error("the device's journal is forked")]
    Forked,
    /// Two different logs for one identity.
    #[error("the identity log here is another one")]
    LogForked,
    /// Too many refused runs.
    #[error("too many invalid runs")]
    Misbehaved,
    /// A frame of entries was not answered for too long.
    #[error("the peer does not answer")]
    Stalled,
    /// The session was told to end.
    #[error("the session ends: {0:?}")]
    GoAway(GoAwayReason),
}

/// What a service knows of who says hello.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The identity's log.
    pub log: Arc<IdentityLog>,
    /// All tips.
    pub heads: Heads,
    /// The identity's place in the store.
    pub store_epoch: StoreEpoch,
}

/// Which end this is.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "holds a device's secret key")]
pub enum WhoWeAre {
    /// The service, with the greeting that it opens the stream with.
    Service {
        /// The deployment.
        ledger_id: LedgerId,
        /// Signed for this stream.
        greeting: Greeting,
    },
    /// A device.
    Device {
        /// Its key.
        key: Arc<SecretKey>,
        /// Its log.
        log: Arc<IdentityLog>,
        /// Its tips.
        heads: Heads,
        /// The service's host and port, as they are dialled.
        dialled: String,
    },
}

enum Phase {
    /// The service waits for `Hello`, a device for `Greeting`.
    First,
    /// The service asked the shell who this is, or the device for statements.
    Identifying { hello: HelloBody, asked: Option<u64> },
    /// The device waits for `Welcome`.
    Welcoming { certificate: ServiceCertificate },
    /// Both exchange entries.
    Open(Box<Exchange>),
    Closed,
}

/// Outputs in order.
pub type Outputs = Vec<Output>;

/// One end of one stream.
#[expect(missing_debug_implementations, reason = "holds a device's secret key")]
pub struct Session {
    who: WhoWeAre,
    phase: Phase,
}

impl Session {
    /// A session before its stream is open.
    pub fn new(who: WhoWeAre) -> Self {
        Self { who, phase: Phase::First }
    }

    /// Takes one input. `now_ms` is any clock that never goes back.
    pub fn handle(&mut self, now_ms: u64, input: Input, out: &mut Outputs) {
        let result = match input {
            Input::Opened => {
                if let WhoWeAre::Service { greeting, .. } = &self.who {
                    out.push(Output::Send(Frame::Greeting(greeting.clone())));
                }
                Ok(())
            }
            Input::Frame(frame) => self.frame(now_ms, frame, out),
            Input::Identified(standing) => self.identified(now_ms, standing, out),
            Input::GoAway(reason) => {
                out.push(Output::Send(Frame::GoAway { reason, retry_after_ms: 0 }));
                Err(Close::GoAway(reason))
            }
            Input::Receipts(parts) => self.receipts(parts, out),
            Input::LogChanged(log) => self.log_changed(now_ms, log, out),
            other => match &mut self.phase {
                Phase::Open(exchange) => exchange.input(now_ms, other, out),
                Phase::First | Phase::Identifying { .. } | Phase::Welcoming { .. } | Phase::Closed => Ok(()),
            },
        };
        if let Err(close) = result
            && !matches!(self.phase, Phase::Closed)
        {
            self.phase = Phase::Closed;
            out.push(Output::Close(close));
        }
    }

    /// Whether the handshake is done and the session has not ended.
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_))
    }

    /// Whether nothing that was sent or received is unanswered.
    pub fn is_idle(&self) -> bool {
        match &self.phase {
            Phase::Open(exchange) => exchange.is_idle(),
            Phase::First | Phase::Identifying { .. } | Phase::Welcoming { .. } => false,
            Phase::Closed => true,
        }
    }

    /// How many frames of entries were sent and not answered.
    pub fn unanswered(&self) -> usize {
        match &self.phase {
            Phase::Open(exchange) => exchange.unanswered(),
            Phase::First | Phase::Identifying { .. } | Phase::Welcoming { .. } | Phase::Closed => 0,
        }
    }

    fn frame(&mut self, now_ms: u64, frame: Frame, out: &mut Outputs) -> Result<(), Close> {
        check_bounds(&frame)?;
        if let Frame::GoAway { reason, retry_after_ms } = frame {
            out.push(Output::PeerGoesAway { reason, retry_after_ms });
            return Ok(());
        }
        match (&mut self.phase, frame) {
            (Phase::Open(exchange), frame) => exchange.frame(frame, out),
            (Phase::Closed, _) => Ok(()),
            (Phase::First, Frame::Hello(hello)) => self.hello(&hello, out),
            (Phase::First, Frame::Greeting(greeting)) => self.greeting(&greeting, out),
            (Phase::First, _) => Err(Close::Expected(match self.who {
                WhoWeAre::Service { .. } => "Hello",
                WhoWeAre::Device { .. } => "Greeting",
            })),
            (Phase::Identifying { .. }, Frame::Statements(parts)) => {
                out.push(Output::Adopt(parts));
                Ok(())
            }
            (Phase::Welcoming { .. }, Frame::LogWanted { after_position }) => {
                out.push(Output::ReadReceipts { after_position });
                Ok(())
            }
            (Phase::Welcoming { certificate }, Frame::Welcome(welcome)) => {
                let certificate = certificate.clone();
                self.welcome(now_ms, welcome, certificate, out)
            }
            (Phase::Identifying { .. } | Phase::Welcoming { .. }, frame) => Err(Close::BadMessage(frame.name())),
        }
    }

    fn hello(&mut self, hello: &Hello, out: &mut Outputs) -> Result<(), Close> {
        let WhoWeAre::Service { ledger_id, greeting } = &self.who else {
            return Err(Close::Expected("Greeting"));
        };
        let body = hello.check(*ledger_id, greeting)?;
        out.push(Output::Identify { identity: body.identity, device: body.key.device_id() });
        self.phase = Phase::Identifying { hello: body, asked: None };
        Ok(())
    }

    /// Judges a hello: first the logs must agree, then the device must be active in them.
    fn identified(&mut self, now_ms: u64, standing: Option<Standing>, out: &mut Outputs) -> Result<(), Close> {
        let Phase::Identifying { hello, asked } = &mut self.phase else { return Ok(()) };
        let head = standing.as_ref().map_or(LogHead::EMPTY, |s| s.log.head());
        if head.position < hello.log.position {
            if asked.replace(head.position) == Some(head.position) {
                return Err(Close::Forbidden);
            }
            out.push(Output::Send(Frame::LogWanted { after_position: head.position }));
            return Ok(());
        }
        let Some(standing) = standing else { return Err(Close::Forbidden) };
        let device = hello.key.device_id();
        let record = standing.log.device(&device).ok_or(Close::Forbidden)?;
        if record.state != DeviceState::Active {
            return Err(Close::DeviceRevoked);
        }
        if standing.log.hash_at(hello.log.position) != Some(hello.log.hash) {
            return Err(Close::LogForked);
        }
        if standing.heads.of(&device).len() > 1 {
            return Err(Close::Forked);
        }
        let digest = standing.heads.digest(standing.log.ledger_id(), hello.identity);
        out.push(Output::Send(Frame::Welcome(Welcome {
            log: head,
            digest,
            store_epoch: standing.store_epoch,
        })));
        out.push(Output::Live { store_epoch: standing.store_epoch });
        let equal = digest == hello.digest;
        let peer_log = hello.log.position;
        let mut exchange = Exchange::new(now_ms, standing.log, Some(device), standing.store_epoch, peer_log);
        exchange.open(standing.heads, equal, out);
        self.phase = Phase::Open(Box::new(exchange));
        Ok(())
    }

    fn greeting(&mut self, greeting: &Greeting, out: &mut Outputs) -> Result<(), Close> {
        let WhoWeAre::Device { key, log, heads, dialled } = &self.who else {
            return Err(Close::Expected("Hello"));
        };
        let certificate = greeting.check(log.genesis(), dialled)?;
        let body = hello_body(key, log, heads);
        out.push(Output::Send(Frame::Hello(Hello::sign(log.ledger_id(), greeting, key, &body))));
        self.phase = Phase::Welcoming { certificate };
        Ok(())
    }

    fn welcome(
        &mut self,
        now_ms: u64,
        welcome: Welcome,
        certificate: ServiceCertificate,
        out: &mut Outputs,
    ) -> Result<(), Close> {
        let WhoWeAre::Device { log, heads, .. } = &self.who else {
            return Err(Close::BadMessage("Welcome"));
        };
        if log.hash_at(welcome.log.position).is_some_and(|hash| hash != welcome.log.hash) {
            return Err(Close::LogForked);
        }
        out.push(Output::Live { store_epoch: welcome.store_epoch });
        let equal = heads.digest(log.ledger_id(), log.identity()) == welcome.digest;
        let mut exchange =
            Exchange::new(now_ms, log.clone(), None, welcome.store_epoch, welcome.log.position);
        exchange.trust(certificate);
        exchange.open(heads.clone(), equal, out);
        self.phase = Phase::Open(Box::new(exchange));
        Ok(())
    }

    fn receipts(&mut self, parts: Vec<ReceiptParts>, out: &mut Outputs) -> Result<(), Close> {
        match &mut self.phase {
            Phase::Open(exchange) => exchange.receipts(parts, out),
            Phase::Welcoming { .. } => out.push(Output::Send(Frame::Statements(parts))),
            Phase::First | Phase::Identifying { .. } | Phase::Closed => {}
        }
        Ok(())
    }

    fn log_changed(&mut self, now_ms: u64, log: Arc<IdentityLog>, out: &mut Outputs) -> Result<(), Close> {
        match &mut self.phase {
            Phase::Open(exchange) => exchange.log_changed(now_ms, log, out),
            Phase::First | Phase::Identifying { .. } | Phase::Welcoming { .. } | Phase::Closed => {
                if let WhoWeAre::Device { log: ours, .. } = &mut self.who {
                    *ours = log;
                }
                Ok(())
            }
        }
    }
}

fn hello_body(key: &SecretKey, log: &IdentityLog, heads: &Heads) -> HelloBody {
    HelloBody {
        identity: log.identity(),
        key: key.public_key(),
        log: log.head(),
        digest: heads.digest(log.ledger_id(), log.identity()),
    }
}

/// The bounds on numbers of things in a frame; its size was checked where it was decoded.
fn check_bounds(frame: &Frame) -> Result<(), Close> {
    let (what, count, max) = match frame {
        Frame::Runs { runs, .. } => ("Runs", runs.len(), FRAME_RUNS_MAX),
        Frame::Taken { outcomes, .. } => ("Taken", outcomes.len(), FRAME_RUNS_MAX),
        Frame::Heads(heads) => ("Heads", heads.tips().count(), HEADS_TIPS_MAX),
        Frame::Locator(points) => ("Locator", points.len(), LOCATOR_POINTS_MAX * 16),
        Frame::Statements(parts) => ("Statements", parts.len(), FRAME_STATEMENTS_MAX),
        Frame::Acks(acks) => ("Acks", acks.len(), HEADS_TIPS_MAX),
        Frame::Greeting(_)
        | Frame::Hello(_)
        | Frame::Welcome(_)
        | Frame::LogWanted { .. }
        | Frame::Ping { .. }
        | Frame::Pong { .. }
        | Frame::GoAway { .. } => return Ok(()),
    };
    if count > max { Err(Close::BadMessage(what)) } else { Ok(()) }
}
