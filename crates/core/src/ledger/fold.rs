//! The fold: what the kept entries of an identity amount to.
//!
//! A pure function of the kept entries and the identity log. Whether a posting counts depends on
//! its own ancestors alone, so the order of arrival never matters, and for a fixed log
//! `fold(A ∪ B)` is the per-key maximum of `fold(A)` and `fold(B)`.

use std::collections::BTreeMap;

use crate::identity::{CreditPolicy, IdentityLog, Point};
use crate::ids::DeviceId;
use crate::ledger::entry::{EntryContent, VerifiedEntry};
use crate::ledger::issuer;
use crate::ledger::posting::{EventKey, Kind, Posting};
use crate::limits::JOURNAL_TOTAL_MAX;

/// Whether a posting counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It does.
    Counted,
    /// It does not.
    Void(Void),
}

/// Why a posting does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Void {
    /// A self-reported credit above the cap of one posting.
    PostingCap,
    /// A self-reported credit that would pass the cap of its journal.
    JournalCap,
    /// It would take the sum of its journal past 2^63 − 1.
    TotalRange,
    /// The policy asks for an issuer's proof, and there is no valid one.
    Unproven,
}

/// An entry that [`Fold::extend`] cannot add by itself: fold all entries anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the entry opens a branch or leaves a gap")]
pub struct NotNext;

/// Per-key maxima and totals of an identity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fold {
    credits: BTreeMap<EventKey, u64>,
    spent: BTreeMap<(DeviceId, EventKey), Spent>,
    credited: i128,
    debited: i128,
    refunded: i128,
    unreadable: bool,
    branches: BTreeMap<(DeviceId, Point), Branch>,
}

/// Maxima of one debit key of one lineage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Largest debit.
    pub debit: u64,
    /// Largest cumulative refund.
    pub refund: u64,
}

impl Spent {
    /// What counts as given back: never more than was spent.
    pub fn refunded(self) -> u64 {
        self.debit.min(self.refund)
    }
}

/// Sums along the ancestors of one tip, each key weighing its maximum so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Branch {
    credits: Weights,
    debits: Weights,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Weights {
    maxima: BTreeMap<EventKey, u64>,
    total: u128,
}

impl Weights {
    /// The total if a key weighed this much.
    fn total_with(&self, key: &EventKey, amount: u64) -> u128 {
        let before = self.maxima.get(key).copied().unwrap_or(0);
        self.total + u128::from(amount.saturating_sub(before))
    }

    fn weigh(&mut self, key: &EventKey, amount: u64) {
        self.total = self.total_with(key, amount);
        let weight = self.maxima.entry(key.clone()).or_default();
        *weight = (*weight).max(amount);
    }
}

/// Folds a set of kept entries, in any order.
pub fn fold<'a>(log: &IdentityLog, entries: impl IntoIterator<Item = &'a VerifiedEntry>) -> Fold {
    fold_with(log, entries, |_, _, _| {})
}

/// The same, telling of every posting whether it counts, parents before children.
pub fn fold_with<'a>(
    log: &IdentityLog,
    entries: impl IntoIterator<Item = &'a VerifiedEntry>,
    mut visit: impl FnMut(&'a VerifiedEntry, &'a Posting, Effect),
) -> Fold {
    let mut children: BTreeMap<(DeviceId, Point), Vec<&VerifiedEntry>> = BTreeMap::new();
    for entry in entries {
        children
            .entry((entry.device(), entry.parent()))
            .or_default()
            .push(entry);
    }
    let mut fold = Fold::default();
    let mut open: Vec<(&VerifiedEntry, Branch)> = children
        .iter()
        .filter(|((_, parent), _)| *parent == Point::START)
        .flat_map(|(_, first)| first.iter().map(|entry| (*entry, Branch::default())))
        .collect();
    while let Some((entry, mut branch)) = open.pop() {
        fold.count(log, entry, &mut branch, &mut visit);
        let place = (entry.device(), entry.point());
        match children.get(&place).map(Vec::as_slice) {
            None | Some([]) => {
                fold.branches.insert(place, branch);
            }
            Some([only]) => open.push((only, branch)),
            Some(several) => open.extend(several.iter().map(|child| (*child, branch.clone()))),
        }
    }
    fold
}

