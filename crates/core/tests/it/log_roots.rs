//! Rotation, recovery and veto.

use edge_ledger_core::identity::genesis::next_key_hash;
use edge_ledger_core::identity::{Act, FormatError, IdentityLog, LogError, Periods, RotateReason};
use edge_ledger_core::limits::{
    RECOVERIES_MAX, RECOVERS_PER_KEY_MAX, RECOVERY_KEYS_PER_ROOT_MAX, ROTATIONS_MAX, VETO_MS_MAX,
};

use crate::fixture::hands::{recover, rotate, set_recovery};
use crate::fixture::{SERVICE_TIME_MS, World, device_id, key, rename, revoke};

const VETO: i64 = 5_000;
const WORDS: [&str; 2] = ["root:root", "recovery:words"];

fn waiting() -> World {
    World::waiting(Periods {
        probation_ms: 1_000,
        veto_ms: VETO as u64,
    })
}

/// A log with an admin and a recovery key.
fn recoverable(world: &World) -> IdentityLog {
    let mut log = world.log_of("admin");
    let said = world.told(&mut log, 0, &WORDS, set_recovery("words"));
    assert_eq!(said, Ok(()));
    log
}

fn ask(world: &World, log: &mut IdentityLog, after_ms: i64, root: &str) -> Result<(), LogError> {
    let by = ["recovery:words", &format!("root:{root}")];
    world.told(log, after_ms, &by, recover(root, &format!("after {root}")))
}

fn is_root(log: &IdentityLog, after_ms: i64, name: &str) -> bool {
    let (now_ms, public) = (SERVICE_TIME_MS + after_ms, key(name).public_key());
    let is_root = log.is_root(&public, now_ms);
    assert_eq!(is_root, log.is_root_id(&public.device_id(), now_ms));
    assert_eq!(is_root, log.root(now_ms) == Some(public));
    is_root
}

#[test]
fn the_committed_key_alone_succeeds_the_root() {
    let world = waiting();
    let mut log = world.log_of("admin");
    assert!(is_root(&log, 0, "root") && !is_root(&log, 0, "next root"));
    let rotation = || rotate("next root", "third root", RotateReason::Routine);
    let by_thief = rotate("thief", "thief's next", RotateReason::Routine);
    let refused = world.judged(&log, 0, &["root:thief"], by_thief.clone());
    assert_eq!(refused, Err(LogError::NotAllowed));
    for signer in ["root:root", "root:thief"] {
        let refused = world.judged(&log, 0, &[signer], rotation());
        assert_eq!(refused, Err(LogError::NotAllowed), "it names another");
    }
    let refused = world.judged(&log, 0, &["root:root"], by_thief);
    assert_eq!(refused, Err(LogError::NotAllowed), "with the old root");
    assert_eq!(
        world.told(&mut log, 0, &["root:next root"], rotation()),
        Ok(())
    );
    assert!(is_root(&log, 0, "next root") && !is_root(&log, 0, "root"));
    assert_eq!(log.identity(), world.identity(), "it keeps its name");
    let committed = next_key_hash(&key("third root").public_key());
    assert_eq!(log.next_root_hash(SERVICE_TIME_MS), Some(committed));
    let again = world.judged(&log, 0, &["root:next root"], rotation());
    assert_eq!(again, Err(LogError::NotAllowed));
    let third = rotate("third root", "fourth root", RotateReason::Compromised);
    assert_eq!(world.told(&mut log, 0, &["root:third root"], third), Ok(()));
    assert!(is_root(&log, 0, "third root"));
}

#[test]
fn a_root_and_a_committed_key_never_have_another_role() {
    let world = waiting();
    let mut log = world.log_of("admin");
    let rotation = rotate("next root", "third root", RotateReason::Routine);
    let reused = Err(LogError::KeyReused);
    let as_device =
        |log: &IdentityLog, name: &str| world.judged(log, 0, &["admin"], world.add(name, false));
    assert_eq!(as_device(&log, "root"), reused);
    assert_eq!(as_device(&log, "next root"), reused, "it is committed to");
    assert_eq!(as_device(&log, "third root"), Ok(()), "it is not yet");
    assert_eq!(
        world.told(&mut log, 0, &["root:next root"], rotation),
        Ok(())
    );
    for name in ["root", "next root", "third root"] {
        assert_eq!(as_device(&log, name), reused, "{name}");
        let by = ["root:next root", &format!("recovery:{name}")];
        let recovery = world.judged(&log, 0, &by, set_recovery(name));
        assert_eq!(recovery, reused, "{name}");
    }
    for committed in ["root", "next root", "third root", "admin"] {
        let act = rotate("third root", committed, RotateReason::Routine);
        let judged = world.judged(&log, 0, &["root:third root"], act);
        assert_eq!(judged, reused, "{committed} comes next");
    }
}

