//! What the service or a device holds, and how runs and statements enter it: the twin of the
//! stores' ingest, in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use edge_ledger_core::identity::{IdentityLog, Point, SignedTip};
use edge_ledger_core::ids::{DeviceId, Digest};
use edge_ledger_core::ledger::admission::{Admissible, Refusal};
use edge_ledger_core::ledger::{
    Admission, Admitted, Extended, Heads, Journals, Run, Tip, VerifiedRun,
};
use edge_ledger_core::sync::Outcome;

use crate::chronicle::Chronicle;
use crate::pen::Book;
use crate::world::Member;

pub(crate) struct Replica {
    /// Which device it is; `None` for the service.
    pub(crate) member: Option<&'static Member>,
    /// Its log.
    pub(crate) log: Arc<IdentityLog>,
    pub(crate) journals: Journals,
    admission: Admission,
    /// Every entry that it ever kept.
    pub(crate) ever: BTreeSet<Tip>,
    /// What was left of the named tips of each ended journal when its last cut was applied.
    pub(crate) spared: BTreeMap<DeviceId, BTreeSet<Point>>,
}

/// What became of a frame.
#[derive(Default)]
pub(crate) struct Ingested {
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) kept: Vec<(Tip, Point)>,
    pub(crate) log_wanted: bool,
    pub(crate) heads_wanted: bool,
    /// Runs of which at least one entry is new.
    pub(crate) committed: Vec<VerifiedRun>,
}

/// Under what a frame is ingested.
#[derive(Clone, Copy, Default)]
pub(crate) struct Under {
    pub(crate) peer_ahead: bool,
    /// A device whose forked journal the bringer may not push on.
    pub(crate) refuse: Option<DeviceId>,
}

impl Replica {
    pub(crate) fn new(member: Option<&'static Member>, log: Arc<IdentityLog>) -> Self {
        Self {
            member,
            log,
            journals: Journals::default(),
            admission: Admission::default(),
            ever: BTreeSet::new(),
            spared: BTreeMap::new(),
        }
    }

    pub(crate) fn position(&self) -> u64 {
        self.log.head().position
    }

    pub(crate) fn digest(&self) -> Digest {
        self.journals.heads().digest(&self.log)
    }

    pub(crate) fn heads(&self) -> Heads {
        self.journals.heads()
    }

    /// Keeps runs that are known to fit.
    pub(crate) fn keep(&mut self, runs: &[VerifiedRun]) {
        for run in runs {
            let extended = self.append(&Admissible {
                run: run.clone(),
                in_cut: false,
            });
            assert!(
                matches!(extended, Extended::Kept { .. } | Extended::Duplicate),
                "{extended:?}"
            );
        }
    }

    /// The tips of a journal with their signatures.
    pub(crate) fn signed_tips(&self, device: DeviceId, book: &Book) -> Vec<SignedTip> {
        let heads = self.journals.heads();
        let tips = heads.of(&device).iter();
        tips.map(|point| book.signed(device, *point)).collect()
    }

    /// Takes a longer log over: what is outside its cuts is dropped.
    pub(crate) fn adopt(&mut self, log: &Arc<IdentityLog>) {
        let before = std::mem::replace(&mut self.log, log.clone());
        for (device, record) in log.devices() {
            let Some(cut) = &record.cut else { continue };
            if before.cut(device) == Some(cut) {
                continue;
            }
            self.journals.cut(*device, cut);
            let spared = cut.points().filter(|point| {
                self.journals.keeps(&Tip {
                    device: *device,
                    point: *point,
                })
            });
            self.spared.insert(*device, spared.collect());
        }
        self.admission.forget_ended(log);
    }

    /// Takes over those statements that follow.
    pub(crate) fn adopt_parts(
        &mut self,
        chronicle: &Chronicle,
        parts: &[edge_ledger_core::identity::receipt::ReceiptParts],
    ) -> bool {
        let position = chronicle.follow(self.position(), parts);
        let grows = position > self.position();
        if grows {
            self.adopt(chronicle.log_at(position));
        }
        grows
    }

    pub(crate) fn ingest(&mut self, under: Under, runs: &[Run]) -> Ingested {
        let mut done = Ingested::default();
        let mut batch: Vec<(Admissible, Option<usize>)> = Vec::new();
        for (index, run) in runs.iter().enumerate() {
            let admitted = if under.refuse == Some(run.device) {
                Admitted::Refused(Refusal::Forked)
            } else {
                self.admission.admit(&self.log, under.peer_ahead, run)
            };
            done.outcomes.push(match admitted {
                Admitted::Append(chain) => {
                    let last = chain.len() - 1;
                    let chain = chain.into_iter().enumerate();
                    batch.extend(chain.map(|(i, run)| (run, (i == last).then_some(index))));
                    Outcome::Waiting
                }
                Admitted::LogWanted => {
                    done.log_wanted = true;
                    Outcome::Waiting
                }
                Admitted::Waiting { .. } => Outcome::Waiting,
                Admitted::Refused(refusal) => Outcome::Refused(refusal),
            });
        }
        while !batch.is_empty() {
            let mut next = Vec::new();
            for (admissible, answers) in batch {
                let outcome = self.settle(&mut done, &mut next, admissible);
                if let Some(index) = answers {
                    done.outcomes[index] = outcome;
                }
            }
            batch = next.into_iter().map(|run| (run, None)).collect();
        }
        done
    }

    fn settle(
        &mut self,
        done: &mut Ingested,
        next: &mut Vec<Admissible>,
        admissible: Admissible,
    ) -> Outcome {
        let extended = self.append(&admissible);
        let run = admissible.run;
        let end = Tip {
            device: run.device(),
            point: run.last(),
        };
        match extended {
            Extended::Kept { .. } => {
                if !admissible.in_cut {
                    let ready = self.admission.release(&run).into_iter();
                    next.extend(ready.map(|run| Admissible { run, in_cut: false }));
                }
                done.kept.push((end, run.parent()));
                done.committed.push(run);
                Outcome::Kept
            }
            Extended::Duplicate => {
                done.kept.push((end, run.parent()));
                Outcome::Kept
            }
            Extended::Waiting { .. } => {
                done.heads_wanted = true;
                if !admissible.in_cut {
                    self.admission.park(run);
                }
                Outcome::Waiting
            }
            Extended::TooManyTips => Outcome::Refused(Refusal::TooManyTips),
        }
    }

    fn append(&mut self, admissible: &Admissible) -> Extended {
        let extended = self.journals.append(admissible);
        if let Extended::Kept { from, .. } = &extended {
            let new = &admissible.run.entries()[*from..];
            self.ever.extend(new.iter().map(|entry| Tip {
                device: entry.device(),
                point: entry.point(),
            }));
        }
        extended
    }
}
