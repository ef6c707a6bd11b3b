//! Entries on their way to the peer: at most 8 frames without an answer, whatever there is to
//! send. What does not fit stays in the store and is read when there is room.

use std::collections::{BTreeMap, BTreeSet};

use super::Exchange;
use crate::identity::Point;
use crate::ids::DeviceId;
use crate::ledger::{KeptRun, Tip, VerifiedRun};
use crate::limits::{FRAME_RUNS_MAX, PAGE_BYTES_MAX, STALLED_AFTER_MS, WINDOW_FRAMES_MAX};
use crate::sync::frame::{Frame, Outcome};
use crate::sync::shell::{Close, Output, Outputs};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    No,
    Yes,
    /// What is read was asked for by what the peer had before it told otherwise.
    Stale,
}

#[derive(Debug)]
pub(super) struct Outgoing {
    /// Whether the store may hold something that the peer lacks.
    pub(super) dirty: bool,
    reading: Reading,
    /// How often the store was read, and the last read that left nothing.
    reads: u64,
    complete_read: u64,
    next_frame_id: u64,
    /// The ends of the runs of each frame that is unanswered.
    in_flight: BTreeMap<u64, Vec<Tip>>,
    /// Since when no answer came, while one is due.
    waiting_since_ms: u64,
}

impl Outgoing {
    pub(super) fn new() -> Self {
        Self {
            dirty: true,
            reading: Reading::No,
            reads: 0,
            complete_read: 0,
            next_frame_id: 1,
            in_flight: BTreeMap::new(),
            waiting_since_ms: 0,
        }
    }

    pub(super) fn unanswered(&self) -> usize {
        self.in_flight.len()
    }

    pub(super) fn is_answered(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Whether all frames before this one are answered.
    pub(super) fn is_answered_before(&self, frame_id: u64) -> bool {
        self.in_flight
            .first_key_value()
            .is_none_or(|(first, _)| *first >= frame_id)
    }

    pub(super) fn next_frame_id(&self) -> u64 {
        self.next_frame_id
    }

    /// Whether there is nothing more to be read and sent.
    pub(super) fn is_told(&self) -> bool {
        !self.dirty && self.reading == Reading::No
    }

    pub(super) fn reads(&self) -> u64 {
        self.reads
    }

    /// Whether all was sent that was in the store when it had been read so many times, however
    /// much is added all the time.
    pub(super) fn is_told_since(&self, reads: u64) -> bool {
        self.is_told() || self.complete_read > reads
    }

    pub(super) fn is_stalled(&self, now_ms: u64) -> bool {
        !self.is_answered() && self.waiting_since_ms + STALLED_AFTER_MS < now_ms
    }

    /// What the peer has, or what is kept here, is not what was thought.
    pub(super) fn start_anew(&mut self) {
        self.dirty = true;
        if self.reading == Reading::Yes {
            self.reading = Reading::Stale;
        }
    }

    fn has_room(&self) -> bool {
        self.in_flight.len() < WINDOW_FRAMES_MAX
    }
}

impl Exchange {
    pub(super) fn read_entries(&mut self, out: &mut Outputs) {
        let outgoing = &self.outgoing;
        let may = self.flow.is_on() && outgoing.has_room();
        let ready = may && outgoing.dirty && outgoing.reading == Reading::No;
        let Some(peer) = self.peer.as_ref().filter(|_| ready) else {
            return;
        };
        // The peer must know a device before it can take its entries.
        if self.statements_are_told() {
            self.outgoing.dirty = false;
            self.outgoing.reading = Reading::Yes;
            self.outgoing.reads += 1;
            out.push(Output::Read(peer.points().clone()));
        }
    }

