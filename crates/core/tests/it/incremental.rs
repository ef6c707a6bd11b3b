//! `Fold::extend` gives what `fold` gives, or says that it cannot and changes nothing.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use edge_ledger_core::identity::{CreditPolicy, IdentityLog};
use edge_ledger_core::ledger::fold::{NotNext, fold};
use proptest::prelude::*;

use crate::fixture::entries::Pen;
use crate::fixture::forest::{Forest, Step, places, postings};
use crate::fixture::tally::Tally;
use crate::fixture::{World, cases};

const AUTHORS: [&str; 2] = ["phone", "tablet"];

fn place() -> &'static (World, IdentityLog) {
    static PLACE: OnceLock<(World, IdentityLog)> = OnceLock::new();
    PLACE.get_or_init(|| {
        let world = World::new(CreditPolicy::SelfReported {
            posting_cap: 60,
            journal_cap: 100,
        });
        let log = world.log_with("phone", &["tablet"]);
        (world, log)
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let posting = postings(4, &[1, 10, 40, 60, 61]);
    let step = (
        0..2_usize,
        places(2),
        prop::collection::vec(posting, 1..3),
        prop::bool::weighted(0.95),
    );
    let step = step.prop_map(|(author, place, postings, readable)| Step {
        author,
        place,
        postings,
        readable,
    });
    prop::collection::vec(step, 1..12)
}

#[test]
fn extending_is_folding_anew() {
    static TALLY: Tally = Tally::new(&["extended", "a branch", "a gap", "twice"]);
    let picks = prop::collection::vec((any::<usize>(), any::<u8>()), 1..16);
    proptest!(cases(), |(steps in steps(), picks in picks)| {
        let (world, log) = place();
        let pens = AUTHORS.map(|name| Pen::new(world, name));
        let forest = Forest::grown(&pens, &steps);
        let mut kept = BTreeSet::new();
        let mut sum = fold(log, []);
        for (number, which) in picks {
            // Mostly an entry whose parent is there, sometimes any.
            let ready: Vec<usize> = (0..forest.nodes.len())
                .filter(|node| !kept.contains(node))
                .filter(|node| forest.nodes[*node].parent.is_none_or(|parent| kept.contains(&parent)))
                .collect();
            let node = match which % 8 {
                0 => number % forest.nodes.len(),
                _ if ready.is_empty() => continue,
                _ => ready[number % ready.len()],
            };
            let (entry, before) = (forest.entry(node), sum.clone());
            let parent = forest.nodes[node].parent;
            let gap = parent.is_some_and(|parent| !kept.contains(&parent));
            let twice = kept.contains(&node);
            let at_tip = match parent {
                Some(parent) => forest.leaves(&kept).contains(&parent),
                None => !forest.of(forest.nodes[node].author).iter().any(|n| kept.contains(n)),
            };
            let extended = sum.extend(log, entry);
            TALLY.count(match (twice, gap, at_tip) {
                (true, ..) => "twice",
                (_, true, _) => "a gap",
                (.., true) => "extended",
                (.., false) => "a branch",
            });
            prop_assert_eq!(extended.is_ok(), at_tip && !twice, "and it gives up only where it must");
            if extended == Err(NotNext) {
                prop_assert_eq!(&sum, &before, "nothing changed");
            }
            if gap || twice {
                continue;
            }
            kept.insert(node);
            if !at_tip {
                sum = fold(log, forest.entries(&kept));
            }
            prop_assert_eq!(&sum, &fold(log, forest.entries(&kept)));
        }
    });
    TALLY.require(1_000);
}
