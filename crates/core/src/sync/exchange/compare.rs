//! Comparing digests: every 30 seconds, and when somebody wants to know that all was told.
//!
//! A ping is sent when the peer was told of everything and has answered, a pong when everything
//! that was waiting to be sent has been; so digests that differ then mean that something is
//! amiss, unless new entries passed in between. Then both ends tell their tips, which mends every
//! difference that can be mended; one that stays is tried again at growing intervals.

use std::collections::VecDeque;

use super::Exchange;
use super::peer::PeerHas;
use super::tips::HeadsFor;
use crate::ids::Digest;
use crate::ledger::Heads;
use crate::limits::{
    DIGEST_EVERY_MS, DIGEST_SLACK_MS, FLUSHES_WAITING_MAX, MEND_WAIT_MS_MAX, PINGS_DUE_MAX,
    UNSURE_COMPARISONS_MAX,
};
use crate::sync::frame::Frame;
use crate::sync::shell::{Close, Output, Outputs};

/// A ping of the peer.
#[derive(Debug)]
pub(super) struct PingDue {
    ping_id: u64,
    theirs: Digest,
    /// The first frame that the peer's digest may not cover; `None` when one was on the way.
    covers: Option<u64>,
    /// Frames that had arrived before it.
    arrived: u64,
    /// Reads of the store before it.
    reads: u64,
}

#[derive(Debug)]
struct Flush {
    ping_id: u64,
    /// Reads of the store before it.
    reads: u64,
    /// Frames before this one hold what there was to send when it was asked, once that is known.
    told_before: Option<u64>,
}

/// Our ping on its way.
#[derive(Debug)]
struct Probe {
    ping_id: u64,
    flushes: Vec<u64>,
    step: Step,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Our tips are read for the ping.
    Reading,
    /// The ping was sent, when the next frame of entries was this one.
    Sent { at_ms: u64, next_frame_id: u64 },
    /// The pong is there, but what came before it is not settled.
    Answered(Answer),
    /// Our tips are read to be compared.
    Comparing(Answer),
}

#[derive(Debug, Clone, Copy)]
struct Answer {
    theirs: Digest,
    /// Frames that had arrived before the pong.
    arrived: u64,
    /// Reads of the store before the pong.
    reads: u64,
    next_frame_id: u64,
    /// Frames before this one must be answered.
    told_before: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Compare {
    every_ms: u64,
    next_at_ms: u64,
    due: bool,
    flushes: VecDeque<Flush>,
    probe: Option<Probe>,
    pings: u64,
    pings_due: VecDeque<PingDue>,
    /// The digests that differed last, ours and theirs.
    unequal: Option<(Digest, Digest)>,
    mend_at_ms: u64,
    mend_wait_ms: u64,
    unsure: u32,
}

impl Compare {
    /// `asks_late`: one comparison is enough for both ends, so this one asks only if the other does
    /// not.
    pub(super) fn new(now_ms: u64, asks_late: bool) -> Self {
        let every_ms = DIGEST_EVERY_MS + if asks_late { DIGEST_SLACK_MS } else { 0 };
        Self {
            every_ms,
            next_at_ms: now_ms + every_ms,
            due: false,
            flushes: VecDeque::new(),
            probe: None,
            pings: 0,
            pings_due: VecDeque::new(),
            unequal: None,
            mend_at_ms: 0,
            mend_wait_ms: DIGEST_EVERY_MS,
            unsure: 0,
        }
    }

    pub(super) fn flush(&mut self, ping_id: u64, reads: u64, out: &mut Outputs) {
        if self.flushes.len() >= FLUSHES_WAITING_MAX {
            let equal = false;
            out.push(Output::Flushed { ping_id, equal });
            return;
        }
        self.flushes.push_back(Flush {
            ping_id,
            reads,
            told_before: None,
        });
    }

    /// Compares as soon as nothing is on the way.
    pub(super) fn hurry(&mut self) {
        self.due = true;
    }

    pub(super) fn tick(&mut self, now_ms: u64) {
        if now_ms >= self.next_at_ms {
            self.due = true;
            self.next_at_ms = now_ms + self.every_ms;
        }
    }

