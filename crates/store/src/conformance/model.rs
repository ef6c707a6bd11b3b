//! Any sequence of appends, forks, resent parts, cuts and statements leaves a store with what
//! the reference in `core` has, and makes it answer the same.

use std::collections::BTreeSet;

use edge_ledger_core::identity::{Cut, Point, SignedTip};
use edge_ledger_core::ids::IdentityId;
use edge_ledger_core::ledger::admission::Admissible;
use edge_ledger_core::ledger::journals::Have;
use edge_ledger_core::ledger::{Heads, Journals, Tip, VerifiedRun};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use super::Stores;
use super::fixtures::{
    Device, FORMAT, adoption, after, append_admissible, fresh_identity, statement,
};
use crate::identity::{LogEnd, StatementOutcome};

/// Random sequences in one run of the suite.
const SEQUENCES: u32 = 300;
const DEVICES: usize = 3;

#[derive(Debug, Clone)]
enum Op {
    /// Sign a run after some point; append it unless it is held back.
    Extend {
        device: usize,
        parent: Parent,
        entries: usize,
        other_format: bool,
        held_back: bool,
        in_cut: bool,
    },
    /// Append a part of a run that was signed before.
    Resend { run: Index, from: Index, to: Index },
    /// End a device: the statement records its tips.
    End { device: usize },
    /// Adopt a cut that names some of the signed points.
    Cut { device: usize, named: Vec<Index> },
    /// Compare answers to somebody who has some of the signed points.
    Ask {
        have: Vec<(usize, Index)>,
        foreign: bool,
    },
}

#[derive(Debug, Clone)]
enum Parent {
    Last,
    Any(Index),
}

fn op() -> impl Strategy<Value = Op> {
    let parent = proptest::prop_oneof![
        3 => proptest::strategy::Just(Parent::Last),
        1 => any::<Index>().prop_map(Parent::Any),
    ];
    let seldom = || (0..8_u8).prop_map(|chance| chance == 0);
    let extend = (0..DEVICES, parent, 1..6_usize, seldom(), seldom(), seldom()).prop_map(
        |(device, parent, entries, other_format, held_back, in_cut)| Op::Extend {
            device,
            parent,
            entries,
            other_format,
            held_back,
            in_cut,
        },
    );
    let resend = (any::<Index>(), any::<Index>(), any::<Index>())
        .prop_map(|(run, from, to)| Op::Resend { run, from, to });
    let end = (0..DEVICES).prop_map(|device| Op::End { device });
    let cut = (0..DEVICES, vec(any::<Index>(), 0..4))
        .prop_map(|(device, named)| Op::Cut { device, named });
    let ask = (vec((0..DEVICES, any::<Index>()), 0..5), any::<bool>())
        .prop_map(|(have, foreign)| Op::Ask { have, foreign });
    proptest::prop_oneof![10 => extend, 4 => resend, 1 => end, 1 => cut, 3 => ask]
}

/// One identity, in the store and in the reference.
struct World<'a> {
    stores: &'a Stores,
    identity: IdentityId,
    devices: Vec<Device>,
    runs: Vec<Vec<VerifiedRun>>,
    model: Journals,
    end: LogEnd,
    salt: u64,
}

impl<'a> World<'a> {
    fn new(stores: &'a Stores) -> Self {
        let identity = fresh_identity();
        Self {
            stores,
            identity,
            devices: (0..DEVICES).map(|_| Device::new(identity)).collect(),
            runs: vec![Vec::new(); DEVICES],
            model: Journals::default(),
            end: LogEnd::EMPTY,
            salt: 0,
        }
    }

    /// All points that a device signed something for.
    fn points(&self, device: usize) -> Vec<Point> {
        let entries = self.runs[device].iter().flat_map(|run| run.entries());
        [Point::START]
            .into_iter()
            .chain(entries.map(|entry| entry.point()))
            .collect()
    }

    async fn carry_out(&mut self, op: &Op) {
        match op {
            Op::Extend {
                device,
                parent,
                entries,
                other_format,
                held_back,
                in_cut,
            } => {
                let points = self.points(*device);
                let parent = match parent {
                    Parent::Last => points[points.len() - 1],
                    Parent::Any(index) => *index.get(&points),
                };
                self.salt += 1;
                let format = FORMAT + u16::from(*other_format);
                let run =
                    self.devices[*device].chain_in_format(format, parent, *entries, self.salt);
                self.runs[*device].push(run.clone());
                if !held_back {
                    self.append(Admissible {
                        run,
                        in_cut: *in_cut,
                    })
                    .await;
                }
            }
            Op::Resend { run, from, to } => {
                let of_device = |device: usize| self.runs[device].iter().map(move |r| (device, r));
                let all: Vec<_> = (0..DEVICES).flat_map(of_device).collect();
                if all.is_empty() {
                    return;
                }
                let (device, run) = *run.get(&all);
                let to = to.index(run.entries().len()) + 1;
                let run = self.devices[device].part(run, from.index(to), to);
                self.append(Admissible { run, in_cut: false }).await;
            }
            Op::End { device } => self.end(*device).await,
            Op::Cut { device, named } => self.cut(*device, named).await,
            Op::Ask { have, foreign } => self.ask(have, *foreign).await,
        }
        let heads = self.stores.ledger.heads(self.identity).await.unwrap();
        assert_eq!(heads.value, self.model.heads());
        assert_eq!(heads.version.0, self.end.position);
    }

