//! What a statement must say to be the next, and what it does.

use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{
    Act, CreditPolicy, DeviceState, FormatError, IdentityLog, LogError, Statement, StatementBody,
};
use edge_ledger_core::ids::LogHash;
use edge_ledger_core::limits::{
    DEVICES_ACTIVE_BY_ROOT, DEVICES_ACTIVE_MAX, DEVICES_BY_ROOT_MIN, DEVICES_EVER_MAX,
    HEADS_TIPS_MAX, JOURNAL_TIPS_MAX, RECEIPT_TIPS_MAX, RENAMES_PER_DEVICE_MAX,
    REVOKES_PER_LINEAGE_MAX, STATEMENT_DEVICE_TIPS_MAX, STATEMENT_TIPS_MAX,
};

use crate::fixture::{SERVICE_TIME_MS, World, device_id, key, record, rename, revoke};

fn by_admin(world: &World, log: &mut IdentityLog, act: Act) -> Result<(), LogError> {
    world.say(log, act, &[SigningAs::Device(&key("admin"))])
}

fn replaced(world: &World, log: &mut IdentityLog, old: &str, new: &str) -> Result<(), LogError> {
    let (old_key, new_key) = (key(old), key(new));
    world.say(
        log,
        world.replace(old, new, Vec::new()),
        &[SigningAs::Device(&old_key), SigningAs::Device(&new_key)],
    )
}

fn state(log: &IdentityLog, name: &str) -> DeviceState {
    log.device(&device_id(name)).expect("in the log").state
}

fn is_admin(log: &IdentityLog, name: &str) -> bool {
    log.device(&device_id(name)).expect("in the log").admin
}

#[test]
fn a_statement_follows_the_head_or_conflicts() {
    let world = World::uncapped();
    let log = world.log_with("admin", &["phone"]);
    let head = log.head();
    let sign = |position, expected_head| {
        let body = StatementBody {
            identity: world.identity(),
            position,
            expected_head,
            act: rename("phone", "mine"),
        };
        let keys = [SigningAs::Root(&world.root)];
        Statement::sign(world.ledger_id(), &body, &keys).expect("within its limits")
    };
    assert_eq!(
        log.check(&sign(head.position + 1, head.hash), SERVICE_TIME_MS),
        Ok(())
    );
    let below = log.hash_at(head.position - 1).expect("in the log");
    for (position, expected_head) in [
        (head.position, below),
        (head.position, head.hash),
        (head.position + 1, below),
        (head.position + 1, LogHash::ZERO),
        (head.position + 2, head.hash),
        (1, LogHash::ZERO),
        (u64::MAX, head.hash),
    ] {
        assert_eq!(
            log.check(&sign(position, expected_head), SERVICE_TIME_MS),
            Err(LogError::Conflict),
            "{position}"
        );
    }
}

#[test]
fn incept_comes_first_and_only_first() {
    let world = World::uncapped();
    let opened = world.log_of("admin");
    let as_root = [SigningAs::Root(&world.root)];
    let wrong_act = Err(LogError::Format(FormatError::Field(
        "the act at this position",
    )));
    let second = world.sign(&opened, world.incept("other"), &as_root);
    assert_eq!(opened.check(&second, SERVICE_TIME_MS), wrong_act);
    let empty = world.empty_log();
    let not_first = world.sign(&empty, world.add("admin", true), &as_root);
    assert_eq!(empty.check(&not_first, SERVICE_TIME_MS), wrong_act);
}

#[test]
fn the_first_device_takes_nobodys_place() {
    let world = World::uncapped();
    let log = world.empty_log();
    let Act::Incept {
        next_root_hash,
        genesis,
        ..
    } = world.incept("admin")
    else {
        unreachable!("incept makes an Incept")
    };
    let act = Act::Incept {
        next_root_hash,
        genesis,
        certificate: world.certificate("admin", Some(device_id("nobody"))),
    };
    let statement = world.sign(&log, act, &[SigningAs::Root(&world.root)]);
    assert_eq!(
        log.check(&statement, SERVICE_TIME_MS),
        Err(FormatError::Field("the replaced device").into())
    );
}

