//! Whatever is said by whomever, at whatever time: everybody who replays a log stands where who
//! wrote it stands, and no key ever has two roles.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use edge_ledger_core::identity::genesis::next_key_hash;
use edge_ledger_core::identity::log::next_hash;
use edge_ledger_core::identity::{
    Act, DeviceState, IdentityLog, LogError, Periods, ReceiptedStatement, RotateReason,
    StatementRecord,
};
use edge_ledger_core::keys::PublicKey;
use proptest::prelude::*;

use crate::fixture::hands::{enrolment_key, recover, revoke_enrolment, rotate, set_recovery};
use crate::fixture::tally::Tally;
use crate::fixture::{
    SERVICE_TIME_MS, World, cases_of_part, device_id, key, record, rename, revoke,
};

static TALLY: Tally = Tally::new(&[
    "taken",
    "refused",
    "rotated",
    "recovery set",
    "recovery asked",
    "recovery held",
    "vetoed",
    "enrolled",
    "probation",
]);

const PERIODS: Periods = Periods {
    probation_ms: 40,
    veto_ms: 60,
};
/// So few that one comes in several roles.
const NAMES: [&str; 16] = [
    "a",
    "b",
    "c",
    "d",
    "e",
    "f",
    "g",
    "h",
    "i",
    "j",
    "k",
    "l",
    "m",
    "n",
    "o",
    "next root",
];

#[derive(Debug, Clone)]
struct Step {
    act: usize,
    /// Names by place, and what signs.
    names: (usize, usize, usize),
    signer: usize,
    flag: bool,
    after_ms: i64,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = || 0..NAMES.len();
    let after_ms = prop_oneof![3 => 0..5_i64, 2 => 5..45_i64, 1 => 45..80_i64, 1 => -5..0_i64];
    let step = (
        prop::sample::select(&[0, 0, 1, 2, 3, 4, 5, 6, 6, 7, 7, 7, 7, 8, 8, 9, 9, 10][..]),
        (name(), name(), name()),
        any::<usize>(),
        any::<bool>(),
        after_ms,
    );
    let step = step.prop_map(|(act, names, signer, flag, after_ms)| Step {
        act,
        names,
        signer,
        flag,
        after_ms,
    });
    prop::collection::vec(step, 1..40)
}

/// The act of a step, and the kind and name of the key that enters beside.
fn act_of(world: &World, log: &IdentityLog, step: &Step, now_ms: i64) -> (Act, Option<String>) {
    let [one, two, _] = names_of(step);
    let reason = if step.flag {
        RotateReason::Compromised
    } else {
        RotateReason::Routine
    };
    let pending = log.recovery(SERVICE_TIME_MS + now_ms);
    match step.act {
        0 => (world.add(one, step.flag), None),
        1 => (world.add_in_place_of(one, two, step.flag), None),
        2 => (revoke(one, Vec::new()), None),
        3 => (world.replace(one, two, Vec::new()), Some(two.to_owned())),
        4 => (rename(one, "mine"), None),
        5 => (
            rotate(next_root(log, now_ms).unwrap_or(one), two, reason),
            None,
        ),
        6 => (set_recovery(one), Some(format!("recovery:{one}"))),
        7 => (recover(one, two), Some(format!("root:{one}"))),
        8 => {
            let position = pending.map_or(3, |recovery| recovery.position);
            (Act::Veto { position }, None)
        }
        9 => {
            let ends_ms = now_ms + 20;
            (
                enrolment_key(one, 2, ends_ms),
                Some(format!("enrolment:{one}")),
            )
        }
        _ => (revoke_enrolment(one), None),
    }
}

fn names_of(step: &Step) -> [&'static str; 3] {
    let (one, two, three) = step.names;
    [NAMES[one], NAMES[two], NAMES[three]]
}

