//! Journals: what a run does to the entries that are kept, what a cut leaves of them, and what
//! somebody else lacks of them. Decisions only: a store reads for them and carries them out.
//!
//! The kept entries of one journal form a tree of which every member's parent is kept too.

use std::collections::{BTreeMap, BTreeSet};

use crate::identity::{Cut, Point};
use crate::ledger::run::VerifiedRun;
use crate::limits::{JOURNAL_TIPS_MAX, LOCATOR_POINTS_MAX};

/// Reading access to one kept journal.
pub trait JournalView {
    /// What reading may fail with.
    type Error;

    /// The tips.
    ///
    /// # Errors
    /// When reading fails.
    fn tips(&self) -> Result<Vec<Point>, Self::Error>;

    /// The parent of a kept entry, [`Point::START`] for a first one; `None` if it is not kept.
    ///
    /// # Errors
    /// When reading fails.
    fn parent(&self, point: Point) -> Result<Option<Point>, Self::Error>;

    /// How a kept entry travels. A view that does not tell is taken to keep a signature of every
    /// entry.
    ///
    /// # Errors
    /// When reading fails.
    fn freight(&self, point: Point) -> Result<Option<Freight>, Self::Error> {
        let _ = point;
        Ok(None)
    }

    /// All kept entries at one place.
    ///
    /// # Errors
    /// When reading fails.
    fn at(&self, seq: u64) -> Result<Vec<Point>, Self::Error>;
}

/// What matters of a kept entry when it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freight {
    /// Bytes of the payload.
    pub bytes: usize,
    /// Whether the author's signature of this entry is known, so that a run can end here.
    pub signed: bool,
}

/// What a run does to a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extended {
    /// Entries from this index on are new.
    Kept {
        /// Index of the first new entry of the run.
        from: usize,
        /// The journal's tips afterwards.
        tips: Vec<Point>,
    },
    /// Every entry was kept before.
    Duplicate,
    /// The parent of the first entry is not kept.
    Waiting {
        /// That parent.
        missing: Point,
    },
    /// It would open one branch too many.
    TooManyTips,
}

/// Decides what a run does to a journal. `in_cut` says that a cut names the run's end or
/// something above it, which lifts the limit on tips.
///
/// # Errors
/// When reading the view fails.
pub fn extend<V: JournalView>(
    view: &V,
    run: &VerifiedRun,
    in_cut: bool,
) -> Result<Extended, V::Error> {
    let entries = run.entries();
    let tips = view.tips()?;
    let from = if tips.contains(&run.parent()) {
        0
    } else {
        kept_prefix(view, run)?
    };
    if from == entries.len() {
        return Ok(Extended::Duplicate);
    }
    let parent = entries[from].parent();
    if from == 0 && parent != Point::START && view.parent(parent)?.is_none() {
        return Ok(Extended::Waiting { missing: parent });
    }
    let forks = !tips.is_empty() && !tips.contains(&parent);
    let mut after: Vec<Point> = tips.iter().copied().filter(|t| *t != parent).collect();
    if forks && tips.len() >= JOURNAL_TIPS_MAX && !in_cut {
        return Ok(Extended::TooManyTips);
    }
    after.push(run.last());
    after.sort_unstable();
    Ok(Extended::Kept { from, tips: after })
}

