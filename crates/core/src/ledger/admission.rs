//! Admission: which runs may be appended under the identity log as it is known here, which must
//! wait for something below or beside them, and which are refused.

use std::collections::BTreeMap;

use crate::identity::{Cut, IdentityLog, Point};
use crate::ids::DeviceId;
use crate::ledger::entry::Author;
use crate::ledger::gate::{self, Reject};
use crate::ledger::heads::Tip;
use crate::ledger::run::{Run, VerifiedRun};
use crate::limits::{WAITING_BYTES_MAX, WAITING_RUNS_MAX};

/// Why a run was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The gate refused it.
    Gate(Reject),
    /// Its device belongs to another identity.
    ForeignEntry,
    /// It is outside the cut of an ended device.
    OutsideCut,
    /// The journal is forked and its own device pushes on.
    Forked,
    /// The journal has as many tips as it may.
    TooManyTips,
}

/// A run that the log lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admissible {
    /// The run.
    pub run: VerifiedRun,
    /// Whether a cut names its end, or something above it in the same batch.
    pub in_cut: bool,
}

/// What admission decided about a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admitted {
    /// Append these, in this order and in one step; the last one is the run in question.
    Append(Vec<Admissible>),
    /// Its device is not in the log, but the peer's log is longer: ask for it.
    LogWanted,
    /// Parked below a named tip: ask for the run that ends there.
    Waiting {
        /// The named tip.
        wanted: Tip,
    },
    /// Refused.
    Refused(Refusal),
}

/// The runs of one identity that wait, bounded in number and bytes; when full, the newcomer is
/// dropped, and it is asked for again when what it waits for arrives.
#[derive(Debug, Default)]
pub struct Admission {
    waiting: BTreeMap<(DeviceId, Point), Vec<VerifiedRun>>,
    bytes: usize,
    runs: usize,
}

impl Admission {
    /// Judges one untrusted run. `peer_ahead` says whether the peer's log is longer than ours,
    /// so that it may know devices that we do not.
    pub fn admit(&mut self, log: &IdentityLog, peer_ahead: bool, run: &Run) -> Admitted {
        let Some(device) = log.device(&run.device) else {
            return if peer_ahead {
                Admitted::LogWanted
            } else {
                Admitted::Refused(Refusal::ForeignEntry)
            };
        };
        let author = Author {
            ledger_id: log.ledger_id(),
            identity: log.identity(),
            key: &device.key,
        };
        let verified = match gate::verify(author, run) {
            Ok(verified) => verified,
            Err(reject) => return Admitted::Refused(Refusal::Gate(reject)),
        };
        let Some(cut) = &device.cut else {
            return Admitted::Append(vec![Admissible {
                run: verified,
                in_cut: false,
            }]);
        };
        let inside = verified.up_to_cut(cut);
        let above = verified.after(inside.as_ref().map_or(0, |inside| inside.entries().len()));
        let named = above.and_then(|above| self.park_below(cut, above));
        match (inside, named) {
            (Some(inside), _) => Admitted::Append(self.chain_below(inside)),
            (None, Some(point)) => Admitted::Waiting {
                wanted: Tip {
                    device: run.device,
                    point,
                },
            },
            (None, None) => Admitted::Refused(Refusal::OutsideCut),
        }
    }

    /// Parks a run that a cut does not name, if it can lie below a point that the cut names.
    fn park_below(&mut self, cut: &Cut, run: VerifiedRun) -> Option<Point> {
        let named = cut.points().find(|point| point.seq > run.last().seq)?;
        self.park(run);
        Some(named)
    }

    /// Parks a run whose parent is not kept.
    pub fn park(&mut self, run: VerifiedRun) {
        let bytes = run.memory_bytes();
        if self.runs >= WAITING_RUNS_MAX || self.bytes + bytes > WAITING_BYTES_MAX {
            return;
        }
        let parked = self
            .waiting
            .entry((run.device(), run.parent()))
            .or_default();
        if !parked.contains(&run) {
            self.bytes += bytes;
            self.runs += 1;
            parked.push(run);
        }
    }

    /// Takes out the runs that waited for an entry of a run that is kept now.
    pub fn release(&mut self, kept: &VerifiedRun) -> Vec<VerifiedRun> {
        let device = kept.device();
        let ready: Vec<Point> = self
            .waiting
            .range((device, Point::START)..)
            .take_while(|((of, _), _)| *of == device)
            .map(|((_, parent), _)| *parent)
            .filter(|parent| kept.entries().iter().any(|entry| entry.point() == *parent))
            .collect();
        ready
            .into_iter()
            .flat_map(|parent| self.take(device, parent))
            .collect()
    }

    /// Forgets what waits for ended devices: after a change of the log it is judged again.
    pub fn forget_ended(&mut self, log: &IdentityLog) {
        let ended: Vec<_> = self
            .waiting
            .keys()
            .filter(|(device, _)| log.cut(device).is_some())
            .copied()
            .collect();
        for (device, parent) in ended {
            self.take(device, parent);
        }
    }

    fn take(&mut self, device: DeviceId, parent: Point) -> Vec<VerifiedRun> {
        let taken = self.waiting.remove(&(device, parent)).unwrap_or_default();
        self.runs -= taken.len();
        self.bytes -= taken.iter().map(VerifiedRun::memory_bytes).sum::<usize>();
        taken
    }

    /// The run that ends at a named tip, after the waiting runs that lead up to it.
    fn chain_below(&mut self, top: VerifiedRun) -> Vec<Admissible> {
        let mut chain = vec![top];
        while let Some(below) = chain
            .last()
            .and_then(|run| self.ending_at(run.device(), run.parent()))
        {
            chain.push(below);
        }
        chain.reverse();
        chain
            .into_iter()
            .map(|run| Admissible { run, in_cut: true })
            .collect()
    }

    fn ending_at(&mut self, device: DeviceId, point: Point) -> Option<VerifiedRun> {
        let (key, index) = self
            .waiting
            .range((device, Point::START)..)
            .take_while(|((of, _), _)| *of == device)
            .find_map(|(key, runs)| {
                Some((*key, runs.iter().position(|run| run.last() == point)?))
            })?;
        let runs = self.waiting.get_mut(&key)?;
        let run = runs.swap_remove(index);
        if runs.is_empty() {
            self.waiting.remove(&key);
        }
        self.runs -= 1;
        self.bytes -= run.memory_bytes();
        Some(run)
    }
}