    /// Nothing is compared any more: whoever waits is told so.
    pub(super) fn rest(&mut self, out: &mut Outputs) {
        let asked = self
            .probe
            .take()
            .map_or_else(Vec::new, |probe| probe.flushes);
        let waiting = self.flushes.drain(..).map(|flush| flush.ping_id);
        for ping_id in asked.into_iter().chain(waiting) {
            let equal = false;
            out.push(Output::Flushed { ping_id, equal });
        }
    }

    /// Whether a difference is worth an attempt to mend it.
    fn is_worth_mending(&mut self, now_ms: u64, pair: (Digest, Digest)) -> bool {
        if self.unequal.replace(pair) != Some(pair) {
            self.mend_wait_ms = DIGEST_EVERY_MS;
        } else if now_ms < self.mend_at_ms {
            return false;
        } else {
            self.mend_wait_ms = (2 * self.mend_wait_ms).min(MEND_WAIT_MS_MAX);
        }
        self.mend_at_ms = now_ms + self.mend_wait_ms;
        true
    }
}

// === our ping ===

impl Exchange {
    /// Takes our ping one step further, if there is one to be sent.
    pub(super) fn probe(&mut self, out: &mut Outputs) {
        self.mark_flushes();
        let Some(probe) = &self.compare.probe else {
            return self.start_probe(out);
        };
        let Step::Answered(mut answer) = probe.step else {
            return;
        };
        let settled = self.incoming.answered() >= answer.arrived;
        if settled && self.told_since(answer.reads) {
            answer
                .told_before
                .get_or_insert(self.outgoing.next_frame_id());
        }
        let answered = |before| self.outgoing.is_answered_before(before);
        let compares = answer.told_before.is_some_and(answered);
        if let Some(probe) = &mut self.compare.probe {
            probe.step = if compares {
                self.tips.read(HeadsFor::Compare, out);
                Step::Comparing(answer)
            } else {
                Step::Answered(answer)
            };
        }
    }

    /// Notes for each flush which frames hold what there was to send, once that is known.
    fn mark_flushes(&mut self) {
        if self.peer.is_none() {
            return;
        }
        let next = self.outgoing.next_frame_id();
        let waiting = self.compare.flushes.iter().map(|flush| flush.reads);
        let told: Vec<bool> = waiting.map(|reads| self.told_since(reads)).collect();
        for (flush, told) in self.compare.flushes.iter_mut().zip(told) {
            if told {
                flush.told_before.get_or_insert(next);
            }
        }
    }

    fn start_probe(&mut self, out: &mut Outputs) {
        if !self.flow.is_on() {
            return;
        }
        let at_rest = self.at_rest();
        let compare = &mut self.compare;
        let answered = |flush: &Flush| {
            flush
                .told_before
                .is_some_and(|before| self.outgoing.is_answered_before(before))
        };
        let ready = compare.flushes.iter().take_while(|f| answered(f)).count();
        if ready == 0 && !(compare.due && at_rest) {
            return;
        }
        compare.due = false;
        compare.pings += 1;
        compare.probe = Some(Probe {
            ping_id: compare.pings,
            flushes: compare.flushes.drain(..ready).map(|f| f.ping_id).collect(),
            step: Step::Reading,
        });
        self.tips.read(HeadsFor::Ping, out);
    }

    pub(super) fn send_ping(&mut self, now_ms: u64, heads: &Heads, out: &mut Outputs) {
        let next_frame_id = self.outgoing.next_frame_id();
        if let Some(probe) = &mut self.compare.probe {
            probe.step = Step::Sent {
                at_ms: now_ms,
                next_frame_id,
            };
            out.push(Output::Send(Frame::Ping {
                ping_id: probe.ping_id,
                digest: heads.digest(&self.log),
            }));
        }
    }

    /// A ping or pong may be lost: the same ping asks again.
    pub(super) fn ping_again(&mut self, now_ms: u64, out: &mut Outputs) {
        if let Some(probe) = &mut self.compare.probe
            && let Step::Sent { at_ms, .. } = probe.step
            && at_ms + DIGEST_EVERY_MS <= now_ms
        {
            probe.step = Step::Reading;
            self.tips.read(HeadsFor::Ping, out);
        }
    }

