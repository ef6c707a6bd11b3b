//! The session: handshake, then exchange, then live, on both ends.

use std::sync::Arc;

use crate::identity::receipt::ReceiptParts;
use crate::identity::{DeviceState, IdentityLog, ServiceCertificate};
use crate::keys::Signature;
use crate::sync::exchange::{Exchange, Opening, Role, fitting};
use crate::sync::frame::{Frame, GoAwayReason};
use crate::sync::handshake::{Greeting, Hello, HelloBody, Welcome, WelcomeBody};
use crate::sync::identifying::Identifying;
use crate::sync::meeting::Meeting;
use crate::sync::shell::{Close, Input, Output, Outputs, Standing, WhoWeAre};

enum Phase {
    /// The service waits for `Hello`, a device for `Greeting`.
    First,
    /// The service finds out who says hello.
    Identifying(Box<Identifying>),
    /// The device waits for `Welcome`; `reading` statements that the service asked for.
    Welcoming {
        certificate: Box<ServiceCertificate>,
        /// Of the hello that the welcome must answer.
        proof: Signature,
        reading: bool,
    },
    /// Two devices find out whether they let each other in.
    Meeting(Box<Meeting>),
    /// Both exchange entries.
    Open(Box<Exchange>),
    /// Told to end: what was taken from the peer is answered, and nothing else is done.
    Leaving {
        exchange: Box<Exchange>,
        reason: GoAwayReason,
    },
    Closed,
}

/// One end of one stream.
#[expect(missing_debug_implementations, reason = "holds a secret key")]
pub struct Session {
    who: WhoWeAre,
    phase: Phase,
}

impl Session {
    /// A session before its stream is open.
    pub fn new(who: WhoWeAre) -> Self {
        let phase = match &who {
            WhoWeAre::Service { .. } | WhoWeAre::Device { .. } => Phase::First,
            WhoWeAre::Peer {
                key,
                log,
                heads,
                channel,
            } => {
                let meeting =
                    Meeting::new(key.clone(), log.clone(), heads.clone(), channel.clone());
                Phase::Meeting(Box::new(meeting))
            }
        };
        Self { who, phase }
    }

    /// Takes one input. `now_ms` is any clock that never goes back.
    pub fn handle(&mut self, now_ms: u64, input: Input, out: &mut Outputs) {
        if matches!(self.phase, Phase::Closed) {
            return;
        }
        if let Err(close) = self.take(now_ms, input, out) {
            self.phase = Phase::Closed;
            out.push(Output::Close(close));
        }
    }

