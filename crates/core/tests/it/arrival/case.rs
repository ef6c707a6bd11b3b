//! One case: what was signed, the logs, the replicas, and beside them what must be true of them,
//! kept by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use edge_ledger_core::identity::{Act, CreditPolicy, IdentityLog, RotateReason, SignedTip};
use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::ledger::Heads;
use edge_ledger_core::limits::JOURNAL_TIPS_MAX;
use proptest::prelude::*;

use super::{Event, TALLY};
use crate::fixture::entries::Pen;
use crate::fixture::forest::{Forest, Place, Step};
use crate::fixture::hands::{enrolment_key, recover, revoke_enrolment, rotate, set_recovery};
use crate::fixture::replica::{Outcome, Replica, exchange};
use crate::fixture::{SERVICE_TIME_MS, World, device_id, record, revoke};

/// The admin, two devices, those that may come after the first of these, and one that enrols.
const AUTHORS: [&str; 6] = [
    "phone", "tablet", "laptop", "tablet 2", "tablet 3", "worker",
];
/// Those of them that are one lineage, once they are in the log.
const LINEAGE: [usize; 3] = [1, 3, 4];
pub(super) const REPLICAS: usize = 3;
/// The replica whose kept tips enter the receipts: what it keeps is acked.
pub(super) const SERVICE: usize = 0;
/// Most rounds in which everything is delivered once more.
const ROUNDS_MAX: u64 = 4;

struct Setting {
    world: World,
    /// The log after each of its first statements.
    opened: Vec<IdentityLog>,
    replace: Act,
    link: Act,
    enrol: Act,
}

fn setting() -> &'static Setting {
    static SETTING: OnceLock<Setting> = OnceLock::new();
    SETTING.get_or_init(|| {
        let world = World::new(CreditPolicy::SelfReported {
            posting_cap: 60,
            journal_cap: 100,
        });
        let opened = (0..3).map(|others| world.log_with(AUTHORS[0], &AUTHORS[1..=others]));
        Setting {
            opened: opened.collect(),
            replace: world.replace("tablet", "tablet 2", Vec::new()),
            link: world.add_in_place_of("tablet 3", "tablet", false),
            enrol: world.add("worker", false),
            world,
        }
    })
}

/// What a log means, in nodes: who is in it, and where whose journals end.
#[derive(Debug, Clone)]
struct Truth {
    added: BTreeSet<usize>,
    cuts: BTreeMap<usize, BTreeSet<usize>>,
    /// What the service ever kept when it ended a journal.
    recorded: BTreeMap<usize, BTreeSet<usize>>,
}

/// One statement to be made.
struct Saying {
    act: Act,
    ends: Vec<usize>,
    adds: Option<usize>,
    named: BTreeSet<usize>,
    signers: Vec<&'static str>,
}

pub(super) struct Case {
    setting: &'static Setting,
    pub(super) forest: Forest<'static>,
    /// The log after each statement, and what it means.
    logs: Vec<(IdentityLog, Truth)>,
    pub(super) replicas: Vec<Replica>,
    /// What the service ever kept.
    pub(super) acked: BTreeSet<usize>,
    /// Who signs as the root.
    root: &'static str,
}

