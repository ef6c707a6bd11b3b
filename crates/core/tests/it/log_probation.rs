//! Probation, and the one clock of a log: the times in its receipts.

use edge_ledger_core::identity::{
    DeviceRecord, FormatError, Genesis, IdentityLog, LogError, Periods, StatementRecord,
};
use edge_ledger_core::limits::{PROBATION_MS_MAX, VETO_MS_MAX};

use crate::fixture::hands::enrolment_key;
use crate::fixture::protobuf::Writer;
use crate::fixture::{SERVICE_TIME_MS, World, device_id, record, rename, revoke};

const PERIODS: Periods = Periods {
    probation_ms: 1_000,
    veto_ms: 5_000,
};

fn device<'a>(log: &'a IdentityLog, name: &str) -> &'a DeviceRecord {
    log.device(&device_id(name)).expect("it is in the log")
}

fn ends(log: &IdentityLog, name: &str) -> Option<i64> {
    let ends = device(log, name).probation_ends_ms;
    ends.map(|ends| ends - SERVICE_TIME_MS)
}

#[test]
fn a_linked_admin_has_no_rights_until_the_last_millisecond_of_its_probation() {
    let world = World::waiting(PERIODS);
    let mut log = world.log_of("admin");
    let said = world.told(&mut log, 7, &["admin"], world.add("phone", true));
    assert_eq!(said, Ok(()));
    assert_eq!(ends(&log, "phone"), Some(1_007));
    let judge = |after_ms, act| world.judged(&log, after_ms, &["phone"], act);
    let about_others = || {
        [
            world.add("laptop", false),
            rename("admin", "mine"),
            revoke("admin", Vec::new()),
        ]
    };
    for act in about_others() {
        assert_eq!(judge(7, act.clone()), Err(LogError::Probation));
        assert_eq!(judge(1_006, act.clone()), Err(LogError::Probation));
        assert_eq!(judge(1_007, act), Ok(()));
    }
    let own = [rename("phone", "mine"), revoke("phone", Vec::new())];
    for act in own {
        assert_eq!(judge(7, act), Ok(()), "about itself");
    }
    let record = device(&log, "phone");
    assert!(record.in_probation(SERVICE_TIME_MS + 1_006));
    assert!(!record.in_probation(SERVICE_TIME_MS + 1_007));
}

#[test]
fn the_first_device_and_those_that_the_root_adds_have_no_probation() {
    let world = World::waiting(PERIODS);
    let mut log = world.log_of("admin");
    assert_eq!(ends(&log, "admin"), None);
    let said = world.told(&mut log, 0, &["root:root"], world.add("restored", true));
    assert_eq!(said, Ok(()));
    assert_eq!(ends(&log, "restored"), None);
    let judged = world.judged(&log, 0, &["restored"], revoke("admin", Vec::new()));
    assert_eq!(judged, Ok(()), "who restores can cut off what was lost");
}

#[test]
fn a_successor_never_has_less_probation_than_whose_place_it_takes() {
    let world = World::waiting(PERIODS);
    let mut log = world.log_of("admin");
    let mut say = |after_ms, names: &[&str], act| {
        world
            .told(&mut log, after_ms, names, act)
            .expect("it is allowed");
    };
    let replace = |old, new| world.replace(old, new, Vec::new());
    say(0, &["admin"], world.add("phone", true));
    say(400, &["phone", "phone 2"], replace("phone", "phone 2"));
    say(600, &["phone 2", "phone 3"], replace("phone 2", "phone 3"));
    say(
        700,
        &["admin"],
        world.add_in_place_of("phone 4", "phone 3", false),
    );
    say(5_000, &["admin", "admin 2"], replace("admin", "admin 2"));
    say(
        5_000,
        &["admin 2"],
        world.add_in_place_of("admin 3", "admin 2", false),
    );
    assert_eq!(ends(&log, "phone 2"), Some(1_000), "it is inherited");
    assert_eq!(ends(&log, "phone 3"), Some(1_000));
    assert_eq!(ends(&log, "phone 4"), Some(1_700), "a link is a link");
    assert_eq!(ends(&log, "admin 2"), None, "nor has it more");
    assert_eq!(ends(&log, "admin 3"), Some(6_000), "also of the only admin");
}

