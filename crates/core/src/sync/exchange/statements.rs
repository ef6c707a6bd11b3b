//! Statements of the identity log, both ways.
//!
//! Whoever has the longer log sends what the other lacks, unasked. `LogWanted` says where the
//! sender's log ends: it asks for more, and it confirms what came; what nobody confirms is sent
//! again. Nothing is ever answered by `LogWanted` but statements, so this comes to an end.

use std::sync::Arc;

use prost::Message as _;

use super::{Exchange, Role};
use crate::identity::receipt::ReceiptParts;
use crate::identity::{DeviceState, IdentityLog};
use crate::ids::DeviceId;
use crate::limits::{
    DIGEST_EVERY_MS, FRAME_STATEMENTS_MAX, LOG_ASKS_MAX, PAGE_BYTES_MAX, STATEMENTS_AGAIN_MS,
};
use crate::sync::frame::{Frame, GoAwayReason};
use crate::sync::shell::{Close, Output, Outputs};
use crate::wire;

#[derive(Debug)]
pub(super) struct Statements {
    /// Where the peer's log ends, as it said.
    confirmed: u64,
    /// Where it will end when the peer took what was sent.
    peer: u64,
    /// When statements were sent last.
    sent_ms: u64,
    /// Whether the peer said since then that it lacks them.
    lacks: bool,
    /// The position after which receipts are being read.
    reading_after: Option<u64>,
    /// The last position that was handed to the shell.
    handed: u64,
    /// When the peer was asked, if it did not answer yet.
    asked_ms: Option<u64>,
    /// How often it was asked since the log grew.
    asks: u32,
    /// Whether the peer is to be told our tips when the log has grown: a run came of a device
    /// that the log does not know, or the log is known to be too short.
    tell_tips: bool,
}

impl Statements {
    pub(super) fn new(peer: u64) -> Self {
        Self {
            confirmed: peer,
            peer,
            sent_ms: 0,
            lacks: false,
            reading_after: None,
            handed: 0,
            asked_ms: None,
            asks: 0,
            tell_tips: false,
        }
    }

    /// The log that is about to arrive may change what is kept: our tips are told after that.
    pub(super) fn tell_tips_after(&mut self, log: &IdentityLog) -> bool {
        self.tell_tips = self.peer > log.head().position;
        self.tell_tips
    }

    /// The peer said where its log ends.
    pub(super) fn peer_ends_at(&mut self, position: u64) {
        self.confirmed = self.confirmed.max(position);
        self.peer = self.peer.max(position);
        self.lacks = self.confirmed < self.peer;
    }

    /// What was sent and not confirmed is lost: after a second if the peer says that it lacks
    /// something, which may be on its way, else after a while.
    pub(super) fn tick(&mut self, now_ms: u64) {
        let wait_ms = match self.lacks {
            true => STATEMENTS_AGAIN_MS,
            false => DIGEST_EVERY_MS,
        };
        if self.peer > self.confirmed && self.sent_ms + wait_ms <= now_ms {
            self.peer = self.confirmed;
        }
    }

    /// Whether the peer's log is longer than ours and it may still tell us what it says.
    pub(super) fn peer_is_ahead(&self, log: &IdentityLog) -> bool {
        self.peer > log.head().position && self.asks < LOG_ASKS_MAX
    }
}

impl Exchange {
    /// Whether the peer was sent the whole log.
    pub(super) fn statements_are_told(&self) -> bool {
        self.statements.reading_after.is_none() && self.statements.peer >= self.log.head().position
    }

    pub(super) fn read_statements(&mut self, out: &mut Outputs) {
        let statements = &mut self.statements;
        if statements.reading_after.is_none() && statements.peer < self.log.head().position {
            statements.reading_after = Some(statements.peer);
            out.push(Output::ReadReceipts {
                after_position: statements.peer,
            });
        }
    }

    pub(in crate::sync) fn receipts(
        &mut self,
        now_ms: u64,
        mut parts: Vec<ReceiptParts>,
        out: &mut Outputs,
    ) {
        let statements = &mut self.statements;
        let Some(after) = statements.reading_after.take() else {
            return;
        };
        parts.truncate(fitting(&parts));
        if parts.is_empty() {
            // Nobody here has the receipts: there is nothing to be told.
            statements.peer_ends_at(self.log.head().position);
        } else {
            statements.sent_ms = now_ms;
            statements.lacks = false;
            statements.peer = statements.peer.max(after + parts.len() as u64);
            out.push(Output::Send(Frame::Statements(parts)));
        }
        self.pump(out);
    }