#[test]
fn a_genesis_of_another_deployment_is_foreign() {
    let world = World::uncapped();
    let other = World::new(CreditPolicy::Issued);
    assert_ne!(world.ledger_id(), other.ledger_id());
    let Act::Incept {
        next_root_hash,
        certificate,
        ..
    } = world.incept("admin")
    else {
        unreachable!("incept makes an Incept")
    };
    let body = StatementBody {
        identity: world.identity(),
        position: 1,
        expected_head: LogHash::ZERO,
        act: Act::Incept {
            next_root_hash,
            genesis: Box::new(other.genesis.clone()),
            certificate,
        },
    };
    assert_eq!(
        Statement::sign(world.ledger_id(), &body, &[SigningAs::Root(&world.root)]),
        Err(FormatError::Foreign("the genesis of a statement"))
    );
    // A whole statement of the other deployment: its certificate is not even signed for this one.
    let theirs = other.sign(
        &other.empty_log(),
        other.incept("admin"),
        &[SigningAs::Root(&other.root)],
    );
    assert!(Statement::decode(world.ledger_id(), theirs.bytes().clone()).is_err());
}

#[test]
fn a_statement_or_certificate_of_another_identity_is_foreign() {
    let world = World::uncapped();
    let mut other = World::uncapped();
    other.root = key("another root");
    let log = world.log_of("admin");
    let admin = key("admin");
    let by_admin = [SigningAs::Device(&admin)];
    let theirs = other.sign(&log, rename("admin", "mine"), &by_admin);
    assert_eq!(
        log.check(&theirs, SERVICE_TIME_MS),
        Err(FormatError::Foreign("the statement").into())
    );
    let certificate = world.sign(&log, other.add("phone", false), &by_admin);
    assert_eq!(
        log.check(&certificate, SERVICE_TIME_MS),
        Err(FormatError::Foreign("the certificate").into())
    );
}

#[test]
fn unknown_and_ended_devices_cannot_be_named() {
    let world = World::uncapped();
    let mut log = world.log_with("admin", &["phone", "old"]);
    replaced(&world, &mut log, "old", "new").expect("can be replaced");
    by_admin(&world, &mut log, revoke("phone", Vec::new())).expect("can be revoked");
    for (act, expected) in [
        (revoke("stranger", Vec::new()), LogError::UnknownDevice),
        (rename("stranger", "x"), LogError::UnknownDevice),
        (
            world.add_in_place_of("laptop", "stranger", false),
            LogError::UnknownDevice,
        ),
        (
            world.add_in_place_of("laptop", "laptop", false),
            LogError::UnknownDevice,
        ),
        (rename("phone", "x"), LogError::DeviceEnded),
        (rename("old", "x"), LogError::DeviceEnded),
        (
            world.add_in_place_of("laptop", "phone", false),
            LogError::DeviceEnded,
        ),
    ] {
        assert_eq!(by_admin(&world, &mut log, act), Err(expected));
    }
}

#[test]
fn a_key_enters_a_log_once() {
    let world = World::uncapped();
    let mut log = world.log_with("admin", &["phone", "old"]);
    by_admin(&world, &mut log, revoke("phone", Vec::new())).expect("can be revoked");
    for act in [
        world.add("admin", false),
        world.add("phone", false),
        world.add("old", false),
        world.add("root", false),
        world.add_in_place_of("phone", "old", false),
        world.add_in_place_of("root", "old", false),
    ] {
        assert_eq!(by_admin(&world, &mut log, act), Err(LogError::KeyReused));
    }
    for new in ["phone", "admin", "root"] {
        assert_eq!(
            replaced(&world, &mut log, "old", new),
            Err(LogError::KeyReused)
        );
    }
}

