//! The exchange of entries and statements once both ends know each other.
//!
//! It keeps three things about the peer: the points of each journal that the peer has (`have`),
//! the frames that are unanswered (at most 8), and where its log ends. Whatever is lacking is
//! read from the store by `have`; what was just committed is sent straight away when its parent
//! is in `have`. Whenever something does not fit (a run waits, digests differ at rest, the log
//! changed) both ends tell each other all their tips again: that heals every loss.

mod heads;
mod log;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::identity::{IdentityLog, Point, ServiceCertificate};
use crate::ids::{DeviceId, Digest, StoreEpoch};
use crate::ledger::admission::Refusal;
use crate::ledger::journals::Have;
use crate::ledger::{Heads, KeptRun, Run, Tip, VerifiedRun};
use crate::limits::{
    DIGEST_EVERY_MS, FRAME_RUNS_MAX, LOCATOR_POINTS_MAX, MISBEHAVED_RUNS_MAX, MISBEHAVED_WINDOW_MS,
    PAGE_BYTES_MAX, STALLED_AFTER_MS, WINDOW_FRAMES_MAX,
};
use crate::sync::frame::{AckParts, Frame, Outcome};
use crate::sync::session::{Close, Input, Output, Outputs};

/// Most points of one journal that are remembered of the peer.
const HAVE_POINTS_MAX: usize = 2 * LOCATOR_POINTS_MAX;

/// Ping ids of the session's own digest comparisons; a shell's ids stay below.
const OWN_PING: u64 = 1 << 63;

/// Why the tips were read.
#[derive(Debug, Clone, Copy)]
enum HeadsFor {
    Tell,
    Ping(u64),
    Pong { ping_id: u64, theirs: Digest },
    Compare { ping_id: u64, theirs: Digest },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    /// Nobody asked.
    Quiet,
    /// Our tips are being read to be told; `answering` the peer's.
    Telling { answering: bool },
    /// We told ours and wait for the peer's, since then.
    Told { at_ms: u64 },
}

#[derive(Debug)]
struct InFlight {
    sent_at_ms: u64,
    ends: Vec<Tip>,
}

pub(super) struct Exchange {
    log: Arc<IdentityLog>,
    /// Whom a service serves; `None` on a device.
    peer: Option<DeviceId>,
    store_epoch: StoreEpoch,
    certificate: Option<ServiceCertificate>,
    peer_log: u64,
    receipts_asked: bool,

    /// What the peer has; `None` until it told.
    have: Option<Have>,
    round: Round,
    again_after_log: bool,
    reads: VecDeque<HeadsFor>,

    dirty: bool,
    reading: bool,
    next_frame_id: u64,
    in_flight: BTreeMap<u64, InFlight>,
    judging: usize,

    pings_due: VecDeque<(u64, Digest)>,
    next_digest_ms: u64,
    own_pings: u64,
    acks_waiting: Vec<AckParts>,
    refused_at_ms: VecDeque<u64>,
}

impl Exchange {
    pub(super) fn new(
        now_ms: u64,
        log: Arc<IdentityLog>,
        peer: Option<DeviceId>,
        store_epoch: StoreEpoch,
        peer_log: u64,
    ) -> Self {
        Self {
            log,
            peer,
            store_epoch,
            certificate: None,
            peer_log,
            receipts_asked: false,
            have: None,
            round: Round::Quiet,
            again_after_log: false,
            reads: VecDeque::new(),
            dirty: false,
            reading: false,
            next_frame_id: 1,
            in_flight: BTreeMap::new(),
            judging: 0,
            pings_due: VecDeque::new(),
            next_digest_ms: now_ms + DIGEST_EVERY_MS,
            own_pings: 0,
            acks_waiting: Vec::new(),
            refused_at_ms: VecDeque::new(),
        }
    }

    pub(super) fn trust(&mut self, certificate: ServiceCertificate) {
        self.certificate = Some(certificate);
    }

    /// Starts: with equal digests the peer has what we have, otherwise both tell their tips.
    pub(super) fn open(&mut self, heads: Heads, equal: bool, out: &mut Outputs) {
        if equal {
            self.have = Some(have_of(&heads));
        } else {
            self.round = Round::Told { at_ms: self.next_digest_ms.saturating_sub(DIGEST_EVERY_MS) };
            out.push(Output::Send(Frame::Heads(heads)));
        }
        self.dirty = true;
        self.push_log(out);
        self.pump(out);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.at_rest() && self.reads.is_empty()
    }

    pub(super) fn unanswered(&self) -> usize {
        self.in_flight.len()
    }

    fn at_rest(&self) -> bool {
        self.in_flight.is_empty()
            && self.judging == 0
            && !self.dirty
            && !self.reading
            && self.round == Round::Quiet
    }

