//! S-50: a service gave out two branches of a log, and `Recover` takes one over into the other.

use std::collections::BTreeSet;

use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_core::identity::{
    Act, Branch, DeviceState, FormatError, IdentityLog, LogError, Periods, Point, RotateReason,
};
use edge_ledger_core::ids::EntryHash;
use edge_ledger_core::limits::{FORKS_MAX, STATEMENT_BYTES_MAX};
use proptest::prelude::*;

use crate::fixture::hands::{enrolment_key, recover, revoke_enrolment, rotate, set_recovery};
use crate::fixture::line::{Line, recover_fork};
use crate::fixture::tally::Tally;
use crate::fixture::{World, cases_of_part, device_id, key, rename, revoke, tip};

const ROOT: [&str; 1] = ["root:root"];

/// A log with an admin and two devices, and the same again: where both go on, they fork.
fn forking(world: &World) -> (Line, Line) {
    let mut line = Line::of(world, "admin");
    for name in ["phone", "tablet"] {
        assert_eq!(line.say(world, &["admin"], world.add(name, false)), Ok(()));
    }
    (line.clone(), line)
}

fn point(seq: u64) -> Point {
    let hash = EntryHash::from_bytes([seq as u8; 32]);
    Point { seq, hash }
}

fn cut_of(log: &IdentityLog, name: &str) -> Option<Vec<Point>> {
    Some(log.cut(&device_id(name))?.points().collect())
}

fn state_of(log: &IdentityLog, name: &str) -> Option<DeviceState> {
    log.device(&device_id(name)).map(|device| device.state)
}

fn said(line: &mut Line, world: &World, by: &[&str], act: Act) {
    assert_eq!(line.say(world, by, act), Ok(()));
}

/// Takes one branch over into the other by the root key.
fn healed(world: &World, one: &Line, other: &Line) -> Line {
    let mut healed = one.clone();
    let branch = other.leaving(one);
    said(&mut healed, world, &ROOT, recover_fork(branch));
    healed
}

#[test]
fn devices_of_both_branches_go_on() {
    let world = World::uncapped();
    let (mut one, mut other) = forking(&world);
    said(&mut one, &world, &["admin"], world.add("kiosk", false));
    said(&mut other, &world, &["admin"], world.add("worker", true));
    said(&mut other, &world, &["admin"], rename("phone", "mine"));
    let head = one.log.head();
    let healed = healed(&world, &one, &other);
    for name in ["admin", "phone", "tablet", "kiosk", "worker"] {
        assert_eq!(state_of(&healed.log, name), Some(DeviceState::Active));
    }
    let worker = healed.log.device(&device_id("worker")).expect("it entered");
    assert!(worker.admin);
    assert_eq!(worker.added_at, head.position + 1);
    let phone = healed.log.device(&device_id("phone")).expect("known");
    assert_eq!(phone.name, "the phone", "names are those of the log");
    // It is the next statement of its log like any other, and its keys are taken.
    assert_eq!(healed.log.hash_at(head.position), Some(head.hash));
    let again = world.judged(&healed.log, 0, &["admin"], world.add("worker", false));
    assert_eq!(again, Err(LogError::KeyReused));
    let mut healed = healed;
    said(&mut healed, &world, &["worker"], world.add("new", false));
}

#[test]
fn revocations_of_both_branches_hold() {
    let world = World::uncapped();
    let (mut one, mut other) = forking(&world);
    let by = (0, &["admin"][..]);
    let recorded = vec![tip("phone", point(3))];
    let act = revoke("phone", vec![]);
    assert_eq!(one.say_with(&world, by, act, recorded), Ok(()));
    let recorded = vec![tip("tablet", point(5))];
    let act = revoke("tablet", vec![tip("tablet", point(7))]);
    assert_eq!(other.say_with(&world, by, act, recorded), Ok(()));
    let both = [(&one, &other), (&other, &one)];
    for (ours, theirs) in both {
        let log = healed(&world, ours, theirs).log;
        for name in ["phone", "tablet"] {
            assert_eq!(state_of(&log, name), Some(DeviceState::Revoked));
        }
        assert_eq!(cut_of(&log, "phone"), Some(vec![point(3)]));
        assert_eq!(cut_of(&log, "tablet"), Some(vec![point(5), point(7)]));
    }
}