impl Fold {
    /// Adds one entry that follows a tip, or starts a journal.
    ///
    /// # Errors
    /// [`NotNext`] when it does neither; the fold is unchanged then.
    pub fn extend(&mut self, log: &IdentityLog, entry: &VerifiedEntry) -> Result<(), NotNext> {
        let device = entry.device();
        let mut branch = if entry.parent() == Point::START {
            if self
                .branches
                .range((device, Point::START)..)
                .next()
                .is_some_and(|((d, _), _)| *d == device)
            {
                return Err(NotNext);
            }
            Branch::default()
        } else {
            self.branches
                .remove(&(device, entry.parent()))
                .ok_or(NotNext)?
        };
        self.count(log, entry, &mut branch, &mut |_, _, _| {});
        self.branches.insert((device, entry.point()), branch);
        Ok(())
    }

    /// Credits minus debits plus refunds, in minor units; negative is debt.
    pub fn balance(&self) -> i128 {
        self.credited - self.debited + self.refunded
    }

    /// Sum of all credits.
    pub fn credited(&self) -> i128 {
        self.credited
    }

    /// Sum of all debits.
    pub fn debited(&self) -> i128 {
        self.debited
    }

    /// Sum of all refunds, each up to its debit.
    pub fn refunded(&self) -> i128 {
        self.refunded
    }

    /// Whether there is an entry of a format that this code cannot read.
    pub fn upgrade_required(&self) -> bool {
        self.unreadable
    }

    /// Largest credit of each key.
    pub fn credits(&self) -> &BTreeMap<EventKey, u64> {
        &self.credits
    }

    /// Largest debit and refund of each lineage and key.
    pub fn spent(&self) -> &BTreeMap<(DeviceId, EventKey), Spent> {
        &self.spent
    }

    fn count<'a>(
        &mut self,
        log: &IdentityLog,
        entry: &'a VerifiedEntry,
        branch: &mut Branch,
        visit: &mut impl FnMut(&'a VerifiedEntry, &'a Posting, Effect),
    ) {
        let postings = match entry.content() {
            EntryContent::V1 { postings, .. } => postings,
            EntryContent::Unreadable => {
                self.unreadable = true;
                return;
            }
        };
        let lineage = log.lineage(&entry.device()).unwrap_or(entry.device());
        for posting in postings {
            let effect = judge(log, entry.device(), branch, posting);
            if effect == Effect::Counted {
                self.add(lineage, branch, posting);
            }
            visit(entry, posting, effect);
        }
    }

    fn add(&mut self, lineage: DeviceId, branch: &mut Branch, posting: &Posting) {
        let (key, amount) = (&posting.event_key, posting.amount);
        if posting.kind == Kind::Credit {
            branch.credits.weigh(key, amount);
            let credit = self.credits.entry(key.clone()).or_default();
            self.credited += i128::from(amount.saturating_sub(*credit));
            *credit = (*credit).max(amount);
            return;
        }
        let spent = self.spent.entry((lineage, key.clone())).or_default();
        let before = *spent;
        if posting.kind == Kind::Debit {
            branch.debits.weigh(key, amount);
            spent.debit = spent.debit.max(amount);
        } else {
            spent.refund = spent.refund.max(amount);
        }
        self.debited += i128::from(spent.debit - before.debit);
        self.refunded += i128::from(spent.refunded() - before.refunded());
    }
}

fn judge(log: &IdentityLog, device: DeviceId, branch: &Branch, posting: &Posting) -> Effect {
    let (key, amount) = (&posting.event_key, posting.amount);
    let void = match (posting.kind, log.genesis().policy()) {
        (Kind::Debit, _) => {
            (branch.debits.total_with(key, amount) > JOURNAL_TOTAL_MAX).then_some(Void::TotalRange)
        }
        (Kind::Refund, CreditPolicy::SelfReported { .. }) => None,
        (Kind::Refund, CreditPolicy::Issued) => {
            (!issuer::proves(log, device, posting)).then_some(Void::Unproven)
        }
        (Kind::Credit, policy) => judge_credit(
            log,
            device,
            policy,
            branch.credits.total_with(key, amount),
            posting,
        ),
    };
    void.map_or(Effect::Counted, Effect::Void)
}

fn judge_credit(
    log: &IdentityLog,
    device: DeviceId,
    policy: CreditPolicy,
    total_with: u128,
    posting: &Posting,
) -> Option<Void> {
    if let CreditPolicy::SelfReported {
        posting_cap,
        journal_cap,
    } = policy
    {
        if posting.amount > posting_cap {
            return Some(Void::PostingCap);
        }
        if total_with > u128::from(journal_cap).min(JOURNAL_TOTAL_MAX) {
            let range = total_with > JOURNAL_TOTAL_MAX;
            return Some(if range {
                Void::TotalRange
            } else {
                Void::JournalCap
            });
        }
    } else if total_with > JOURNAL_TOTAL_MAX {
        return Some(Void::TotalRange);
    } else if !issuer::proves(log, device, posting) {
        return Some(Void::Unproven);
    }
    None
}
