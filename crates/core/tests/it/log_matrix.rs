//! Every act by every kind of signer: allowed, or exactly why not.

use edge_ledger_core::identity::{Act, IdentityLog, LogError, Periods, RotateReason};

use crate::fixture::hands::{enrolment_key, recover, revoke_enrolment, rotate, set_recovery};
use crate::fixture::{World, rename, revoke};

const PERIODS: Periods = Periods {
    probation_ms: 1_000,
    veto_ms: 5_000,
};
/// When everything is judged, in milliseconds after the log was opened.
const NOW: i64 = 20_000;

/// Who may sign in which order the columns of the table stand.
const SIGNERS: [&str; 12] = [
    "root:root",
    "root:next root",
    "admin",
    "phone",
    "tablet",
    "fresh",
    "lost",
    "old",
    "enrolment:token",
    "enrolment:spent",
    "recovery:words",
    "stranger",
];

/// Besides the root: an admin, two plain devices, an admin in probation, a revoked and a replaced
/// device; an enrolment key that is open and one that was ended; a recovery key.
fn populated(world: &World) -> IdentityLog {
    let mut log = world.log_of("admin");
    let mut say = |after_ms, names: &[&str], act| {
        world
            .told(&mut log, after_ms, names, act)
            .expect("it is allowed");
    };
    for name in ["phone", "tablet", "lost", "old"] {
        say(0, &["admin"], world.add(name, false));
    }
    say(0, &["admin"], revoke("lost", Vec::new()));
    say(0, &["old", "new"], world.replace("old", "new", Vec::new()));
    for name in ["token", "spent"] {
        let by = ["admin", &format!("enrolment:{name}")];
        say(0, &by, enrolment_key(name, 3, 2 * NOW));
    }
    say(0, &["admin"], revoke_enrolment("spent"));
    let by = ["root:root", "recovery:words"];
    say(0, &by, set_recovery("words"));
    say(NOW - 500, &["admin"], world.add("fresh", true));
    log
}

fn expected(code: &str) -> Result<(), LogError> {
    match code {
        "ok" => Ok(()),
        "-" => Err(LogError::NotAllowed),
        "prob" => Err(LogError::Probation),
        "end" => Err(LogError::DeviceEnded),
        "spent" => Err(LogError::EnrolmentEnded),
        "wait" => Err(LogError::RecoveryPending),
        "none" => Err(LogError::NothingPending),
        other => panic!("no error is called {other}"),
    }
}

