//! Admission: what a run may do under the log, what waits, and how much (S-16, S-23, S-25, S-32).

use bytes::Bytes;
use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{IdentityLog, Point};
use edge_ledger_core::ledger::admission::Refusal;
use edge_ledger_core::ledger::{Admission, Admitted, Reject, Run, Tip, VerifiedRun};
use edge_ledger_core::limits::{ENTRY_PAYLOAD_BYTES_MAX, WAITING_BYTES_MAX, WAITING_RUNS_MAX};

use crate::fixture::entries::{Pen, debit, payload_at};
use crate::fixture::{World, key, revoke, tip};

/// A chain of entries, and the runs between any two of them.
struct Chain<'a> {
    pen: Pen<'a>,
    payloads: Vec<Bytes>,
    points: Vec<Point>,
}

impl<'a> Chain<'a> {
    /// Entries 1 to `length`; the branch tells those of two chains apart.
    fn new(world: &'a World, name: &str, length: u64, branch: i64) -> Self {
        let pen = Pen::new(world, name);
        let payloads: Vec<Bytes> = (1..=length)
            .map(|n| payload_at(branch, &[debit("k", n)]))
            .collect();
        let mut points = vec![Point::START];
        points.extend(pen.points(1, Point::START, &payloads));
        Self {
            pen,
            payloads,
            points,
        }
    }

    /// The run of these entries, both included.
    fn run(&self, first: usize, last: usize) -> Run {
        let payloads = self.payloads[first - 1..last].to_vec();
        self.pen.run(1, self.points[first - 1], payloads)
    }
}

/// A log in which `phone` was revoked with a cut at these entries of a chain.
fn cut_at(world: &World, chain: &Chain<'_>, seqs: &[usize]) -> IdentityLog {
    let mut log = world.log_with("admin", &["phone", "tablet"]);
    let tips = seqs
        .iter()
        .map(|seq| tip("phone", chain.points[*seq]))
        .collect();
    let admin = key("admin");
    world
        .say(
            &mut log,
            revoke("phone", tips),
            &[SigningAs::Device(&admin)],
        )
        .expect("revoked");
    log
}

/// The ends of what is to be appended.
fn appended(admitted: Admitted) -> Vec<Point> {
    let Admitted::Append(runs) = admitted else {
        panic!("not to be appended: {admitted:?}")
    };
    runs.iter()
        .map(|admissible| admissible.run.last())
        .collect()
}

#[test]
fn devices_outside_the_log_are_strangers_or_news() {
    let world = World::uncapped();
    let log = world.log_of("admin");
    let chain = Chain::new(&world, "phone", 1, 0);
    let mut admission = Admission::default();
    let foreign = Admitted::Refused(Refusal::ForeignEntry);
    assert_eq!(admission.admit(&log, false, &chain.run(1, 1)), foreign);
    assert_eq!(
        admission.admit(&log, true, &chain.run(1, 1)),
        Admitted::LogWanted
    );
}

#[test]
fn one_bad_run_stops_no_other() {
    let world = World::uncapped();
    let log = world.log_with("admin", &["phone"]);
    let chain = Chain::new(&world, "phone", 3, 0);
    let mut admission = Admission::default();
    let mut forged = chain.run(2, 2);
    forged.signature = chain.run(3, 3).signature;
    assert_eq!(
        appended(admission.admit(&log, false, &chain.run(1, 1))),
        [chain.points[1]]
    );
    let bad = Admitted::Refused(Refusal::Gate(Reject::BadSignature));
    assert_eq!(admission.admit(&log, false, &forged), bad);
    assert_eq!(
        appended(admission.admit(&log, false, &chain.run(2, 3))),
        [chain.points[3]]
    );
}

#[test]
fn what_waits_is_released_by_its_parent() {
    let world = World::uncapped();
    let (phone, tablet) = (
        Chain::new(&world, "phone", 6, 0),
        Chain::new(&world, "tablet", 6, 0),
    );
    let verified = |chain: &Chain<'_>, first, last| chain.pen.verified(&chain.run(first, last));
    let mut admission = Admission::default();
    let waiting =
        [(3, 3), (3, 4), (5, 6), (4, 4)].map(|(first, last)| verified(&phone, first, last));
    for run in &waiting {
        admission.park(run.clone());
        admission.park(run.clone());
    }
    admission.park(verified(&tablet, 3, 3));
    let mut released =
        |first, last| -> Vec<VerifiedRun> { admission.release(&verified(&phone, first, last)) };
    assert_eq!(released(1, 1), []);
    assert_eq!(released(1, 2), waiting[..2], "each once");
    assert_eq!(released(1, 2), [], "and only once");
    assert_eq!(
        released(3, 4),
        [waiting[3].clone(), waiting[2].clone()],
        "by any entry of the run"
    );
    assert_eq!(admission.release(&verified(&tablet, 1, 2)).len(), 1);
}

/// Parks all entries of a chain but the first, one by one, and counts those that waited.
fn waited(admission: &mut Admission, chain: &Chain<'_>) -> usize {
    let last = chain.payloads.len();
    for seq in 2..=last {
        admission.park(chain.pen.verified(&chain.run(seq, seq)));
    }
    admission
        .release(&chain.pen.verified(&chain.run(1, last)))
        .len()
}