impl Case {
    pub(super) fn new() -> Self {
        static PENS: OnceLock<[Pen<'static>; 6]> = OnceLock::new();
        let setting = setting();
        let pens = PENS.get_or_init(|| AUTHORS.map(|name| Pen::new(&setting.world, name)));
        let truth = |others| Truth {
            added: (0..=others).collect(),
            cuts: BTreeMap::new(),
            recorded: BTreeMap::new(),
        };
        let service = Replica::new(setting.opened[2].clone());
        // The others know only who opened the log.
        let others = (1..REPLICAS).map(|_| Replica::new(setting.opened[0].clone()));
        Self {
            setting,
            forest: Forest::new(pens),
            logs: setting
                .opened
                .iter()
                .cloned()
                .zip((0..3).map(truth))
                .collect(),
            replicas: std::iter::once(service).chain(others).collect(),
            acked: BTreeSet::new(),
            root: "root:root",
        }
    }

    pub(super) fn log(&self) -> &IdentityLog {
        &self.logs[self.logs.len() - 1].0
    }

    fn truth(&self) -> &Truth {
        &self.logs[self.logs.len() - 1].1
    }

    pub(super) fn kept(&self, replica: usize) -> BTreeSet<usize> {
        let journals = &self.replicas[replica].journals;
        let all = 0..self.forest.nodes.len();
        all.filter(|node| journals.keeps(&self.forest.tip(*node)))
            .collect()
    }

    /// What may be kept, and is kept when everything is there: a cut's tips and their ancestors.
    fn allowed(&self, truth: &Truth) -> BTreeSet<usize> {
        let all = 0..self.forest.nodes.len();
        let ends = all.filter(|node| {
            let author = self.forest.nodes[*node].author;
            let cut = truth.cuts.get(&author);
            truth.added.contains(&author) && cut.is_none_or(|cut| cut.contains(node))
        });
        self.forest.closure(ends)
    }

    pub(super) fn happen(&mut self, event: &Event) {
        match event {
            Event::Sign(step) => self.sign(step),
            Event::Deliver { to, node, length } if !self.forest.nodes.is_empty() => {
                self.deliver(*to, node % self.forest.nodes.len(), *length);
            }
            Event::Deliver { .. } => {}
            Event::Exchange(a, b) => self.exchange(*a, *b),
            Event::Adopt { by, statements } => {
                let position = self.replicas[*by].log.head().position as usize + statements;
                let (log, _) = &self.logs[position.min(self.logs.len()) - 1];
                self.replicas[*by].adopt(log);
            }
            Event::Revoke { author, named } => self.revoke(*author, named),
            Event::Replace { named } => self.replace(named),
            Event::Link => {
                let done = self.say(Saying {
                    act: self.setting.link.clone(),
                    ends: vec![1],
                    adds: Some(4),
                    named: BTreeSet::new(),
                    signers: vec![self.root],
                });
                TALLY.count_if(done, "linked in place");
            }
            Event::Enrol => self.enrol(),
            Event::NewRoot { recover } => self.new_root(*recover),
        }
        self.acked.extend(self.kept(SERVICE));
    }

    fn sign(&mut self, step: &Step) {
        let cut = self.truth().cuts.contains_key(&step.author);
        let old = matches!(step.place, Place::Below(_) | Place::Start);
        TALLY.count_if(cut && old, "signed after the cut");
        self.forest.grow(step);
    }

    pub(super) fn deliver(&mut self, to: usize, node: usize, length: usize) {
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

    fn revoke(&mut self, author: usize, numbers: &[usize]) {
        let lineage: &[usize] = match author {
            2 => &[2],
            5 => &[5],
            _ => &LINEAGE,
        };
        let added = |author: &usize| self.truth().added.contains(author);
        let ends: Vec<usize> = lineage.iter().copied().filter(added).collect();
        let named = self.named(&ends, numbers);
        let again = self.truth().cuts.contains_key(&author);
        TALLY.count_if(named.len() > 1, "named a fork");
        let done = self.say(Saying {
            act: revoke(AUTHORS[author], self.tips(&named)),
            ends,
            adds: None,
            named,
            signers: vec![self.root],
        });
        TALLY.count_if(done, if again { "cut again" } else { "revoked" });
    }

    fn replace(&mut self, numbers: &[usize]) {
        let named = self.named(&[1], numbers);
        let mut act = self.setting.replace.clone();
        if let Act::Replace { tips, .. } = &mut act {
            *tips = self.tips(&named);
        }
        let done = self.say(Saying {
            act,
            ends: vec![1],
            adds: Some(3),
            named,
            signers: vec!["tablet", "tablet 2"],
        });
        TALLY.count_if(done, "replaced");
    }

    /// The enrolment key comes, then the device that it adds, then its end.
    fn enrol(&mut self) {
        let key = enrolment_key("token", 1, 1);
        if !self.say_of_keys(key, vec![self.root, "enrolment:token"]) {
            let done = self.say(Saying {
                act: self.setting.enrol.clone(),
                ends: Vec::new(),
                adds: Some(5),
                named: BTreeSet::new(),
                signers: vec!["enrolment:token"],
            });
            TALLY.count_if(done, "enrolled");
            if !done {
                self.say_of_keys(revoke_enrolment("token"), vec![self.root]);
            }
        }
    }

    /// The committed root comes, or a recovery key and then the root that it brings.
    fn new_root(&mut self, by_recovery: bool) {
        if by_recovery {
            let words = vec![self.root, "recovery:words"];
            let set = self.say_of_keys(set_recovery("words"), words);
            let signers = vec!["recovery:words", "root:rescue"];
            if !set && self.say_of_keys(recover("rescue", "after rescue"), signers) {
                self.root = "root:rescue";
                TALLY.count("recovered");
            }
            return;
        }
        let rotation = rotate("next root", "third root", RotateReason::Routine);
        if self.say_of_keys(rotation, vec!["root:next root"]) {
            self.root = "root:next root";
            TALLY.count("rotated");
        }
    }

    /// An act that ends and adds no device.
    fn say_of_keys(&mut self, act: Act, signers: Vec<&'static str>) -> bool {
        self.say(Saying {
            act,
            ends: Vec::new(),
            adds: None,
            named: BTreeSet::new(),
            signers,
        })
    }

    /// Some entries of these authors.
    fn named(&self, authors: &[usize], numbers: &[usize]) -> BTreeSet<usize> {
        let own: Vec<usize> = (0..self.forest.nodes.len())
            .filter(|node| authors.contains(&self.forest.nodes[*node].author))
            .collect();
        let pick = |number: &usize| own.get(number % own.len().max(1)).copied();
        numbers.iter().filter_map(pick).collect()
    }

    fn tips(&self, nodes: &BTreeSet<usize>) -> Vec<SignedTip> {
        nodes
            .iter()
            .map(|node| self.forest.signed_tip(*node))
            .collect()
    }

    /// Appends a statement, with the tips that the service keeps of the devices that it ends; says
    /// whether the log took it. The service knows it at once.
    fn say(&mut self, saying: Saying) -> bool {
        let world = &self.setting.world;
        let (log, truth) = &self.logs[self.logs.len() - 1];
        let statement = world.signed(log, saying.act, &saying.signers);
        if log.check(&statement, SERVICE_TIME_MS).is_err() {
            return false;
        }
        let before = self.kept(SERVICE);
        let mut tips = self.forest.leaves(&before);
        tips.retain(|leaf| saying.ends.contains(&self.forest.nodes[*leaf].author));
        TALLY.count_if(!tips.is_empty(), "acked within a cut");

        let (mut log, mut truth) = (log.clone(), truth.clone());
        let ended: BTreeSet<DeviceId> = saying
            .ends
            .iter()
            .map(|author| device_id(AUTHORS[*author]))
            .collect();
        assert_eq!(log.ends(&statement), ended);
        let recorded = self.tips(&tips.iter().copied().collect());
        log.apply(record(statement, recorded))
            .expect("it was checked");
        for author in &saying.ends {
            let own = |node: &usize| self.forest.nodes[*node].author == *author;
            let recorded = truth.recorded.entry(*author).or_default();
            recorded.extend(tips.iter().copied().filter(own));
            let named = saying.named.iter().copied().filter(own);
            let cut = named.chain(recorded.iter().copied()).collect();
            truth.cuts.insert(*author, cut);
        }
        truth.added.extend(saying.adds);

        self.replicas[SERVICE].adopt(&log);
        assert_eq!(
            self.kept(SERVICE),
            before,
            "a statement takes nothing from who acked"
        );
        self.logs.push((log, truth));
        true
    }

    /// What holds at every moment.
    pub(super) fn check(&self) -> Result<(), TestCaseError> {
        for number in 0..REPLICAS {
            let (replica, kept) = (&self.replicas[number], self.kept(number));
            let position = replica.log.head().position as usize;
            let (_, truth) = &self.logs[position - 1];
            prop_assert!(
                kept.is_subset(&self.allowed(truth)),
                "nothing outside a cut"
            );
            let leaves = self.forest.leaves(&kept).into_iter();
            let tips = leaves.map(|leaf| self.forest.tip(leaf));
            prop_assert_eq!(replica.journals.heads(), Heads::new(tips));
            prop_assert_eq!(replica.journals.entries().count(), kept.len());
        }
        prop_assert_eq!(&self.kept(SERVICE), &self.acked, "what was acked stays");
        Ok(())
    }

    /// All adopt the whole log; then replicas tell each other what they have.
    pub(super) fn settle(&mut self) -> Result<(), TestCaseError> {
        let log = self.log().clone();
        for number in 0..REPLICAS {
            let before = self.kept(number).len();
            self.replicas[number].adopt(&log);
            TALLY.count_if(self.kept(number).len() < before, "dropped by a cut");
        }
        let union: BTreeSet<usize> = (0..REPLICAS).flat_map(|number| self.kept(number)).collect();
        // What waits in one of them may be set free by another, which is news for the third.
        while (1..REPLICAS).any(|number| self.kept(number) != self.kept(SERVICE)) {
            let count = |case: &Self| (0..REPLICAS).map(|n| case.kept(n).len()).sum::<usize>();
            let before = count(self);
            for (a, b) in [(0, 1), (1, 2), (0, 2)] {
                self.exchange(a, b);
            }
            prop_assert!(
                count(self) > before,
                "they differ, and tell each other nothing"
            );
        }
        let service = self.kept(SERVICE);
        prop_assert!(union.is_subset(&service), "more, where something waited");
        Ok(())
    }

    /// Everything that was ever signed reaches everybody, in an order that a number decides. What
    /// no cut ends is kept at once, since it waits for its parents; below a cut a run may come
    /// before those that lead up to it, and is asked for again; the last time parents come first.
    pub(super) fn deliver_all(&mut self, order: u64) -> Result<(), TestCaseError> {
        let truth = self.truth().clone();
        let expected = self.allowed(&truth);
        let going_on = expected
            .iter()
            .filter(|n| !truth.cuts.contains_key(&self.forest.nodes[**n].author));
        let going_on: BTreeSet<usize> = going_on.copied().collect();
        for to in 0..REPLICAS {
            for round in 0..ROUNDS_MAX {
                if self.kept(to) == expected {
                    break;
                }
                let mut nodes: Vec<usize> = (0..self.forest.nodes.len()).collect();
                if round + 1 < ROUNDS_MAX {
                    let salt = 97 * round + 31 * to as u64;
                    nodes.sort_by_key(|node| mixed(order ^ mixed(*node as u64 + salt)));
                }
                for node in nodes {
                    self.deliver(to, node, 1 + (order as usize % 97 + node) % 4);
                }
                prop_assert!(going_on.is_subset(&self.kept(to)), "nothing waits for ever");
            }
            prop_assert_eq!(&self.kept(to), &expected, "of replica {}", to);
        }
        Ok(())
    }

    /// A journal with 8 tips takes no more branches, so who came first would matter there.
    pub(super) fn within_tips(&self) -> bool {
        let all: BTreeSet<usize> = (0..self.forest.nodes.len()).collect();
        let mut tips: BTreeMap<usize, usize> = BTreeMap::new();
        for leaf in self.forest.leaves(&all) {
            *tips.entry(self.forest.nodes[leaf].author).or_default() += 1;
        }
        TALLY.count_if(tips.values().any(|count| *count > 1), "forked");
        tips.values().all(|count| *count < JOURNAL_TIPS_MAX)
    }
}

/// A number without visible relation to another.
fn mixed(number: u64) -> u64 {
    let mixed = (number ^ number >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ mixed >> 32
}