    pub(super) fn input(&mut self, now_ms: u64, input: Input, out: &mut Outputs) -> Result<(), Close> {
        match input {
            Input::Judged { frame_id, outcomes, kept, log_wanted, heads_wanted } => {
                self.judging = self.judging.saturating_sub(1);
                if self.have.is_some() {
                    for (tip, parent) in kept {
                        self.peer_gets(tip, parent);
                    }
                }
                self.judged(now_ms, frame_id, outcomes, out)?;
                if log_wanted {
                    self.again_after_log = true;
                    let after_position = self.log.head().position;
                    out.push(Output::Send(Frame::LogWanted { after_position }));
                } else if heads_wanted {
                    self.tell_heads(false, out);
                }
            }
            Input::Committed(runs) => self.committed(now_ms, &runs, out),
            Input::Missed => self.dirty = true,
            Input::Page { runs, more } => {
                self.reading = false;
                self.dirty |= more;
                self.send_runs(now_ms, runs, out);
            }
            Input::Located(mut points) => {
                points.truncate(LOCATOR_POINTS_MAX * 16);
                if !points.is_empty() {
                    out.push(Output::Send(Frame::Locator(points)));
                }
            }
            Input::Heads(heads) => self.heads_read(now_ms, heads, out),
            Input::Acks(acks) => {
                out.push(Output::Send(Frame::Acks(acks.iter().map(AckParts::from).collect())));
            }
            Input::Flush { ping_id } => self.read_heads(HeadsFor::Ping(ping_id), out),
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

    pub(super) fn frame(&mut self, frame: Frame, out: &mut Outputs) -> Result<(), Close> {
        match frame {
            Frame::Heads(heads) => self.peer_heads(heads, out),
            Frame::LogWanted { after_position } => self.read_receipts(after_position, out),
            Frame::Statements(parts) => {
                let told = self.log.head().position + parts.len() as u64;
                self.peer_log = self.peer_log.max(told);
                out.push(Output::Adopt(parts));
            }
            Frame::Runs { frame_id, runs } => self.judge(frame_id, runs, out)?,
            Frame::Taken { frame_id, outcomes } => self.taken(frame_id, &outcomes, out)?,
            Frame::Acks(acks) => self.acks(acks, out)?,
            Frame::Locator(points) => {
                let have = self.have.get_or_insert_default();
                for tip in points {
                    have.entry(tip.device).or_default().insert(tip.point);
                }
                self.dirty = true;
            }
            Frame::Ping { ping_id, digest } => {
                if self.pings_due.len() >= WINDOW_FRAMES_MAX {
                    return Err(Close::BadMessage("Ping"));
                }
                self.pings_due.push_back((ping_id, digest));
            }
            Frame::Pong { ping_id, digest } => {
                self.read_heads(HeadsFor::Compare { ping_id, theirs: digest }, out);
            }
            Frame::Greeting(_) | Frame::Hello(_) | Frame::Welcome(_) | Frame::GoAway { .. } => {
                return Err(Close::BadMessage(frame.name()));
            }
        }
        self.pump(out);
        Ok(())
    }

    // --- entries, out ---

    /// Reads on while there is room in the window, then answers pings.
    fn pump(&mut self, out: &mut Outputs) {
        let room = self.in_flight.len() < WINDOW_FRAMES_MAX;
        if let Some(have) = self.have.as_ref().filter(|_| self.dirty && !self.reading && room) {
            self.dirty = false;
            self.reading = true;
            out.push(Output::Read(have.clone()));
        }
        let told = !self.dirty && !self.reading && self.judging == 0 && !self.receipts_asked;
        if told && let Some((ping_id, theirs)) = self.pings_due.pop_front() {
            self.read_heads(HeadsFor::Pong { ping_id, theirs }, out);
        }
    }

    fn send_runs(&mut self, now_ms: u64, runs: Vec<KeptRun>, out: &mut Outputs) {
        if runs.is_empty() {
            return;
        }
        let mut ends = Vec::with_capacity(runs.len());
        for kept in &runs {
            let tip = Tip { device: kept.run.device, point: kept.last };
            self.peer_gets(tip, kept.run.parent());
            ends.push(tip);
        }
        let frame_id = self.next_frame_id;
        self.next_frame_id += 1;
        self.in_flight.insert(frame_id, InFlight { sent_at_ms: now_ms, ends });
        let runs = runs.into_iter().map(|kept| kept.run).collect();
        out.push(Output::Send(Frame::Runs { frame_id, runs }));
    }

    fn peer_gets(&mut self, tip: Tip, parent: Point) {
        let points = self.have.get_or_insert_default().entry(tip.device).or_default();
        points.remove(&parent);
        points.insert(tip.point);
        // Forgetting a low point costs a repeated run at worst.
        while points.len() > HAVE_POINTS_MAX {
            points.pop_first();
        }
    }

    /// Sends what was just committed if the peer has all below it, else leaves it to a read.
    fn committed(&mut self, now_ms: u64, runs: &[VerifiedRun], out: &mut Outputs) {
        let Some(have) = &self.have else {
            self.dirty = true;
            return;
        };
        let fresh: Vec<&VerifiedRun> =
            runs.iter().filter(|run| !have.get(&run.device()).is_some_and(|p| p.contains(&run.last()))).collect();
        let fits = fresh.iter().all(|run| match have.get(&run.device()) {
            Some(points) => points.contains(&run.parent()),
            None => run.parent() == Point::START,
        });
        let bytes: usize = fresh.iter().map(|run| run.payload_bytes()).sum();
        let small = fresh.len() <= FRAME_RUNS_MAX && bytes <= PAGE_BYTES_MAX;
        let room = self.in_flight.len() < WINDOW_FRAMES_MAX;
        if fits && small && room && !self.dirty && !self.reading {
            let runs = fresh.iter().map(|run| KeptRun { run: run.to_run(), last: run.last() }).collect();
            self.send_runs(now_ms, runs, out);
        } else {
            self.dirty |= !fresh.is_empty();
        }
    }

    fn taken(&mut self, frame_id: u64, outcomes: &[Outcome], out: &mut Outputs) -> Result<(), Close> {
        // An answer that came before, or to a frame of before a gap, says nothing new.
        let Some(in_flight) = self.in_flight.get(&frame_id) else { return Ok(()) };
        if in_flight.ends.len() != outcomes.len() {
            return Err(Close::BadMessage("Taken"));
        }
        if let Some(in_flight) = self.in_flight.remove(&frame_id) {
            let taken = in_flight.ends.into_iter().zip(outcomes.iter().copied()).collect();
            out.push(Output::Taken(taken));
        }
        Ok(())
    }

    // --- entries, in ---

    fn judge(&mut self, frame_id: u64, runs: Vec<Run>, out: &mut Outputs) -> Result<(), Close> {
        if runs.is_empty() || self.judging >= WINDOW_FRAMES_MAX {
            return Err(Close::BadMessage("Runs"));
        }
        self.judging += 1;
        let peer_ahead = self.peer_log > self.log.head().position;
        out.push(Output::Judge { frame_id, runs, peer_ahead });
        Ok(())
    }

    fn judged(&mut self, now_ms: u64, frame_id: u64, outcomes: Vec<Outcome>, out: &mut Outputs) -> Result<(), Close> {
        let invalid = |o: &&Outcome| matches!(o, Outcome::Refused(Refusal::Gate(_) | Refusal::ForeignEntry));
        let refused = outcomes.iter().filter(invalid).count();
        out.push(Output::Send(Frame::Taken { frame_id, outcomes }));
        self.count_refused(now_ms, refused)
    }

    fn count_refused(&mut self, now_ms: u64, refused: usize) -> Result<(), Close> {
        self.refused_at_ms.extend(std::iter::repeat_n(now_ms, refused.min(MISBEHAVED_RUNS_MAX)));
        while self.refused_at_ms.front().is_some_and(|at| at + MISBEHAVED_WINDOW_MS < now_ms) {
            self.refused_at_ms.pop_front();
        }
        if self.refused_at_ms.len() >= MISBEHAVED_RUNS_MAX { Err(Close::Misbehaved) } else { Ok(()) }
    }

    fn tick(&mut self, now_ms: u64, out: &mut Outputs) -> Result<(), Close> {
        let oldest = self.in_flight.values().map(|f| f.sent_at_ms).min();
        if oldest.is_some_and(|at| at + STALLED_AFTER_MS < now_ms) {
            return Err(Close::Stalled);
        }
        if now_ms >= self.next_digest_ms {
            self.next_digest_ms = now_ms + DIGEST_EVERY_MS;
            // An answer that is this late was lost.
            if let Round::Told { at_ms } = self.round
                && at_ms + DIGEST_EVERY_MS <= now_ms
            {
                self.round = Round::Quiet;
            }
            if self.have.is_none() {
                self.tell_heads(false, out);
            }
            self.own_pings += 1;
            self.read_heads(HeadsFor::Ping(OWN_PING | self.own_pings), out);
        }
        Ok(())
    }
}

fn have_of(heads: &Heads) -> Have {
    let mut have = Have::new();
    for tip in heads.tips() {
        have.entry(tip.device).or_default().insert(tip.point);
    }
    have
}
