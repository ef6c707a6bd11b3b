//! The keys folder across starts, interruptions and losses.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use edge_ledger_core::identity::{ServiceCertificate, ServiceRole};

use super::*;

const ALL: [&str; 6] = [ROOT, NEXT_ROOT, GENESIS, SERVICE, CERTIFICATE, SEALING];

fn open(folder: &Path) -> Result<Keys, KeysError> {
    KeysFolder::open_or_init(folder, &Choices::default())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn remove(folder: &Path, names: &[&str]) {
    for name in names {
        fs::remove_file(folder.join(name)).unwrap();
    }
}

#[test]
fn keys_are_made_once_for_their_owner_alone() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("a/keys");
    assert!(!KeysFolder::is_made(&folder).unwrap());
    let made = open(&folder).unwrap();
    assert!(KeysFolder::is_made(&folder).unwrap());
    assert_eq!(mode(&folder), 0o700);
    for name in ALL {
        assert_eq!(mode(&folder.join(name)), 0o400, "{name}");
    }
    let other = Choices {
        unit: "other".to_owned(),
        ..Choices::default()
    };
    let read = KeysFolder::open_or_init(&folder, &other).unwrap();
    assert_eq!(read.genesis, made.genesis);
    let (sealed, opened) = (made.sealing.current(), read.sealing.current());
    assert_eq!(sealed.sealing().as_bytes(), opened.sealing().as_bytes());
    let (made, read) = (made.signer.current(), read.signer.current());
    assert_eq!(made.certificate(), read.certificate());
    assert_eq!(read.certificate().serial(), FIRST_SERIAL);
}

#[test]
fn making_keys_goes_on_wherever_it_was_interrupted() {
    let place = tempfile::tempdir().unwrap();
    let whole = place.path().join("whole");
    let made = open(&whole).unwrap();
    for kept in 0..ALL.len() {
        let folder = place.path().join(format!("cut-{kept}"));
        fs::create_dir(&folder).unwrap();
        for name in &ALL[..kept] {
            fs::copy(whole.join(name), folder.join(name)).unwrap();
        }
        // What was being written when the power went.
        fs::write(folder.join(format!(".{}.draft", ALL[kept])), "ab").unwrap();
        let keys = open(&folder).unwrap();
        for name in &ALL[..kept] {
            let (before, after) = (fs::read(whole.join(name)), fs::read(folder.join(name)));
            assert_eq!(before.unwrap(), after.unwrap(), "{name}");
        }
        let same = keys.genesis.ledger_id() == made.genesis.ledger_id();
        assert_eq!(same, kept > 2, "after {kept} files");
    }
}

#[test]
fn many_processes_that_start_at_once_share_one_deployment() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("keys");
    let ids: Vec<_> = std::thread::scope(|scope| {
        let start = || scope.spawn(|| open(&folder).unwrap().genesis.ledger_id());
        let starts: Vec<_> = (0..8).map(|_| start()).collect();
        starts.into_iter().map(|s| s.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]));
}

#[test]
fn the_roots_may_be_kept_elsewhere_and_the_rest_is_not_replaced() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("keys");
    let made = open(&folder).unwrap();
    remove(&folder, &[ROOT, NEXT_ROOT, SEALING]);
    assert_eq!(open(&folder).unwrap().genesis, made.genesis);
    assert!(!folder.join(ROOT).exists());
    let genesis = fs::read(folder.join(GENESIS)).unwrap();
    remove(&folder, &[GENESIS]);
    let missing = folder.join(GENESIS);
    assert!(matches!(open(&folder), Err(KeysError::Missing(path)) if path == missing));
    fs::write(missing, genesis).unwrap();
    remove(&folder, &[SERVICE]);
    let missing = folder.join(SERVICE);
    assert!(matches!(open(&folder), Err(KeysError::Missing(path)) if path == missing));
    remove(&folder, &[CERTIFICATE]);
    let missing = folder.join(ROOT);
    assert!(matches!(open(&folder), Err(KeysError::Missing(path)) if path == missing));
}

#[test]
fn damaged_and_mixed_up_files_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let (one, two) = (place.path().join("one"), place.path().join("two"));
    open(&one).unwrap();
    open(&two).unwrap();
    for name in [ROOT, GENESIS, SERVICE, CERTIFICATE, SEALING] {
        let path = one.join(name);
        let text = fs::read(&path).unwrap();
        remove(&one, &[name]);
        fs::write(&path, "zz").unwrap();
        let refused = open(&one).err().unwrap();
        assert!(
            matches!(&refused, KeysError::Damaged { path: at, .. } if *at == path),
            "{refused}"
        );
        fs::remove_file(&path).unwrap();
        fs::write(&path, text).unwrap();
        open(&one).unwrap();
    }
    for name in [ROOT, CERTIFICATE] {
        let text = fs::read(one.join(name)).unwrap();
        remove(&one, &[name]);
        fs::copy(two.join(name), one.join(name)).unwrap();
        assert!(matches!(open(&one), Err(KeysError::Foreign(path)) if path == one.join(name)));
        fs::remove_file(one.join(name)).unwrap();
        fs::write(one.join(name), text).unwrap();
    }
}

