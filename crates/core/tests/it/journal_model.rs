//! The decisions about one journal, held against naive set computations over its tree.

use std::collections::BTreeSet;
use std::convert::Infallible;

use edge_ledger_core::identity::{Cut, Point};
use edge_ledger_core::ids::EntryHash;
use edge_ledger_core::ledger::admission::Admissible;
use edge_ledger_core::ledger::journal::{Lacking, extend, lacking, locator, retreat};
use edge_ledger_core::ledger::{Extended, JournalView, Journals};
use edge_ledger_core::limits::{JOURNAL_TIPS_MAX, LOCATOR_POINTS_MAX};
use proptest::prelude::*;

use crate::fixture::entries::{Pen, debit};
use crate::fixture::forest::{Forest, Place, Step, places};
use crate::fixture::tally::Tally;
use crate::fixture::{World, cases};

/// A journal as a set of nodes of a forest: the model, and a view for the code under test.
struct Model<'a> {
    forest: &'a Forest<'a>,
    kept: BTreeSet<usize>,
}

impl Model<'_> {
    fn tips(&self) -> Vec<Point> {
        self.forest.points(self.forest.leaves(&self.kept))
    }

    fn keeps(&self, point: Point) -> Option<usize> {
        let is_it = |node: &&usize| self.forest.nodes[**node].point == point;
        self.kept.iter().find(is_it).copied()
    }

    /// What a run must do, and the set afterwards.
    fn extended(&self, members: &[usize], in_cut: bool) -> (Extended, BTreeSet<usize>) {
        let from = members.iter().filter(|n| self.kept.contains(n)).count();
        let unchanged = self.kept.clone();
        if from == members.len() {
            return (Extended::Duplicate, unchanged);
        }
        let parent = self.forest.nodes[members[from]].parent;
        if parent.is_some_and(|parent| !self.kept.contains(&parent)) {
            let missing = self.forest.parent_point(members[0]);
            return (Extended::Waiting { missing }, unchanged);
        }
        let mut after = unchanged.clone();
        after.extend(members);
        let tips = self.forest.points(self.forest.leaves(&after));
        let branches = (self.tips().len(), tips.len());
        if branches.1 > branches.0.max(JOURNAL_TIPS_MAX) && !in_cut {
            return (Extended::TooManyTips, unchanged);
        }
        (Extended::Kept { from, tips }, after)
    }
}

impl JournalView for Model<'_> {
    type Error = Infallible;

    fn tips(&self) -> Result<Vec<Point>, Infallible> {
        Ok(Model::tips(self))
    }

    fn parent(&self, point: Point) -> Result<Option<Point>, Infallible> {
        Ok(self.keeps(point).map(|node| self.forest.parent_point(node)))
    }

    fn at(&self, seq: u64) -> Result<Vec<Point>, Infallible> {
        let points = self.forest.points(self.kept.iter().copied());
        Ok(points.into_iter().filter(|p| p.seq == seq).collect())
    }
}

fn sure<T>(result: Result<T, Infallible>) -> T {
    let Ok(value) = result;
    value
}

/// A tree of up to 24 entries: some are nearly chains, some bushes.
fn trees() -> impl Strategy<Value = Vec<Place>> {
    prop_oneof![
        prop::collection::vec(places(1), 1..24),
        prop::collection::vec(places(3), 1..24),
        bushes(),
    ]
}

/// A tree with more leaves than a journal may have tips.
fn bushes() -> impl Strategy<Value = Vec<Place>> {
    let place = prop_oneof![1 => places(3), 2 => Just(Place::Start), 3 => any::<usize>().prop_map(Place::Below)];
    prop::collection::vec(place, 16..24)
}

fn grown<'a>(pens: &'a [Pen<'a>], tree: &[Place]) -> Forest<'a> {
    let steps: Vec<Step> = tree
        .iter()
        .map(|place| Step {
            author: 0,
            place: *place,
            postings: vec![debit("k", 1)],
            readable: true,
        })
        .collect();
    Forest::grown(pens, &steps)
}

fn world() -> &'static World {
    static WORLD: std::sync::OnceLock<World> = std::sync::OnceLock::new();
    WORLD.get_or_init(World::uncapped)
}

/// Some nodes, by numbers that are taken modulo the size of the forest.
fn chosen(forest: &Forest<'_>, numbers: &[usize]) -> BTreeSet<usize> {
    numbers.iter().map(|n| n % forest.nodes.len()).collect()
}

fn stranger(seq: u64) -> Point {
    let hash = EntryHash::from_bytes([0xee; 32]);
    Point { seq, hash }
}