#[test]
fn what_either_branch_kept_of_an_ended_device_stays() {
    let world = World::uncapped();
    let (mut one, mut other) = forking(&world);
    for (line, seq) in [(&mut one, 3), (&mut other, 5)] {
        let by = (0, &["admin"][..]);
        let recorded = vec![tip("phone", point(seq))];
        let act = revoke("phone", vec![]);
        assert_eq!(line.say_with(&world, by, act, recorded), Ok(()));
    }
    let mut healed = healed(&world, &one, &other);
    let both = Some(vec![point(3), point(5)]);
    assert_eq!(cut_of(&healed.log, "phone"), both);
    // It was recorded, so no later statement takes it away.
    said(&mut healed, &world, &["admin"], revoke("phone", vec![]));
    assert_eq!(cut_of(&healed.log, "phone"), both);
}

/// A thief who gets himself a successor where his revocation was lost gains nothing by it.
#[test]
fn a_lineage_that_one_branch_revoked_ends_with_what_the_other_added_to_it() {
    let world = World::uncapped();
    let (mut one, mut other) = forking(&world);
    let replace = world.replace("phone", "thief", vec![tip("phone", point(9))]);
    said(&mut one, &world, &["phone", "thief"], replace);
    let act = revoke("phone", vec![]);
    let recorded = vec![tip("phone", point(2))];
    let by = (0, &["admin"][..]);
    assert_eq!(other.say_with(&world, by, act, recorded), Ok(()));
    for (ours, theirs) in [(&one, &other), (&other, &one)] {
        let log = healed(&world, ours, theirs).log;
        assert_eq!(state_of(&log, "thief"), Some(DeviceState::Revoked));
        assert_eq!(cut_of(&log, "thief"), Some(vec![]));
        assert_eq!(state_of(&log, "phone"), Some(DeviceState::Revoked));
    }
}

#[test]
fn a_replacement_of_the_other_branch_holds() {
    let world = World::uncapped();
    let (mut one, mut other) = forking(&world);
    said(&mut one, &world, &["admin"], rename("tablet", "x"));
    let replace = world.replace("admin", "heir", vec![tip("admin", point(4))]);
    said(&mut other, &world, &["admin", "heir"], replace);
    let mut healed = healed(&world, &one, &other);
    let by = device_id("heir");
    let replaced = Some(DeviceState::Replaced { by });
    assert_eq!(state_of(&healed.log, "admin"), replaced);
    assert_eq!(cut_of(&healed.log, "admin"), Some(vec![point(4)]));
    assert_eq!(healed.log.lineage(&by), Some(device_id("admin")));
    said(&mut healed, &world, &["heir"], rename("tablet", "y"));
}

#[test]
fn root_or_recovery_key_alone_and_nobody_beside() {
    let world = World::uncapped();
    let mut line = Line::of(&world, "admin");
    let words = ["root:root", "recovery:words"];
    said(&mut line, &world, &words, set_recovery("words"));
    let (mut one, mut other) = (line.clone(), line);
    said(&mut one, &world, &["admin"], rename("admin", "one"));
    said(&mut other, &world, &["admin"], rename("admin", "other"));
    let act = recover_fork(other.leaving(&one));
    for by in [&["root:root"][..], &["recovery:words"]] {
        assert_eq!(world.judged(&one.log, 0, by, act.clone()), Ok(()));
    }
    let refused = [
        &["admin"][..],
        &["root:next root"],
        &["recovery:root"],
        &["root:root", "root:rescue"],
        &["recovery:words", "admin"],
    ];
    for by in refused {
        let judged = world.judged(&one.log, 0, by, act.clone());
        assert_eq!(judged, Err(LogError::NotAllowed), "{by:?}");
    }
}

/// Who rotated in the other branch holds the identity; the old root, which may be stolen, does not.
#[test]
fn the_keys_of_the_branch_that_changed_them_hold() {
    let world = World::uncapped();
    let (mut one, mut other) = forking(&world);
    let token = enrolment_key("token", 3, 1_000);
    said(&mut one, &world, &["admin"], rename("admin", "one"));
    let rotation = rotate("next root", "third root", RotateReason::Compromised);
    said(&mut other, &world, &["root:next root"], rotation);
    said(&mut other, &world, &["admin", "enrolment:token"], token);
    let act = recover_fork(other.leaving(&one));
    let old = world.judged(&one.log, 0, &ROOT, act.clone());
    assert_eq!(old, Err(LogError::NotAllowed));
    let mut healed = one.clone();
    said(&mut healed, &world, &["root:next root"], act);
    let is_root = |log: &IdentityLog, name: &str| log.is_root(&key(name).public_key(), log.time());
    assert!(is_root(&healed.log, "next root"));
    // A token whose making was lost is ended: nobody counted its uses.
    let by_token = world.judged(&healed.log, 0, &["enrolment:token"], world.add("w", false));
    assert_eq!(by_token, Err(LogError::EnrolmentEnded));
    // The other way round the log's own word stands.
    let act = recover_fork(one.leaving(&other));
    said(&mut other, &world, &["root:next root"], act);
    assert!(is_root(&other.log, "next root"));
}

