//! Enrolment keys: what they add, and when they end.

use edge_ledger_core::identity::{Act, FormatError, IdentityLog, LogError, RotateReason};
use edge_ledger_core::limits::{
    ENROLMENT_KEYS_PER_SIGNER_MAX, ENROLMENT_LIFE_MS_MAX, ENROLMENT_USES_MAX,
};

use crate::fixture::hands::{enrolment_key, revoke_enrolment, rotate, set_recovery};
use crate::fixture::{SERVICE_TIME_MS, World, device_id, revoke};

/// A log with an admin, a second one, and one enrolment key of the first.
fn with_token(world: &World, uses: u32) -> IdentityLog {
    let mut log = world.log_of("admin");
    let mut say = |names: &[&str], act| {
        world.told(&mut log, 0, names, act).expect("it is allowed");
    };
    say(&["admin"], world.add("second", true));
    let act = enrolment_key("token", uses, 1_000);
    say(&["admin", "enrolment:token"], act);
    log
}

fn enrol(world: &World, log: &mut IdentityLog, after_ms: i64, name: &str) -> Result<(), LogError> {
    let by = ["enrolment:token"];
    world.told(log, after_ms, &by, world.add(name, false))
}

#[test]
fn it_adds_as_many_devices_as_it_may() {
    let world = World::uncapped();
    let mut log = with_token(&world, 2);
    let token = device_id("token");
    assert_eq!(enrol(&world, &mut log, 1, "one"), Ok(()));
    assert!(
        log.enrolment(&token)
            .expect("there")
            .is_open(SERVICE_TIME_MS)
    );
    assert_eq!(enrol(&world, &mut log, 2, "two"), Ok(()));
    let refused = enrol(&world, &mut log, 3, "three");
    assert_eq!(refused, Err(LogError::EnrolmentEnded));
    let record = log.enrolment(&token).expect("there");
    assert_eq!((record.used, record.uses, record.ended), (2, 2, false));
    assert!(!record.is_open(SERVICE_TIME_MS));
    assert_eq!(record.name, "the token");
    let one = log.device(&device_id("one")).expect("there");
    assert!(!one.admin);
    assert_eq!(one.lineage, device_id("one"));
    assert_eq!(log.enrolments().count(), 1);
}

#[test]
fn it_adds_devices_until_it_expires_by_the_time_of_the_log() {
    let world = World::uncapped();
    let log = with_token(&world, 5);
    let judge = |after_ms| {
        let by = ["enrolment:token"];
        world.judged(&log, after_ms, &by, world.add("one", false))
    };
    assert_eq!(judge(1_000), Ok(()));
    assert_eq!(judge(1_001), Err(LogError::EnrolmentEnded));
}

#[test]
fn it_is_ended_by_any_admin_and_once() {
    let world = World::uncapped();
    let mut log = with_token(&world, 5);
    assert_eq!(enrol(&world, &mut log, 0, "one"), Ok(()));
    let end = |log: &mut IdentityLog, name| world.told(log, 0, &["second"], revoke_enrolment(name));
    assert_eq!(end(&mut log, "token"), Ok(()));
    let refused = enrol(&world, &mut log, 0, "two");
    assert_eq!(refused, Err(LogError::EnrolmentEnded));
    assert_eq!(end(&mut log, "token"), Err(LogError::EnrolmentEnded));
    assert_eq!(end(&mut log, "stranger"), Err(LogError::UnknownEnrolment));
    assert_eq!(end(&mut log, "one"), Err(LogError::UnknownEnrolment));
    assert!(
        log.device(&device_id("one")).is_some(),
        "what it added stays"
    );
}

/// Whoever held a device that was cut off adds no more devices by the keys that it left behind.
#[test]
fn it_ends_with_the_lineage_that_made_it() {
    let world = World::uncapped();
    let mut log = with_token(&world, 5);
    let replace = world.replace("admin", "admin 2", Vec::new());
    let by = ["admin", "admin 2"];
    assert_eq!(world.told(&mut log, 0, &by, replace), Ok(()));
    assert_eq!(
        enrol(&world, &mut log, 0, "one"),
        Ok(()),
        "the lineage goes on"
    );
    let cut_off = revoke("admin 2", Vec::new());
    assert_eq!(world.told(&mut log, 0, &["second"], cut_off), Ok(()));
    let refused = enrol(&world, &mut log, 0, "two");
    assert_eq!(refused, Err(LogError::EnrolmentEnded));
}