#[test]
fn extend_does_what_the_model_says() {
    static TALLY: Tally = Tally::new(&["kept", "part kept", "duplicate", "waiting", "too many"]);
    let runs = |lengths: std::ops::Range<usize>, count: std::ops::Range<usize>| {
        let run = (any::<usize>(), lengths, prop::bool::weighted(0.05));
        prop::collection::vec(run, count)
    };
    let plans = prop_oneof![
        4 => (trees(), runs(1..6, 1..12)),
        1 => (bushes(), runs(4..12, 20..40)),
    ];
    proptest!(cases(), |((tree, runs) in plans)| {
        let pens = [Pen::new(world(), "phone")];
        let forest = grown(&pens, &tree);
        let mut model = Model { forest: &forest, kept: BTreeSet::new() };
        let mut journals = Journals::default();
        for (number, length, in_cut) in runs {
            let node = number % forest.nodes.len();
            let run = forest.verified_run(node, length);
            let (expected, after) = model.extended(&forest.members(node, length), in_cut);
            prop_assert_eq!(&sure(extend(&model, &run, in_cut)), &expected);
            prop_assert_eq!(&journals.append(&Admissible { run, in_cut }), &expected);
            TALLY.count(match expected {
                Extended::Kept { from: 0, .. } => "kept",
                Extended::Kept { .. } => "part kept",
                Extended::Duplicate => "duplicate",
                Extended::Waiting { .. } => "waiting",
                Extended::TooManyTips => "too many",
            });
            model.kept = after;
            let tips: Vec<Point> = journals.heads().tips().map(|tip| tip.point).collect();
            prop_assert_eq!(tips, model.tips());
            prop_assert_eq!(journals.entries().count(), model.kept.len());
        }
    });
    TALLY.require(1_000);
}

#[test]
fn retreat_leaves_what_is_named_and_its_ancestors() {
    static TALLY: Tally = Tally::new(&[
        "nothing left",
        "all left",
        "some left",
        "named but not kept",
    ]);
    let some = || prop::collection::vec(any::<usize>(), 0..6);
    proptest!(cases(), |(tree in trees(), kept in some(), named in some(), unknown in 0..2_u64)| {
        let pens = [Pen::new(world(), "phone")];
        let forest = grown(&pens, &tree);
        let kept = forest.closure(chosen(&forest, &kept));
        let named = chosen(&forest, &named);
        let mut tips: Vec<_> = named.iter().map(|node| forest.signed_tip(*node)).collect();
        if unknown > 0 {
            let mut tip = forest.signed_tip(0);
            tip.point = stranger(unknown);
            tips.push(tip);
        }
        let cut = Cut::of_device(pens[0].device(), tips.iter());
        let model = Model { forest: &forest, kept };
        let retreat = sure(retreat(&model, &cut));

        let left = forest.closure(named.intersection(&model.kept).copied());
        prop_assert_eq!(&retreat.tips, &forest.points(forest.leaves(&left)));
        let outside = forest.points(model.kept.difference(&left).copied());
        prop_assert!(retreat.outside.iter().rev().eq(&outside), "highest first");
        TALLY.count_if(left.is_empty() && !model.kept.is_empty(), "nothing left");
        TALLY.count_if(outside.is_empty() && !model.kept.is_empty(), "all left");
        TALLY.count_if(!outside.is_empty() && !left.is_empty(), "some left");
        TALLY.count_if(!named.is_subset(&model.kept), "named but not kept");
    });
    TALLY.require(1_000);
}

#[test]
fn what_is_lacking_is_all_that_is_not_below_what_is_there() {
    static TALLY: Tally = Tally::new(&["nothing", "unknown", "after", "chains", "several chains"]);
    let some = || prop::collection::vec(any::<usize>(), 0..6);
    proptest!(cases(), |(tree in trees(), kept in some(), have in some(), more in 0..4_u64)| {
        let pens = [Pen::new(world(), "phone")];
        let forest = grown(&pens, &tree);
        let kept = forest.closure(chosen(&forest, &kept));
        let have = chosen(&forest, &have);
        let mut points: BTreeSet<Point> = forest.points(have.iter().copied()).into_iter().collect();
        if more == 1 {
            points.insert(Point::START);
        } else if more > 1 {
            points.insert(stranger(more));
        }
        let model = Model { forest: &forest, kept };
        let known: BTreeSet<usize> = have.intersection(&model.kept).copied().collect();
        let beyond: BTreeSet<usize> =
            model.kept.difference(&forest.closure(known.iter().copied())).copied().collect();
        // Whoever told a first entry told all that they have of its branch.
        let told_down = points.iter().any(|point| point.seq <= 1);
        match sure(lacking(&model, &points)) {
            Lacking::Nothing => {
                prop_assert!(beyond.is_empty());
                TALLY.count("nothing");
            }
            Lacking::Unknown => {
                prop_assert!(known.is_empty() && !points.is_empty() && !told_down);
                TALLY.count("unknown");
            }
            Lacking::After { seq } => {
                prop_assert!(!beyond.is_empty());
                let after = model.kept.iter().filter(|n| forest.nodes[**n].point.seq > seq);
                prop_assert_eq!(after.copied().collect::<BTreeSet<_>>(), beyond);
                TALLY.count("after");
            }
            Lacking::Chains(chains) => {
                let mut told = BTreeSet::new();
                for chain in &chains {
                    for (index, point) in chain.iter().enumerate() {
                        let node = model.keeps(*point).expect("only kept entries are lacking");
                        let parent = forest.nodes[node].parent;
                        let parent_is_there =
                            parent.is_none_or(|p| told.contains(&p) || !beyond.contains(&p));
                        prop_assert!(parent_is_there, "parents first");
                        if index > 0 {
                            prop_assert_eq!(forest.parent_point(node), chain[index - 1]);
                        }
                        prop_assert!(told.insert(node), "each once");
                    }
                }
                prop_assert_eq!(told, beyond);
                TALLY.count("chains");
                TALLY.count_if(chains.len() > 1, "several chains");
            }
        }
    });
    TALLY.require(500);
}