/// A row: the act, who else signs it, and what each signer hears.
type Row = (Act, Option<&'static str>, String);

fn rows(world: &World) -> Vec<Row> {
    let in_place = world.add_in_place_of("laptop", "phone", false);
    let replace = world.replace("phone", "laptop", Vec::new());
    let rotation = rotate("next root", "third root", RotateReason::Routine);
    // root next admin phone tablet fresh lost old token spent words stranger
    let rows = [
        (
            world.add("laptop", false),
            None,
            "ok - ok - - prob end end ok spent - -",
        ),
        (
            world.add("laptop", true),
            None,
            "ok - ok - - prob end end - - - -",
        ),
        (in_place, None, "ok - ok - - prob end end - - - -"),
        (
            revoke("phone", Vec::new()),
            None,
            "ok - ok ok - prob end end - - - -",
        ),
        (
            revoke("fresh", Vec::new()),
            None,
            "ok - ok - - ok end end - - - -",
        ),
        (
            rename("phone", "mine"),
            None,
            "ok - ok ok - prob end end - - - -",
        ),
        (
            rename("fresh", "mine"),
            None,
            "ok - ok - - ok end end - - - -",
        ),
        (replace, Some("laptop"), "- - - ok - - - - - - - -"),
        (rotation, None, "- ok - - - - - - - - - -"),
        (
            set_recovery("more words"),
            Some("recovery:more words"),
            "ok - - - - - - - - - - -",
        ),
        (
            recover("a", "b"),
            Some("root:a"),
            "ok - - - - - - - - - ok -",
        ),
        (
            Act::Veto { position: 9 },
            None,
            "none - none - - prob end end - - - -",
        ),
        (
            enrolment_key("t", 1, 2 * NOW),
            Some("enrolment:t"),
            "ok - ok - - prob end end - - - -",
        ),
        (
            revoke_enrolment("token"),
            None,
            "ok - ok - - prob end end - - - -",
        ),
    ];
    rows.map(|(act, newcomer, codes)| (act, newcomer, codes.to_owned()))
        .to_vec()
}

fn compare(world: &World, log: &IdentityLog, after_ms: i64, signers: &[&str; 12], rows: Vec<Row>) {
    for (act, newcomer, codes) in rows {
        let codes: Vec<&str> = codes.split(' ').collect();
        assert_eq!(codes.len(), signers.len());
        for (signer, code) in signers.iter().zip(codes) {
            let names: Vec<&str> = [*signer].into_iter().chain(newcomer).collect();
            assert_eq!(
                world.judged(log, after_ms, &names, act.clone()),
                expected(code),
                "{act:?} by {signer}"
            );
        }
    }
}

#[test]
fn every_act_by_every_signer() {
    let world = World::waiting(PERIODS);
    let log = populated(&world);
    compare(&world, &log, NOW, &SIGNERS, rows(&world));
}

#[test]
fn after_a_rotation_the_old_root_signs_nothing() {
    let world = World::waiting(PERIODS);
    let mut log = populated(&world);
    let rotation = rotate("next root", "third root", RotateReason::Routine);
    let said = world.told(&mut log, NOW, &["root:next root"], rotation);
    assert_eq!(said, Ok(()));
    let signers = with_roots("root:next root", "root:third root");
    let mut rows = rows(&world);
    for (act, _, _) in &mut rows {
        if matches!(act, Act::RotateRoot { .. }) {
            *act = rotate("third root", "fourth root", RotateReason::Routine);
        }
    }
    compare(&world, &log, NOW, &signers, rows.clone());
    let old = rows.into_iter().map(|(act, newcomer, _)| (act, newcomer));
    for (act, newcomer) in old {
        let names: Vec<&str> = ["root:root"].into_iter().chain(newcomer).collect();
        let judged = world.judged(&log, NOW, &names, act.clone());
        assert_eq!(judged, Err(LogError::NotAllowed), "{act:?}");
    }
}

fn with_roots(root: &'static str, next: &'static str) -> [&'static str; 12] {
    let mut signers = SIGNERS;
    (signers[0], signers[1]) = (root, next);
    signers
}

#[test]
fn while_a_recovery_waits_everything_goes_on_and_once_it_holds_its_root_is_the_root() {
    let world = World::waiting(PERIODS);
    let mut log = populated(&world);
    let by = ["recovery:words", "root:rescue"];
    let said = world.told(&mut log, NOW, &by, recover("rescue", "after rescue"));
    assert_eq!(said, Ok(()));
    let position = log.head().position;
    let mut waiting = rows(&world);
    for (act, _, codes) in &mut waiting {
        if matches!(act, Act::Recover { .. }) {
            *codes = codes.replace("ok", "wait");
        } else if matches!(act, Act::Veto { .. }) {
            (*act, *codes) = (Act::Veto { position }, codes.replace("none", "ok"));
        }
    }
    compare(&world, &log, NOW, &SIGNERS, waiting.clone());
    // The probation is over by then.
    let veto_ms = PERIODS.veto_ms as i64;
    for (_, _, codes) in &mut waiting {
        *codes = codes.replace("prob", "ok");
    }
    compare(&world, &log, NOW + veto_ms - 1, &SIGNERS, waiting);
    let mut holds = rows(&world);
    for (act, _, codes) in &mut holds {
        if matches!(act, Act::RotateRoot { .. }) {
            *act = rotate("after rescue", "later", RotateReason::Routine);
        } else if matches!(act, Act::Veto { .. }) {
            *act = Act::Veto { position };
            *codes = codes.replace("prob", "none");
        }
        *codes = codes.replace("prob", "ok");
    }
    let signers = with_roots("root:rescue", "root:after rescue");
    compare(&world, &log, NOW + veto_ms, &signers, holds.clone());
    for (act, newcomer, _) in holds {
        for old in ["root:root", "root:next root"] {
            let names: Vec<&str> = [old].into_iter().chain(newcomer).collect();
            let judged = world.judged(&log, NOW + veto_ms, &names, act.clone());
            assert_eq!(judged, Err(LogError::NotAllowed), "{act:?} by {old}");
        }
    }
}

/// A role is the log's to give: the same key under another kind is nobody.
#[test]
fn a_key_signs_in_its_own_role_alone() {
    let world = World::waiting(PERIODS);
    let log = populated(&world);
    let wrong = [
        "root",
        "enrolment:root",
        "recovery:root",
        "root:admin",
        "enrolment:admin",
        "recovery:admin",
        "token",
        "root:token",
        "recovery:token",
        "words",
        "root:words",
        "enrolment:words",
    ];
    for (act, newcomer, _) in rows(&world) {
        for signer in wrong {
            let names: Vec<&str> = [signer].into_iter().chain(newcomer).collect();
            let judged = world.judged(&log, NOW, &names, act.clone());
            assert_eq!(judged, Err(LogError::NotAllowed), "{act:?} by {signer}");
        }
    }
}

/// A key that enters signs beside who lets it in; nobody else does.
#[test]
fn newcomers_prove_themselves_and_nobody_signs_beside() {
    let world = World::waiting(PERIODS);
    let log = populated(&world);
    for (act, newcomer, codes) in rows(&world) {
        let first = codes.split(' ').position(|code| code == "ok");
        let Some(signer) = first.map(|at| SIGNERS[at]) else {
            continue;
        };
        let judge = |names: &[&str]| world.judged(&log, NOW, names, act.clone());
        let refused = Err(LogError::NotAllowed);
        assert_eq!(judge(&[signer, "stranger"]), refused, "{act:?}");
        assert_eq!(judge(&[signer, signer]), refused, "{act:?}");
        if let Some(newcomer) = newcomer {
            assert_eq!(judge(&[signer]), refused, "{act:?}");
            assert_eq!(judge(&[newcomer]), refused, "{act:?}");
            assert_eq!(judge(&[newcomer, signer]), refused, "{act:?}");
        }
    }
}
