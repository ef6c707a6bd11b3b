//! The order of arrival decides nothing (S-16, S-26, S-27): several replicas get runs, in any
//! order and twice, and statements that end devices, at any moment and late; thieves go on signing,
//! also old numbers. Whoever has seen everything in the end has the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{Act, CreditPolicy, IdentityLog, SignedTip};
use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::ledger::fold::fold;
use edge_ledger_core::ledger::{Heads, Posting};
use edge_ledger_core::limits::JOURNAL_TIPS_MAX;
use proptest::prelude::*;

use crate::fixture::entries::Pen;
use crate::fixture::forest::{Forest, Place, Step, places, postings};
use crate::fixture::original::{Original, naive_fold};
use crate::fixture::replica::{Outcome, Replica, exchange};
use crate::fixture::tally::Tally;
use crate::fixture::{World, cases_of_part, device_id, key, record, revoke};

/// The admin, two devices, and those that may come after the first of these.
const AUTHORS: [&str; 5] = ["phone", "tablet", "laptop", "tablet 2", "tablet 3"];
const REPLICAS: usize = 3;
/// The replica whose kept tips enter the receipts: what it keeps is acked.
const SERVICE: usize = 0;
/// Most rounds in which everything is delivered once more.
const ROUNDS_MAX: usize = 4;

static TALLY: Tally = Tally::new(&[
    "forked",
    "revoked",
    "cut again",
    "replaced",
    "linked in place",
    "named a fork",
    "dropped by a cut",
    "signed after the cut",
    "waited",
    "log wanted",
    "void",
    "acked within a cut",
]);

/// What happens, one after the other. Numbers are taken modulo what there is.
#[derive(Debug, Clone)]
enum Event {
    Sign(Step),
    /// A run reaches a replica.
    Deliver {
        to: usize,
        node: usize,
        length: usize,
    },
    Exchange(usize, usize),
    /// A replica takes over the log up to here.
    Adopt {
        by: usize,
        statements: usize,
    },
    /// A statement; it names these entries of the devices that it ends.
    Revoke {
        author: usize,
        named: Vec<usize>,
    },
    Replace {
        named: Vec<usize>,
    },
    Link,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let posting = postings(3, &[1, 10, 40, 60, 61]);
    // The interesting devices are those that are ended: most entries are of the first of them.
    let authors = prop::sample::select(&[1_usize, 1, 2, 3, 4][..]);
    let sign = (authors, places(4), prop::collection::vec(posting, 1..3));
    let sign = sign.prop_map(|(author, place, postings)| Step {
        author,
        place,
        postings,
        readable: true,
    });
    let named = || prop::collection::vec(any::<usize>(), 0..3);
    let deliver = (0..REPLICAS, any::<usize>(), 1..5_usize)
        .prop_map(|(to, node, length)| Event::Deliver { to, node, length });
    let event = prop_oneof![
        9 => sign.prop_map(Event::Sign),
        9 => deliver,
        2 => (0..REPLICAS, 0..REPLICAS).prop_map(|(a, b)| Event::Exchange(a, b)),
        3 => (0..REPLICAS, 1..4_usize).prop_map(|(by, statements)| Event::Adopt { by, statements }),
        2 => (1..5_usize, named()).prop_map(|(author, named)| Event::Revoke { author, named }),
        1 => named().prop_map(|named| Event::Replace { named }),
        1 => Just(Event::Link),
    ];
    prop::collection::vec(event, 8..36)
}

struct Setting {
    world: World,
    /// The log after each of its first statements.
    opened: Vec<IdentityLog>,
    acts: BTreeMap<&'static str, Act>,
}