#[test]
fn the_last_admin_stays() {
    let world = World::uncapped();
    let mut log = world.log_with("admin", &["phone"]);
    let last = revoke("admin", Vec::new());
    let as_root = [SigningAs::Root(&world.root)];
    assert_eq!(
        by_admin(&world, &mut log, last.clone()),
        Err(LogError::LastAdmin)
    );
    assert_eq!(
        world.say(&mut log, last.clone(), &as_root),
        Err(LogError::LastAdmin)
    );
    by_admin(&world, &mut log, world.add("second", true)).expect("can be added");
    by_admin(&world, &mut log, last).expect("another admin remains");
    assert_eq!(state(&log, "admin"), DeviceState::Revoked);
    let second = key("second");
    let retires = revoke("second", Vec::new());
    assert_eq!(
        world.say(&mut log, retires, &[SigningAs::Device(&second)]),
        Err(LogError::LastAdmin)
    );
    let phone = key("phone");
    world
        .say(
            &mut log,
            revoke("phone", Vec::new()),
            &[SigningAs::Device(&phone)],
        )
        .expect("a plain device can retire");
}

#[test]
fn the_last_admin_can_be_replaced_and_its_rights_move() {
    let world = World::uncapped();
    let mut log = world.log_of("admin");
    replaced(&world, &mut log, "admin", "admin 2").expect("can be replaced");
    assert!(is_admin(&log, "admin 2"));
    assert_eq!(
        by_admin(&world, &mut log, world.add("phone", false)),
        Err(LogError::DeviceEnded)
    );
    let second = key("admin 2");
    let by_second = [SigningAs::Device(&second)];
    world
        .say(
            &mut log,
            world.add_in_place_of("admin 3", "admin 2", false),
            &by_second,
        )
        .expect("an admin can link its successor");
    assert!(is_admin(&log, "admin 3"));
    let third = key("admin 3");
    let by_third = [SigningAs::Device(&third)];
    world
        .say(&mut log, world.add("phone", false), &by_third)
        .expect("the rights moved along");
    for name in ["admin", "admin 2", "admin 3"] {
        assert_eq!(log.lineage(&device_id(name)), Some(device_id("admin")));
    }
    let last = world.say(&mut log, revoke("admin", Vec::new()), &by_third);
    assert_eq!(last, Err(LogError::LastAdmin), "its lineage is the last");
    assert!(!is_admin(&log, "phone"));
}

/// Two clones of one device (design §4.5): the first repairs itself, the second needs a person.
#[test]
fn a_second_replacement_is_linked_by_a_person_and_joins_the_lineage() {
    let world = World::uncapped();
    let mut log = world.log_with("admin", &["phone"]);
    replaced(&world, &mut log, "phone", "clone 1").expect("the first repairs itself");
    assert_eq!(
        replaced(&world, &mut log, "phone", "clone 2"),
        Err(LogError::DeviceEnded),
        "once per device"
    );
    let link = world.add_in_place_of("clone 2", "phone", false);
    by_admin(&world, &mut log, link).expect("the second is linked");
    for name in ["phone", "clone 1", "clone 2"] {
        assert_eq!(log.lineage(&device_id(name)), Some(device_id("phone")));
    }
    assert_eq!(state(&log, "clone 1"), DeviceState::Active);
    assert_eq!(state(&log, "clone 2"), DeviceState::Active);
    assert!(matches!(state(&log, "phone"), DeviceState::Replaced { .. }));
    by_admin(&world, &mut log, revoke("clone 1", Vec::new())).expect("can be revoked");
    for name in ["phone", "clone 1", "clone 2"] {
        assert_eq!(state(&log, name), DeviceState::Revoked, "a whole lineage");
    }
}

#[test]
fn rights_that_moved_on_do_not_move_twice() {
    let world = World::uncapped();
    let mut log = world.log_of("admin");
    by_admin(&world, &mut log, world.add("second", true)).expect("can be added");
    replaced(&world, &mut log, "second", "clone 1").expect("can be replaced");
    assert!(is_admin(&log, "clone 1"));
    let link = world.add_in_place_of("clone 2", "second", false);
    by_admin(&world, &mut log, link).expect("can be linked");
    assert!(!is_admin(&log, "clone 2"), "nobody said so");
    let link = world.add_in_place_of("clone 3", "second", true);
    by_admin(&world, &mut log, link).expect("can be linked");
    assert!(is_admin(&log, "clone 3"), "the admin who links it says so");
}

