//! What a statement leaves of a journal: the tips that it names and those of its receipt.

use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{
    Act, FormatError, IdentityLog, LogError, Point, SignedTip, Statement,
};
use edge_ledger_core::ids::{DeviceId, EntryHash};
use edge_ledger_core::keys::{KeyError, Signature};
use edge_ledger_core::limits::{STATEMENT_DEVICE_TIPS_MAX, STATEMENT_TIPS_MAX};

use crate::fixture::{SERVICE_TIME_MS, World, device_id, key, revoke, tip};

/// Some point; a log knows no entries, so any hash will do.
fn point(seq: u64, branch: u8) -> Point {
    let hash = EntryHash::from_bytes([branch; 32]);
    Point { seq, hash }
}

fn cut_of(log: &IdentityLog, name: &str) -> Option<Vec<Point>> {
    Some(log.cut(&device_id(name))?.points().collect())
}

/// An act of the admin, with the tips that the store records.
fn by_admin(
    world: &World,
    log: &mut IdentityLog,
    act: Act,
    recorded: Vec<SignedTip>,
) -> Result<(), LogError> {
    world.say_with(log, act, &[SigningAs::Device(&key("admin"))], recorded)
}

fn replaced(
    world: &World,
    log: &mut IdentityLog,
    (old, new): (&str, &str),
    named: Vec<SignedTip>,
    recorded: Vec<SignedTip>,
) -> Result<(), LogError> {
    let (old_key, new_key) = (key(old), key(new));
    let keys = [SigningAs::Device(&old_key), SigningAs::Device(&new_key)];
    world.say_with(log, world.replace(old, new, named), &keys, recorded)
}

#[test]
fn a_revocation_cuts_at_the_named_tips_and_the_recorded_ones() {
    let world = World::uncapped();
    let mut log = world.log_with("admin", &["phone", "tablet"]);
    assert_eq!(cut_of(&log, "phone"), None);
    let (named, recorded) = (point(9, 1), point(5, 2));
    by_admin(
        &world,
        &mut log,
        revoke("phone", vec![tip("phone", named)]),
        vec![tip("phone", recorded)],
    )
    .expect("can be revoked");
    assert_eq!(cut_of(&log, "phone"), Some(vec![recorded, named]));
    assert_eq!(cut_of(&log, "tablet"), None);
    let cut = log.cut(&device_id("phone")).expect("cut");
    assert!(cut.names(&named) && !cut.names(&point(9, 2)) && !cut.names(&point(5, 1)));
    assert_eq!(cut.signature(&named), Some(tip("phone", named).signature));
    assert_eq!(cut.last_seq(), 9);
}

#[test]
fn a_cut_without_tips_keeps_nothing() {
    let world = World::uncapped();
    let mut log = world.log_with("admin", &["phone"]);
    by_admin(&world, &mut log, revoke("phone", Vec::new()), Vec::new()).expect("can be revoked");
    assert_eq!(cut_of(&log, "phone"), Some(Vec::new()));
    assert_eq!(log.cut(&device_id("phone")).expect("cut").last_seq(), 0);
}

#[test]
fn a_revocation_cuts_the_whole_lineage_and_a_replacement_one_device() {
    let world = World::uncapped();
    let mut log = world.log_with("admin", &["phone"]);
    let first = point(3, 1);
    replaced(
        &world,
        &mut log,
        ("phone", "phone 2"),
        vec![tip("phone", first)],
        vec![tip("phone", point(2, 1))],
    )
    .expect("can be replaced");
    assert_eq!(cut_of(&log, "phone"), Some(vec![point(2, 1), first]));
    assert_eq!(cut_of(&log, "phone 2"), None);

    let statement = world.sign(
        &log,
        revoke("phone 2", Vec::new()),
        &[SigningAs::Device(&key("admin"))],
    );
    let ended: Vec<DeviceId> = log.ends(&statement).into_iter().collect();
    let mut lineage = vec![device_id("phone"), device_id("phone 2")];
    lineage.sort();
    assert_eq!(ended, lineage, "whose tips the store has to record");

    let (second, named) = (point(1, 7), point(4, 7));
    by_admin(
        &world,
        &mut log,
        revoke("phone 2", vec![tip("phone 2", named)]),
        vec![tip("phone", first), tip("phone 2", second)],
    )
    .expect("can be revoked");
    assert_eq!(
        cut_of(&log, "phone"),
        Some(vec![point(2, 1), first]),
        "what was recorded stays"
    );
    assert_eq!(cut_of(&log, "phone 2"), Some(vec![second, named]));
}

/// What a store recorded was kept there, and may have been acked, which is final. What was only
/// named could be shown by a thief after everything was over.
#[test]
fn a_later_cut_replaces_what_was_named_and_keeps_what_was_recorded() {
    let world = World::uncapped();
    let mut log = world.log_with("admin", &["phone"]);
    let mut revoke_with = |named: Vec<Point>, recorded: Vec<Point>| {
        let tips = |points: Vec<Point>| points.into_iter().map(|p| tip("phone", p)).collect();
        let act = revoke("phone", tips(named));
        by_admin(&world, &mut log, act, tips(recorded)).expect("can be revoked again");
        cut_of(&log, "phone").expect("cut")
    };
    let (low, high, beside) = (point(2, 1), point(6, 1), point(3, 2));
    assert_eq!(revoke_with(vec![high], vec![low]), [low, high]);
    assert_eq!(revoke_with(vec![], vec![low]), [low], "it may take away");
    assert_eq!(revoke_with(vec![beside], vec![low]), [low, beside]);
    assert_eq!(
        revoke_with(vec![high, beside], vec![]),
        [low, beside, high],
        "also when the store has lost it"
    );
}