/// The names with their keys, which take long to make.
fn names() -> impl Iterator<Item = &'static (&'static str, PublicKey)> {
    static KEYS: LazyLock<Vec<(&str, PublicKey)>> = LazyLock::new(|| {
        let all = NAMES.into_iter().chain(["root", "admin"]);
        all.map(|name| (name, key(name).public_key())).collect()
    });
    KEYS.iter()
}

fn name_of(public: &PublicKey) -> Option<&'static str> {
    let (name, _) = names().find(|(_, key)| key == public)?;
    Some(name)
}

/// The name that the log commits to, if it is one of these.
fn next_root(log: &IdentityLog, now_ms: i64) -> Option<&'static str> {
    let committed = log.next_root_hash(SERVICE_TIME_MS + now_ms)?;
    let (name, _) = names().find(|(_, key)| next_key_hash(key) == committed)?;
    Some(name)
}

/// Mostly somebody who may.
fn signer_of(log: &IdentityLog, step: &Step, now_ms: i64) -> String {
    let [one, _, three] = names_of(step);
    let root = log.root(SERVICE_TIME_MS + now_ms);
    let root = root.as_ref().and_then(name_of).unwrap_or(one);
    let recovery = log.recovery_key();
    let recovery = recovery.and_then(|own| name_of(&own.key)).unwrap_or(one);
    let token = log.enrolments().last().and_then(|own| name_of(&own.key));
    let admins = log.devices().filter(|(_, device)| {
        device.admin && device.state == DeviceState::Active && device.probation_ends_ms.is_some()
    });
    let admin = admins.last().and_then(|(_, device)| name_of(&device.key));
    match (step.act, step.signer % 8) {
        (5, 0..6) => format!("root:{}", next_root(log, now_ms).unwrap_or(one)),
        (_, 0) => format!("root:{one}"),
        (3, 0..6) => one.to_owned(),
        (7, 0..5) => format!("recovery:{recovery}"),
        (0, 1..4) => format!("enrolment:{}", token.unwrap_or(three)),
        (_, 1..5) => format!("root:{root}"),
        (_, 5) => "admin".to_owned(),
        (_, 6) => admin.unwrap_or(three).to_owned(),
        _ => one.to_owned(),
    }
}

/// Who is root, told by hand: what was said, and what time made of it.
#[derive(Debug, Clone, PartialEq)]
struct Root {
    holds: PublicKey,
    waits: Option<(i64, PublicKey)>,
}

impl Root {
    fn at(&mut self, now_ms: i64) {
        if let Some((_, root)) = self.waits.filter(|(from_ms, _)| *from_ms <= now_ms) {
            *self = Self {
                holds: root,
                waits: None,
            };
            TALLY.count("recovery held");
        }
    }

    fn heard(&mut self, act: &Act, now_ms: i64) {
        match act {
            Act::RotateRoot { root, .. } => {
                *self = Self {
                    holds: *root,
                    waits: None,
                };
                TALLY.count("rotated");
            }
            Act::SetRecovery { .. } => {
                self.waits = None;
                TALLY.count("recovery set");
            }
            Act::Recover { root, .. } => {
                self.waits = Some((now_ms + PERIODS.veto_ms as i64, *root));
                TALLY.count("recovery asked");
            }
            Act::Veto { .. } => {
                self.waits = None;
                TALLY.count("vetoed");
            }
            Act::Incept { .. }
            | Act::AddDevice { .. }
            | Act::Revoke { .. }
            | Act::Replace { .. }
            | Act::Rename { .. }
            | Act::RecoverFork { .. }
            | Act::EnrolmentKey { .. }
            | Act::RevokeEnrolment { .. } => {}
        }
    }
}