#[test]
fn so_many_runs_may_wait() {
    let world = World::uncapped();
    let chain = |more: usize| Chain::new(&world, "phone", (1 + WAITING_RUNS_MAX + more) as u64, 0);
    let mut admission = Admission::default();
    assert_eq!(waited(&mut admission, &chain(0)), WAITING_RUNS_MAX);
    assert_eq!(
        waited(&mut admission, &chain(1)),
        WAITING_RUNS_MAX,
        "the newcomer is dropped"
    );
    assert_eq!(
        waited(&mut admission, &chain(0)),
        WAITING_RUNS_MAX,
        "there is room again"
    );
}

#[test]
fn so_many_bytes_may_wait() {
    let world = World::uncapped();
    let pen = Pen::new(&world, "phone");
    let heavy: Bytes = vec![1; ENTRY_PAYLOAD_BYTES_MAX].into();
    let verified = |parent| pen.verified(&pen.run(2, parent, vec![heavy.clone()]));
    let first = verified(Point::START);
    let count = WAITING_BYTES_MAX / first.memory_bytes();
    assert!(count > 200);
    let mut admission = Admission::default();
    for more in [0, 1] {
        let mut at = first.last();
        for _ in 0..count + more {
            let run = verified(at);
            at = run.last();
            admission.park(run);
        }
        let mut waited = 0;
        let mut kept = first.clone();
        while let Some(next) = admission.release(&kept).pop() {
            waited += 1;
            kept = next;
        }
        assert_eq!(waited, count, "the newcomer is dropped");
    }
}

#[test]
fn entries_outside_a_cut_are_refused_whatever_their_number() {
    let world = World::uncapped();
    let (chain, thief) = (
        Chain::new(&world, "phone", 6, 0),
        Chain::new(&world, "phone", 6, 1),
    );
    let outside = Admitted::Refused(Refusal::OutsideCut);
    let log = cut_at(&world, &chain, &[4]);
    let mut admission = Admission::default();
    for (first, last) in [(5, 5), (5, 6), (6, 6)] {
        assert_eq!(
            admission.admit(&log, false, &chain.run(first, last)),
            outside
        );
    }
    // An old number proves nothing: these wait for a named tip that they are not below.
    for (first, last) in [(1, 1), (1, 3), (2, 2)] {
        let waiting = admission.admit(&log, false, &thief.run(first, last));
        assert!(matches!(waiting, Admitted::Waiting { .. }));
    }
    for (first, last) in [(1, 4), (4, 4), (1, 6)] {
        assert_eq!(
            admission.admit(&log, false, &thief.run(first, last)),
            outside
        );
    }
    // The chain that comes with the named tip is its own.
    let top = admission.admit(&log, false, &chain.run(1, 4));
    assert_eq!(appended(top), [chain.points[4]]);
    let nothing = cut_at(&world, &chain, &[]);
    assert_eq!(
        Admission::default().admit(&nothing, false, &chain.run(1, 1)),
        outside
    );
}

#[test]
fn below_a_named_tip_runs_wait_for_it_and_come_with_it() {
    let world = World::uncapped();
    let chain = Chain::new(&world, "phone", 9, 0);
    let log = cut_at(&world, &chain, &[8]);
    let mut admission = Admission::default();
    let wanted = Tip {
        device: chain.pen.device(),
        point: chain.points[8],
    };
    for (first, last) in [(1, 2), (5, 6), (3, 4), (3, 3), (4, 6)] {
        let admitted = admission.admit(&log, false, &chain.run(first, last));
        assert_eq!(admitted, Admitted::Waiting { wanted });
    }
    let Admitted::Append(runs) = admission.admit(&log, false, &chain.run(7, 9)) else {
        panic!("the named tip is in it")
    };
    let mut at = Point::START;
    for admissible in &runs {
        assert!(admissible.in_cut);
        assert_eq!(admissible.run.parent(), at, "each the parent of the next");
        at = admissible.run.last();
    }
    assert_eq!(at, chain.points[8], "the entry above the tip is cut off");
    let run = runs[runs.len() - 1].run.to_run();
    assert_eq!(
        chain.pen.verified(&run).last(),
        at,
        "and the cut's signature fits"
    );
}

/// What lies between two named tips of one branch is below the higher one.
#[test]
fn a_run_across_a_named_tip_waits_with_its_rest() {
    let world = World::uncapped();
    let chain = Chain::new(&world, "phone", 9, 0);
    let log = cut_at(&world, &chain, &[3, 8]);
    let mut admission = Admission::default();
    let part = admission.admit(&log, false, &chain.run(1, 5));
    assert_eq!(appended(part), [chain.points[3]]);
    let rest = admission.admit(&log, false, &chain.run(6, 8));
    assert_eq!(appended(rest), [chain.points[5], chain.points[8]]);
    // Both named tips in one run: the higher one ends it.
    let both = Admission::default().admit(&log, false, &chain.run(1, 9));
    assert_eq!(appended(both), [chain.points[8]]);
}

#[test]
fn a_change_of_the_log_forgets_what_waited_for_ended_devices() {
    let world = World::uncapped();
    let (phone, tablet) = (
        Chain::new(&world, "phone", 3, 0),
        Chain::new(&world, "tablet", 3, 0),
    );
    let mut admission = Admission::default();
    for chain in [&phone, &tablet] {
        admission.park(chain.pen.verified(&chain.run(3, 3)));
    }
    admission.forget_ended(&world.log_with("admin", &["phone", "tablet"]));
    admission.forget_ended(&cut_at(&world, &phone, &[3]));
    let below = |chain: &Chain<'_>| chain.pen.verified(&chain.run(2, 2));
    assert_eq!(admission.release(&below(&phone)), []);
    assert_eq!(admission.release(&below(&tablet)).len(), 1);
}
