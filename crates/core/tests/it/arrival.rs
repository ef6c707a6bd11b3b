//! The order of arrival decides nothing (S-16, S-26, S-27): several replicas get runs, in any
//! order and twice, and statements that end and enrol devices or put another root in place of the
//! first, at any moment and late; thieves go on signing,
//! also old numbers. Whoever has seen everything in the end has the same.

mod case;

use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::ledger::Posting;
use edge_ledger_core::ledger::fold::fold;
use proptest::prelude::*;

use self::case::{Case, REPLICAS, SERVICE};
use crate::fixture::cases_of_part;
use crate::fixture::entries::credit;
use crate::fixture::forest::{Place, Step, places, postings};
use crate::fixture::original::{Original, naive_fold};
use crate::fixture::tally::Tally;

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
    "enrolled",
    "rotated",
    "recovered",
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
    Enrol,
    NewRoot {
        recover: bool,
    },
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let posting = postings(3, &[1, 10, 40, 60, 61]);
    // The interesting devices are those that are ended: most entries are of the first of them.
    let authors = prop::sample::select(&[1_usize, 1, 1, 2, 3, 4, 5][..]);
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
        2 => (1..6_usize, named()).prop_map(|(author, named)| Event::Revoke { author, named }),
        1 => named().prop_map(|named| Event::Replace { named }),
        1 => Just(Event::Link),
        1 => Just(Event::Enrol),
        1 => any::<bool>().prop_map(|recover| Event::NewRoot { recover }),
    ];
    prop::collection::vec(event, 8..40)
}

/// Three entries of one journal, each in another replica, of which two wait: each comes free when
/// another one tells what it has, and that again is news.
#[test]
fn what_waits_comes_free_from_one_replica_to_the_next() {
    let mut case = Case::new();
    for _ in 0..3 {
        case.happen(&Event::Sign(Step {
            author: 2,
            place: Place::Behind,
            postings: vec![credit("k", 1)],
            readable: true,
        }));
    }
    for by in [1, 2] {
        case.happen(&Event::Adopt { by, statements: 2 });
    }
    for (to, node) in [(2, 0), (SERVICE, 2), (1, 1)] {
        let length = 1;
        case.happen(&Event::Deliver { to, node, length });
    }
    assert_eq!(
        case.kept(SERVICE).len() + case.kept(1).len(),
        0,
        "they wait"
    );
    case.settle().expect("they become equal");
    assert_eq!(case.kept(1).len(), 3);
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

/// How many of them.
const PARTS: u32 = 4;

fn property() {
    let never = |_: DeviceId, _: &Posting| false;
    proptest!(cases_of_part(PARTS), |(events in events(), order in any::<u64>())| {
        let mut case = Case::new();
        for event in &events {
            case.happen(event);
            case.check()?;
        }
        if !case.within_tips() {
            return Ok(());
        }
        case.settle()?;
        case.deliver_all(order)?;
        let kept = case.kept(SERVICE);
        prop_assert!(case.acked.is_subset(&kept));
        let log = case.log();
        let digest = case.replicas[SERVICE].journals.heads().digest(log);
        let sum = fold(log, case.replicas[SERVICE].journals.entries());
        for replica in &case.replicas {
            prop_assert_eq!(replica.journals.heads().digest(log), digest);
            let same = fold(log, replica.journals.entries());
            prop_assert_eq!(same.balance(), sum.balance());
            prop_assert_eq!(&same, &sum);
        }
        let naive = naive_fold(log, &case.forest, &kept, &never);
        prop_assert_eq!(Original::of(&sum), naive.state);
        TALLY.count_if(naive.void > 0, "void");
    });
    TALLY.require(100);
}
