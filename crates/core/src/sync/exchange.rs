//! The exchange of entries and statements once both ends know each other.
//!
//! It keeps three things about the peer: the points of each journal that the peer has, the frames
//! that are unanswered (at most 8), and where its log ends. Statements go first. Whatever the
//! peer lacks is read from the store by what it has; what was just committed is sent straight
//! away when the peer has its parent.
//!
//! Whoever finds that something does not fit tells the peer all its tips, and the peer sends what
//! is lacking there: at the start when digests differ, when a run waits for its parent, when a
//! cut has changed what is kept, and when digests differ though nothing is on the way. `Heads`
//! is never an answer to `Heads`, so that no exchange of them can go on for ever.

mod acks;
mod compare;
mod flow;
mod incoming;
mod outgoing;
mod peer;
mod statements;
mod tips;

pub(super) use statements::fitting;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::identity::{IdentityLog, ServiceCertificate};
use crate::ids::{DeviceId, StoreEpoch};
use crate::sync::frame::Frame;
use crate::sync::shell::{Close, Input, Output, Outputs, Standing};

use acks::AckToCheck;
use compare::Compare;
use flow::Flow;
use incoming::Incoming;
use outgoing::Outgoing;
use peer::PeerHas;
use statements::Statements;
use tips::Tips;

/// What the two ends are to each other.
pub(super) enum Role {
    /// A service, which serves this device.
    Service {
        /// The device.
        device: DeviceId,
    },
    /// This device, with a service.
    Device {
        /// The device.
        device: DeviceId,
        /// The service's key.
        service: Box<ServiceCertificate>,
    },
    /// This device, with another one.
    Peer {
        /// This one.
        ours: DeviceId,
        /// The other.
        theirs: DeviceId,
    },
}

/// What the handshake found out about the two ends.
pub(super) struct Opening {
    pub(super) role: Role,
    /// Where the peer's log ends.
    pub(super) peer_log: u64,
    /// Whether both digests are equal.
    pub(super) equal: bool,
}

pub(super) struct Exchange {
    log: Arc<IdentityLog>,
    role: Role,
    /// Whether entries are exchanged now.
    flow: Flow,
    store_epoch: StoreEpoch,
    /// What the peer has; `None` until it told.
    peer: Option<PeerHas>,
    statements: Statements,
    tips: Tips,
    outgoing: Outgoing,
    incoming: Incoming,
    compare: Compare,
    acks_waiting: VecDeque<AckToCheck>,
}

impl Exchange {
    /// Starts: with equal digests the peer has what we have, otherwise both tell their tips.
    pub(super) fn open(
        now_ms: u64,
        standing: Standing,
        opening: Opening,
        out: &mut Outputs,
    ) -> Self {
        let Standing {
            log,
            heads,
            store_epoch,
        } = standing;
        let peer = opening.equal.then(|| PeerHas::of(&heads));
        let mut statements = Statements::new(opening.peer_log);
        let flow = Flow::new(&opening.role);
        if flow.is_on() && !opening.equal && !statements.tell_tips_after(&log) {
            out.push(Output::Send(Frame::Heads(heads)));
        }
        // One comparison is enough for both ends.
        let asks_late = match &opening.role {
            Role::Service { .. } => true,
            Role::Device { .. } => false,
            Role::Peer { ours, theirs } => ours > theirs,
        };
        let mut exchange = Self {
            log,
            role: opening.role,
            flow,
            store_epoch,
            peer,
            statements,
            tips: Tips::default(),
            outgoing: Outgoing::new(),
            incoming: Incoming::default(),
            compare: Compare::new(now_ms, asks_late),
            acks_waiting: VecDeque::new(),
        };
        exchange.pump(out);
        exchange
    }

    pub(super) fn is_idle(&self) -> bool {
        (self.peer.is_some() || !self.flow.is_on())
            && self.told()
            && self.outgoing.is_answered()
            && self.incoming.is_answered()
            && self.tips.is_idle()
    }

    pub(super) fn unanswered(&self) -> usize {
        self.outgoing.unanswered()
    }

    pub(super) fn input(
        &mut self,
        now_ms: u64,
        input: Input,
        out: &mut Outputs,
    ) -> Result<(), Close> {
        match input {
            Input::Judged {
                log_wanted,
                heads_wanted,
                ..
            } => {
                self.settle(now_ms, input, out)?;
                self.wanted(now_ms, log_wanted, heads_wanted, out);
            }
            Input::Acks(_) => self.settle(now_ms, input, out)?,
            Input::Committed(runs) => self.committed(now_ms, &runs, out),
            Input::Missed => self.outgoing.dirty = true,
            Input::Page { runs, more } => self.page(now_ms, runs, more, out),
            Input::Located(points) => self.located(points, out),
            Input::Heads(heads) => self.heads_read(now_ms, heads, out),
            Input::RelayAcks(acks) => self.relay_acks(&acks, out),
            Input::Flow { wanted } => self.want_flow(wanted, out),
            Input::Flush { ping_id } if self.flow.is_on() => {
                let asked = self.outgoing.reads();
                self.compare.flush(ping_id, asked, out);
            }
            Input::Flush { ping_id } => {
                let equal = false;
                out.push(Output::Flushed { ping_id, equal });
            }
            Input::Tick => self.tick(now_ms, out)?,
            Input::Opened
            | Input::Frame(_)
            | Input::Identified(_)
            | Input::LogChanged(_)
            | Input::Receipts(_)
            | Input::GoAway(_) => {}
        }
        self.pump(out);
        Ok(())
    }