fn setting() -> &'static Setting {
    static SETTING: OnceLock<Setting> = OnceLock::new();
    SETTING.get_or_init(|| {
        let world = World::new(CreditPolicy::SelfReported {
            posting_cap: 60,
            journal_cap: 100,
        });
        let opened = (0..3)
            .map(|others| world.log_with(AUTHORS[0], &AUTHORS[1..=others]))
            .collect();
        let acts = BTreeMap::from([
            ("replace", world.replace("tablet", "tablet 2", Vec::new())),
            ("link", world.add_in_place_of("tablet 3", "tablet", false)),
        ]);
        Setting {
            world,
            opened,
            acts,
        }
    })
}

/// The state of one case.
struct Run {
    setting: &'static Setting,
    forest: Forest<'static>,
    /// The log after each statement.
    logs: Vec<IdentityLog>,
    replicas: Vec<Replica>,
    /// What the service ever kept.
    acked: BTreeSet<usize>,
}

impl Run {
    fn new() -> Self {
        static PENS: OnceLock<[Pen<'static>; 5]> = OnceLock::new();
        let setting = setting();
        let pens = PENS.get_or_init(|| AUTHORS.map(|name| Pen::new(&setting.world, name)));
        let service = Replica::new(setting.opened[2].clone());
        // The others know only who opened the log.
        let others = (1..REPLICAS).map(|_| Replica::new(setting.opened[0].clone()));
        Self {
            setting,
            forest: Forest::new(pens),
            logs: setting.opened.clone(),
            replicas: std::iter::once(service).chain(others).collect(),
            acked: BTreeSet::new(),
        }
    }

    fn log(&self) -> &IdentityLog {
        &self.logs[self.logs.len() - 1]
    }

    fn kept(&self, replica: usize) -> BTreeSet<usize> {
        let journals = &self.replicas[replica].journals;
        let all = 0..self.forest.nodes.len();
        all.filter(|node| journals.keeps(&self.forest.tip(*node)))
            .collect()
    }

    /// What a log lets be kept, if everything is there: the definition of a cut.
    fn allowed(&self, log: &IdentityLog) -> BTreeSet<usize> {
        let all = 0..self.forest.nodes.len();
        let ends = all.filter(|node| {
            let tip = self.forest.tip(*node);
            let device = log.device(&tip.device);
            device.is_some_and(|d| d.cut.as_ref().is_none_or(|cut| cut.names(&tip.point)))
        });
        self.forest.closure(ends)
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Sign(step) => {
                let cut = self.log().cut(&device_id(AUTHORS[step.author])).is_some();
                let behind = step.place;
                let old = matches!(behind, Place::Below(_) | Place::Start);
                TALLY.count_if(cut && old, "signed after the cut");
                self.forest.grow(step);
            }
            Event::Deliver { to, node, length } if !self.forest.nodes.is_empty() => {
                self.deliver(*to, node % self.forest.nodes.len(), *length);
            }
            Event::Deliver { .. } => {}
            Event::Exchange(a, b) => self.exchange(*a, *b),
            Event::Adopt { by, statements } => {
                let replica = &mut self.replicas[*by];
                let position = replica.log.head().position as usize + statements;
                replica.adopt(&self.logs[position.min(self.logs.len()) - 1]);
            }
            Event::Revoke { author, named } => {
                let name = AUTHORS[*author];
                let again = self.log().cut(&device_id(name)).is_some();
                let tips = self.named(&[1, 2, 3, 4], named, name);
                TALLY.count_if(tips.len() > 1, "named a fork");
                if self.state(revoke(name, tips), None) {
                    TALLY.count(if again { "cut again" } else { "revoked" });
                }
            }
            Event::Replace { named } => {
                let Act::Replace {
                    old, certificate, ..
                } = self.setting.acts["replace"].clone()
                else {
                    unreachable!("it is one")
                };
                let tips = self.named(&[1], named, "tablet");
                let act = Act::Replace {
                    old,
                    certificate,
                    tips,
                };
                let done = self.state(act, Some(("tablet", "tablet 2")));
                TALLY.count_if(done, "replaced");
            }
            Event::Link => {
                let done = self.state(self.setting.acts["link"].clone(), None);
                TALLY.count_if(done, "linked in place");
            }
        }
        self.acked.extend(self.kept(SERVICE));
    }