    /// Whether the handshake is done and the session has not ended.
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_) | Phase::Leaving { .. })
    }

    /// Whether it was told to end and takes no more frames.
    pub fn is_leaving(&self) -> bool {
        matches!(self.phase, Phase::Leaving { .. })
    }

    /// Whether nothing that was sent or received is unanswered.
    pub fn is_idle(&self) -> bool {
        match &self.phase {
            Phase::Open(exchange) | Phase::Leaving { exchange, .. } => exchange.is_idle(),
            Phase::First | Phase::Identifying(_) | Phase::Welcoming { .. } | Phase::Meeting(_) => {
                false
            }
            Phase::Closed => true,
        }
    }

    /// How many frames of entries were sent and not answered.
    pub fn unanswered(&self) -> usize {
        match &self.phase {
            Phase::Open(exchange) | Phase::Leaving { exchange, .. } => exchange.unanswered(),
            Phase::First
            | Phase::Identifying(_)
            | Phase::Welcoming { .. }
            | Phase::Meeting(_)
            | Phase::Closed => 0,
        }
    }

    fn take(&mut self, now_ms: u64, input: Input, out: &mut Outputs) -> Result<(), Close> {
        if let Phase::Leaving { exchange, reason } = &mut self.phase {
            exchange.settle(now_ms, input, out)?;
            return leave_if_answered(exchange, *reason, out);
        }
        let input = match (&mut self.phase, input) {
            (Phase::Meeting(_), input @ (Input::Frame(_) | Input::GoAway(_))) => input,
            (Phase::Meeting(meeting), input) => {
                meeting.input(now_ms, input, out)?;
                return self.meet(now_ms, out);
            }
            (_, input) => input,
        };
        match input {
            Input::Opened => self.opened(out),
            Input::Frame(frame) => return self.frame(now_ms, frame, out),
            Input::Identified(standing) => return self.identified(now_ms, standing, out),
            Input::GoAway(reason) => return self.leave(reason, out),
            Input::Receipts(parts) => self.receipts(now_ms, parts, out),
            Input::LogChanged(log) => return self.log_changed(log, out),
            input @ (Input::Judged { .. }
            | Input::Committed(_)
            | Input::Missed
            | Input::Page { .. }
            | Input::Located(_)
            | Input::Heads(_)
            | Input::Acks(_)
            | Input::RelayAcks(_)
            | Input::Flow { .. }
            | Input::Flush { .. }
            | Input::Tick) => {
                if let Phase::Open(exchange) = &mut self.phase {
                    return exchange.input(now_ms, input, out);
                }
            }
        }
        Ok(())
    }

    fn leave(&mut self, reason: GoAwayReason, out: &mut Outputs) -> Result<(), Close> {
        let Phase::Open(exchange) = std::mem::replace(&mut self.phase, Phase::Closed) else {
            return farewell(reason, out);
        };
        leave_if_answered(&exchange, reason, out)?;
        self.phase = Phase::Leaving { exchange, reason };
        Ok(())
    }

    fn opened(&self, out: &mut Outputs) {
        if let (Phase::First, WhoWeAre::Service { greeting, .. }) = (&self.phase, &self.who) {
            out.push(Output::Send(Frame::Greeting(greeting.clone())));
        }
    }

    fn frame(&mut self, now_ms: u64, frame: Frame, out: &mut Outputs) -> Result<(), Close> {
        if frame.is_over_limit() {
            return Err(Close::BadMessage(frame.name()));
        }
        if let Frame::GoAway {
            reason,
            retry_after_ms,
        } = frame
        {
            out.push(Output::PeerGoesAway {
                reason,
                retry_after_ms,
            });
            return Ok(());
        }
        match (&mut self.phase, frame) {
            (Phase::Open(exchange), frame) => exchange.frame(now_ms, frame, out),
            (Phase::Leaving { .. } | Phase::Closed, _) => Ok(()),
            (Phase::Meeting(meeting), frame) => {
                meeting.frame(now_ms, frame, out)?;
                self.meet(now_ms, out)
            }
            (Phase::First, Frame::Hello(hello)) => self.hello(&hello, out),
            (Phase::First, Frame::Greeting(greeting)) => self.greeting(&greeting, out),
            (Phase::First, _) => Err(self.expected_first()),
            (Phase::Identifying(identifying), Frame::Statements(parts)) => {
                identifying.statements(parts, out)
            }
            (Phase::Welcoming { reading, .. }, Frame::LogWanted { after_position }) => {
                if !std::mem::replace(reading, true) {
                    out.push(Output::ReadReceipts { after_position });
                }
                Ok(())
            }
            (
                Phase::Welcoming {
                    certificate, proof, ..
                },
                Frame::Welcome(welcome),
            ) => {
                let (certificate, proof) = ((**certificate).clone(), *proof);
                self.welcome(now_ms, &welcome, &proof, certificate, out)
            }
            (Phase::Identifying(_) | Phase::Welcoming { .. }, frame) => {
                Err(Close::BadMessage(frame.name()))
            }
        }
    }

    fn expected_first(&self) -> Close {
        Close::Expected(match self.who {
            WhoWeAre::Service { .. } => "Hello",
            WhoWeAre::Device { .. } => "Greeting",
            WhoWeAre::Peer { .. } => "PeerGreeting",
        })
    }

    fn hello(&mut self, hello: &Hello, out: &mut Outputs) -> Result<(), Close> {
        let WhoWeAre::Service {
            ledger_id,
            greeting,
            ..
        } = &self.who
        else {
            return Err(self.expected_first());
        };
        let body = hello.check(*ledger_id, greeting)?;
        let identifying = Identifying::start(body, hello.proof, out);
        self.phase = Phase::Identifying(Box::new(identifying));
        Ok(())
    }

    fn identified(
        &mut self,
        now_ms: u64,
        standing: Option<Standing>,
        out: &mut Outputs,
    ) -> Result<(), Close> {
        let (Phase::Identifying(identifying), WhoWeAre::Service { signer, .. }) =
            (&mut self.phase, &self.who)
        else {
            return Ok(());
        };
        let Some(standing) = identifying.judge(standing, out)? else {
            return Ok(());
        };
        let hello = identifying.hello();
        let digest = standing.heads.digest(&standing.log);
        let welcome = WelcomeBody {
            log: standing.log.head(),
            digest,
            store_epoch: standing.store_epoch,
        };
        let (ledger_id, proof) = (standing.log.ledger_id(), identifying.proof());
        let welcome = Welcome::sign(signer, ledger_id, proof, &welcome);
        out.push(Output::Send(Frame::Welcome(welcome)));
        let opening = Opening {
            role: Role::Service {
                device: hello.key.device_id(),
            },
            peer_log: hello.log.position,
            equal: digest == hello.digest,
        };
        self.open(now_ms, standing, opening, out);
        Ok(())
    }

    fn greeting(&mut self, greeting: &Greeting, out: &mut Outputs) -> Result<(), Close> {
        let WhoWeAre::Device {
            key,
            log,
            heads,
            dialled,
            nonce,
        } = &self.who
        else {
            return Err(self.expected_first());
        };
        let certificate = greeting.check(log.genesis(), dialled)?;
        let body = HelloBody {
            identity: log.identity(),
            key: key.public_key(),
            log: log.head(),
            digest: heads.digest(log),
            nonce: *nonce,
        };
        let hello = Hello::sign(log.ledger_id(), greeting, key, &body);
        self.phase = Phase::Welcoming {
            certificate: Box::new(certificate),
            proof: hello.proof,
            reading: false,
        };
        out.push(Output::Send(Frame::Hello(hello)));
        Ok(())
    }

    fn welcome(
        &mut self,
        now_ms: u64,
        welcome: &Welcome,
        proof: &Signature,
        certificate: ServiceCertificate,
        out: &mut Outputs,
    ) -> Result<(), Close> {
        let WhoWeAre::Device {
            key, log, heads, ..
        } = &self.who
        else {
            return Err(Close::BadMessage("Welcome"));
        };
        let welcome = welcome.check(log.ledger_id(), proof, certificate.key())?;
        let ours = log.hash_at(welcome.log.position);
        if ours.is_some_and(|hash| hash != welcome.log.hash) {
            return Err(Close::LogForked);
        }
        let opening = Opening {
            role: Role::Device {
                device: key.public_key().device_id(),
                service: Box::new(certificate),
            },
            peer_log: welcome.log.position,
            equal: heads.digest(log) == welcome.digest,
        };
        let standing = Standing {
            log: log.clone(),
            heads: heads.clone(),
            store_epoch: welcome.store_epoch,
        };
        self.open(now_ms, standing, opening, out);
        Ok(())
    }

    fn open(&mut self, now_ms: u64, standing: Standing, opening: Opening, out: &mut Outputs) {
        out.push(Output::Live {
            store_epoch: standing.store_epoch,
        });
        let exchange = Exchange::open(now_ms, standing, opening, out);
        self.phase = Phase::Open(Box::new(exchange));
    }

    /// Opens the exchange of two devices that have let each other in.
    fn meet(&mut self, now_ms: u64, out: &mut Outputs) -> Result<(), Close> {
        let Phase::Meeting(meeting) = &mut self.phase else {
            return Ok(());
        };
        let Some(met) = meeting.met()? else {
            return Ok(());
        };
        self.open(now_ms, met.standing, met.opening, out);
        if let Phase::Open(exchange) = &mut self.phase {
            let wanted = met.flow_wanted;
            exchange.input(now_ms, Input::Flow { wanted }, out)?;
        }
        Ok(())
    }

    fn receipts(&mut self, now_ms: u64, mut parts: Vec<ReceiptParts>, out: &mut Outputs) {
        match &mut self.phase {
            Phase::Open(exchange) => exchange.receipts(now_ms, parts, out),
            Phase::Welcoming { reading, .. } => {
                if std::mem::take(reading) {
                    parts.truncate(fitting(&parts));
                    out.push(Output::Send(Frame::Statements(parts)));
                }
            }
            Phase::First
            | Phase::Identifying(_)
            | Phase::Meeting(_)
            | Phase::Leaving { .. }
            | Phase::Closed => {}
        }
    }

    fn log_changed(&mut self, log: Arc<IdentityLog>, out: &mut Outputs) -> Result<(), Close> {
        match &mut self.phase {
            Phase::Open(exchange) => return exchange.log_changed(log, out),
            Phase::Identifying(identifying) => identifying.log_changed(&log),
            Phase::First
            | Phase::Welcoming { .. }
            | Phase::Meeting(_)
            | Phase::Leaving { .. }
            | Phase::Closed => {}
        }
        if let WhoWeAre::Device { log: ours, key, .. } = &mut self.who {
            let us = key.public_key().device_id();
            if log
                .device(&us)
                .is_some_and(|d| d.state != DeviceState::Active)
            {
                return Err(Close::DeviceRevoked);
            }
            *ours = log;
        }
        Ok(())
    }
}

fn leave_if_answered(
    exchange: &Exchange,
    reason: GoAwayReason,
    out: &mut Outputs,
) -> Result<(), Close> {
    if exchange.has_answered() {
        farewell(reason, out)
    } else {
        Ok(())
    }
}

fn farewell(reason: GoAwayReason, out: &mut Outputs) -> Result<(), Close> {
    out.push(Output::Send(Frame::GoAway {
        reason,
        retry_after_ms: 0,
    }));
    Err(Close::GoAway(reason))
}