#[test]
fn an_enrolled_device_is_in_probation() {
    let world = World::waiting(PERIODS);
    let mut log = world.log_of("admin");
    let by = ["admin", "enrolment:token"];
    let said = world.told(&mut log, 0, &by, enrolment_key("token", 1, 100));
    assert_eq!(said, Ok(()));
    let said = world.told(
        &mut log,
        50,
        &["enrolment:token"],
        world.add("worker", false),
    );
    assert_eq!(said, Ok(()));
    assert_eq!(ends(&log, "worker"), Some(1_050));
}

/// Whoever stole the other admin must be cut off at once; the new one comes of age by waiting.
#[test]
fn an_admin_in_probation_is_enough_of_an_admin_to_remain() {
    let world = World::waiting(PERIODS);
    let mut log = world.log_of("admin");
    let said = world.told(&mut log, 0, &["admin"], world.add("phone", true));
    assert_eq!(said, Ok(()));
    let said = world.told(&mut log, 1, &["root:root"], revoke("admin", Vec::new()));
    assert_eq!(said, Ok(()));
    let act = world.add("laptop", false);
    let judge = |after_ms| world.judged(&log, after_ms, &["phone"], act.clone());
    assert_eq!(
        (judge(999), judge(1_000)),
        (Err(LogError::Probation), Ok(()))
    );
}

#[test]
fn without_a_probation_a_device_has_its_rights_at_once() {
    let world = World::waiting(Periods::NONE);
    let mut log = world.log_of("admin");
    let said = world.told(&mut log, 0, &["admin"], world.add("phone", true));
    assert_eq!(said, Ok(()));
    let judged = world.judged(&log, 0, &["phone"], rename("admin", "mine"));
    assert_eq!(judged, Ok(()));
}

#[test]
fn the_time_of_a_log_does_not_go_back() {
    let world = World::waiting(PERIODS);
    let mut log = world.empty_log();
    assert_eq!(log.time(), i64::MIN);
    let incept = world.signed(&log, world.incept("admin"), &["root:root"]);
    let before_1970 = StatementRecord {
        service_time_ms: -5,
        ..record(incept, Vec::new())
    };
    assert_eq!(log.apply(before_1970), Ok(()), "any time is a beginning");
    assert_eq!(log.time(), -5);
    let next = world.signed(&log, rename("admin", "mine"), &["admin"]);
    assert_eq!(log.check(&next, -6), Err(LogError::TimeWentBack));
    let back = StatementRecord {
        service_time_ms: -6,
        ..record(next.clone(), Vec::new())
    };
    let head = log.head();
    assert_eq!(log.apply(back), Err(LogError::TimeWentBack));
    assert_eq!(log.head(), head);
    assert_eq!(log.check(&next, -5), Ok(()), "it may stand still");
    assert_eq!(log.check(&next, i64::MAX), Ok(()));
}

/// The longest times there are do not wrap around.
#[test]
fn what_begins_at_the_end_of_time_does_not_end_before_it() {
    let world = World::waiting(PERIODS);
    let mut log = world.log_of("admin");
    let to_the_end = i64::MAX - SERVICE_TIME_MS;
    let said = world.told(&mut log, to_the_end, &["admin"], world.add("phone", true));
    assert_eq!(said, Ok(()));
    assert_eq!(ends(&log, "phone"), Some(to_the_end));
}

#[test]
fn the_periods_of_a_genesis_have_limits() {
    let genesis = |probation_ms, veto_ms| {
        let sound = World::waiting(Periods::NONE);
        let writer = Writer::new()
            .raw(sound.genesis.bytes())
            .varint(8, probation_ms)
            .varint(9, veto_ms);
        Genesis::decode(writer.finish().into()).map(|genesis| genesis.periods())
    };
    let longest = Periods {
        probation_ms: PROBATION_MS_MAX,
        veto_ms: VETO_MS_MAX,
    };
    assert_eq!(genesis(PROBATION_MS_MAX, VETO_MS_MAX), Ok(longest));
    let refused = Err(FormatError::Field("the periods"));
    assert_eq!(genesis(PROBATION_MS_MAX + 1, 1), refused);
    assert_eq!(genesis(1, VETO_MS_MAX + 1), refused);
    assert_eq!(genesis(u64::MAX, 1), refused);
    let usual = World::waiting(Periods::default()).genesis.periods();
    assert_eq!(
        (usual.probation_ms, usual.veto_ms),
        (86_400_000, 259_200_000)
    );
}