    fn deliver(&mut self, to: usize, node: usize, length: usize) {
        let run = self.forest.run(node, length);
        let longest = self.log().head().position;
        let replica = &mut self.replicas[to];
        let outcome = replica.ingest(replica.log.head().position < longest, &run);
        TALLY.count_if(outcome == Outcome::Waiting, "waited");
        TALLY.count_if(outcome == Outcome::LogWanted, "log wanted");
    }

    fn exchange(&mut self, a: usize, b: usize) {
        let (low, high) = (a.min(b), a.max(b));
        let (left, right) = self.replicas.split_at_mut(high);
        if let Some(low) = left.get_mut(low) {
            exchange(low, &mut right[0]);
        }
    }

    /// Some entries of these authors, as far as they belong to the lineage of a device.
    fn named(&self, authors: &[usize], numbers: &[usize], device: &str) -> Vec<SignedTip> {
        let lineage = self.log().lineage(&device_id(device));
        let own: Vec<usize> = (0..self.forest.nodes.len())
            .filter(|node| authors.contains(&self.forest.nodes[*node].author))
            .filter(|node| self.log().lineage(&self.forest.tip(*node).device) == lineage)
            .collect();
        let pick = |number: &usize| own.get(number % own.len().max(1)).copied();
        let nodes: BTreeSet<usize> = numbers.iter().filter_map(pick).collect();
        nodes
            .into_iter()
            .map(|node| self.forest.signed_tip(node))
            .collect()
    }

    /// Appends a statement, with the tips that the service keeps of the devices that it ends; says
    /// whether the log took it. The service knows it at once.
    fn state(&mut self, act: Act, devices: Option<(&str, &str)>) -> bool {
        let world = &self.setting.world;
        let log = self.log();
        let statement = match devices {
            None => world.sign(log, act, &[SigningAs::Root(&world.root)]),
            Some((old, new)) => {
                let (old, new) = (key(old), key(new));
                world.sign(
                    log,
                    act,
                    &[SigningAs::Device(&old), SigningAs::Device(&new)],
                )
            }
        };
        if log.check(&statement).is_err() {
            return false;
        }
        let ends = log.ends(&statement);
        let kept = self.kept(SERVICE);
        let tips = self
            .forest
            .leaves(&kept)
            .into_iter()
            .map(|leaf| self.forest.signed_tip(leaf));
        let recorded: Vec<SignedTip> = tips.filter(|tip| ends.contains(&tip.device)).collect();
        TALLY.count_if(!recorded.is_empty(), "acked within a cut");
        let mut log = log.clone();
        log.apply(record(statement, recorded))
            .expect("it was checked");
        let before = self.kept(SERVICE).len();
        self.replicas[SERVICE].adopt(&log);
        assert_eq!(
            self.kept(SERVICE).len(),
            before,
            "a statement takes nothing from who acked"
        );
        self.logs.push(log);
        true
    }

    /// What holds at every moment.
    fn check(&self) -> Result<(), TestCaseError> {
        for number in 0..REPLICAS {
            let (replica, kept) = (&self.replicas[number], self.kept(number));
            prop_assert!(
                kept.is_subset(&self.allowed(&replica.log)),
                "nothing outside a cut"
            );
            let tips = self
                .forest
                .leaves(&kept)
                .into_iter()
                .map(|leaf| self.forest.tip(leaf));
            prop_assert_eq!(replica.journals.heads(), Heads::new(tips));
            prop_assert_eq!(replica.journals.entries().count(), kept.len());
        }
        prop_assert_eq!(&self.kept(SERVICE), &self.acked, "what was acked stays");
        Ok(())
    }

