//! Heads and their digest: a function of the set of tips, in which a full journal is one mark.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{CreditPolicy, IdentityLog, Point};
use edge_ledger_core::ids::{DeviceId, EntryHash, IdentityId};
use edge_ledger_core::ledger::{Heads, Tip};
use edge_ledger_core::limits::JOURNAL_TIPS_MAX;
use proptest::prelude::*;

use crate::fixture::tally::Tally;
use crate::fixture::{World, cases, device_id, key, revoke};

/// A log in which nothing was said.
fn log() -> &'static IdentityLog {
    static LOG: LazyLock<IdentityLog> = LazyLock::new(|| World::uncapped().empty_log());
    &LOG
}

fn tip((device, seq, hash): (u8, u64, u8)) -> Tip {
    Tip {
        device: DeviceId::from_bytes([device; 16]),
        point: Point {
            seq,
            hash: EntryHash::from_bytes([hash; 32]),
        },
    }
}

fn digest(tips: impl IntoIterator<Item = Tip>) -> [u8; 32] {
    *Heads::new(tips).digest(log()).as_bytes()
}

/// What a digest says: each journal's tips, or that it is full.
fn meaning(tips: &BTreeSet<Tip>) -> BTreeSet<(DeviceId, Option<Point>)> {
    let full = |device| tips.iter().filter(|tip| tip.device == device).count() >= JOURNAL_TIPS_MAX;
    tips.iter()
        .map(|tip| (tip.device, (!full(tip.device)).then_some(tip.point)))
        .collect()
}

#[test]
fn equal_digests_mean_the_same_tips_or_full_journals() {
    static TALLY: Tally = Tally::new(&["the same", "different", "full", "only full ones differ"]);
    let one = || (0..2_u8, 1..3_u64, 0..6_u8).prop_map(tip);
    let of_one_device = || (1..3_u64, 0..6_u8).prop_map(|(seq, hash)| tip((0, seq, hash)));
    let some = || {
        prop_oneof![
            2 => prop::collection::vec(one(), 0..4),
            1 => prop::collection::vec(one(), 8..24),
            2 => prop::collection::vec(of_one_device(), 12..24),
        ]
    };
    proptest!(cases(), |(a in some(), b in some(), copy in prop::bool::weighted(0.3))| {
        let b = if copy { a.iter().rev().copied().chain(a.first().copied()).collect() } else { b };
        let sets: [BTreeSet<Tip>; 2] = [&a, &b].map(|tips| tips.iter().copied().collect());
        let same = meaning(&sets[0]) == meaning(&sets[1]);
        prop_assert_eq!(digest(a.iter().copied()) == digest(b.iter().copied()), same);
        let heads = Heads::new(a.iter().copied());
        prop_assert!(heads.tips().eq(sets[0].iter().copied()), "sorted, each once");
        let mut set = Heads::default();
        for device in heads.devices() {
            let reversed = heads.of(&device).iter().rev().chain(heads.of(&device)).copied();
            set.set(device, reversed.collect());
        }
        prop_assert_eq!(&set, &heads);
        TALLY.count(if same { "the same" } else { "different" });
        let full = meaning(&sets[0]).iter().any(|(_, point)| point.is_none());
        TALLY.count_if(full, "full");
        TALLY.count_if(same && sets[0] != sets[1], "only full ones differ");
    });
    TALLY.require(100);
}

#[test]
fn a_digest_is_of_one_deployment_and_identity() {
    let heads = Heads::new([tip((1, 1, 1))]);
    let here = heads.digest(log());
    let other = World::new(CreditPolicy::Issued).empty_log();
    assert_ne!(here, heads.digest(&other));
    let other = IdentityLog::empty(log().genesis().clone(), IdentityId::from_bytes([9; 32]));
    assert_ne!(here, heads.digest(&other));
    assert_ne!(here, Heads::default().digest(log()));
}

#[test]
fn seven_tips_are_told_and_eight_are_a_mark() {
    let of = |count: u8, hash: u8| (0..count).map(move |n| tip((1, 5, hash + n)));
    assert_ne!(digest(of(7, 0)), digest(of(7, 1)));
    assert_eq!(digest(of(8, 0)), digest(of(8, 100)));
    assert_eq!(digest(of(8, 0)), digest(of(9, 100)));
    assert_ne!(digest(of(8, 0)), digest(of(7, 0)));
}

/// Replicas of an ended journal hold what its cut names, however many that is.
#[test]
fn of_an_ended_journal_every_tip_is_told() {
    let world = World::uncapped();
    let mut log = world.log_with("admin", &["phone"]);
    let of = |count: u8, hash: u8| {
        let phone = (0..count).map(|n| tip((1, 5, hash + n)));
        Heads::new(phone.map(|tip| Tip {
            device: device_id("phone"),
            ..tip
        }))
    };
    assert_eq!(of(8, 0).digest(&log), of(8, 100).digest(&log));
    world
        .say(
            &mut log,
            revoke("phone", Vec::new()),
            &[SigningAs::Device(&key("admin"))],
        )
        .expect("can be revoked");
    for (one, other) in [((8, 0), (8, 100)), ((8, 0), (9, 0)), ((20, 0), (20, 1))] {
        let [one, other] = [one, other].map(|(count, hash)| of(count, hash).digest(&log));
        assert_ne!(one, other);
    }
}

#[test]
fn an_emptied_journal_is_none() {
    let mut heads = Heads::new([tip((1, 1, 1))]);
    heads.set(DeviceId::from_bytes([1; 16]), Vec::new());
    assert!(heads.is_empty());
    assert_eq!(heads, Heads::default());
    assert_eq!(heads.of(&DeviceId::from_bytes([1; 16])), []);
}
