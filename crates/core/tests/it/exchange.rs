//! Two replicas with any parts of the same journals tell each other their tips, locators and
//! pages until they are equal: whatever each of them kept, and in whatever runs it came.

use std::collections::BTreeSet;

use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::ledger::admission::Admissible;
use edge_ledger_core::ledger::journals::Have;
use edge_ledger_core::ledger::{Extended, Heads, Journals, KeptRun, verify};
use edge_ledger_core::limits::JOURNAL_TIPS_MAX;
use proptest::prelude::*;

use crate::fixture::entries::{Pen, debit};
use crate::fixture::forest::{Forest, Step, places};
use crate::fixture::tally::Tally;
use crate::fixture::{World, cases};

const AUTHORS: [&str; 2] = ["phone", "tablet"];

/// Most rounds of telling tips: one for what is known, one for what a locator finds.
const ROUNDS_MAX: usize = 2;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..2_usize, places(3), prop::bool::weighted(0.8));
    let step = step.prop_map(|(author, place, readable)| Step {
        author,
        place,
        postings: vec![debit("k", 1)],
        readable,
    });
    prop::collection::vec(step, 1..20)
}

/// What a replica keeps after runs that end at these nodes; what is not kept below them comes
/// first. So many entries are kept without a signature of their own.
fn filled(forest: &Forest<'_>, ends: &[(usize, usize)]) -> (Journals, BTreeSet<usize>) {
    let mut journals = Journals::default();
    let mut kept = BTreeSet::new();
    for (number, length) in ends {
        let node = number % forest.nodes.len();
        let mut ends = Vec::new();
        let mut next = Some(node);
        while let Some(end) = next {
            ends.push(end);
            let below = forest.nodes[forest.members(end, *length)[0]].parent;
            next = below.filter(|node| !kept.contains(node));
        }
        for end in ends.into_iter().rev() {
            let run = forest.verified_run(end, *length);
            let extended = journals.append(&Admissible { run, in_cut: false });
            if matches!(extended, Extended::TooManyTips) {
                break;
            }
            assert!(!matches!(extended, Extended::Waiting { .. }));
            kept.extend(forest.path(end));
        }
    }
    (journals, kept)
}

fn have_of(heads: &Heads, located: Vec<edge_ledger_core::ledger::Tip>) -> Have {
    let mut have = Have::new();
    for tip in heads.tips().chain(located) {
        have.entry(tip.device).or_default().insert(tip.point);
    }
    have
}

/// Sends all pages of what is lacking; returns the runs.
fn sent(from: &Journals, mut have: Have) -> Vec<KeptRun> {
    let mut all = Vec::new();
    loop {
        let (runs, more) = from.missing(&have);
        assert!(
            !runs.is_empty() || !more,
            "a page that is not the last holds something"
        );
        for kept in &runs {
            let points = have.entry(kept.run.device).or_default();
            points.remove(&kept.run.parent());
            points.insert(kept.last);
        }
        all.extend(runs);
        if !more {
            return all;
        }
    }
}

fn receive(pens: &[Pen<'_>], to: &mut Journals, runs: &[KeptRun]) -> Result<(), TestCaseError> {
    for kept in runs {
        let pen = pens.iter().find(|pen| pen.device() == kept.run.device);
        let pen = pen.expect("all devices are known");
        let run = match verify(pen.author(), &kept.run) {
            Ok(run) => run,
            Err(reject) => return Err(TestCaseError::fail(format!("{reject}: {kept:?}"))),
        };
        prop_assert_eq!(run.last(), kept.last);
        let extended = to.append(&Admissible { run, in_cut: false });
        let taken = matches!(extended, Extended::Kept { .. } | Extended::Duplicate);
        prop_assert!(taken, "{:?}", extended);
    }
    Ok(())
}

/// Whether two replicas become equal within the rounds.
fn exchange(pens: &[Pen<'_>], a: &mut Journals, b: &mut Journals) -> Result<usize, TestCaseError> {
    for round in 0..=ROUNDS_MAX {
        let (of_a, of_b) = (a.heads(), b.heads());
        if of_a == of_b {
            return Ok(round);
        }
        let to_b = sent(a, have_of(&of_b, b.locate(&of_a)));
        let to_a = sent(b, have_of(&of_a, a.locate(&of_b)));
        receive(pens, b, &to_b)?;
        receive(pens, a, &to_a)?;
    }
    Err(TestCaseError::fail("they stay different"))
}

fn branches(forest: &Forest<'_>, kept: &BTreeSet<usize>, device: DeviceId) -> usize {
    let leaves = forest.leaves(kept);
    leaves
        .iter()
        .filter(|leaf| forest.tip(**leaf).device == device)
        .count()
}

#[test]
fn two_replicas_become_equal() {
    static TALLY: Tally = Tally::new(&[
        "equal before",
        "forked",
        "nothing shared",
        "formats mixed",
        "each lacked something",
    ]);
    static WORLD: std::sync::OnceLock<World> = std::sync::OnceLock::new();
    let world = WORLD.get_or_init(World::uncapped);
    let ends = || prop::collection::vec((any::<usize>(), 1..6_usize), 1..5);
    proptest!(cases(), |(steps in steps(), of_a in ends(), of_b in ends())| {
        let pens = AUTHORS.map(|name| Pen::new(world, name));
        let forest = Forest::grown(&pens, &steps);
        let (mut a, kept_a) = filled(&forest, &of_a);
        let (mut b, kept_b) = filled(&forest, &of_b);
        let all: BTreeSet<usize> = kept_a.union(&kept_b).copied().collect();
        let devices = pens.each_ref().map(Pen::device);
        // With 8 tips a journal takes no more branches; who holds which is another matter.
        prop_assume!(devices.iter().all(|d| branches(&forest, &all, *d) < JOURNAL_TIPS_MAX));

        let rounds = exchange(&pens, &mut a, &mut b)?;
        let tips = forest.leaves(&all).into_iter().map(|leaf| forest.tip(leaf));
        prop_assert_eq!(a.heads(), Heads::new(tips));
        prop_assert_eq!(a.entries().count(), all.len());
        prop_assert!(a.entries().eq(b.entries()), "the same entries, verbatim");

        TALLY.count_if(rounds == 0, "equal before");
        TALLY.count_if(devices.iter().any(|d| branches(&forest, &all, *d) > 1), "forked");
        let of = |kept: &BTreeSet<usize>, author| -> BTreeSet<usize> {
            kept.iter().copied().filter(|n| forest.nodes[*n].author == author).collect()
        };
        let apart = |author| {
            let (of_a, of_b) = (of(&kept_a, author), of(&kept_b, author));
            !of_a.is_empty() && !of_b.is_empty() && of_a.is_disjoint(&of_b)
        };
        TALLY.count_if(apart(0) || apart(1), "nothing shared");
        let formats: BTreeSet<u16> = a.entries().map(|entry| entry.format()).collect();
        TALLY.count_if(formats.len() > 1, "formats mixed");
        TALLY.count_if(!kept_a.is_subset(&kept_b) && !kept_b.is_subset(&kept_a), "each lacked something");
    });
    TALLY.require(300);
}