    /// All adopt the whole log; then replicas tell each other until nothing changes.
    fn settle(&mut self) -> Result<(), TestCaseError> {
        let log = self.log().clone();
        for number in 0..REPLICAS {
            let before = self.kept(number).len();
            self.replicas[number].adopt(&log);
            TALLY.count_if(self.kept(number).len() < before, "dropped by a cut");
        }
        let union: BTreeSet<usize> = (0..REPLICAS).flat_map(|number| self.kept(number)).collect();
        for _ in 0..2 {
            for (a, b) in [(0, 1), (1, 2), (0, 2)] {
                self.exchange(a, b);
            }
        }
        let service = self.kept(SERVICE);
        prop_assert!(union.is_subset(&service), "more, where something waited");
        for number in 0..REPLICAS {
            let kept = self.kept(number);
            prop_assert_eq!(&kept, &service, "they tell each other everything");
        }
        Ok(())
    }

    /// Everything that was ever signed reaches everybody, in an order that a number decides.
    fn deliver_all(&mut self, order: u64) -> Result<(), TestCaseError> {
        let expected = self.allowed(self.log());
        for round in 0..ROUNDS_MAX as u64 {
            for to in 0..REPLICAS {
                if self.kept(to) == expected {
                    continue;
                }
                let mut nodes: Vec<usize> = (0..self.forest.nodes.len()).collect();
                nodes.sort_by_key(|node| {
                    mixed(order ^ mixed(*node as u64 + 97 * round + 31 * to as u64))
                });
                for node in nodes {
                    self.deliver(to, node, 1 + (order as usize + node) % 4);
                }
            }
        }
        for number in 0..REPLICAS {
            prop_assert_eq!(&self.kept(number), &expected, "of replica {}", number);
        }
        Ok(())
    }
}

/// A number without visible relation to another.
fn mixed(number: u64) -> u64 {
    let mixed = (number ^ number >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ mixed >> 32
}

/// A journal with 8 tips takes no more branches, so who came first would matter there.
fn within_tips(run: &Run) -> bool {
    let all: BTreeSet<usize> = (0..run.forest.nodes.len()).collect();
    let mut tips: BTreeMap<DeviceId, usize> = BTreeMap::new();
    for leaf in run.forest.leaves(&all) {
        *tips.entry(run.forest.tip(leaf).device).or_default() += 1;
    }
    TALLY.count_if(tips.values().any(|count| *count > 1), "forked");
    tips.values().all(|count| *count < JOURNAL_TIPS_MAX)
}

mod whoever_has_seen_everything_has_the_same {
    use super::property;

    #[test]
    fn part_1() {
        property();
    }

    #[test]
    fn part_2() {
        property();
    }

    #[test]
    fn part_3() {
        property();
    }

    #[test]
    fn part_4() {
        property();
    }
}

const PARTS: u32 = 4;

fn property() {
    let never = |_: DeviceId, _: &Posting| false;
    proptest!(cases_of_part(PARTS), |(events in events(), order in any::<u64>())| {
                let mut run = Run::new();
        for event in &events {
            run.happen(event);
            run.check()?;
        }
        if !within_tips(&run) {
            return Ok(());
        }
        run.settle()?;
        run.deliver_all(order)?;
        let kept = run.kept(SERVICE);
        prop_assert!(run.acked.is_subset(&kept));
        let log = run.log();
        let (ledger_id, identity) = (log.ledger_id(), log.identity());
        let digest = run.replicas[SERVICE].journals.heads().digest(ledger_id, identity);
        let sum = fold(log, run.replicas[SERVICE].journals.entries());
        for replica in &run.replicas {
            prop_assert_eq!(replica.journals.heads().digest(ledger_id, identity), digest);
            let same = fold(log, replica.journals.entries());
            prop_assert_eq!(same.balance(), sum.balance());
            prop_assert_eq!(&same, &sum);
        }
        let naive = naive_fold(log, &run.forest, &kept, &never);
        prop_assert_eq!(Original::of(&sum), naive.state);
        TALLY.count_if(naive.void > 0, "void");
    });
    TALLY.require(100);
}
