//! Telling the peer all tips, and points below them that it may know.

use std::collections::VecDeque;

use super::Exchange;
use super::compare::PingDue;
use super::peer::PeerHas;
use crate::ledger::{Heads, Tip};
use crate::limits::{DIGEST_EVERY_MS, LOCATOR_FRAME_POINTS_MAX};
use crate::sync::frame::Frame;
use crate::sync::shell::{Output, Outputs};

/// Why the tips are read; each at most once at a time.
#[derive(Debug)]
pub(super) enum HeadsFor {
    /// To be told.
    Tell,
    /// For our ping.
    Ping,
    /// For the answer to the peer's ping.
    Pong(PingDue),
    /// To be compared with the answer to ours.
    Compare,
}

#[derive(Debug, Default)]
pub(super) struct Tips {
    reads: VecDeque<HeadsFor>,
    /// Whether something changed since the tips were read to be told.
    again: bool,
    /// When the peer was told for a run that waits, if nothing came of it yet.
    told_for_waiting_ms: Option<u64>,
    locating: bool,
    /// The peer's tips that came while others were looked for.
    locate_next: Option<Heads>,
}

impl Tips {
    pub(super) fn is_idle(&self) -> bool {
        self.reads.is_empty()
    }

    /// Whether nothing is left to be told.
    pub(super) fn are_told(&self) -> bool {
        !self.locating && !self.reads.iter().any(|r| matches!(r, HeadsFor::Tell))
    }

    /// Something was kept, or the log grew: a run that waits is worth telling again.
    pub(super) fn may_tell_again(&mut self) {
        self.told_for_waiting_ms = None;
    }

    pub(super) fn read(&mut self, purpose: HeadsFor, out: &mut Outputs) {
        self.reads.push_back(purpose);
        out.push(Output::ReadHeads);
    }

    pub(super) fn is_answering_ping(&self) -> bool {
        self.reads.iter().any(|r| matches!(r, HeadsFor::Pong(_)))
    }

    pub(super) fn tell(&mut self, out: &mut Outputs) {
        if self.reads.iter().any(|r| matches!(r, HeadsFor::Tell)) {
            self.again = true;
        } else {
            self.read(HeadsFor::Tell, out);
        }
    }

    /// A run waits for its parent. Once is enough until something comes of it: a peer that
    /// cannot help must not be made to send all it has again and again.
    pub(super) fn tell_for_waiting(&mut self, now_ms: u64, out: &mut Outputs) {
        let told = self.told_for_waiting_ms;
        if told.is_none_or(|at| at + DIGEST_EVERY_MS <= now_ms) {
            self.told_for_waiting_ms = Some(now_ms);
            self.tell(out);
        }
    }
}

impl Exchange {
    pub(super) fn peer_heads(&mut self, heads: Heads, out: &mut Outputs) {
        self.peer = Some(PeerHas::of(&heads));
        self.outgoing.start_anew();
        if self.tips.locating {
            self.tips.locate_next = Some(heads);
        } else {
            self.tips.locating = true;
            out.push(Output::Locate(heads));
        }
    }

    pub(super) fn located(&mut self, mut points: Vec<Tip>, out: &mut Outputs) {
        if !std::mem::take(&mut self.tips.locating) {
            return;
        }
        points.truncate(LOCATOR_FRAME_POINTS_MAX);
        if !points.is_empty() {
            out.push(Output::Send(Frame::Locator(points)));
        }
        if let Some(heads) = self.tips.locate_next.take() {
            self.tips.locating = true;
            out.push(Output::Locate(heads));
        }
    }

    /// Takes points that the peer has; without its tips they are of no use.
    pub(super) fn peer_points(&mut self, points: Vec<Tip>) {
        if let Some(peer) = &mut self.peer {
            peer.add(points);
            self.outgoing.dirty = true;
        }
    }

    pub(super) fn heads_read(&mut self, now_ms: u64, heads: Heads, out: &mut Outputs) {
        match self.tips.reads.pop_front() {
            None => {}
            Some(HeadsFor::Tell) => {
                if std::mem::take(&mut self.tips.again) {
                    self.tips.read(HeadsFor::Tell, out);
                } else if self.flow.is_on() {
                    out.push(Output::Send(Frame::Heads(heads)));
                }
            }
            Some(HeadsFor::Ping) => self.send_ping(now_ms, &heads, out),
            Some(HeadsFor::Pong(due)) => self.send_pong(now_ms, due, &heads, out),
            Some(HeadsFor::Compare) => self.compare_heads(now_ms, &heads, out),
        }
    }
}