#[test]
fn the_first_commitment_is_to_a_key_without_a_role() {
    let world = waiting();
    let log = world.empty_log();
    for committed in ["root", "admin"] {
        let Act::Incept {
            genesis,
            certificate,
            ..
        } = world.incept("admin")
        else {
            unreachable!("incept makes an Incept")
        };
        let act = Act::Incept {
            next_root_hash: next_key_hash(&key(committed).public_key()),
            genesis,
            certificate,
        };
        let judged = world.judged(&log, 0, &["root:root"], act);
        assert_eq!(judged, Err(LogError::KeyReused), "{committed}");
    }
}

#[test]
fn a_compromised_root_takes_its_recovery_key_along() {
    for (reason, left) in [
        (RotateReason::Routine, true),
        (RotateReason::Compromised, false),
    ] {
        let world = waiting();
        let mut log = recoverable(&world);
        let rotation = rotate("next root", "third root", reason);
        let said = world.told(&mut log, 0, &["root:next root"], rotation);
        assert_eq!(said, Ok(()));
        assert_eq!(log.recovery_key().is_some(), left, "{reason:?}");
        let expected = if left {
            Ok(())
        } else {
            Err(LogError::NotAllowed)
        };
        assert_eq!(ask(&world, &mut log, 0, "rescue"), expected);
    }
}

#[test]
fn a_recovery_holds_when_the_veto_time_is_over_without_another_statement() {
    let world = waiting();
    let mut log = recoverable(&world);
    assert_eq!(ask(&world, &mut log, 10, "rescue"), Ok(()));
    let recovery = log.recovery(SERVICE_TIME_MS + 10).expect("it waits");
    assert_eq!(recovery.position, 3);
    assert_eq!(recovery.effective_ms, SERVICE_TIME_MS + 10 + VETO);
    assert_eq!(recovery.root, key("rescue").public_key());
    let last = VETO + 9;
    assert!(is_root(&log, last, "root") && !is_root(&log, last, "rescue"));
    assert!(log.recovery(SERVICE_TIME_MS + last).is_some());
    let then = VETO + 10;
    assert!(is_root(&log, then, "rescue") && !is_root(&log, then, "root"));
    assert_eq!(log.recovery(SERVICE_TIME_MS + then), None);

    // Devices stay as they are; whoever recovers links a new one and cuts off what was lost.
    let by_rescue = ["root:rescue"];
    let add = world.add("new phone", true);
    assert_eq!(
        world.judged(&log, last, &by_rescue, add.clone()),
        Err(LogError::NotAllowed)
    );
    assert_eq!(world.told(&mut log, then, &by_rescue, add), Ok(()));
    let cut_off = revoke("admin", Vec::new());
    assert_eq!(world.told(&mut log, then, &["new phone"], cut_off), Ok(()));
    let rotation = rotate("after rescue", "later", RotateReason::Routine);
    assert_eq!(
        world.told(&mut log, then, &["root:after rescue"], rotation),
        Ok(())
    );
    assert!(log.recovery_key().is_some(), "it can recover again");
}

