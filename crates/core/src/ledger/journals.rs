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
use crate::ledger::journal::{
    Extended, Freight, JournalView, Lacking, extend, lacking, locator, retreat,
};
use crate::ledger::page::{PageBuilder, Row};
use crate::ledger::run::KeptRun;

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

    fn freight(&self, point: Point) -> Result<Option<Freight>, Infallible> {
        let freight = |(entry, signature): &(VerifiedEntry, Option<Signature>)| Freight {
            bytes: entry.payload().len(),
            signed: signature.is_some(),
        };
        Ok(self.entries.get(&point).map(freight))
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
    pub fn missing(&self, have: &Have) -> (Vec<KeptRun>, bool) {
        let mut page = PageBuilder::default();
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
            for (entry, signature) in chains
                .iter()
                .flatten()
                .filter_map(|point| journal.entries.get(point))
            {
                let row = Row {
                    device: *device,
                    format: entry.format(),
                    point: entry.point(),
                    prev: entry.parent().hash,
                    payload: entry.payload().clone(),
                    signature: *signature,
                };
                if !page.push(row) {
                    return (page.finish(), true);
                }
            }
        }
        (page.finish(), false)
    }
}
