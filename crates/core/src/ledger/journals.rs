//! All journals of one identity in memory: the reference that every store is held to, and what
//! the property tests and simulations run on.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use crate::identity::{Cut, Point};
use crate::ids::DeviceId;
use crate::keys::Signature;
use crate::ledger::admission::Admissible;
use crate::ledger::entry::VerifiedEntry;
use crate::ledger::heads::{Heads, Tip};
use crate::ledger::journal::{Extended, JournalView, Lacking, extend, lacking, locator, retreat};
use crate::ledger::run::Run;
use crate::limits::PAGE_BYTES_MAX;

/// The points that a peer is known to have, by journal.
pub type Have = BTreeMap<DeviceId, BTreeSet<Point>>;

/// Kept entries of one identity, in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Journals(BTreeMap<DeviceId, Journal>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Journal {
    entries: BTreeMap<Point, (VerifiedEntry, Option<Signature>)>,
    tips: Vec<Point>,
}

impl JournalView for Journal {
    type Error = Infallible;

    fn tips(&self) -> Result<Vec<Point>, Infallible> {
        Ok(self.tips.clone())
    }

    fn parent(&self, point: Point) -> Result<Option<Point>, Infallible> {
        Ok(self.entries.get(&point).map(|(entry, _)| entry.parent()))
    }

    fn at(&self, seq: u64) -> Result<Vec<Point>, Infallible> {
        Ok(self
            .entries
            .keys()
            .filter(|p| p.seq == seq)
            .copied()
            .collect())
    }
}

/// Unwraps a result that cannot be an error.
fn sure<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

impl Journals {
    /// Appends a run if its parent is kept; nothing happens to what is kept already.
    pub fn append(&mut self, admissible: &Admissible) -> Extended {
        let run = &admissible.run;
        let journal = self.0.entry(run.device()).or_default();
        let extended = sure(extend(journal, run, admissible.in_cut));
        if let Extended::Kept { from, tips } = &extended {
            for entry in &run.entries()[*from..] {
                journal.entries.insert(entry.point(), (entry.clone(), None));
            }
            journal.tips.clone_from(tips);
        }
        if matches!(extended, Extended::Kept { .. } | Extended::Duplicate)
            && let Some((_, signature)) = journal.entries.get_mut(&run.last())
        {
            *signature = Some(run.signature());
        }
        if journal.tips.is_empty() {
            self.0.remove(&run.device());
        }
        extended
    }

    /// Drops what is outside a cut.
    pub fn cut(&mut self, device: DeviceId, cut: &Cut) {
        let Some(journal) = self.0.get_mut(&device) else {
            return;
        };
        let left = sure(retreat(journal, cut));
        for point in &left.outside {
            journal.entries.remove(point);
        }
        for tip in &left.tips {
            if let (Some((_, signature)), Some(signed)) =
                (journal.entries.get_mut(tip), cut.signature(tip))
            {
                *signature = Some(signed);
            }
        }
        journal.tips = left.tips;
        if journal.tips.is_empty() {
            self.0.remove(&device);
        }
    }

    /// All tips.
    pub fn heads(&self) -> Heads {
        Heads::new(self.0.iter().flat_map(|(device, journal)| {
            journal.tips.iter().map(|point| Tip {
                device: *device,
                point: *point,
            })
        }))
    }

    /// All kept entries.
    pub fn entries(&self) -> impl Iterator<Item = &VerifiedEntry> {
        self.0
            .values()
            .flat_map(|journal| journal.entries.values().map(|(entry, _)| entry))
    }

    /// Whether an entry is kept.
    pub fn keeps(&self, tip: &Tip) -> bool {
        self.0
            .get(&tip.device)
            .is_some_and(|journal| journal.entries.contains_key(&tip.point))
    }

    /// A locator for each journal of which `heads` has a tip that is not kept.
    pub fn locate(&self, heads: &Heads) -> Vec<Tip> {
        let unknown: BTreeSet<DeviceId> = heads
            .tips()
            .filter(|tip| !self.keeps(tip))
            .map(|tip| tip.device)
            .collect();
        let journals = unknown
            .into_iter()
            .filter_map(|device| Some((device, self.0.get(&device)?)));
        journals
            .flat_map(|(device, journal)| {
                sure(locator(journal))
                    .into_iter()
                    .map(move |point| Tip { device, point })
            })
            .collect()
    }

    /// Runs that are lacking where `have` is there, parents first, about one frame of them; and
    /// whether there are more.
    pub fn missing(&self, have: &Have) -> (Vec<Run>, bool) {
        let mut runs = Vec::new();
        let mut budget = PAGE_BYTES_MAX;
        let nothing = BTreeSet::new();
        for (device, journal) in &self.0 {
            let chains = match sure(lacking(journal, have.get(device).unwrap_or(&nothing))) {
                Lacking::Nothing | Lacking::Unknown => continue,
                Lacking::After { seq } => {
                    vec![
                        journal
                            .entries
                            .keys()
                            .filter(|p| p.seq > seq)
                            .copied()
                            .collect(),
                    ]
                }
                Lacking::Chains(chains) => chains,
            };
            for chain in chains {
                let entries = chain.iter().filter_map(|point| journal.entries.get(point));
                let (run, complete) = run_within(entries, &mut budget);
                runs.extend(run);
                if !complete {
                    return (runs, true);
                }
            }
        }
        (runs, false)
    }
}

/// Joins consecutive entries of one format into one run that ends at a signature, within a
/// budget of bytes; and says whether it holds all of them. One run is taken whatever it weighs:
/// a run never weighs more than the frame that brought it.
pub fn run_within<'a>(
    entries: impl Iterator<Item = &'a (VerifiedEntry, Option<Signature>)>,
    budget: &mut usize,
) -> (Option<Run>, bool) {
    let mut run: Option<Run> = None;
    let mut tail: Vec<&VerifiedEntry> = Vec::new();
    let mut tail_bytes = 0;
    let mut complete = true;
    for (entry, signature) in entries {
        let format = run
            .as_ref()
            .map(|r| r.format)
            .or_else(|| tail.first().map(|e| e.format()));
        if format.is_some_and(|format| format != entry.format()) {
            complete = false;
            break;
        }
        tail.push(entry);
        tail_bytes += entry.payload().len() + 4;
        let Some(signature) = signature else { continue };
        if run.is_some() && tail_bytes > *budget {
            complete = false;
            break;
        }
        *budget = budget.saturating_sub(tail_bytes);
        tail_bytes = 0;
        let first = tail[0];
        let joined = run.get_or_insert_with(|| Run {
            device: first.device(),
            format: first.format(),
            first_seq: first.point().seq,
            first_prev: first.parent().hash,
            payloads: Vec::new(),
            signature: *signature,
        });
        joined
            .payloads
            .extend(tail.drain(..).map(|e| e.payload().clone()));
        joined.signature = *signature;
        if *budget == 0 {
            complete = false;
            break;
        }
    }
    (run, complete && tail.is_empty())
}