/// Every key that was accepted in a role, by the statements themselves.
fn roles(log: &IdentityLog) -> BTreeMap<[u8; 32], BTreeSet<&'static str>> {
    let mut roles: BTreeMap<[u8; 32], BTreeSet<&'static str>> = BTreeMap::new();
    let mut enter = |key: &PublicKey, role| {
        let again = !roles.entry(*key.as_bytes()).or_default().insert(role);
        assert!(!again, "a key entered twice as {role}");
    };
    enter(&key("root").public_key(), "root");
    for record in log.records_after(0) {
        match &record.statement.body().act {
            Act::Incept { certificate, .. }
            | Act::AddDevice { certificate, .. }
            | Act::Replace { certificate, .. } => enter(certificate.key(), "device"),
            Act::RotateRoot { root, .. } | Act::Recover { root, .. } => enter(root, "root"),
            Act::SetRecovery { key, .. } => enter(key, "recovery"),
            Act::EnrolmentKey { key, .. } => enter(key, "enrolment"),
            Act::Revoke { .. }
            | Act::Rename { .. }
            | Act::RecoverFork { .. }
            | Act::Veto { .. }
            | Act::RevokeEnrolment { .. } => {}
        }
    }
    roles
}

#[test]
fn whoever_replays_a_log_stands_where_its_writer_stands() {
    let world = World::waiting(PERIODS);
    let opened = world.log_of("admin");
    proptest!(cases_of_part(5), |(steps in steps())| {
        let mut log = opened.clone();
        let mut reader = opened.clone();
        let mut root = Root { holds: key("root").public_key(), waits: None };
        let mut now_ms = 0;
        for step in &steps {
            let then_ms = now_ms + step.after_ms;
            let (act, newcomer) = act_of(&world, &log, step, then_ms);
            let signer = signer_of(&log, step, then_ms);
            let names: Vec<&str> = [signer.as_str()].into_iter().chain(newcomer.as_deref()).collect();
            let statement = world.signed(&log, act.clone(), &names);
            let record = StatementRecord {
                service_time_ms: SERVICE_TIME_MS + then_ms,
                ..record(statement, Vec::new())
            };
            let checked = log.check(&record.statement, record.service_time_ms);
            let head = log.head();
            prop_assert_eq!(&log.apply(record.clone()), &checked);
            if checked.is_err() {
                TALLY.count("refused");
                TALLY.count_if(checked == Err(LogError::Probation), "probation");
                continue;
            }
            TALLY.count("taken");
            prop_assert!(then_ms >= now_ms);
            now_ms = then_ms;
            root.at(now_ms);
            root.heard(&act, now_ms);
            let now = SERVICE_TIME_MS + now_ms;
            prop_assert_eq!(log.root(now), Some(root.holds));
            let waits = log.recovery(now).map(|r| (r.effective_ms - SERVICE_TIME_MS, r.root));
            prop_assert_eq!(waits, root.waits);
            if let (Act::AddDevice { certificate, admin }, Some(name)) = (&act, signer.strip_prefix("enrolment:")) {
                let enrolment = log.enrolment(&device_id(name)).expect("it signed");
                prop_assert!(enrolment.used <= enrolment.uses && !admin && certificate.replaces().is_none());
                TALLY.count("enrolled");
            }
            // Another replica reads it as it travels.
            let hash = next_hash(world.ledger_id(), head.hash, &record);
            let parts = ReceiptedStatement::sign(&world.service, &world.genesis, record, hash).parts();
            let receipted = ReceiptedStatement::verify(&world.genesis, world.identity(), head.hash, parts);
            let receipted = receipted.expect("it was signed");
            prop_assert_eq!(reader.apply(receipted.into_record()), Ok(()));
            prop_assert_eq!(reader.head(), log.head());
        }
        prop_assert_eq!(format!("{reader:?}"), format!("{log:?}"), "a refusal changes nothing");
        let replayed = IdentityLog::replay(world.genesis.clone(), world.identity(), log.records_after(0).to_vec());
        prop_assert_eq!(format!("{:?}", replayed.expect("it was a log")), format!("{log:?}"));
        for (key, roles) in roles(&log) {
            prop_assert!(roles.len() == 1, "{:?} is {:?}", key, roles);
        }
    });
    TALLY.require(30);
}
