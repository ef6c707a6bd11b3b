//! The service's side of the handshake, from `Hello` to `Welcome`: first the logs must agree,
//! then the device must be active in them.
//!
//! A hello is proved by its key alone, so until the log knows that key, anybody may have sent it.
//! Such a stranger is answered as if the identity were unknown here: whether it exists, and how
//! long its log is, is told only to who shows the beginning of that log.

use crate::identity::receipt::ReceiptParts;
use crate::identity::{DeviceState, IdentityLog, LogHead};
use crate::keys::Signature;
use crate::sync::frame::Frame;
use crate::sync::handshake::HelloBody;
use crate::sync::shell::{Close, Output, Outputs, Standing};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WaitsFor {
    /// Who this is, from the shell.
    Shell,
    /// Statements, from the device.
    Peer,
}

pub(super) struct Identifying {
    hello: HelloBody,
    proof: Signature,
    waits_for: WaitsFor,
    /// The position after which statements were asked for last.
    asked: Option<u64>,
    /// What the shell said last.
    standing: Option<Standing>,
    /// Whether a stranger has shown the beginning of the log.
    shown: bool,
    /// Whether statements were told that begin where this log ends.
    told: bool,
    /// The longest log that the shell told of.
    position: u64,
}

impl Identifying {
    pub(super) fn start(hello: HelloBody, proof: Signature, out: &mut Outputs) -> Self {
        let mut identifying = Self {
            hello,
            proof,
            waits_for: WaitsFor::Peer,
            asked: None,
            standing: None,
            shown: false,
            told: false,
            position: 0,
        };
        identifying.identify(out);
        identifying
    }

    pub(super) fn hello(&self) -> &HelloBody {
        &self.hello
    }

    /// The proof of the hello, which the welcome answers.
    pub(super) fn proof(&self) -> &Signature {
        &self.proof
    }

    /// The log changed while the shell was looking: what it finds may be out of date.
    pub(super) fn log_changed(&mut self, log: &IdentityLog) {
        self.position = self.position.max(log.head().position);
    }

    /// Judges what the shell found: the standing to go on with, or nothing yet.
    pub(super) fn judge(
        &mut self,
        standing: Option<Standing>,
        out: &mut Outputs,
    ) -> Result<Option<Standing>, Close> {
        if self.waits_for != WaitsFor::Shell {
            return Ok(None);
        }
        let head = standing
            .as_ref()
            .map_or(LogHead::EMPTY, |standing| standing.log.head());
        if head.position < self.position {
            self.identify(out);
            return Ok(None);
        }
        self.position = head.position;
        let device = self.hello.key.device_id();
        let record = standing.as_ref().and_then(|s| s.log.device(&device));
        // Revocation wins, whatever else the device may know.
        if record.is_some_and(|record| record.state != DeviceState::Active) {
            return Err(Close::DeviceRevoked);
        }
        if head.position < self.hello.log.position {
            let known = record.is_some() || self.shown;
            let after_position = if known { head.position } else { 0 };
            // What a device of this log told does not follow it: its own is another one.
            if record.is_some() && self.told && self.asked == Some(after_position) {
                return Err(Close::LogForked);
            }
            self.standing = standing;
            self.ask(after_position, out)?;
            return Ok(None);
        }
        let Some(standing) = standing.filter(|s| s.log.device(&device).is_some()) else {
            return Err(Close::Forbidden);
        };
        if standing.log.hash_at(self.hello.log.position) != Some(self.hello.log.hash) {
            return Err(Close::LogForked);
        }
        if standing.heads.of(&device).len() > 1 {
            return Err(Close::Forked);
        }
        Ok(Some(standing))
    }

    /// Takes the statements that were asked for.
    pub(super) fn statements(
        &mut self,
        mut parts: Vec<ReceiptParts>,
        out: &mut Outputs,
    ) -> Result<(), Close> {
        if self.waits_for != WaitsFor::Peer {
            return Err(Close::BadMessage("Statements"));
        }
        if parts.is_empty() {
            // It has none; but the log here may have grown by itself.
            self.identify(out);
            return Ok(());
        }
        if let Some(standing) = self.standing.as_ref().filter(|_| self.asked == Some(0)) {
            let theirs = parts.iter().zip(1..);
            let mut held = theirs.map_while(|(parts, position)| standing.log.has(position, parts));
            if !held.all(|same| same) {
                return Err(Close::Forbidden);
            }
            self.shown = true;
            let ours = standing.log.records_after(0);
            parts.drain(..parts.len().min(ours.len()));
            if parts.is_empty() {
                return self.ask(standing.log.head().position, out);
            }
        }
        let first = parts.first().map_or(0, ReceiptParts::position);
        self.told = self.asked.and_then(|after| after.checked_add(1)) == Some(first);
        self.waits_for = WaitsFor::Shell;
        out.push(Output::Adopt(parts));
        Ok(())
    }

    fn identify(&mut self, out: &mut Outputs) {
        self.waits_for = WaitsFor::Shell;
        out.push(Output::Identify {
            identity: self.hello.identity,
            device: self.hello.key.device_id(),
        });
    }

    /// Asks for statements; to be asked twice for the same means to have none.
    fn ask(&mut self, after_position: u64, out: &mut Outputs) -> Result<(), Close> {
        if self.asked.replace(after_position) == Some(after_position) {
            return Err(Close::Forbidden);
        }
        self.waits_for = WaitsFor::Peer;
        out.push(Output::Send(Frame::LogWanted { after_position }));
        Ok(())
    }
}