#[test]
fn a_veto_cancels_it_in_time() {
    let world = waiting();
    let mut log = recoverable(&world);
    assert_eq!(ask(&world, &mut log, 0, "thief"), Ok(()));
    let veto = |position| Act::Veto { position };
    for wrong in [1, 2, 4, u64::MAX] {
        let judged = world.judged(&log, 0, &["admin"], veto(wrong));
        assert_eq!(judged, Err(LogError::NothingPending), "{wrong}");
    }
    let late = world.judged(&log, VETO, &["admin"], veto(3));
    assert_eq!(late, Err(LogError::NothingPending));
    assert_eq!(world.told(&mut log, VETO - 1, &["admin"], veto(3)), Ok(()));
    assert_eq!(log.recovery(SERVICE_TIME_MS + VETO - 1), None);
    assert!(is_root(&log, 2 * VETO, "root"));
    let again = world.judged(&log, VETO, &["admin"], veto(3));
    assert_eq!(again, Err(LogError::NothingPending));
    let burnt = ask(&world, &mut log, VETO, "thief");
    assert_eq!(burnt, Err(LogError::KeyReused), "its root entered once");
    assert_eq!(ask(&world, &mut log, VETO, "rescue"), Ok(()));
    let early = world.judged(&log, 2 * VETO - 1, &["admin"], veto(3));
    assert_eq!(early, Err(LogError::NothingPending), "that one is another");
}

#[test]
fn one_waits_at_a_time_and_keeps_its_keys() {
    let world = waiting();
    let mut log = recoverable(&world);
    assert_eq!(ask(&world, &mut log, 0, "rescue"), Ok(()));
    let second = ask(&world, &mut log, VETO - 1, "another");
    assert_eq!(second, Err(LogError::RecoveryPending));
    for name in ["rescue", "after rescue"] {
        let judged = world.judged(&log, 0, &["admin"], world.add(name, false));
        assert_eq!(judged, Err(LogError::KeyReused), "{name}");
    }
    assert_eq!(
        ask(&world, &mut log, VETO, "another"),
        Ok(()),
        "that one holds"
    );
    assert!(is_root(&log, VETO, "rescue"));
}

/// What a key began ends with it, before it holds.
#[test]
fn a_new_root_or_recovery_key_cancels_what_waits() {
    let world = waiting();
    let mut log = recoverable(&world);
    assert_eq!(ask(&world, &mut log, 0, "thief"), Ok(()));
    let mut rotated = log.clone();
    let rotation = rotate("next root", "third root", RotateReason::Routine);
    let said = world.told(&mut rotated, 1, &["root:next root"], rotation);
    assert_eq!(said, Ok(()));
    assert_eq!(rotated.recovery(SERVICE_TIME_MS + 1), None);
    assert!(is_root(&rotated, VETO, "next root"));
    let by = ["root:root", "recovery:other words"];
    let said = world.told(&mut log, 1, &by, set_recovery("other words"));
    assert_eq!(said, Ok(()));
    assert!(is_root(&log, VETO, "root"));
    let replaced = ask(&world, &mut log, 1, "rescue");
    assert_eq!(
        replaced,
        Err(LogError::NotAllowed),
        "the old words are void"
    );
}

#[test]
fn an_identity_may_lengthen_its_veto_time() {
    let world = waiting();
    let set = |veto_ms| Act::SetRecovery {
        key: key("words").public_key(),
        veto_ms: Some(veto_ms),
    };
    let log = world.log_of("admin");
    let veto_ms = VETO as u64;
    let judge = |veto_ms| world.judged(&log, 0, &WORDS, set(veto_ms));
    let refused = Err(FormatError::Field("the veto time").into());
    assert_eq!((judge(veto_ms - 1), judge(1)), (refused.clone(), refused));
    assert_eq!((judge(veto_ms), judge(VETO_MS_MAX)), (Ok(()), Ok(())));
    let form = world.form_of(&log, set(VETO_MS_MAX + 1));
    assert_eq!(form, Err(FormatError::Field("the veto time")));
    let mut log = log.clone();
    assert_eq!(world.told(&mut log, 0, &WORDS, set(2 * veto_ms)), Ok(()));
    assert_eq!(ask(&world, &mut log, 0, "rescue"), Ok(()));
    assert!(!is_root(&log, 2 * VETO - 1, "rescue"));
    assert!(is_root(&log, 2 * VETO, "rescue"));
}

