//! The merge equation (design §5.3): for a fixed log, folding the union of two sets of entries is
//! the original's merge of their folds, so the order of arrival is irrelevant and nothing is ever
//! taken away. And the fold is what its definition says, naively.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use bytes::Bytes;
use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{CreditPolicy, IdentityLog};
use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::ledger::fold::{Effect, fold, fold_with};
use edge_ledger_core::ledger::issuer::Grant;
use edge_ledger_core::ledger::{Fold, Kind, Posting};
use proptest::prelude::*;

use crate::fixture::entries::Pen;
use crate::fixture::forest::{Forest, Step, places, postings};
use crate::fixture::original::{Original, naive_fold};
use crate::fixture::tally::Tally;
use crate::fixture::{World, cases, device_id, key};

/// The first two are one lineage.
const AUTHORS: [&str; 3] = ["phone", "phone 2", "tablet"];
const KEYS: u8 = 4;
const AMOUNTS: &[u64] = &[1, 5, 20, 50, 60, 61, 90, 150, 151, 300, (1 << 53) - 1];

/// A deployment, and a log in which `phone 2` took the place of `phone`.
struct Place {
    world: World,
    log: IdentityLog,
    proofs: BTreeMap<(Kind, u64, Vec<u8>, Option<DeviceId>), Bytes>,
}

fn place(policy: CreditPolicy) -> Place {
    let world = World::new(policy);
    let mut log = world.log_with("tablet", &["phone"]);
    let (old, new) = (key("phone"), key("phone 2"));
    let keys = [SigningAs::Device(&old), SigningAs::Device(&new)];
    world
        .say(
            &mut log,
            world.replace("phone", "phone 2", Vec::new()),
            &keys,
        )
        .expect("a device can be replaced");
    let mut proofs = BTreeMap::new();
    for beneficiary in [None, Some(device_id("phone")), Some(device_id("tablet"))] {
        for kind in [Kind::Credit, Kind::Refund] {
            for (event_key, amount) in (0..KEYS).flat_map(|k| AMOUNTS.iter().map(move |a| (k, *a)))
            {
                let event_key = format!("k{event_key}");
                if kind == Kind::Refund && beneficiary.is_none() {
                    continue;
                }
                let grant = Grant {
                    identity: world.identity(),
                    refund: kind == Kind::Refund,
                    event_key: event_key.parse().expect("a key"),
                    amount,
                    beneficiary,
                };
                let proof = grant
                    .sign(world.ledger_id(), &world.issuer)
                    .expect("an issuer");
                proofs.insert((kind, amount, event_key.into_bytes(), beneficiary), proof);
            }
        }
    }
    Place { world, log, proofs }
}

/// Caps that bite, caps that do not, and proofs of an issuer.
fn places_to_be() -> &'static [Place; 3] {
    static PLACES: OnceLock<[Place; 3]> = OnceLock::new();
    PLACES.get_or_init(|| {
        let capped = |posting_cap, journal_cap| CreditPolicy::SelfReported {
            posting_cap,
            journal_cap,
        };
        [
            capped(150, 200),
            capped(u64::MAX, u64::MAX),
            CreditPolicy::Issued,
        ]
        .map(place)
    })
}

/// Gives a posting a proof: none, one for everybody, or one for either lineage. A proof of a
/// debit is one of nothing.
fn proven(place: &Place, posting: &Posting, which: u8) -> Posting {
    let beneficiary = match which % 5 {
        0 => return posting.clone(),
        1 | 2 => None,
        3 => Some(device_id("phone")),
        _ => Some(device_id("tablet")),
    };
    let wanted = (
        posting.kind,
        posting.amount,
        posting.event_key.as_bytes().to_vec(),
        beneficiary,
    );
    let issuer_proof = place.proofs.get(&wanted).cloned().unwrap_or_default();
    Posting {
        issuer_proof,
        ..posting.clone()
    }
}

/// What a proof is worth, by looking up who made it for what.
fn is_proven(place: &Place, device: DeviceId, posting: &Posting) -> bool {
    let same = |wanted: &Option<DeviceId>| {
        let key = (
            posting.kind,
            posting.amount,
            posting.event_key.as_bytes().to_vec(),
            *wanted,
        );
        place.proofs.get(&key) == Some(&posting.issuer_proof)
    };
    let own = place.log.lineage(&device);
    same(&None) || same(&own)
}