#[test]
fn where_both_changed_the_keys_those_of_the_log_stay() {
    let world = World::uncapped();
    let (mut one, mut other) = forking(&world);
    for (line, name) in [(&mut one, "ours"), (&mut other, "theirs")] {
        let by = ["root:root", &format!("recovery:{name}")];
        said(line, &world, &by, set_recovery(name));
    }
    let healed = healed(&world, &one, &other).log;
    let recovery = healed.recovery_key().map(|recovery| recovery.key);
    assert_eq!(recovery, Some(key("ours").public_key()));
    let by = ["root:root", "recovery:theirs"];
    let again = world.judged(&healed, 0, &by, set_recovery("theirs"));
    assert_eq!(again, Err(LogError::KeyReused));
}

#[test]
fn a_recovery_that_waits_in_the_other_branch_waits_on() {
    let world = World::waiting(Periods {
        probation_ms: 0,
        veto_ms: 5_000,
    });
    let (mut one, mut other) = forking(&world);
    said(&mut one, &world, &["admin"], rename("admin", "one"));
    let by = ["root:root", "root:rescue"];
    let asked = recover("rescue", "after rescue");
    said(&mut other, &world, &by, asked);
    let waits = other.log.recovery(other.log.time());
    assert!(waits.is_some());
    let healed = healed(&world, &one, &other).log;
    assert_eq!(healed.recovery(healed.time()), waits);
    let later = healed.time() + 5_000;
    assert!(healed.is_root(&key("rescue").public_key(), later));
}

#[test]
fn uses_of_a_token_add_up() {
    let world = World::uncapped();
    let mut line = Line::of(&world, "admin");
    let by = ["admin", "enrolment:token"];
    said(&mut line, &world, &by, enrolment_key("token", 3, 1_000));
    let by = ["enrolment:token"];
    said(&mut line, &world, &by, world.add("w1", false));
    let (mut one, mut other) = (line.clone(), line);
    said(&mut one, &world, &by, world.add("w2", false));
    said(&mut other, &world, &by, world.add("w3", false));
    let mut healed = healed(&world, &one, &other);
    let refused = world.judged(&healed.log, 0, &by, world.add("w4", false));
    assert_eq!(refused, Err(LogError::EnrolmentEnded));
    assert_eq!(state_of(&healed.log, "w3"), Some(DeviceState::Active));
    said(&mut one, &world, &["admin"], revoke_enrolment("token"));
    let token = key("token").public_key().device_id();
    healed = self::healed(&world, &other, &one);
    assert!(healed.log.enrolment(&token).is_some_and(|e| e.ended));
}

#[test]
fn whoever_has_the_branch_may_go_on_with_the_log_that_took_it_over() {
    let world = World::uncapped();
    let (mut one, mut other) = forking(&world);
    said(&mut one, &world, &["admin"], rename("admin", "one"));
    let common = one.log.head().position - 1;
    let mut heads = Vec::new();
    for name in ["a", "b"] {
        said(&mut other, &world, &["admin"], rename("admin", name));
        heads.push(other.log.head());
    }
    let mut healed = healed(&world, &one, &other);
    assert!(heads.iter().all(|head| healed.log.has_abandoned(*head)));
    assert!(!healed.log.has_abandoned(one.log.head()), "it has that one");
    // Somebody has more of it: that is named by itself, and repeats the rest.
    said(&mut other, &world, &["admin"], revoke("phone", vec![]));
    assert!(!healed.log.has_abandoned(other.log.head()));
    let branch = other.leaving(&healed);
    assert_eq!(branch.position(), common + 1);
    said(&mut healed, &world, &ROOT, recover_fork(branch));
    assert!(healed.log.has_abandoned(other.log.head()));
    assert_eq!(state_of(&healed.log, "phone"), Some(DeviceState::Revoked));
}