fn numbered(number: usize) -> String {
    format!("device {number}")
}

#[test]
fn at_most_16_devices_are_active() {
    let world = World::uncapped();
    let mut log = world.log_of("admin");
    for number in 1..DEVICES_ACTIVE_MAX {
        by_admin(&world, &mut log, world.add(&numbered(number), false)).expect("up to 16");
    }
    let one_more = |log: &mut IdentityLog| by_admin(&world, log, world.add("one more", false));
    assert_eq!(one_more(&mut log), Err(LogError::DeviceLimit));
    replaced(&world, &mut log, "device 1", "device 1'").expect("16 stay 16");
    by_admin(
        &world,
        &mut log,
        world.add_in_place_of("device 2'", "device 2", false),
    )
    .expect("16 stay 16");
    assert_eq!(
        by_admin(
            &world,
            &mut log,
            world.add_in_place_of("device 1''", "device 1", false)
        ),
        Err(LogError::DeviceLimit),
        "device 1 was not active, so this would be the 17th"
    );
    assert_eq!(one_more(&mut log), Err(LogError::DeviceLimit));
    by_admin(&world, &mut log, revoke("device 3", Vec::new())).expect("can be revoked");
    one_more(&mut log).expect("16 again");
    let active = log
        .devices()
        .filter(|(_, d)| d.state == DeviceState::Active)
        .count();
    assert_eq!(active, DEVICES_ACTIVE_MAX);
}

/// Whoever fills all places, and fills each anew that is freed, does not shut out the owner.
#[test]
fn the_root_adds_devices_to_an_identity_that_others_have_filled() {
    let world = World::uncapped();
    let mut log = world.log_of("admin");
    for number in 1..DEVICES_ACTIVE_MAX {
        by_admin(&world, &mut log, world.add(&numbered(number), false)).expect("up to 16");
    }
    let as_root = [SigningAs::Root(&world.root)];
    let most = DEVICES_ACTIVE_MAX + DEVICES_ACTIVE_BY_ROOT;
    for number in DEVICES_ACTIVE_MAX..most {
        let add = world.add(&numbered(number), true);
        world.say(&mut log, add, &as_root).expect("up to 20");
    }
    let full = Err(LogError::DeviceLimit);
    let add = || world.add("one more", true);
    assert_eq!(world.say(&mut log, add(), &as_root), full);
    // A place that the root makes is its own.
    for number in 1..=DEVICES_ACTIVE_BY_ROOT {
        let end = revoke(&numbered(number), Vec::new());
        world.say(&mut log, end, &as_root).expect("can be revoked");
        assert_eq!(by_admin(&world, &mut log, add()), full);
    }
    world.say(&mut log, add(), &as_root).expect("there is room");
}

#[test]
fn at_most_256_devices_ever_enter_of_which_the_root_adds_the_last() {
    let world = World::uncapped();
    let mut log = world.log_of("admin");
    by_admin(&world, &mut log, world.add("phone", false)).expect("can be added");
    let by_others = DEVICES_EVER_MAX - DEVICES_BY_ROOT_MIN;
    for number in 2..by_others {
        let name = numbered(number);
        by_admin(&world, &mut log, world.add(&name, false)).expect("up to 240");
        by_admin(&world, &mut log, revoke(&name, Vec::new())).expect("can be revoked");
    }
    assert_eq!(log.devices().count(), by_others);
    assert_eq!(
        by_admin(&world, &mut log, world.add("one more", false)),
        Err(LogError::DeviceLimit)
    );
    assert_eq!(
        replaced(&world, &mut log, "phone", "one more"),
        Err(LogError::DeviceLimit)
    );
    let as_root = [SigningAs::Root(&world.root)];
    for number in by_others..DEVICES_EVER_MAX {
        let name = numbered(number);
        world
            .say(&mut log, world.add(&name, false), &as_root)
            .expect("up to 256");
        by_admin(&world, &mut log, revoke(&name, Vec::new())).expect("can be revoked");
    }
    assert_eq!(log.devices().count(), DEVICES_EVER_MAX);
    assert_eq!(
        world.say(&mut log, world.add("one more", false), &as_root),
        Err(LogError::DeviceLimit)
    );
    assert_eq!(
        replaced(&world, &mut log, "phone", "one more"),
        Err(LogError::DeviceLimit)
    );
}