fn steps() -> impl Strategy<Value = Vec<(Step, u8)>> {
    let posting = postings(KEYS, AMOUNTS);
    let step = (
        0..3_usize,
        places(5),
        prop::collection::vec(posting, 1..4),
        prop::bool::weighted(0.95),
        any::<u8>(),
    );
    let step = step.prop_map(|(author, place, postings, readable, proof)| {
        (
            Step {
                author,
                place,
                postings,
                readable,
            },
            proof,
        )
    });
    prop::collection::vec(step, 1..12)
}

fn grown<'a>(place: &Place, pens: &'a [Pen<'a>], steps: &[(Step, u8)]) -> Forest<'a> {
    let mut forest = Forest::new(pens);
    for (step, proof) in steps {
        let postings = step
            .postings
            .iter()
            .map(|p| proven(place, p, *proof))
            .collect();
        forest.grow(&Step {
            postings,
            ..step.clone()
        });
    }
    forest
}

fn folded(place: &Place, forest: &Forest<'_>, set: &BTreeSet<usize>) -> Fold {
    fold(&place.log, forest.entries(set))
}

/// The totals of a fold are those of its own maps.
fn check_totals(fold: &Fold) -> Result<(), TestCaseError> {
    let [credited, debited, refunded] = Original::of(fold).totals();
    prop_assert_eq!(fold.credited(), credited);
    prop_assert_eq!(fold.debited(), debited);
    prop_assert_eq!(fold.refunded(), refunded);
    prop_assert_eq!(fold.balance(), credited - debited + refunded);
    Ok(())
}

#[test]
fn the_fold_of_a_union_is_the_original_merge_of_the_folds() {
    static TALLY: Tally = Tally::new(&[
        "forked",
        "void",
        "keys of two devices",
        "each lacked something",
        "disjoint",
        "refund",
        "unreadable",
        "debt",
        "issued",
    ]);
    let which = prop_oneof![5 => Just(0_usize), 2 => Just(1), 1 => Just(2)];
    let some = || prop::collection::vec(any::<usize>(), 0..4);
    proptest!(cases(), |(which in which, steps in steps(), of_a in some(), of_b in some())| {
        let place = &places_to_be()[which];
        let pens = AUTHORS.map(|name| Pen::new(&place.world, name));
        let forest = grown(place, &pens, &steps);
        let closed = |numbers: &[usize]| forest.closure(numbers.iter().map(|n| n % forest.nodes.len()));
        let (a, b) = (closed(&of_a), closed(&of_b));
        let both: BTreeSet<usize> = a.union(&b).copied().collect();

        let (fold_a, fold_b) = (folded(place, &forest, &a), folded(place, &forest, &b));
        let fold_both = folded(place, &forest, &both);
        let merged = Original::of(&fold_a).merge(&Original::of(&fold_b));
        prop_assert_eq!(&Original::of(&fold_both), &merged);
        prop_assert_eq!(fold_both.upgrade_required(), fold_a.upgrade_required() || fold_b.upgrade_required());
        let naive = naive_fold(&place.log, &forest, &both, &|device, posting| is_proven(place, device, posting));
        prop_assert_eq!(&naive.state, &merged);
        for fold in [&fold_a, &fold_b, &fold_both] {
            check_totals(fold)?;
        }

        let mut void = 0;
        let order: Vec<usize> = both.iter().rev().copied().collect();
        let told = fold_with(&place.log, forest.entries(&order), |_, _, effect| {
            void += usize::from(effect != Effect::Counted);
        });
        prop_assert_eq!(&told, &fold_both, "in any order");
        prop_assert_eq!(void, naive.void);

        let of = |set: &BTreeSet<usize>, author| set.iter().any(|n| forest.nodes[*n].author == author);
        TALLY.count_if(forest.leaves(&both).len() > (0..3).filter(|a| of(&both, *a)).count(), "forked");
        TALLY.count_if(void > 0, "void");
        TALLY.count_if(of(&both, 0) && of(&both, 1), "keys of two devices");
        TALLY.count_if(!a.is_subset(&b) && !b.is_subset(&a), "each lacked something");
        TALLY.count_if(a.is_disjoint(&b) && !a.is_empty() && !b.is_empty(), "disjoint");
        TALLY.count_if(fold_both.refunded() > 0, "refund");
        TALLY.count_if(fold_both.upgrade_required(), "unreadable");
        TALLY.count_if(fold_both.balance() < 0, "debt");
        TALLY.count_if(which == 2 && !merged.earned.is_empty(), "issued");
    });
    TALLY.require(300);
}