/// A store that is put back twice: the branch that is lost then has taken over one itself.
#[test]
fn a_branch_may_have_taken_over_another() {
    let world = World::uncapped();
    let (mut one, mut other) = forking(&world);
    said(&mut one, &world, &["admin"], rename("admin", "one"));
    said(&mut other, &world, &["admin"], revoke("phone", vec![]));
    let (mut first, mut second) = (healed(&world, &one, &other), one.clone());
    said(&mut first, &world, &["admin"], world.add("kiosk", false));
    said(&mut second, &world, &["admin"], rename("admin", "two"));
    let healed = healed(&world, &second, &first).log;
    assert_eq!(state_of(&healed, "phone"), Some(DeviceState::Revoked));
    assert_eq!(state_of(&healed, "kiosk"), Some(DeviceState::Active));
    assert!(healed.has_abandoned(other.log.head()) && healed.has_abandoned(first.log.head()));
}

#[test]
fn it_is_said_only_so_often() {
    let world = World::uncapped();
    let (mut one, other) = forking(&world);
    said(&mut one, &world, &["admin"], rename("admin", "one"));
    for number in 0..=FORKS_MAX {
        let mut other = other.clone();
        let act = rename("admin", &format!("other {number}"));
        said(&mut other, &world, &["admin"], act);
        let said = one.say(&world, &ROOT, recover_fork(other.leaving(&one)));
        let limit = Err(LogError::StatementLimit);
        assert_eq!(said, if number < FORKS_MAX { Ok(()) } else { limit });
    }
}

/// Whatever is not the service's word, or no other word, is no branch; and the log is as it was.
#[test]
fn a_branch_proves_itself() {
    let world = World::uncapped();
    let (mut one, mut other) = forking(&world);
    said(&mut one, &world, &["admin"], rename("admin", "one"));
    said(&mut other, &world, &["admin"], rename("admin", "other"));
    said(&mut other, &world, &["admin"], revoke("phone", vec![]));
    let good = other.leaving(&one);
    let stranger = World::named(
        "another deployment",
        edge_ledger_core::identity::CreditPolicy::Issued,
    );
    let mut foreign = Line::of(&stranger, "admin");
    said(&mut foreign, &stranger, &["admin"], rename("admin", "x"));
    let with = |change: &dyn Fn(&mut Vec<ReceiptParts>)| {
        let mut statements = good.statements().to_vec();
        change(&mut statements);
        Branch::new(statements)
    };
    let bad = [
        ("no fork", Branch::new(one.told[3..].to_vec())),
        ("from too early on", Branch::new(other.told[2..].to_vec())),
        ("what comes after", with(&|all| drop(all.remove(0)))),
        ("out of order", with(&|all| all.reverse())),
        ("with a repetition", with(&|all| all.push(all[1].clone()))),
        ("unsigned", with(&|all| all[1].signature = all[0].signature)),
        (
            "by no service",
            with(&|all| all[0].certificate_signature = all[0].signature),
        ),
        (
            "another statement",
            with(&|all| all[1].statement = all[0].statement.clone()),
        ),
        (
            "another time",
            with(&|all| all[0].body = all[1].body.clone()),
        ),
        ("foreign", Branch::new(foreign.told[1..].to_vec())),
    ];
    for (what, branch) in bad {
        let before = one.log.head();
        let said = one.say(&world, &ROOT, recover_fork(branch));
        assert_eq!(said, Err(LogError::NoBranch), "{what}");
        assert_eq!(one.log.head(), before);
    }
    said(&mut one, &world, &ROOT, recover_fork(good));
}

#[test]
fn its_form_is_one() {
    let world = World::uncapped();
    let (mut one, mut other) = forking(&world);
    said(&mut one, &world, &["admin"], rename("admin", "one"));
    let length = |line: &Line| line.told.iter().map(|p| p.statement.len()).sum::<usize>();
    while length(&other) < STATEMENT_BYTES_MAX {
        let name = format!("device {}", other.told.len());
        said(&mut other, &world, &ROOT, world.add(&name, false));
        said(&mut other, &world, &ROOT, revoke(&name, vec![]));
    }
    let short = Branch::new(other.leaving(&one).statements()[..3].to_vec());
    let statement = world.signed(&one.log, recover_fork(short.clone()), &ROOT);
    let decoded =
        edge_ledger_core::identity::Statement::decode(world.ledger_id(), statement.bytes().clone());
    assert_eq!(
        decoded.map(|s| s.body().act.clone()),
        Ok(recover_fork(short))
    );
    let long = world.form_of(&one.log, recover_fork(other.leaving(&one)));
    assert_eq!(long, Err(FormatError::Field("the size of a statement")));
    let none = world.form_of(&one.log, recover_fork(Branch::new(Vec::new())));
    assert!(none.is_err(), "it brings neither keys nor a branch");
}