    async fn append(&mut self, admissible: Admissible) {
        let expected = self.model.append(&admissible);
        let outcomes = append_admissible(self.stores, self.identity, vec![admissible]).await;
        assert_eq!(outcomes, [expected]);
    }

    async fn end(&mut self, device: usize) {
        let append = statement(self.end.clone(), &[&self.devices[device]]);
        let outcome = self
            .stores
            .identity
            .append_statement(self.identity, append)
            .await
            .unwrap();
        let StatementOutcome::Appended(records) = outcome else {
            panic!("{outcome:?}")
        };
        let points: Vec<_> = records[0].tips.iter().map(|tip| tip.point).collect();
        assert_eq!(points, self.model.heads().of(&self.devices[device].id));
        self.end = after(&self.end, &records);
    }

    async fn cut(&mut self, device: usize, named: &[Index]) {
        let points = self.points(device);
        let named: BTreeSet<_> = named.iter().map(|index| *index.get(&points)).collect();
        let named: Vec<_> = named
            .into_iter()
            .filter_map(|p| self.signed(device, p))
            .collect();
        let id = self.devices[device].id;
        let cut = Cut::of_device(id, named.iter());
        self.model.cut(id, &cut);
        let adopted = adoption(self.end.clone(), vec![(id, cut)]);
        let outcome = self
            .stores
            .identity
            .adopt(self.identity, adopted)
            .await
            .unwrap();
        let StatementOutcome::Appended(records) = outcome else {
            panic!("{outcome:?}")
        };
        self.end = after(&self.end, &records);
    }

    fn signed(&self, device: usize, point: Point) -> Option<SignedTip> {
        self.runs[device].iter().find_map(|run| {
            let at = run
                .entries()
                .iter()
                .position(|entry| entry.point() == point)?;
            let signature = self.devices[device].part(run, at, at + 1).signature();
            Some(SignedTip {
                device: run.device(),
                point,
                signature,
            })
        })
    }

    /// Asks as somebody who has some points, until there is no more.
    async fn ask(&self, have: &[(usize, Index)], foreign: bool) {
        let mut points = Have::new();
        for (device, index) in have {
            let point = *index.get(&self.points(*device));
            points
                .entry(self.devices[*device].id)
                .or_default()
                .insert(point);
        }
        if foreign {
            let nobody = Device::new(self.identity);
            let run = nobody.chain(Point::START, 1, 0);
            points.insert(nobody.id, BTreeSet::from([run.last()]));
        }
        let tips = points.iter().flat_map(|(device, points)| {
            points.iter().map(|point| Tip {
                device: *device,
                point: *point,
            })
        });
        let heads = Heads::new(tips);
        let located = self
            .stores
            .ledger
            .locate(self.identity, &heads)
            .await
            .unwrap();
        assert_eq!(located.value, self.model.locate(&heads));
        loop {
            let page = self
                .stores
                .ledger
                .missing(self.identity, &points)
                .await
                .unwrap();
            let (runs, more) = self.model.missing(&points);
            assert_eq!(page.value.runs, runs);
            assert_eq!(page.value.more, more);
            assert_eq!(page.version.0, self.end.position);
            for run in &runs {
                points.entry(run.run.device).or_default().insert(run.last);
            }
            if !more {
                return;
            }
        }
    }
}

/// See above.
#[expect(clippy::unused_async, reason = "the macro awaits every rule")]
pub async fn any_sequence_does_what_the_rules_of_core_do(stores: &Stores) {
    let mut runner = TestRunner::new(Config {
        cases: SEQUENCES,
        ..Config::default()
    });
    let runtime = Handle::current();
    let result = block_in_place(|| {
        runner.run(&vec(op(), 1..40), |ops| {
            runtime.block_on(async {
                let mut world = World::new(stores);
                for op in &ops {
                    world.carry_out(op).await;
                }
                world.ask(&[], false).await;
            });
            Ok(())
        })
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
