//! Entries: made for a case, or once for all cases.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use edge_ledger_core::identity::{Point, SignedTip};
use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::keys::Signature;
use edge_ledger_core::ledger::entry::entry_hash;
use edge_ledger_core::ledger::{Draft, EventKey, KeptRun, Kind, Posting, Run, VerifiedRun, verify};

use crate::world::{BASE_MEMBERS, Member, member, member_of, world};

/// Length of the main chain of each base member, and of its branches.
pub(crate) const MAIN_LEN: usize = 14;
pub(crate) const BRANCH_LEN: usize = 5;
/// Where the branches leave the main chain: after these places.
pub(crate) const BRANCHES_AFTER: [usize; 3] = [1, 4, 9];

/// Signs one entry of one posting that a number decides.
pub(crate) fn entry(author: &Member, parent: Point, number: u64) -> VerifiedRun {
    verified(author, &signed(author, parent, number))
}

fn signed(author: &Member, parent: Point, number: u64) -> Run {
    let kind = [Kind::Credit, Kind::Credit, Kind::Debit, Kind::Refund][(number % 4) as usize];
    let event_key = EventKey::new(format!("event {}", number % 23).into_bytes());
    let event_key = event_key.expect("the key is within its limits");
    let posting = Posting::new(kind, event_key, 1 + number % 50).expect("an amount in range");
    let draft = Draft {
        wall_ms: number as i64,
        postings: vec![posting],
    };
    let run = draft.sign(world().ledger_id(), world().identity(), &author.key, parent);
    run.expect("the draft is within its limits")
}

pub(crate) fn verified(author: &Member, run: &Run) -> VerifiedRun {
    verify(author.author(), run).expect("the run is sound")
}

/// Consecutive entries after a point.
pub(crate) fn chain(
    author: &Member,
    parent: Point,
    numbers: std::ops::Range<u64>,
) -> Vec<VerifiedRun> {
    let mut at = parent;
    let runs = numbers.map(|number| {
        let run = entry(author, at, number);
        at = run.last();
        run
    });
    runs.collect()
}

/// A long chain, made faster: entries that are signed and not checked one by one.
pub(crate) fn long_chain(author: &Member, entries: u64, book: &mut Book) -> VerifiedRun {
    let mut at = Point::START;
    let mut long: Option<Run> = None;
    for number in 0..entries {
        let run = signed(author, at, number);
        at = points(&run)[0];
        book.0.insert((author.id, at), run.signature);
        match &mut long {
            None => long = Some(run),
            Some(long) => {
                long.formats.extend(run.formats);
                long.payloads.extend(run.payloads);
                long.signature = run.signature;
            }
        }
    }
    verified(author, &long.expect("at least one entry"))
}

/// Joins consecutive runs into one that is signed at its end.
pub(crate) fn joined(runs: &[VerifiedRun]) -> Run {
    let mut joined = runs[0].to_run();
    for run in &runs[1..] {
        let run = run.to_run();
        joined.formats.extend(run.formats);
        joined.payloads.extend(run.payloads);
        joined.signature = run.signature;
    }
    joined
}

/// The points of a run's entries.
pub(crate) fn points(run: &Run) -> Vec<Point> {
    let author = member_of(run.device);
    let mut at = run.parent();
    let mut points = Vec::with_capacity(run.payloads.len());
    for (format, payload) in run.formats.iter().zip(&run.payloads) {
        let hash = entry_hash(author.author(), *format, at.seq + 1, at.hash, payload);
        at = Point {
            seq: at.seq + 1,
            hash,
        };
        points.push(at);
    }
    points
}

/// The signatures of all entries that were ever made.
#[derive(Clone, Default)]
pub(crate) struct Book(BTreeMap<(DeviceId, Point), Signature>);

impl Book {
    pub(crate) fn add(&mut self, run: &VerifiedRun) {
        let place = (run.device(), run.last());
        self.0.insert(place, run.signature());
    }

    fn signature(&self, device: DeviceId, point: Point) -> Option<Signature> {
        let made_here = self.0.get(&(device, point));
        made_here
            .or_else(|| forest().book.0.get(&(device, point)))
            .copied()
    }

    pub(crate) fn signed(&self, device: DeviceId, point: Point) -> SignedTip {
        SignedTip {
            device,
            point,
            signature: self
                .signature(device, point)
                .expect("every entry is signed when it is made"),
        }
    }

    /// The first entries of a run, as somebody sends them who knows their signatures.
    pub(crate) fn beginning(&self, kept: &KeptRun, entries: usize) -> KeptRun {
        let last = points(&kept.run)[entries - 1];
        let mut run = kept.run.clone();
        run.formats.truncate(entries);
        run.payloads.truncate(entries);
        run.signature = self.signed(run.device, last).signature;
        KeptRun { run, last }
    }
}

/// Journals that were made once: for each base member a main chain and branches of it.
pub(crate) struct Forest {
    mains: Vec<Vec<VerifiedRun>>,
    pairs: Vec<Vec<VerifiedRun>>,
    branches: Vec<Vec<Vec<VerifiedRun>>>,
    book: Book,
}

pub(crate) fn forest() -> &'static Forest {
    static FOREST: LazyLock<Forest> = LazyLock::new(Forest::grow);
    &FOREST
}

impl Forest {
    /// The beginning of a member's main chain, as runs of one or two entries.
    pub(crate) fn main(&self, number: usize, len: usize, in_pairs: bool) -> Vec<VerifiedRun> {
        let singles = &self.mains[number];
        if !in_pairs {
            return singles[..len].to_vec();
        }
        let pairs = self.pairs[number][..len / 2].iter();
        pairs.chain(&singles[len / 2 * 2..len]).cloned().collect()
    }

    /// The beginning of one of its branches; it lacks the main chain below it.
    pub(crate) fn branch(&self, number: usize, branch: usize, len: usize) -> Vec<VerifiedRun> {
        self.branches[number][branch][..len].to_vec()
    }

    fn grow() -> Self {
        let mut forest = Self {
            mains: Vec::new(),
            pairs: Vec::new(),
            branches: Vec::new(),
            book: Book::default(),
        };
        for number in 0..BASE_MEMBERS {
            let author = member(number);
            let first = number as u64 * 1_000;
            let main = chain(author, Point::START, first..first + MAIN_LEN as u64);
            let pairs = main.chunks_exact(2);
            let pairs = pairs.map(|pair| verified(author, &joined(pair))).collect();
            let branches = BRANCHES_AFTER.iter().enumerate().map(|(index, after)| {
                let first = first + 100 * (index as u64 + 1);
                chain(
                    author,
                    main[after - 1].last(),
                    first..first + BRANCH_LEN as u64,
                )
            });
            let branches: Vec<Vec<VerifiedRun>> = branches.collect();
            for run in main.iter().chain(branches.iter().flatten()) {
                forest.book.add(run);
            }
            forest.mains.push(main);
            forest.pairs.push(pairs);
            forest.branches.push(branches);
        }
        forest
    }
}