#[test]
fn a_locator_reaches_down_every_branch() {
    static TALLY: Tally = Tally::new(&["a chain", "forked", "many tips"]);
    let some = prop::collection::vec(any::<usize>(), 1..16);
    proptest!(cases(), |(tree in trees(), kept in some)| {
        let pens = [Pen::new(world(), "phone")];
        let forest = grown(&pens, &tree);
        let kept = forest.closure(chosen(&forest, &kept));
        let leaves = forest.leaves(&kept);
        let model = Model { forest: &forest, kept };
        let points = sure(locator(&model));
        let told: BTreeSet<Point> = points.iter().copied().collect();
        prop_assert_eq!(told.len(), points.len(), "each once");
        prop_assert!(points.iter().all(|point| model.keeps(*point).is_some()));
        for leaf in &leaves {
            let path = forest.path(*leaf);
            let mut back = vec![0, path.len() - 1];
            back.extend((0..).map(|n| 1 << n).take_while(|back| *back < path.len()));
            for back in back {
                let node = path[path.len() - 1 - back];
                prop_assert!(told.contains(&forest.nodes[node].point), "{back} back");
            }
        }
        TALLY.count(match leaves.len() {
            1 => "a chain",
            2..=4 => "forked",
            _ => "many tips",
        });
    });
    TALLY.require(500);
}

/// A journal made by formula: 8 branches that leave a trunk at different places, far too long to
/// be told as a whole.
struct Long {
    trunk: u64,
    branch: u64,
}

impl Long {
    fn point(branch: u8, seq: u64) -> Point {
        let mut hash = [branch; 32];
        hash[..8].copy_from_slice(&seq.to_be_bytes());
        let hash = EntryHash::from_bytes(hash);
        Point { seq, hash }
    }

    /// A branch begins so much above the trunk's start.
    fn begins(&self, branch: u8) -> u64 {
        self.trunk / 8 * u64::from(branch)
    }
}

impl JournalView for Long {
    type Error = Infallible;

    fn tips(&self) -> Result<Vec<Point>, Infallible> {
        let tip = |branch| Self::point(branch, self.begins(branch) + self.branch);
        Ok((1..=8).map(tip).collect())
    }

    fn parent(&self, _: Point) -> Result<Option<Point>, Infallible> {
        unreachable!("a locator asks for places only")
    }

    fn at(&self, seq: u64) -> Result<Vec<Point>, Infallible> {
        let on_trunk = (seq <= self.trunk).then(|| Self::point(0, seq));
        let on_branch = |branch: &u8| {
            (self.begins(*branch) + 1..=self.begins(*branch) + self.branch).contains(&seq)
        };
        let branches = (1..=8)
            .filter(on_branch)
            .map(|branch| Self::point(branch, seq));
        Ok(on_trunk.into_iter().chain(branches).collect())
    }
}

/// However many points there would be: the tips are told, and so is the first entry, since that is
/// what the other side knows when it knows anything.
#[test]
fn a_locator_has_a_limit_and_keeps_both_ends() {
    for (trunk, branch) in [(1 << 20, 1 << 20), (1 << 40, 1 << 41), (1 << 62, 1 << 62)] {
        let long = Long { trunk, branch };
        let points = sure(locator(&long));
        assert!(points.len() <= LOCATOR_POINTS_MAX, "{}", points.len());
        assert!(points.len() > LOCATOR_POINTS_MAX / 2);
        assert!(points.contains(&Long::point(0, 1)), "the first entry");
        for tip in sure(long.tips()) {
            assert!(points.contains(&tip), "{tip:?}");
        }
    }
}