#[test]
fn it_ends_with_the_root_that_made_it_if_that_was_compromised() {
    for (reason, expected) in [
        (RotateReason::Routine, Ok(())),
        (RotateReason::Compromised, Err(LogError::EnrolmentEnded)),
    ] {
        let world = World::uncapped();
        let mut log = world.log_of("admin");
        let act = enrolment_key("token", 1, 1_000);
        let by = ["root:root", "enrolment:token"];
        assert_eq!(world.told(&mut log, 0, &by, act), Ok(()));
        let rotation = rotate("next root", "third root", reason);
        let said = world.told(&mut log, 0, &["root:next root"], rotation);
        assert_eq!(said, Ok(()));
        assert_eq!(enrol(&world, &mut log, 0, "one"), expected, "{reason:?}");
    }
}

#[test]
fn its_key_has_no_other_role_and_enters_once() {
    let world = World::uncapped();
    let mut log = with_token(&world, 5);
    let again = enrolment_key("token", 1, 1_000);
    let by = ["admin", "enrolment:token"];
    assert_eq!(
        world.told(&mut log, 0, &by, again),
        Err(LogError::KeyReused)
    );
    for name in ["root", "next root", "admin"] {
        let by = ["admin", &format!("enrolment:{name}")];
        let said = world.told(&mut log, 0, &by, enrolment_key(name, 1, 1_000));
        assert_eq!(said, Err(LogError::KeyReused), "{name}");
    }
    let device = world.told(&mut log, 0, &["admin"], world.add("token", false));
    assert_eq!(device, Err(LogError::KeyReused));
    let by = ["root:root", "recovery:token"];
    let recovery = world.told(&mut log, 0, &by, set_recovery("token"));
    assert_eq!(recovery, Err(LogError::KeyReused));
    let rotation = rotate("next root", "token", RotateReason::Routine);
    let root = world.told(&mut log, 0, &["root:next root"], rotation);
    assert_eq!(root, Err(LogError::KeyReused));
}

#[test]
fn its_life_and_its_uses_have_limits() {
    let world = World::uncapped();
    let log = world.log_of("admin");
    let by = ["admin", "enrolment:token"];
    let lasting = |life_ms: i64| {
        let act = enrolment_key("token", ENROLMENT_USES_MAX, 10 + life_ms);
        world.judged(&log, 10, &by, act)
    };
    let longest = ENROLMENT_LIFE_MS_MAX as i64;
    assert_eq!(lasting(-1), Err(LogError::EnrolmentEnded));
    assert_eq!((lasting(0), lasting(longest)), (Ok(()), Ok(())));
    let refused = Err(FormatError::Field("the life of an enrolment key").into());
    assert_eq!(lasting(longest + 1), refused);
    let act = |uses, name: &str| Act::EnrolmentKey {
        key: crate::fixture::key("token").public_key(),
        uses,
        expires_ms: i64::MAX,
        name: name.to_owned(),
    };
    let form = |act| world.form_of(&log, act);
    assert_eq!(form(act(1, "ci")), Ok(()));
    assert_eq!(form(act(ENROLMENT_USES_MAX, &"x".repeat(64))), Ok(()));
    let uses = Err(FormatError::Field("the uses of an enrolment key"));
    assert_eq!(form(act(0, "ci")), uses);
    assert_eq!(form(act(ENROLMENT_USES_MAX + 1, "ci")), uses);
    for name in ["", " ", &"x".repeat(65), "a\u{202e}b"] {
        let refused = form(act(1, name));
        assert_eq!(refused, Err(FormatError::Field("the name of a device")));
    }
}

/// What one maker uses up is missing to nobody else.
#[test]
fn every_maker_has_a_number_of_them() {
    let world = World::uncapped();
    let mut log = with_token(&world, 1);
    let mut made = 0;
    let mut make = |log: &mut IdentityLog, by: &str| {
        made += 1;
        let name = format!("token {made}");
        let names = [by, &format!("enrolment:{name}")];
        world.told(log, 0, &names, enrolment_key(&name, 1, 1_000))
    };
    for _ in 1..ENROLMENT_KEYS_PER_SIGNER_MAX {
        assert_eq!(make(&mut log, "admin"), Ok(()));
    }
    assert_eq!(make(&mut log, "admin"), Err(LogError::StatementLimit));
    let replace = world.replace("admin", "admin 2", Vec::new());
    let said = world.told(&mut log, 0, &["admin", "admin 2"], replace);
    assert_eq!(said, Ok(()));
    assert_eq!(make(&mut log, "admin 2"), Err(LogError::StatementLimit));
    assert_eq!(make(&mut log, "second"), Ok(()));
    for _ in 0..ENROLMENT_KEYS_PER_SIGNER_MAX {
        assert_eq!(make(&mut log, "root:root"), Ok(()));
    }
    assert_eq!(make(&mut log, "root:root"), Err(LogError::StatementLimit));
    let rotation = rotate("next root", "third root", RotateReason::Routine);
    let said = world.told(&mut log, 0, &["root:next root"], rotation);
    assert_eq!(said, Ok(()));
    assert_eq!(make(&mut log, "root:next root"), Ok(()));
}