/// How many entries of a run are kept: they are its beginning, because every kept entry's
/// parent is kept.
fn kept_prefix<V: JournalView>(view: &V, run: &VerifiedRun) -> Result<usize, V::Error> {
    let entries = run.entries();
    let (mut low, mut high) = (0, entries.len());
    while low < high {
        let middle = low + (high - low) / 2;
        if view.parent(entries[middle].point())?.is_some() {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// What a cut leaves of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retreat {
    /// The tips afterwards.
    pub tips: Vec<Point>,
    /// The entries that are no longer kept.
    pub outside: Vec<Point>,
}

/// Decides what a cut leaves: the named entries that are kept, and their ancestors.
///
/// # Errors
/// When reading the view fails.
pub fn retreat<V: JournalView>(view: &V, cut: &Cut) -> Result<Retreat, V::Error> {
    let mut named = BTreeSet::new();
    for point in cut.points() {
        if view.parent(point)?.is_some() {
            named.insert(point);
        }
    }
    let outside = not_below(view, &view.tips()?, &named)?;
    let tips = maximal(view, &named)?;
    Ok(Retreat { tips, outside })
}

/// Those of `points` that are no ancestor of another one.
fn maximal<V: JournalView>(view: &V, points: &BTreeSet<Point>) -> Result<Vec<Point>, V::Error> {
    let Some(lowest) = points.iter().next() else {
        return Ok(Vec::new());
    };
    let mut open = points.clone();
    let mut maximal: BTreeSet<Point> = points.clone();
    while let Some(point) = open.pop_last() {
        if point.seq <= lowest.seq {
            break;
        }
        if let Some(parent) = view.parent(point)? {
            maximal.remove(&parent);
            open.insert(parent);
        }
    }
    Ok(maximal.into_iter().collect())
}

/// The kept entries that are neither one of `known` nor an ancestor of one, highest first.
/// Costs one read per entry above the point where all branches are known.
fn not_below<V: JournalView>(
    view: &V,
    tips: &[Point],
    known: &BTreeSet<Point>,
) -> Result<Vec<Point>, V::Error> {
    let mut open: BTreeMap<Point, bool> = tips.iter().map(|tip| (*tip, false)).collect();
    open.extend(known.iter().map(|point| (*point, true)));
    let mut unknown_open = open.values().filter(|known| !**known).count();
    let mut found = Vec::new();
    while unknown_open > 0 {
        let Some((point, known)) = open.pop_last() else {
            break;
        };
        if !known {
            unknown_open -= 1;
            found.push(point);
        }
        let Some(parent) = view.parent(point)?.filter(|p| *p != Point::START) else {
            continue;
        };
        match open.get_mut(&parent) {
            Some(parent_known) => {
                if known && !*parent_known {
                    *parent_known = true;
                    unknown_open -= 1;
                }
            }
            None => {
                open.insert(parent, known);
                unknown_open += usize::from(!known);
            }
        }
    }
    Ok(found)
}

/// What of a journal somebody lacks who has some points of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lacking {
    /// Nothing.
    Nothing,
    /// The points that they have are unknown here: a locator is needed.
    Unknown,
    /// All entries after a place, in a journal with one tip.
    After {
        /// The last place that they have; 0 for none.
        seq: u64,
    },
    /// Chains of entries, parents first.
    Chains(Vec<Vec<Point>>),
}

/// Decides what of a journal is lacking where `have` is there.
///
/// # Errors
/// When reading the view fails.
pub fn lacking<V: JournalView>(view: &V, have: &BTreeSet<Point>) -> Result<Lacking, V::Error> {
    let tips = view.tips()?;
    let mut known = BTreeSet::new();
    for point in have {
        if *point == Point::START || view.parent(*point)?.is_some() {
            known.insert(*point);
        }
    }
    if tips.iter().all(|tip| known.contains(tip)) {
        return Ok(Lacking::Nothing);
    }
    // Who told a first entry told all there is of that branch: nothing of it is shared.
    let told_down = have.iter().any(|point| point.seq == 1);
    if known.is_empty() && !have.is_empty() && !told_down {
        return Ok(Lacking::Unknown);
    }
    if tips.len() == 1 {
        return Ok(Lacking::After {
            seq: known.iter().next_back().map_or(0, |p| p.seq),
        });
    }
    known.remove(&Point::START);
    let mut points = not_below(view, &tips, &known)?;
    let carriers = carriers(view, &points)?;
    points.reverse();
    let mut chains: Vec<Vec<Point>> = Vec::new();
    for point in points {
        let parent = view.parent(point)?;
        let carried = |end: &Point| carriers.get(end).is_none_or(|(by, _)| *by == point);
        match chains
            .iter_mut()
            .find(|chain| chain.last().copied() == parent && chain.last().is_some_and(carried))
        {
            Some(chain) => chain.push(point),
            None => chains.push(vec![point]),
        }
    }
    Ok(if chains.is_empty() {
        Lacking::Nothing
    } else {
        Lacking::Chains(chains)
    })
}

/// For each entry the child that it travels with: an entry without a signature of its own needs
/// one above it, and of several children the one whose next signature is nearest. Unless a cut
/// came between, that is never further than the end of the run that brought the entry.
///
/// Takes entries highest first; gives the child, and the bytes up to that signature.
fn carriers<V: JournalView>(
    view: &V,
    points: &[Point],
) -> Result<BTreeMap<Point, (Point, usize)>, V::Error> {
    let mut carriers: BTreeMap<Point, (Point, usize)> = BTreeMap::new();
    for point in points {
        let (Some(freight), Some(parent)) = (view.freight(*point)?, view.parent(*point)?) else {
            continue;
        };
        let beyond = match carriers.get(point) {
            _ if freight.signed => 0,
            Some((_, bytes)) => *bytes,
            None => continue,
        };
        let bytes = freight.bytes + beyond;
        if carriers
            .get(&parent)
            .is_none_or(|(_, least)| bytes < *least)
        {
            carriers.insert(parent, (*point, bytes));
        }
    }
    Ok(carriers)
}

/// Points of a journal for somebody whose tip is unknown here: 0, 1, 2, 4 … places back from
/// each tip, and every branch at those places. When these are too many, those in the middle are
/// left out: the high ones save the most, and the low ones are what is shared if anything is.
///
/// # Errors
/// When reading the view fails.
pub fn locator<V: JournalView>(view: &V) -> Result<Vec<Point>, V::Error> {
    let tips = view.tips()?;
    let mut seqs = BTreeSet::new();
    for tip in &tips {
        seqs.insert(1);
        let mut back = 1_u64;
        while back < tip.seq {
            seqs.insert(tip.seq - back);
            back = back.saturating_mul(2);
        }
    }
    let mut points: BTreeSet<Point> = tips.into_iter().take(LOCATOR_POINTS_MAX).collect();
    let mut high = false;
    while points.len() < LOCATOR_POINTS_MAX
        && let Some(seq) = if high {
            seqs.pop_last()
        } else {
            seqs.pop_first()
        }
    {
        high = !high;
        let room = LOCATOR_POINTS_MAX - points.len();
        points.extend(view.at(seq)?.into_iter().take(room));
    }
    Ok(points.into_iter().rev().collect())
}
