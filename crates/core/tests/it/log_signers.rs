//! Who may sign which act.

use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{Act, FormatError, IdentityLog, LogError, Statement};
use edge_ledger_core::keys::{KeyError, SecretKey, Signature};
use edge_ledger_core::tags::Tag;

use crate::fixture::protobuf::{AS_DEVICE, AS_ROOT, body_of, resigned};
use crate::fixture::{SERVICE_TIME_MS, World, device_id, key, record, rename, revoke};

/// A log with an admin, two plain devices, a revoked and a replaced one.
fn populated(world: &World) -> IdentityLog {
    let mut log = world.log_with("admin", &["phone", "tablet", "lost", "old"]);
    let admin = key("admin");
    let by_admin = [SigningAs::Device(&admin)];
    world
        .say(&mut log, revoke("lost", Vec::new()), &by_admin)
        .expect("an admin can revoke");
    let (old, new) = (key("old"), key("new"));
    world
        .say(
            &mut log,
            world.replace("old", "new", Vec::new()),
            &[SigningAs::Device(&old), SigningAs::Device(&new)],
        )
        .expect("a device can replace itself");
    log
}

/// Signs an act as each of these and tells what the log says.
fn judged(world: &World, log: &IdentityLog, act: &Act, signers: &[&str]) -> Result<(), LogError> {
    let keys: Vec<(bool, SecretKey)> = signers
        .iter()
        .map(|name| match name.strip_prefix("root:") {
            Some(name) => (true, key(name)),
            None => (false, key(name)),
        })
        .collect();
    let signing: Vec<SigningAs<'_>> = keys
        .iter()
        .map(|(root, key)| match root {
            true => SigningAs::Root(key),
            false => SigningAs::Device(key),
        })
        .collect();
    log.check(&world.sign(log, act.clone(), &signing), SERVICE_TIME_MS)
}

#[test]
fn acts_about_a_device_are_signed_by_root_admin_or_the_device_itself() {
    let world = World::uncapped();
    let log = populated(&world);
    for act in [revoke("phone", Vec::new()), rename("phone", "mine")] {
        for (signers, expected) in [
            (vec!["root:root"], Ok(())),
            (vec!["admin"], Ok(())),
            (vec!["phone"], Ok(())),
            (vec!["tablet"], Err(LogError::NotAllowed)),
            (vec!["new"], Err(LogError::NotAllowed)),
            (vec!["lost"], Err(LogError::DeviceEnded)),
            (vec!["old"], Err(LogError::DeviceEnded)),
            (vec!["stranger"], Err(LogError::NotAllowed)),
            (vec!["root:stranger"], Err(LogError::NotAllowed)),
            (vec!["root:admin"], Err(LogError::NotAllowed)),
            (vec!["root"], Err(LogError::NotAllowed)),
            (vec!["admin", "phone"], Err(LogError::NotAllowed)),
            (vec!["root:root", "admin"], Err(LogError::NotAllowed)),
            (vec!["admin", "root:root"], Err(LogError::NotAllowed)),
        ] {
            assert_eq!(
                judged(&world, &log, &act, &signers),
                expected,
                "{signers:?}"
            );
        }
    }
}

#[test]
fn devices_are_added_by_root_or_admin() {
    let world = World::uncapped();
    let log = populated(&world);
    for act in [
        world.add("laptop", false),
        world.add("laptop", true),
        world.add_in_place_of("laptop", "phone", false),
        world.add_in_place_of("laptop", "old", false),
    ] {
        for (signers, expected) in [
            (vec!["root:root"], Ok(())),
            (vec!["admin"], Ok(())),
            (vec!["phone"], Err(LogError::NotAllowed)),
            (vec!["laptop"], Err(LogError::NotAllowed)),
            (vec!["phone", "laptop"], Err(LogError::NotAllowed)),
            (vec!["lost"], Err(LogError::DeviceEnded)),
            (vec!["root:stranger"], Err(LogError::NotAllowed)),
        ] {
            assert_eq!(
                judged(&world, &log, &act, &signers),
                expected,
                "{signers:?}"
            );
        }
    }
}