    /// Statements arrived: hands on those that are new.
    pub(super) fn statements_told(
        &mut self,
        now_ms: u64,
        mut parts: Vec<ReceiptParts>,
        out: &mut Outputs,
    ) -> Result<(), Close> {
        self.statements.asked_ms = None;
        let Some((first, last)) = positions(&parts)? else {
            return Ok(());
        };
        self.statements.peer_ends_at(last);
        let theirs = parts.iter().zip(first..=last);
        let mut held = theirs.map_while(|(parts, position)| self.log.has(position, parts));
        if !held.all(|same| same) {
            return Err(Close::LogForked);
        }
        let ours = self.log.records_after(first - 1);
        parts.drain(..parts.len().min(ours.len()));
        let next = self.log.head().position.max(self.statements.handed) + 1;
        if first > next {
            self.ask_for_statements(now_ms, out);
        } else if parts.is_empty() {
            self.tell_log_end(out);
        } else {
            self.statements.handed = self.statements.handed.max(last);
            out.push(Output::Adopt(parts));
        }
        Ok(())
    }

    fn ask_for_statements(&mut self, now_ms: u64, out: &mut Outputs) {
        let statements = &mut self.statements;
        // An answer that is this late was lost.
        if statements
            .asked_ms
            .is_none_or(|at| at + DIGEST_EVERY_MS <= now_ms)
        {
            statements.asked_ms = Some(now_ms);
            statements.asks = statements.asks.saturating_add(1);
            self.tell_log_end(out);
        }
    }

    fn tell_log_end(&self, out: &mut Outputs) {
        let after_position = self.log.head().position;
        out.push(Output::Send(Frame::LogWanted { after_position }));
    }

    /// What the runs of a frame need.
    pub(super) fn wanted(&mut self, now_ms: u64, log: bool, heads: bool, out: &mut Outputs) {
        if log {
            self.statements.tell_tips = true;
            self.ask_for_statements(now_ms, out);
        } else if heads && self.flow.is_on() {
            self.tips.tell_for_waiting(now_ms, out);
        }
    }

    /// Takes a longer log of a session that does nothing more but answer.
    pub(super) fn log_changed_while_leaving(
        &mut self,
        log: Arc<IdentityLog>,
        out: &mut Outputs,
    ) -> Result<(), Close> {
        if log.head().position <= self.log.head().position {
            return Ok(());
        }
        self.log = log;
        self.must_be_active(out)
    }

    /// Who was ended is told so by the other end.
    fn must_be_active(&self, out: &mut Outputs) -> Result<(), Close> {
        let (us, them) = match &self.role {
            Role::Service { device } => (None, Some(device)),
            Role::Device { device, .. } => (Some(device), None),
            Role::Peer { ours, theirs } => (Some(ours), Some(theirs)),
        };
        let is_ended = |device: &DeviceId| {
            let record = self.log.device(device);
            record.is_none_or(|record| record.state != DeviceState::Active)
        };
        let they_ended = them.is_some_and(is_ended);
        if !us.is_some_and(is_ended) && !they_ended {
            return Ok(());
        }
        if they_ended {
            let reason = GoAwayReason::DeviceRevoked;
            out.push(Output::Send(Frame::GoAway {
                reason,
                retry_after_ms: 0,
            }));
        }
        Err(Close::DeviceRevoked)
    }

    pub(in crate::sync) fn log_changed(
        &mut self,
        log: Arc<IdentityLog>,
        out: &mut Outputs,
    ) -> Result<(), Close> {
        if log.head().position <= self.log.head().position {
            return Ok(());
        }
        let cut_before = std::mem::replace(&mut self.log, log);
        self.must_be_active(out)?;
        self.statements.asks = 0;
        if self.statements.peer >= self.log.head().position {
            self.tell_log_end(out);
        }
        self.tips.may_tell_again();
        let acks = std::mem::take(&mut self.acks_waiting);
        self.check_acks(acks.into(), out)?;
        // What is being read may need the new statements at the peer.
        self.outgoing.start_anew();
        let cuts_changed = self
            .log
            .devices()
            .any(|(id, d)| d.cut.as_ref() != cut_before.cut(id));
        let tell = std::mem::take(&mut self.statements.tell_tips) || cuts_changed;
        if tell && self.flow.is_on() {
            self.tips.tell(out);
        }
        self.pump(out);
        Ok(())
    }
}

/// How many of these fit into one frame; at least one.
pub(in crate::sync) fn fitting(parts: &[ReceiptParts]) -> usize {
    let mut bytes = 0;
    let weights = parts
        .iter()
        .map(|p| p.statement.len() + p.body.len() + p.certificate_body.len() + 256);
    let fit = weights.take_while(|weight| {
        bytes += weight;
        bytes <= PAGE_BYTES_MAX
    });
    fit.count().clamp(1, FRAME_STATEMENTS_MAX)
}

/// The first and last position that the receipts name; nothing is verified here.
fn positions(parts: &[ReceiptParts]) -> Result<Option<(u64, u64)>, Close> {
    let mut range: Option<(u64, u64)> = None;
    for parts in parts {
        let body = wire::StatementReceiptBody::decode(parts.body.clone());
        let position = body.map_or(0, |body| body.position);
        let follows = range.is_none_or(|(_, last)| last.checked_add(1) == Some(position));
        if position == 0 || !follows {
            return Err(Close::BadMessage("Statements"));
        }
        range = Some((range.map_or(position, |(first, _)| first), position));
    }
    Ok(range)
}