/// What a service says of a folder, by reason and file.
fn said(folder: &Path) -> Vec<String> {
    let folder = KeysFolder::at(folder);
    let errors = folder.exposed().into_iter();
    let errors = errors.chain(folder.service_key().err().unwrap_or_default());
    let errors = errors.chain(folder.sealing_keys().err().unwrap_or_default());
    errors
        .map(|error| {
            assert!(!error.what_to_do().is_empty());
            format!("{} {error}", error.reason())
        })
        .collect()
}

#[track_caller]
fn assert_said(folder: &Path, expected: &[(&str, &str)]) {
    let said = said(folder);
    assert_eq!(said.len(), expected.len(), "{said:?}");
    for (said, (reason, file)) in said.iter().zip(expected) {
        assert!(said.starts_with(reason) && said.contains(file), "{said}");
    }
}

#[test]
fn a_service_hears_of_every_file_that_is_in_the_way() {
    let place = tempfile::tempdir().unwrap();
    let (one, two) = (place.path().join("one"), place.path().join("two"));
    open(&one).unwrap();
    open(&two).unwrap();
    let absent = KeysFolder::at(&place.path().join("absent")).is_there();
    assert!(matches!(absent, Err(KeysError::NoFolder(_))));
    let file = KeysFolder::at(&one.join(GENESIS)).is_there();
    assert!(matches!(file, Err(KeysError::NoFolder(_))));
    remove(&one, &[ROOT, NEXT_ROOT]);
    assert_said(&one, &[]);

    let signer = fs::read(one.join(SERVICE)).unwrap();
    remove(&one, &[SERVICE]);
    fs::copy(two.join(SERVICE), one.join(SERVICE)).unwrap();
    assert_said(&one, &[("KEYS_FOREIGN", "is not the certificate of")]);
    remove(&one, &[SERVICE, SEALING]);
    fs::write(one.join(SERVICE), "zz").unwrap();
    fs::set_permissions(one.join(SERVICE), fs::Permissions::from_mode(0o644)).unwrap();
    assert_said(
        &one,
        &[
            (
                "KEYS_EXPOSED",
                "service.key is open to others, with mode 0644",
            ),
            ("KEYS_DAMAGED", SERVICE),
            ("KEYS_MISSING", SEALING),
        ],
    );
    fs::write(one.join(SERVICE), signer).unwrap();
    for (mode, expected) in [(0o440, 0), (0o640, 0), (0o660, 1), (0o604, 1), (0o402, 1)] {
        fs::set_permissions(one.join(SERVICE), fs::Permissions::from_mode(mode)).unwrap();
        let exposed = KeysFolder::at(&one).exposed();
        assert_eq!(exposed.len(), expected, "{mode:o}: {exposed:?}");
    }
    remove(&one, &[SERVICE, GENESIS]);
    let all = [
        ("KEYS_MISSING", GENESIS),
        ("KEYS_MISSING", SERVICE),
        ("KEYS_MISSING", SEALING),
    ];
    assert_said(&one, &all);
}

#[test]
fn a_folder_that_others_can_change_is_said_to_be() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("keys");
    open(&folder).unwrap();
    // With the sticky bit each can change their own files alone, as where secrets are mounted.
    for (mode, expected) in [(0o755, 0), (0o770, 0), (0o1777, 0), (0o777, 1)] {
        fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(said(&folder).len(), expected, "{mode:o}");
    }
}

#[test]
fn the_key_of_an_issuer_is_none_of_a_service() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("keys");
    let keys = open(&folder).unwrap();
    let this = KeysFolder::at(&folder);
    let root = SecretKey::from_seed(this.seed(ROOT).unwrap().unwrap());
    let key = *keys.signer.current().certificate().key();
    let (ledger_id, role) = (keys.genesis.ledger_id(), ServiceRole::Issuer);
    let certificate = ServiceCertificate::issue(&root, ledger_id, &key, role, FIRST_SERIAL);
    let body = encode_hex(certificate.body());
    let signature = encode_hex(certificate.signature().as_bytes());
    remove(&folder, &[CERTIFICATE]);
    fs::write(
        folder.join(CERTIFICATE),
        format!("{}\n{}", *body, *signature),
    )
    .unwrap();
    assert_said(&folder, &[("KEYS_FOREIGN", "may not sign for a service")]);
}

#[test]
fn choices_out_of_their_limits_make_nothing() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("keys");
    let choices = Choices {
        unit: String::new(),
        ..Choices::default()
    };
    let refused = KeysFolder::open_or_init(&folder, &choices).err().unwrap();
    assert!(matches!(refused, KeysError::Choices(_)));
    assert!(refused.what_to_do().contains("unit"));
    assert!(!folder.join(GENESIS).exists());
    open(&folder).unwrap();
}
