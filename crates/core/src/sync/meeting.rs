//! The handshake between two devices: both do what a service does, and what a device does.
//!
//! Both greet, both say hello, and each judges the other by its log as a service would. Whoever has
//! let the other in says so; an end is open when it has let the other in and was let in itself, so
//! nothing of the ledger is said to anybody who might not listen, or must not.
//!
//! Whoever has the shorter log asks for the rest of it, and is answered by who has let it in.

use std::sync::Arc;

use crate::identity::receipt::ReceiptParts;
use crate::identity::{DeviceState, IdentityLog};
use crate::ids::DeviceId;
use crate::keys::SecretKey;
use crate::ledger::Heads;
use crate::limits::PEER_OPENING_MS_MAX;
use crate::sync::exchange::{Opening, Role, fitting};
use crate::sync::frame::{Frame, GoAwayReason};
use crate::sync::handshake::{Hello, HelloBody};
use crate::sync::identifying::Identifying;
use crate::sync::peer_handshake::{
    Greetings, PeerChannel, PeerGreeting, PeerWelcome, check_peer_hello, say_hello,
};
use crate::sync::shell::{Close, Input, Output, Outputs, Standing};

/// Two devices that do not know yet whether they let each other in.
pub(super) struct Meeting {
    key: Arc<SecretKey>,
    log: Arc<IdentityLog>,
    heads: Heads,
    channel: PeerChannel,
    ours: PeerGreeting,
    theirs: Option<PeerGreeting>,
    identifying: Option<Identifying>,
    /// What the peer was let in with.
    judged: Option<Standing>,
    welcomed: Option<PeerWelcome>,
    /// The position after which the peer asked for statements, before it was judged.
    asked: Option<u64>,
    reading: bool,
    /// Whether this end wants entries, once the exchange is open.
    flow_wanted: bool,
    /// When something arrived last.
    heard_ms: u64,
}

/// What an exchange is opened with.
pub(super) struct Met {
    pub(super) standing: Standing,
    pub(super) opening: Opening,
    pub(super) flow_wanted: bool,
}

impl Meeting {
    pub(super) fn new(
        key: Arc<SecretKey>,
        log: Arc<IdentityLog>,
        heads: Heads,
        channel: PeerChannel,
    ) -> Self {
        Self {
            ours: PeerGreeting::new(log.ledger_id(), channel.greeting_nonce),
            key,
            log,
            heads,
            channel,
            theirs: None,
            identifying: None,
            judged: None,
            welcomed: None,
            asked: None,
            reading: false,
            flow_wanted: false,
            heard_ms: 0,
        }
    }

    fn us(&self) -> DeviceId {
        self.key.public_key().device_id()
    }

    /// Takes what is not a frame.
    pub(super) fn input(
        &mut self,
        now_ms: u64,
        input: Input,
        out: &mut Outputs,
    ) -> Result<(), Close> {
        match input {
            Input::Opened => {
                self.heard_ms = now_ms;
                out.push(Output::Send(Frame::PeerGreeting(self.ours.clone())));
            }
            Input::Identified(standing) => return self.identified(standing, out),
            Input::Receipts(parts) => self.receipts(parts, out),
            Input::LogChanged(log) => return self.log_changed(log, out),
            Input::Flow { wanted } => self.flow_wanted = wanted,
            Input::Tick if self.heard_ms + PEER_OPENING_MS_MAX < now_ms => {
                return Err(Close::Stalled);
            }
            // What was committed meanwhile is found when the exchange reads the store.
            Input::Committed(_)
            | Input::Missed
            | Input::Frame(_)
            | Input::Judged { .. }
            | Input::Page { .. }
            | Input::Located(_)
            | Input::Heads(_)
            | Input::Acks(_)
            | Input::RelayAcks(_)
            | Input::Flush { .. }
            | Input::Tick
            | Input::GoAway(_) => {}
        }
        Ok(())
    }

    pub(super) fn frame(
        &mut self,
        now_ms: u64,
        frame: Frame,
        out: &mut Outputs,
    ) -> Result<(), Close> {
        self.heard_ms = now_ms;
        match (frame, &mut self.identifying) {
            (Frame::PeerGreeting(greeting), _) if self.theirs.is_none() => {
                self.greeted(greeting, out)
            }
            _ if self.theirs.is_none() => Err(Close::Expected("PeerGreeting")),
            (Frame::PeerHello(hello), None) => self.hello(&hello, out),
            (_, None) => Err(Close::Expected("PeerHello")),
            (Frame::Statements(parts), Some(identifying)) => identifying.statements(parts, out),
            (Frame::LogWanted { after_position }, _) => {
                self.asked = Some(after_position);
                self.read_statements(out);
                Ok(())
            }
            (Frame::PeerWelcome(welcome), _) if self.welcomed.is_none() => {
                self.welcomed = Some(welcome);
                Ok(())
            }
            (frame, _) => Err(Close::BadMessage(frame.name())),
        }
    }