    pub(super) fn page(
        &mut self,
        now_ms: u64,
        mut runs: Vec<KeptRun>,
        more: bool,
        out: &mut Outputs,
    ) {
        match std::mem::replace(&mut self.outgoing.reading, Reading::No) {
            Reading::No => {}
            Reading::Stale => self.outgoing.dirty = true,
            Reading::Yes => {
                if more && !runs.is_empty() {
                    self.outgoing.dirty = true;
                } else {
                    self.outgoing.complete_read = self.outgoing.reads;
                }
                // What the peer has shown in the meantime is not sent back.
                runs.retain(|kept| !self.peer_has(kept.run.device, kept.last));
                self.send_runs(now_ms, runs, out);
            }
        }
    }

    /// Sends what was just committed if the peer has all below it, else leaves it to a read.
    pub(super) fn committed(&mut self, now_ms: u64, runs: &[VerifiedRun], out: &mut Outputs) {
        let fresh: Vec<&VerifiedRun> = runs
            .iter()
            .filter(|run| !self.peer_has(run.device(), run.last()))
            .collect();
        let bytes: usize = fresh.iter().map(|run| run.payload_bytes()).sum();
        let small = fresh.len() <= FRAME_RUNS_MAX && bytes <= PAGE_BYTES_MAX;
        let on = self.flow.is_on();
        let free = on && self.peer.is_some() && self.outgoing.is_told() && self.outgoing.has_room();
        if free && small && self.statements_are_told() && self.all_follow(&fresh) {
            let kept = |run: &&VerifiedRun| KeptRun {
                run: run.to_run(),
                last: run.last(),
            };
            self.send_runs(now_ms, fresh.iter().map(kept).collect(), out);
        } else {
            self.outgoing.dirty |= !fresh.is_empty();
        }
    }

    /// Whether the parent of each run is there, or among those before it.
    fn all_follow(&self, runs: &[&VerifiedRun]) -> bool {
        let mut before = BTreeSet::new();
        runs.iter().all(|run| {
            let (device, parent) = (run.device(), run.parent());
            let follows = before.contains(&(device, parent)) || self.peer_has(device, parent);
            before.insert((device, run.last()));
            follows
        })
    }

    fn peer_has(&self, device: DeviceId, point: Point) -> bool {
        self.peer
            .as_ref()
            .is_some_and(|peer| peer.has(device, point))
    }

    fn send_runs(&mut self, now_ms: u64, runs: Vec<KeptRun>, out: &mut Outputs) {
        let Some(peer) = self.peer.as_mut().filter(|_| !runs.is_empty()) else {
            return;
        };
        let mut ends = Vec::with_capacity(runs.len());
        for kept in &runs {
            let tip = Tip {
                device: kept.run.device,
                point: kept.last,
            };
            peer.gets(tip, kept.run.parent());
            ends.push(tip);
        }
        let outgoing = &mut self.outgoing;
        if outgoing.is_answered() {
            outgoing.waiting_since_ms = now_ms;
        }
        let frame_id = outgoing.next_frame_id;
        outgoing.next_frame_id += 1;
        outgoing.in_flight.insert(frame_id, ends);
        let runs = runs.into_iter().map(|kept| kept.run).collect();
        out.push(Output::Send(Frame::Runs { frame_id, runs }));
    }

    pub(super) fn taken(
        &mut self,
        now_ms: u64,
        frame_id: u64,
        outcomes: &[Outcome],
        out: &mut Outputs,
    ) -> Result<(), Close> {
        let in_flight = &mut self.outgoing.in_flight;
        // An answer that came before says nothing new.
        let Some(ends) = in_flight.remove(&frame_id) else {
            return Ok(());
        };
        if ends.len() != outcomes.len() {
            return Err(Close::BadMessage("Taken"));
        }
        // Frames are answered in order: those before this one were lost, or their answers.
        let later = in_flight.split_off(&frame_id);
        let lost = std::mem::replace(in_flight, later);
        self.outgoing.waiting_since_ms = now_ms;
        if !lost.is_empty() {
            let waiting = |tip| (tip, Outcome::Waiting);
            out.push(Output::Taken(
                lost.into_values().flatten().map(waiting).collect(),
            ));
            self.compare.hurry();
        }
        out.push(Output::Taken(
            ends.into_iter().zip(outcomes.iter().copied()).collect(),
        ));
        Ok(())
    }
}