/// What arrives within a cut is kept from then on, like what was there when it was made.
#[test]
fn what_was_named_and_arrived_stays() {
    let world = World::uncapped();
    let mut log = world.log_with("admin", &["phone"]);
    let (low, high) = (point(2, 1), point(6, 1));
    for (named, recorded) in [
        (vec![tip("phone", high)], vec![tip("phone", low)]),
        (vec![], vec![tip("phone", high)]),
        (vec![], vec![]),
    ] {
        by_admin(&world, &mut log, revoke("phone", named), recorded).expect("can be revoked");
        assert_eq!(cut_of(&log, "phone"), Some(vec![low, high]));
    }
}

/// A link that replaces cuts at what the store keeps, also when the device had a cut before.
#[test]
fn a_link_in_place_of_a_device_cuts_at_the_recorded_tips() {
    let world = World::uncapped();
    let mut log = world.log_with("admin", &["phone"]);
    replaced(
        &world,
        &mut log,
        ("phone", "clone 1"),
        vec![tip("phone", point(8, 1))],
        vec![tip("phone", point(3, 1))],
    )
    .expect("can be replaced");
    let act = world.add_in_place_of("clone 2", "phone", false);
    let statement = world.sign(&log, act.clone(), &[SigningAs::Device(&key("admin"))]);
    assert!(log.ends(&statement).into_iter().eq([device_id("phone")]));
    let recorded = vec![tip("phone", point(5, 1))];
    by_admin(&world, &mut log, act, recorded).expect("can be linked");
    assert_eq!(cut_of(&log, "phone"), Some(vec![point(3, 1), point(5, 1)]));
    assert_eq!(cut_of(&log, "clone 1"), None);
    assert_eq!(cut_of(&log, "clone 2"), None);
}

#[test]
fn tips_are_of_the_ended_devices_and_signed_by_them() {
    let world = World::uncapped();
    let log = world.log_with("admin", &["phone", "tablet"]);
    let at = point(4, 1);
    let wrong_author: LogError =
        FormatError::Key("the signature of a tip", KeyError::BadSignature).into();
    let other_device = FormatError::Key("a tip of another device", KeyError::BadSignature).into();
    let mut forged = tip("tablet", at);
    forged.device = device_id("phone");
    let mut moved = tip("phone", at);
    moved.point.hash = EntryHash::from_bytes([2; 32]);
    // Who does not have the entry could not tell that it is somewhere else.
    let mut displaced = tip("phone", at);
    displaced.point.seq += 1;
    let cases: [(SignedTip, LogError); 5] = [
        (forged, wrong_author.clone()),
        (displaced, wrong_author),
        (
            moved,
            FormatError::Key("the signature of a tip", KeyError::BadSignature).into(),
        ),
        (tip("tablet", at), other_device),
        (tip("stranger", at), LogError::UnknownDevice),
    ];
    let phone_2 = ("phone", "phone 2");
    for (bad, expected) in cases {
        for (named, recorded) in [(vec![bad], vec![]), (vec![], vec![bad])] {
            let mut log = log.clone();
            let act = revoke("phone", named.clone());
            let revoked = by_admin(&world, &mut log, act, recorded.clone());
            assert_eq!(revoked, Err(expected.clone()));
            let replaced = replaced(&world, &mut log, phone_2, named, recorded);
            assert_eq!(replaced, Err(expected.clone()));
            assert_eq!(cut_of(&log, "phone"), None);
        }
    }
    for act in [world.add("laptop", false), revoke("tablet", Vec::new())] {
        let recorded = vec![tip("phone", at)];
        assert!(by_admin(&world, &mut log.clone(), act, recorded).is_err());
    }
}

#[test]
fn tips_of_a_statement_have_a_place_and_a_limit() {
    let world = World::uncapped();
    let log = world.log_with("admin", &["phone"]);
    let sign = |tips: Vec<SignedTip>| {
        let head = log.head();
        let body = edge_ledger_core::identity::StatementBody {
            identity: world.identity(),
            position: head.position + 1,
            expected_head: head.hash,
            act: revoke("phone", tips),
        };
        let admin = key("admin");
        Statement::sign(world.ledger_id(), &body, &[SigningAs::Device(&admin)])
    };
    let some = |device: &str, count| -> Vec<SignedTip> {
        let points = (1..=count as u64).map(|seq| point(seq, 1));
        points.map(|point| tip(device, point)).collect()
    };
    assert_eq!(
        sign(vec![tip("phone", Point::START)]),
        Err(FormatError::Field("the seq of a tip"))
    );
    let full = sign(some("phone", STATEMENT_DEVICE_TIPS_MAX)).expect("at the limit");
    assert_eq!(log.check(&full, SERVICE_TIME_MS), Ok(()));
    let number = Err(FormatError::Field("the number of tips"));
    assert_eq!(sign(some("phone", STATEMENT_DEVICE_TIPS_MAX + 1)), number);
    let of_devices = |count: usize| {
        let names = (0..count).map(|n| format!("device {n}"));
        let tips = names.flat_map(|name| some(&name, STATEMENT_DEVICE_TIPS_MAX));
        sign(tips.collect())
    };
    let devices = STATEMENT_TIPS_MAX / STATEMENT_DEVICE_TIPS_MAX;
    assert!(of_devices(devices).is_ok());
    assert_eq!(of_devices(devices + 1), number);
    let mut wrong = tip("phone", point(1, 1));
    wrong.signature = Signature::from_bytes([0; 64]);
    assert!(
        log.check(
            &sign(vec![wrong]).expect("its form is right"),
            SERVICE_TIME_MS
        )
        .is_err()
    );
}
