//! The handshake between two devices: both do what a service does, and what a device does.
//!
//! Both greet, both say hello, and each judges the other by its log as a service would. Whoever has
//! let the other in says so; an end is open when it has let the other in and was let in itself, so
//! nothing of the ledger is said to anybody who might not listen, or must not.

use std::sync::Arc;

use crate::identity::receipt::ReceiptParts;
use crate::identity::{DeviceState, IdentityLog};
use crate::ids::DeviceId;
use crate::keys::SecretKey;
use crate::ledger::Heads;
use crate::sync::exchange::{Opening, Role, fitting};
use crate::sync::frame::Frame;
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
    /// Whether entries were committed since the tips were read.
    missed: bool,
}

/// What an exchange is opened with.
pub(super) struct Met {
    pub(super) standing: Standing,
    pub(super) opening: Opening,
    /// Whether entries were committed since the tips were read.
    pub(super) missed: bool,
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
            missed: false,
        }
    }

    fn us(&self) -> DeviceId {
        self.key.public_key().device_id()
    }

    /// Takes what is not a frame.
    pub(super) fn input(&mut self, input: Input, out: &mut Outputs) -> Result<(), Close> {
        match input {
            Input::Opened => out.push(Output::Send(Frame::PeerGreeting(self.ours.clone()))),
            Input::Identified(standing) => return self.identified(standing, out),
            Input::Receipts(parts) => self.receipts(parts, out),
            Input::LogChanged(log) => return self.log_changed(log),
            Input::Committed(_) | Input::Missed => self.missed = true,
            Input::Frame(_)
            | Input::Judged { .. }
            | Input::Page { .. }
            | Input::Located(_)
            | Input::Heads(_)
            | Input::Acks(_)
            | Input::RelayAcks(_)
            | Input::Flow { .. }
            | Input::Flush { .. }
            | Input::Tick
            | Input::GoAway(_) => {}
        }
        Ok(())
    }

    pub(super) fn frame(&mut self, frame: Frame, out: &mut Outputs) -> Result<(), Close> {
        match frame {
            Frame::PeerGreeting(greeting) if self.theirs.is_none() => self.greeted(greeting, out),
            Frame::PeerHello(hello) if self.identifying.is_none() => self.hello(&hello, out),
            Frame::Statements(parts) => match &mut self.identifying {
                Some(identifying) => identifying.statements(parts, out),
                None => Err(Close::BadMessage("Statements")),
            },
            Frame::LogWanted { after_position } if self.identifying.is_some() => {
                self.asked = Some(after_position);
                self.read_statements(out);
                Ok(())
            }
            Frame::PeerWelcome(welcome) if self.welcomed.is_none() => {
                // It knows whom it lets in: it has judged this end's hello.
                if self.theirs.is_none() {
                    return Err(Close::Expected("PeerGreeting"));
                }
                self.welcomed = Some(welcome);
                Ok(())
            }
            _ if self.theirs.is_none() => Err(Close::Expected("PeerGreeting")),
            _ if self.identifying.is_none() => Err(Close::Expected("PeerHello")),
            frame => Err(Close::BadMessage(frame.name())),
        }
    }

    /// Both have let each other in.
    pub(super) fn met(&mut self) -> Result<Option<Met>, Close> {
        if self.judged.is_none() || self.welcomed.is_none() {
            return Ok(None);
        }
        let (Some(standing), Some(welcome)) = (self.judged.take(), self.welcomed.take()) else {
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
            missed: self.missed,
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
        self.identifying = Some(Identifying::start(body, hello.proof, out));
        Ok(())
    }

    fn identified(&mut self, standing: Option<Standing>, out: &mut Outputs) -> Result<(), Close> {
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
        self.missed = false;
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

    fn log_changed(&mut self, log: Arc<IdentityLog>) -> Result<(), Close> {
        let ended = |device: &DeviceId| {
            let record = log.device(device);
            record.is_some_and(|record| record.state != DeviceState::Active)
        };
        if ended(&self.us()) || self.judged.is_some() && ended(&self.channel.expected) {
            return Err(Close::DeviceRevoked);
        }
        if let Some(identifying) = &mut self.identifying {
            identifying.log_changed(&log);
        }
        if let Some(standing) = &mut self.judged {
            standing.log = log.clone();
            // What is kept may have changed with it.
            self.missed = true;
        }
        self.log = log;
        Ok(())
    }
}