/// S-12: with a recovery key somebody can still come back.
#[test]
fn with_a_recovery_key_the_last_admin_may_go() {
    let world = waiting();
    let mut log = world.log_of("admin");
    let last = || revoke("admin", Vec::new());
    let refused = world.told(&mut log, 0, &["root:root"], last());
    assert_eq!(refused, Err(LogError::LastAdmin));
    assert_eq!(
        world.told(&mut log, 0, &WORDS, set_recovery("words")),
        Ok(())
    );
    assert_eq!(world.told(&mut log, 0, &["admin"], last()), Ok(()));
    assert_eq!(ask(&world, &mut log, 0, "rescue"), Ok(()));
    let add = world.add("new phone", true);
    assert_eq!(world.told(&mut log, VETO, &["root:rescue"], add), Ok(()));
    let renamed = rename("new phone", "mine");
    assert_eq!(world.told(&mut log, VETO, &["new phone"], renamed), Ok(()));
    assert!(log.device(&device_id("new phone")).is_some_and(|d| d.admin));
}

/// What a key that was stolen used up is not missing to the one that came after it.
#[test]
fn rotations_recovery_keys_and_recoveries_are_bounded_each_by_itself() {
    let world = waiting();
    let mut log = world.log_of("admin");
    let limit = Err(LogError::StatementLimit);
    let set = |log: &mut IdentityLog, root: &str, words: &str| {
        let by = [format!("root:{root}"), format!("recovery:{words}")];
        let by: Vec<&str> = by.iter().map(String::as_str).collect();
        world.told(log, 0, &by, set_recovery(words))
    };
    for number in 0..RECOVERY_KEYS_PER_ROOT_MAX {
        assert_eq!(set(&mut log, "root", &format!("words {number}")), Ok(()));
    }
    assert_eq!(set(&mut log, "root", "one more"), limit);

    let by = format!("recovery:words {}", RECOVERY_KEYS_PER_ROOT_MAX - 1);
    let vetoed = |log: &mut IdentityLog, number: usize| {
        let root = format!("thief {number}");
        let names = [by.as_str(), &format!("root:{root}")];
        world.told(log, 0, &names, recover(&root, &format!("after {root}")))?;
        let position = log.head().position;
        world.told(log, 0, &["admin"], Act::Veto { position })
    };
    for number in 0..RECOVERS_PER_KEY_MAX {
        assert_eq!(vetoed(&mut log, number), Ok(()));
    }
    assert_eq!(vetoed(&mut log, RECOVERS_PER_KEY_MAX), limit);

    let mut roots = ["root".to_owned(), "next root".to_owned()];
    let mut turn = |log: &mut IdentityLog, number: usize| {
        let coming = format!("root {number}");
        let act = rotate(&roots[1], &coming, RotateReason::Routine);
        let said = world.told(log, 0, &[&format!("root:{}", roots[1])], act);
        if said.is_ok() {
            roots = [roots[1].clone(), coming];
        }
        said
    };
    for number in 0..ROTATIONS_MAX {
        assert_eq!(turn(&mut log, number), Ok(()));
    }
    assert_eq!(turn(&mut log, ROTATIONS_MAX), limit);
    let [root, _] = roots.clone();
    assert_eq!(
        set(&mut log, &root, "words"),
        Ok(()),
        "a new root, new places"
    );
    assert_eq!(ask(&world, &mut log, 0, "rescue"), Ok(()));
    let rotation = rotate("after rescue", "later", RotateReason::Routine);
    let said = world.told(&mut log, VETO, &["root:after rescue"], rotation);
    assert_eq!(said, Ok(()), "and a recovery brings rotations back");
}

#[test]
fn a_number_of_recoveries_ever_holds() {
    let world = waiting();
    let mut log = world.log_of("admin");
    let mut root = "root".to_owned();
    for number in 0..RECOVERIES_MAX {
        let now = VETO * number as i64;
        let words = format!("words {number}");
        let by = [format!("root:{root}"), format!("recovery:{words}")];
        let names: Vec<&str> = by.iter().map(String::as_str).collect();
        let said = world.told(&mut log, now, &names, set_recovery(&words));
        assert_eq!(said, Ok(()));
        root = format!("rescue {number}");
        let names = [&by[1], &*format!("root:{root}")];
        let said = world.told(
            &mut log,
            now,
            &names,
            recover(&root, &format!("after {root}")),
        );
        assert_eq!(said, Ok(()));
    }
    let now = VETO * RECOVERIES_MAX as i64;
    let names = [&*format!("root:{root}"), "root:one more"];
    let said = world.told(&mut log, now, &names, recover("one more", "after it"));
    assert_eq!(said, Err(LogError::StatementLimit));
    assert!(is_root(&log, now, &root));
}