    /// Answers what was taken from the peer, and does nothing else.
    pub(super) fn settle(
        &mut self,
        now_ms: u64,
        input: Input,
        out: &mut Outputs,
    ) -> Result<(), Close> {
        match input {
            Input::Judged {
                frame_id,
                outcomes,
                kept,
                acks,
                ..
            } => {
                let judged = self.judged(now_ms, frame_id, outcomes, kept, out);
                acks::send(&acks, out);
                judged?;
            }
            Input::Acks(acks) => acks::send(&acks, out),
            Input::Flush { ping_id } => {
                let equal = false;
                out.push(Output::Flushed { ping_id, equal });
            }
            // A device that was ended is told so, whatever else it was to be told.
            Input::LogChanged(log) => return self.log_changed_while_leaving(log, out),
            Input::Opened
            | Input::Frame(_)
            | Input::Identified(_)
            | Input::Committed(_)
            | Input::Missed
            | Input::Page { .. }
            | Input::Located(_)
            | Input::Heads(_)
            | Input::Receipts(_)
            | Input::RelayAcks(_)
            | Input::Flow { .. }
            | Input::Tick
            | Input::GoAway(_) => {}
        }
        Ok(())
    }

    /// Whether every frame of entries that was taken from the peer is answered.
    pub(super) fn has_answered(&self) -> bool {
        self.incoming.is_answered()
    }

    pub(super) fn frame(
        &mut self,
        now_ms: u64,
        frame: Frame,
        out: &mut Outputs,
    ) -> Result<(), Close> {
        match frame {
            Frame::Heads(heads) => self.peer_heads(heads, out),
            Frame::LogWanted { after_position } => self.statements.peer_ends_at(after_position),
            Frame::Statements(parts) => self.statements_told(now_ms, parts, out)?,
            Frame::Runs { frame_id, runs } => self.judge(frame_id, runs, out)?,
            Frame::Taken { frame_id, outcomes } => self.taken(now_ms, frame_id, &outcomes, out)?,
            Frame::Acks(acks) => self.acks(acks, out)?,
            Frame::RelayedAcks(acks) => self.relayed_acks(acks, out)?,
            Frame::Flow { wanted } => self.peer_wants_flow(wanted, out)?,
            Frame::Locator(points) => self.peer_points(points),
            Frame::Ping { ping_id, digest } => self.ping(ping_id, digest)?,
            Frame::Pong { ping_id, digest } => self.pong(ping_id, digest),
            Frame::Greeting(_)
            | Frame::Hello(_)
            | Frame::Welcome(_)
            | Frame::PeerGreeting(_)
            | Frame::PeerHello(_)
            | Frame::PeerWelcome(_)
            | Frame::GoAway { .. } => {
                return Err(Close::BadMessage(frame.name()));
            }
        }
        self.pump(out);
        Ok(())
    }

    /// Asks for what there is to do next: statements first, then entries, then comparisons.
    fn pump(&mut self, out: &mut Outputs) {
        self.read_statements(out);
        self.read_entries(out);
        self.answer_ping(out);
        self.probe(out);
    }

    /// Whether the peer was told of all that is known to be lacking there, answered or not.
    /// Without knowing what the peer has, nothing is known to be lacking.
    fn told(&self) -> bool {
        self.told_since(u64::MAX)
    }

    /// Whether it was told of all that was here when the store had been read so many times. While
    /// entries do not flow, there are none to be told.
    fn told_since(&self, reads: u64) -> bool {
        let flows_to_peer = self.flow.is_on() && self.peer.is_some();
        self.statements_are_told()
            && self.tips.are_told()
            && (!flows_to_peer || self.outgoing.is_told_since(reads))
    }

    /// Whether, beyond that, nothing is on the way in either direction.
    fn at_rest(&self) -> bool {
        self.told() && self.outgoing.is_answered() && self.incoming.is_answered()
    }

    fn tick(&mut self, now_ms: u64, out: &mut Outputs) -> Result<(), Close> {
        if self.outgoing.is_stalled(now_ms) {
            return Err(Close::Stalled);
        }
        self.statements.tick(now_ms);
        self.compare.tick(now_ms);
        self.ping_again(now_ms, out);
        Ok(())
    }
}