#[derive(Debug, Clone, Copy)]
struct Step {
    what: u8,
    device: usize,
    seq: u8,
}

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..6u8, 0..NAMES.len(), 1..9u8);
    let step = step.prop_map(|(what, device, seq)| Step { what, device, seq });
    proptest::collection::vec(step, 1..10)
}

/// Says what can be said; `side` tells devices of two branches apart.
fn walk(world: &World, line: &mut Line, steps: &[Step], side: &str) {
    for step in steps {
        let name = NAMES[step.device];
        let new = format!("{name}{side}");
        let by_root = (0, &ROOT[..]);
        let kept = vec![tip(name, point(u64::from(step.seq)))];
        let _ = match step.what {
            0 => line.say(world, &ROOT, world.add(name, step.seq > 4)),
            1 => line.say(world, &ROOT, world.add(&new, false)),
            2 => line.say(world, &ROOT, world.add_in_place_of(&new, name, false)),
            3 => line.say_with(world, by_root, revoke(name, vec![]), kept),
            4 => {
                let replace = world.replace(name, &new, kept);
                line.say(world, &[name, &new], replace)
            }
            _ => line.say(world, &ROOT, rename(name, &new)),
        };
    }
}

/// Whichever branch goes on: the same devices, the same ends, the same cuts, and nothing that one
/// of them ended goes on.
#[test]
fn both_branches_give_the_same_devices_whichever_goes_on() {
    static TALLY: Tally = Tally::new(&["forked", "ended in both", "ended in one", "entered"]);
    let world = World::uncapped();
    let opened = Line::of(&world, "admin");
    proptest!(cases_of_part(10), |(common in steps(), ours in steps(), theirs in steps())| {
        let mut one = opened.clone();
        walk(&world, &mut one, &common, "0");
        let mut other = one.clone();
        walk(&world, &mut one, &ours, "1");
        walk(&world, &mut other, &theirs, "2");
        let Some(branch) = Branch::leaving(&one.log, &other.told) else {
            return Ok(());
        };
        TALLY.count("forked");
        let back = one.leaving(&other);
        let view = one.log.joined(&branch).expect("it is a branch");
        let mirrored = other.log.joined(&back).expect("it is one, too");
        prop_assert_eq!(view.head(), one.log.head());
        let ids: BTreeSet<_> = view.devices().map(|(id, _)| *id).collect();
        prop_assert_eq!(&ids, &mirrored.devices().map(|(id, _)| *id).collect());
        for id in &ids {
            let (here, there) = (one.log.device(id), other.log.device(id));
            let (device, same) = (view.device(id).unwrap(), mirrored.device(id).unwrap());
            prop_assert_eq!(&device.cut, &same.cut);
            prop_assert_eq!(device.state == DeviceState::Active, same.state == DeviceState::Active);
            prop_assert_eq!(device.state == DeviceState::Revoked, same.state == DeviceState::Revoked);
            let known = here.into_iter().chain(there);
            let cuts: Vec<_> = known.clone().filter_map(|d| d.cut.as_ref()).collect();
            for cut in &cuts {
                let kept = device.cut.as_ref().expect("what was ended is ended");
                prop_assert!(cut.points().all(|point| kept.names(&point)));
            }
            let points = cuts.iter().flat_map(|cut| cut.points()).collect::<BTreeSet<_>>();
            let kept = device.cut.as_ref().map(|cut| cut.points().collect::<BTreeSet<_>>());
            prop_assert_eq!(kept.unwrap_or_default(), points, "nothing that neither kept");
            if known.clone().any(|d| d.state == DeviceState::Revoked) {
                prop_assert_eq!(device.state, DeviceState::Revoked);
            }
            TALLY.count_if(cuts.len() == 2, "ended in both");
            TALLY.count_if(cuts.len() == 1 && known.count() == 2, "ended in one");
            TALLY.count_if(here.is_none(), "entered");
        }
        // What the statement does is what was shown before, and it is the same for who replays.
        let healed = healed(&world, &one, &other).log;
        for (id, device) in view.devices() {
            prop_assert_eq!(healed.device(id), Some(device));
        }
        let records = healed.records_after(0).to_vec();
        let again = IdentityLog::replay(world.genesis.clone(), world.identity(), records);
        let again = again.expect("it was said");
        prop_assert_eq!(again.head(), healed.head());
        prop_assert!(again.devices().eq(healed.devices()));
        prop_assert!(again.has_abandoned(other.log.head()));
    });
    TALLY.require(100);
}
