//! Entries from the peer: each frame is judged by the shell and answered, in order.

use std::collections::VecDeque;

use super::Exchange;
use crate::identity::Point;
use crate::ids::DeviceId;
use crate::ledger::admission::Refusal;
use crate::ledger::{Run, Tip};
use crate::limits::{MISBEHAVED_RUNS_MAX, MISBEHAVED_WINDOW_MS, WINDOW_FRAMES_MAX};
use crate::sync::frame::{Frame, Outcome};
use crate::sync::shell::{Close, Output, Outputs};

/// A run of a frame, by what is known of it before it is judged.
#[derive(Debug)]
struct Shown {
    device: DeviceId,
    parent: Point,
    last_seq: u64,
}

#[derive(Debug)]
struct Judging {
    frame_id: u64,
    runs: Vec<Shown>,
    answer: Option<Vec<Outcome>>,
}

#[derive(Debug, Default)]
pub(super) struct Incoming {
    /// Frames that are unanswered, as they arrived; at most 8.
    frames: VecDeque<Judging>,
    arrived: u64,
    /// When runs were refused, at most 10.
    refused_at_ms: VecDeque<u64>,
}

impl Incoming {
    pub(super) fn is_answered(&self) -> bool {
        self.frames.is_empty()
    }

    /// How many frames have arrived.
    pub(super) fn arrived(&self) -> u64 {
        self.arrived
    }

    /// How many of them were answered.
    pub(super) fn answered(&self) -> u64 {
        self.arrived - self.frames.len() as u64
    }
}

impl Exchange {
    pub(super) fn judge(
        &mut self,
        frame_id: u64,
        runs: Vec<Run>,
        out: &mut Outputs,
    ) -> Result<(), Close> {
        let incoming = &mut self.incoming;
        if runs.is_empty() || incoming.frames.len() >= WINDOW_FRAMES_MAX {
            return Err(Close::BadMessage("Runs"));
        }
        let shown = |run: &Run| Shown {
            device: run.device,
            parent: run.parent(),
            last_seq: run.parent().seq.saturating_add(run.payloads.len() as u64),
        };
        incoming.arrived += 1;
        incoming.frames.push_back(Judging {
            frame_id,
            runs: runs.iter().map(shown).collect(),
            answer: None,
        });
        let peer_ahead = self.statements.peer_is_ahead(&self.log);
        out.push(Output::Judge {
            frame_id,
            runs,
            peer_ahead,
        });
        Ok(())
    }

    pub(super) fn judged(
        &mut self,
        now_ms: u64,
        frame_id: u64,
        outcomes: Vec<Outcome>,
        kept: Vec<(Tip, Point)>,
        out: &mut Outputs,
    ) -> Result<(), Close> {
        let mut frames = self.incoming.frames.iter_mut();
        let Some(frame) = frames.find(|f| f.frame_id == frame_id && f.answer.is_none()) else {
            return Ok(());
        };
        if !kept.is_empty() {
            self.tips.may_tell_again();
        }
        for (tip, parent) in kept {
            let shows = frame.runs.iter().any(|run| {
                run.device == tip.device && run.parent == parent && run.last_seq >= tip.point.seq
            });
            match &mut self.peer {
                Some(peer) if shows => peer.gets(tip, parent),
                // It waited here for this frame, and came from somebody else.
                Some(_) => self.outgoing.dirty = true,
                None => {}
            }
        }
        let refused = outcomes.iter().filter(|outcome| is_invalid(outcome));
        let refused = refused.count();
        frame.answer = Some(outcomes);
        self.answer_in_order(out);
        self.count_refused(now_ms, refused)
    }

    fn answer_in_order(&mut self, out: &mut Outputs) {
        while let Some(frame) = self.incoming.frames.front_mut() {
            let Some(outcomes) = frame.answer.take() else {
                return;
            };
            let frame_id = frame.frame_id;
            self.incoming.frames.pop_front();
            out.push(Output::Send(Frame::Taken { frame_id, outcomes }));
        }
    }

    fn count_refused(&mut self, now_ms: u64, refused: usize) -> Result<(), Close> {
        let times = &mut self.incoming.refused_at_ms;
        while times
            .front()
            .is_some_and(|at| at + MISBEHAVED_WINDOW_MS < now_ms)
        {
            times.pop_front();
        }
        times.extend(std::iter::repeat_n(
            now_ms,
            refused.min(MISBEHAVED_RUNS_MAX),
        ));
        if times.len() >= MISBEHAVED_RUNS_MAX {
            Err(Close::Misbehaved)
        } else {
            Ok(())
        }
    }
}

/// Whether an honest peer would never have sent the run.
fn is_invalid(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Refused(Refusal::Gate(_) | Refusal::ForeignEntry)
    )
}