#[test]
fn replay_gives_the_same_log_and_finds_places_in_it() {
    let world = World::uncapped();
    let mut log = world.log_with("admin", &["phone"]);
    by_admin(&world, &mut log, rename("phone", "mine")).expect("can be renamed");
    assert_eq!(log.device(&device_id("phone")).expect("there").name, "mine");
    let records = log.records_after(0).to_vec();
    let replayed = IdentityLog::replay(world.genesis.clone(), world.identity(), records.clone())
        .expect("it was a log before");
    assert_eq!(replayed.head(), log.head());
    assert!(replayed.devices().eq(log.devices()));
    assert_eq!(log.hash_at(0), Some(LogHash::ZERO));
    assert_eq!(log.hash_at(log.head().position), Some(log.head().hash));
    assert_eq!(log.hash_at(log.head().position + 1), None);
    assert_eq!(log.hash_at(u64::MAX), None);
    assert_eq!(log.records_after(1), &records[1..]);
    assert!(log.records_after(u64::MAX).is_empty());
    let shuffled = [records[0].clone(), records[2].clone()];
    assert_eq!(
        IdentityLog::replay(world.genesis.clone(), world.identity(), shuffled).map(|_| ()),
        Err(LogError::Conflict)
    );
    let twice = log.apply(record(records[2].statement.clone(), Vec::new()));
    assert_eq!(twice, Err(LogError::Conflict));
}

/// The number of statements is bounded, and no act uses up the place of another.
#[test]
fn renamings_and_revocations_are_bounded_each_by_itself() {
    let world = World::uncapped();
    let mut log = world.log_with("admin", &["phone", "tablet"]);
    let phone = key("phone");
    let by_phone = [SigningAs::Device(&phone)];
    for number in 0..RENAMES_PER_DEVICE_MAX {
        let act = rename("phone", &format!("name {number}"));
        world.say(&mut log, act, &by_phone).expect("may be renamed");
    }
    let once_more = rename("phone", "one more");
    let refused = world.say(&mut log, once_more.clone(), &by_phone);
    assert_eq!(refused, Err(LogError::StatementLimit));
    let refused = by_admin(&world, &mut log, once_more);
    assert_eq!(refused, Err(LogError::StatementLimit), "whoever says it");
    by_admin(&world, &mut log, rename("tablet", "desk")).expect("another device");

    for _ in 0..REVOKES_PER_LINEAGE_MAX {
        by_admin(&world, &mut log, revoke("phone", Vec::new())).expect("may be revoked");
    }
    let before = log.head();
    let refused = by_admin(&world, &mut log, revoke("phone", Vec::new()));
    assert_eq!(refused, Err(LogError::StatementLimit));
    assert_eq!(log.head(), before);
    by_admin(&world, &mut log, revoke("tablet", Vec::new())).expect("another lineage");
}

/// Whoever replaces a device by another again and again, naming all that it may, must not make the
/// receipt of the revocation too long to be read.
#[test]
fn the_longest_lineage_can_be_revoked() {
    let per_device = 2 * JOURNAL_TIPS_MAX;
    assert!(DEVICES_EVER_MAX * per_device <= RECEIPT_TIPS_MAX);
    let again = (REVOKES_PER_LINEAGE_MAX - 1) * STATEMENT_TIPS_MAX;
    assert!(DEVICES_EVER_MAX * per_device + again <= RECEIPT_TIPS_MAX);
    let named = REVOKES_PER_LINEAGE_MAX * STATEMENT_DEVICE_TIPS_MAX;
    assert!(DEVICES_EVER_MAX * (per_device + named) <= HEADS_TIPS_MAX);
}
