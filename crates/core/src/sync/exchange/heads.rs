//! Telling each other all tips: at the start when digests differ, and whenever something does
//! not fit. One round at a time; whoever is asked answers with its own.

use super::{Exchange, HeadsFor, OWN_PING, Round, have_of};
use crate::ledger::Heads;
use crate::sync::frame::Frame;
use crate::sync::session::{Output, Outputs};

impl Exchange {
    pub(super) fn peer_heads(&mut self, heads: Heads, out: &mut Outputs) {
        self.have = Some(have_of(&heads));
        self.dirty = true;
        match self.round {
            Round::Quiet => self.tell_heads(true, out),
            Round::Telling { .. } => self.round = Round::Telling { answering: true },
            Round::Told { .. } => self.round = Round::Quiet,
        }
        out.push(Output::Locate(heads));
    }

    pub(super) fn tell_heads(&mut self, answering: bool, out: &mut Outputs) {
        if self.round == Round::Quiet {
            self.round = Round::Telling { answering };
            self.read_heads(HeadsFor::Tell, out);
        }
    }

    pub(super) fn read_heads(&mut self, purpose: HeadsFor, out: &mut Outputs) {
        self.reads.push_back(purpose);
        out.push(Output::ReadHeads);
    }

    pub(super) fn heads_read(&mut self, now_ms: u64, heads: Heads, out: &mut Outputs) {
        let digest = heads.digest(self.log.ledger_id(), self.log.identity());
        match self.reads.pop_front() {
            None => {}
            Some(HeadsFor::Tell) => {
                let answering = self.round == Round::Telling { answering: true };
                self.round = if answering { Round::Quiet } else { Round::Told { at_ms: now_ms } };
                out.push(Output::Send(Frame::Heads(heads)));
            }
            Some(HeadsFor::Ping(ping_id)) => out.push(Output::Send(Frame::Ping { ping_id, digest })),
            Some(HeadsFor::Pong { ping_id, theirs }) => {
                out.push(Output::Send(Frame::Pong { ping_id, digest }));
                if theirs != digest && self.at_rest() {
                    self.tell_heads(false, out);
                }
            }
            Some(HeadsFor::Compare { ping_id, theirs }) => {
                let equal = theirs == digest && self.at_rest();
                if theirs != digest && self.at_rest() {
                    self.tell_heads(false, out);
                }
                if ping_id & OWN_PING == 0 {
                    out.push(Output::Flushed { ping_id, equal });
                }
            }
        }
    }
}