    /// Both have let each other in, and nothing is being read for the peer.
    pub(super) fn met(&mut self) -> Result<Option<Met>, Close> {
        let Some(welcome) = self.welcomed.filter(|_| !self.reading) else {
            return Ok(None);
        };
        let Some(standing) = self.judged.take() else {
            return Ok(None);
        };
        let ours = standing.log.hash_at(welcome.log.position);
        if ours.is_some_and(|hash| hash != welcome.log.hash) {
            return Err(Close::LogForked);
        }
        let opening = Opening {
            role: Role::Peer {
                ours: self.us(),
                theirs: self.channel.expected,
            },
            peer_log: welcome.log.position,
            equal: standing.heads.digest(&standing.log) == welcome.digest,
        };
        Ok(Some(Met {
            standing,
            opening,
            flow_wanted: self.flow_wanted,
        }))
    }

    fn greeted(&mut self, theirs: PeerGreeting, out: &mut Outputs) -> Result<(), Close> {
        theirs.check(self.log.ledger_id())?;
        let hello = HelloBody {
            identity: self.log.identity(),
            key: self.key.public_key(),
            log: self.log.head(),
            digest: self.heads.digest(&self.log),
            nonce: self.channel.hello_nonce,
        };
        let greetings = Greetings {
            ours: self.ours.clone(),
            theirs: theirs.clone(),
        };
        let fingerprints = self.channel.fingerprints;
        let hello = say_hello(
            self.log.ledger_id(),
            &self.key,
            &greetings,
            fingerprints,
            &hello,
        );
        self.theirs = Some(theirs);
        out.push(Output::Send(Frame::PeerHello(hello)));
        Ok(())
    }

    fn hello(&mut self, hello: &Hello, out: &mut Outputs) -> Result<(), Close> {
        let Some(theirs) = self.theirs.clone() else {
            return Err(Close::Expected("PeerGreeting"));
        };
        let greetings = Greetings {
            ours: self.ours.clone(),
            theirs,
        };
        let (ledger_id, fingerprints) = (self.log.ledger_id(), self.channel.fingerprints);
        let body = check_peer_hello(hello, ledger_id, &greetings, fingerprints)?;
        let device = body.key.device_id();
        if body.identity != self.log.identity()
            || device != self.channel.expected
            || device == self.us()
        {
            return Err(Close::Forbidden);
        }
        let mut identifying = Identifying::start(body, hello.proof, out);
        identifying.log_changed(&self.log);
        self.identifying = Some(identifying);
        Ok(())
    }

    fn identified(&mut self, standing: Option<Standing>, out: &mut Outputs) -> Result<(), Close> {
        if let Some(standing) = &standing {
            self.must_be_active(&standing.log, out)?;
        }
        let Some(identifying) = self.identifying.as_mut().filter(|_| self.judged.is_none()) else {
            return Ok(());
        };
        let Some(standing) = identifying.judge(standing, out)? else {
            return Ok(());
        };
        out.push(Output::Send(Frame::PeerWelcome(PeerWelcome {
            log: standing.log.head(),
            digest: standing.heads.digest(&standing.log),
        })));
        self.log = standing.log.clone();
        self.judged = Some(standing);
        self.read_statements(out);
        Ok(())
    }

    /// Statements are shown to nobody before the log has said who that is.
    fn read_statements(&mut self, out: &mut Outputs) {
        if self.judged.is_some()
            && !self.reading
            && let Some(after_position) = self.asked.take()
        {
            self.reading = true;
            out.push(Output::ReadReceipts { after_position });
        }
    }

    fn receipts(&mut self, mut parts: Vec<ReceiptParts>, out: &mut Outputs) {
        if std::mem::take(&mut self.reading) {
            parts.truncate(fitting(&parts));
            out.push(Output::Send(Frame::Statements(parts)));
        }
    }

    fn log_changed(&mut self, log: Arc<IdentityLog>, out: &mut Outputs) -> Result<(), Close> {
        if log.head().position <= self.log.head().position {
            return Ok(());
        }
        self.must_be_active(&log, out)?;
        if let Some(identifying) = &mut self.identifying {
            identifying.log_changed(&log);
        }
        if let Some(standing) = &mut self.judged {
            standing.log = log.clone();
        }
        self.log = log;
        Ok(())
    }

    /// Neither end may be one that a log has ended. The peer is told of its own end once it has
    /// proved who it is: there is no status that could say so.
    fn must_be_active(&self, log: &IdentityLog, out: &mut Outputs) -> Result<(), Close> {
        let ended = |device: &DeviceId| {
            let record = log.device(device);
            record.is_some_and(|record| record.state != DeviceState::Active)
        };
        let they_ended = self.identifying.is_some() && ended(&self.channel.expected);
        if they_ended {
            out.push(Output::Send(Frame::GoAway {
                reason: GoAwayReason::DeviceRevoked,
                retry_after_ms: 0,
            }));
        }
        if they_ended || ended(&self.us()) {
            return Err(Close::DeviceRevoked);
        }
        Ok(())
    }
}