    pub(super) fn pong(&mut self, ping_id: u64, theirs: Digest) {
        if let Some(probe) = self.compare.probe.as_mut().filter(|p| p.ping_id == ping_id)
            && let Step::Sent { next_frame_id, .. } = probe.step
        {
            probe.step = Step::Answered(Answer {
                theirs,
                arrived: self.incoming.arrived(),
                reads: self.outgoing.reads(),
                next_frame_id,
                told_before: None,
            });
        }
    }

    pub(super) fn compare_heads(&mut self, now_ms: u64, heads: &Heads, out: &mut Outputs) {
        // None if it was given up. The next one begins after what was read for the last.
        let Some(probe) = self.compare.probe.take() else {
            return;
        };
        let Step::Comparing(answer) = probe.step else {
            return;
        };
        let sure = answer.arrived == self.incoming.arrived()
            && answer.next_frame_id == self.outgoing.next_frame_id();
        let same = self.compared(now_ms, heads, answer.theirs, sure, out);
        let equal = same && self.outgoing.is_answered() && self.incoming.is_answered();
        for ping_id in probe.flushes {
            out.push(Output::Flushed { ping_id, equal });
        }
    }
}

// === the peer's ping ===

impl Exchange {
    pub(super) fn ping(&mut self, ping_id: u64, theirs: Digest) -> Result<(), Close> {
        let answered = self.outgoing.is_answered();
        let covers = answered.then(|| self.outgoing.next_frame_id());
        let due = PingDue {
            ping_id,
            theirs,
            covers,
            arrived: self.incoming.arrived(),
            reads: self.outgoing.reads(),
        };
        let pings = &mut self.compare.pings_due;
        if let Some(same) = pings.iter_mut().find(|p| p.ping_id == ping_id) {
            *same = due;
        } else if pings.len() < PINGS_DUE_MAX {
            pings.push_back(due);
        } else {
            return Err(Close::BadMessage("Ping"));
        }
        Ok(())
    }

    /// Answers when everything that came before was answered, and everything was told.
    pub(super) fn answer_ping(&mut self, out: &mut Outputs) {
        let Some(due) = self.compare.pings_due.front() else {
            return;
        };
        let answered = self.incoming.answered() >= due.arrived;
        let ready = answered && self.told_since(due.reads) && !self.tips.is_answering_ping();
        if ready && let Some(due) = self.compare.pings_due.pop_front() {
            self.tips.read(HeadsFor::Pong(due), out);
        }
    }

    pub(super) fn send_pong(
        &mut self,
        now_ms: u64,
        due: PingDue,
        heads: &Heads,
        out: &mut Outputs,
    ) {
        let digest = heads.digest(&self.log);
        out.push(Output::Send(Frame::Pong {
            ping_id: due.ping_id,
            digest,
        }));
        if self.flow.is_on() {
            let sure = due.covers == Some(self.outgoing.next_frame_id());
            self.compared(now_ms, heads, due.theirs, sure, out);
        }
    }
}

// === the comparison ===

impl Exchange {
    /// Draws the conclusions, and says whether both digests are equal. Unless it is `sure`, the
    /// peer's may not cover what was sent to it.
    fn compared(
        &mut self,
        now_ms: u64,
        heads: &Heads,
        theirs: Digest,
        sure: bool,
        out: &mut Outputs,
    ) -> bool {
        let ours = heads.digest(&self.log);
        let compare = &mut self.compare;
        if ours == theirs {
            compare.unsure = 0;
            compare.unequal = None;
            if sure || self.peer.is_none() {
                self.peer = Some(PeerHas::of(heads));
            }
        } else if !sure && compare.unsure < UNSURE_COMPARISONS_MAX {
            compare.unsure += 1;
            return false;
        } else if compare.is_worth_mending(now_ms, (ours, theirs)) {
            compare.unsure = 0;
            self.tips.tell(out);
        }
        compare.due = false;
        compare.next_at_ms = now_ms + compare.every_ms;
        ours == theirs
    }
}