#[test]
fn a_replacement_is_signed_by_old_and_new_in_this_order() {
    let world = World::uncapped();
    let log = populated(&world);
    let act = world.replace("phone", "laptop", Vec::new());
    for (signers, expected) in [
        (vec!["phone", "laptop"], Ok(())),
        (vec!["laptop", "phone"], Err(LogError::NotAllowed)),
        (vec!["phone", "phone"], Err(LogError::NotAllowed)),
        (vec!["phone", "stranger"], Err(LogError::NotAllowed)),
        (vec!["admin", "laptop"], Err(LogError::NotAllowed)),
        (vec!["phone"], Err(LogError::NotAllowed)),
        (vec!["laptop"], Err(LogError::NotAllowed)),
        (vec!["admin"], Err(LogError::NotAllowed)),
        (vec!["root:root"], Err(LogError::NotAllowed)),
        (vec!["phone", "root:laptop"], Err(LogError::NotAllowed)),
        (vec!["root:root", "laptop"], Err(LogError::NotAllowed)),
    ] {
        assert_eq!(
            judged(&world, &log, &act, &signers),
            expected,
            "{signers:?}"
        );
    }
    for (ended, by) in [("old", "laptop"), ("lost", "laptop")] {
        let act = world.replace(ended, by, Vec::new());
        assert_eq!(
            judged(&world, &log, &act, &[ended, by]),
            Err(LogError::DeviceEnded)
        );
    }
}

#[test]
fn a_log_is_opened_by_its_root_alone() {
    let world = World::uncapped();
    let log = world.empty_log();
    let act = world.incept("admin");
    for (signers, expected) in [
        (vec!["root:root"], Ok(())),
        (vec!["root"], Err(LogError::NotAllowed)),
        (vec!["admin"], Err(LogError::NotAllowed)),
        (vec!["root:admin"], Err(LogError::NotAllowed)),
        (vec!["root:root", "admin"], Err(LogError::NotAllowed)),
    ] {
        assert_eq!(
            judged(&world, &log, &act, &signers),
            expected,
            "{signers:?}"
        );
    }
}

#[test]
fn a_signature_of_another_form_or_key_does_not_fit() {
    let world = World::uncapped();
    let log = populated(&world);
    let (ledger_id, root, admin) = (world.ledger_id(), &world.root, key("admin"));
    let statement = world.sign(&log, rename("phone", "mine"), &[SigningAs::Device(&admin)]);
    let body = body_of(&statement);
    let hash = Tag::Statement.hash(ledger_id, &[&body]);
    let (root_key, admin_key) = (root.public_key(), admin.public_key());
    let ph = root.sign_root(Tag::Statement, ledger_id, &body);
    let admin_ph = admin.sign_root(Tag::Statement, ledger_id, &body);

    let check = |signatures: &[(u64, &[u8; 32], Signature)]| {
        let bytes = resigned(&statement, signatures);
        let statement = Statement::decode(ledger_id, bytes.into()).map_err(LogError::Format)?;
        log.check(&statement, SERVICE_TIME_MS)
    };
    assert_eq!(
        check(&[(AS_DEVICE, admin_key.as_bytes(), admin.sign(&hash))]),
        Ok(())
    );
    assert_eq!(check(&[(AS_ROOT, root_key.as_bytes(), ph)]), Ok(()));
    let bad = Err(LogError::Format(FormatError::Key(
        "the signature of a statement",
        KeyError::BadSignature,
    )));
    for forged in [
        (AS_ROOT, root_key.as_bytes(), root.sign(&hash)),
        (AS_DEVICE, admin_key.as_bytes(), admin_ph),
        (AS_DEVICE, admin_key.as_bytes(), key("phone").sign(&hash)),
        (AS_DEVICE, admin_key.as_bytes(), admin.sign(&[0; 32])),
    ] {
        assert_eq!(check(&[forged]), bad);
    }
    // The second of two signatures is checked too.
    let both = [
        (AS_DEVICE, admin_key.as_bytes(), admin.sign(&hash)),
        (AS_DEVICE, admin_key.as_bytes(), key("phone").sign(&hash)),
    ];
    assert_eq!(check(&both), bad);
}

#[test]
fn a_refused_statement_leaves_the_log_as_it_is() {
    let world = World::uncapped();
    let mut log = populated(&world);
    let before = log.head();
    let stranger = key("stranger");
    let statement = world.sign(
        &log,
        revoke("phone", Vec::new()),
        &[SigningAs::Device(&stranger)],
    );
    assert_eq!(
        log.apply(record(statement, Vec::new())),
        Err(LogError::NotAllowed)
    );
    assert_eq!(log.head(), before);
    let phone = log.device(&device_id("phone")).expect("in the log");
    assert_eq!(phone.cut, None);
}
