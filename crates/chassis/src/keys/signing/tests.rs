//! Service keys that follow each other, in one folder and in copies of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use edge_ledger_core::keys::Signature;

use super::super::{Choices, Keys};
use super::*;
use crate::limits::RELOAD_EVERY;

fn open(folder: &Path) -> Keys {
    KeysFolder::open_or_init(folder, &Choices::default()).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.starts_with("service")).collect();
    names.sort();
    names
}

fn signs(signing: &Signing) -> (u64, Signature) {
    let signer = signing.current();
    (signer.certificate().serial(), signer.sign(&[7; 32]))
}

#[test]
fn the_latest_key_signs_and_the_one_before_stays() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("keys");
    let keys = open(&folder);
    let this = KeysFolder::at(&folder);
    let first = keys.signer.current();
    assert!(!keys.signer.reload().unwrap(), "nothing changed");
    let rotated = this.rotate(None).unwrap();
    assert_eq!((rotated.serial, rotated.kept), (2, 1));
    assert!(rotated.retired.is_empty(), "{rotated:?}");
    // Whoever holds on to a key goes on with it.
    assert!(keys.signer.reload().unwrap());
    assert_eq!(first.certificate().serial(), 1);
    let (serial, signature) = signs(&keys.signer);
    assert_eq!(serial, 2);
    let second = keys.signer.current();
    assert!(
        second
            .certificate()
            .key()
            .verify(&[7; 32], &signature)
            .is_ok()
    );
    assert_ne!(first.certificate().key(), second.certificate().key());
    for name in &rotated.files {
        let mode = fs::metadata(folder.join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o400, "{name}");
    }
    let (three, four) = (this.rotate(None).unwrap(), this.rotate(None).unwrap());
    assert_eq!((three.retired, four.retired), (vec![1], vec![2]));
    assert_eq!(
        names(&folder),
        [
            "service-3.cert",
            "service-3.key",
            "service-4.cert",
            "service-4.key"
        ]
    );
    assert!(keys.signer.reload().unwrap());
    // A start reads the same, and makes nothing anew.
    let started = open(&folder);
    assert_eq!(signs(&started.signer), signs(&keys.signer));
    assert_eq!(started.genesis, keys.genesis);
    let files = this.files().unwrap();
    assert!(files.iter().all(|(_, is_there)| *is_there), "{files:?}");
}

#[test]
fn the_root_may_be_elsewhere_and_must_be_the_right_one() {
    let place = tempfile::tempdir().unwrap();
    let (folder, other) = (place.path().join("keys"), place.path().join("other"));
    open(&folder);
    open(&other);
    let this = KeysFolder::at(&folder);
    let safe = place.path().join("safe.key");
    fs::rename(folder.join("root.key"), &safe).unwrap();
    let refused = this.rotate(None).unwrap_err();
    assert!(matches!(&refused, KeysError::NoRoot(path) if *path == folder.join("root.key")));
    assert!(refused.what_to_do().contains("--root"));
    let foreign = other.join("root.key");
    let refused = this.rotate(Some(&foreign)).unwrap_err();
    assert!(matches!(refused, KeysError::Foreign(path) if path == foreign));
    let service = folder.join("service.cert");
    assert!(matches!(
        this.rotate(Some(&service)),
        Err(KeysError::Damaged { .. })
    ));
    assert_eq!(names(&folder), ["service.cert", "service.key"]);
    assert_eq!(this.rotate(Some(&safe)).unwrap().serial, 2);
    assert!(!folder.join("root.key").exists());
    let nowhere = KeysFolder::at(&place.path().join("nowhere")).rotate(Some(&safe));
    assert!(matches!(nowhere, Err(KeysError::NoFolder(_))));
}

#[test]
fn a_rotation_that_was_interrupted_is_done_again() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("keys");
    let keys = open(&folder);
    let this = KeysFolder::at(&folder);
    this.rotate(None).unwrap();
    let made = fs::read(folder.join("service-2.key")).unwrap();
    // As if the power had gone between the key and its certificate.
    fs::remove_file(folder.join("service-2.cert")).unwrap();
    assert!(!keys.signer.reload().unwrap());
    assert_eq!(open(&folder).signer.serial(), 1);
    assert_eq!(this.rotate(None).unwrap().serial, 2);
    assert_eq!(fs::read(folder.join("service-2.key")).unwrap(), made);
    assert!(keys.signer.reload().unwrap());
}

/// What is complained of, once, while the old key goes on.
#[track_caller]
fn complains(signing: &Signing) -> KeysError {
    let before = signs(signing);
    let mut errors = signing.reload().unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(!signing.reload().unwrap(), "it is complained of once");
    assert_eq!(signing.look(true).unwrap_err().len(), 1, "and again later");
    assert_eq!(signs(signing), before);
    errors.remove(0)
}

#[test]
fn a_copy_that_is_not_whole_or_not_right_changes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let (whole, replica) = (place.path().join("whole"), place.path().join("replica"));
    open(&whole);
    fs::create_dir(&replica).unwrap();
    for name in ["genesis", "service.key", "service.cert"] {
        fs::copy(whole.join(name), replica.join(name)).unwrap();
    }
    let (_, signing) = Signing::load(KeysFolder::at(&replica)).unwrap();
    let files = KeysFolder::at(&whole).rotate(None).unwrap().files;
    let [key, certificate] = &files[..] else {
        panic!("{files:?}");
    };
    // In the wrong order: a start does without it, too.
    fs::copy(whole.join(certificate), replica.join(certificate)).unwrap();
    assert!(matches!(complains(&signing), KeysError::Missing(path) if path.ends_with(key)));
    let (_, started) = Signing::load(KeysFolder::at(&replica)).unwrap();
    assert_eq!(started.serial(), 1);
    // Another deployment's, a broken one, and one that everybody reads.
    let other = place.path().join("other");
    open(&other);
    fs::copy(other.join("service.key"), replica.join(key)).unwrap();
    assert!(matches!(complains(&signing), KeysError::Unpaired { .. }));
    fs::remove_file(replica.join(key)).unwrap();
    fs::write(replica.join(key), "zz").unwrap();
    fs::set_permissions(replica.join(key), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(complains(&signing), KeysError::Exposed { .. }));
    fs::set_permissions(replica.join(key), fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(complains(&signing), KeysError::Damaged { .. }));
    fs::copy(whole.join(key), replica.join(key)).unwrap();
    assert!(signing.reload().unwrap());
    assert_eq!(signing.serial(), 2);
    // Never back, also when an old copy of the folder is put in its place.
    for name in [key, certificate] {
        fs::remove_file(replica.join(name)).unwrap();
    }
    assert!(!signing.reload().unwrap());
    assert_eq!(signing.serial(), 2);
    // A certificate under another number than its own.
    fs::copy(whole.join(certificate), replica.join("service-9.cert")).unwrap();
    fs::copy(whole.join(key), replica.join("service-9.key")).unwrap();
    assert!(matches!(complains(&signing), KeysError::Damaged { .. }));
}

#[test]
fn keys_of_another_deployment_are_not_gone_over_to() {
    let place = tempfile::tempdir().unwrap();
    let (one, two) = (place.path().join("one"), place.path().join("two"));
    let keys = open(&one);
    open(&two);
    KeysFolder::at(&two).rotate(None).unwrap();
    for name in ["root.key", "genesis", "service-2.key", "service-2.cert"] {
        let _ = fs::remove_file(one.join(name));
        fs::copy(two.join(name), one.join(name)).unwrap();
    }
    assert!(
        matches!(complains(&keys.signer), KeysError::Foreign(path) if path == one.join("genesis"))
    );
}

#[test]
fn names_that_are_none_are_passed_over() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("keys");
    let keys = open(&folder);
    for name in [
        "service-1",
        "service-01",
        "service-x",
        "service-",
        "services",
        "service-2.old",
    ] {
        for end in ["key", "cert"] {
            fs::write(folder.join(format!("{name}.{end}")), "").unwrap();
        }
    }
    assert!(!keys.signer.reload().unwrap());
    assert_eq!(open(&folder).signer.serial(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_put_there_is_gone_over_to_while_it_runs() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("keys");
    let keys = open(&folder);
    let stopping = CancellationToken::new();
    let mut following = std::pin::pin!(keys.signer.clone().follow(stopping.clone()));
    let mut serial_after = async |looks: u32| {
        let time = RELOAD_EVERY * looks + Duration::from_millis(1);
        let _ = tokio::time::timeout(time, following.as_mut()).await;
        keys.signer.serial()
    };
    assert_eq!(serial_after(2).await, 1);
    KeysFolder::at(&folder).rotate(None).unwrap();
    assert_eq!(serial_after(2).await, 2);
    // What is wrong does not end it.
    fs::write(folder.join("service-3.cert"), "zz").unwrap();
    assert_eq!(serial_after(2).await, 2);
    fs::remove_file(folder.join("service-3.cert")).unwrap();
    KeysFolder::at(&folder).rotate(None).unwrap();
    assert_eq!(serial_after(2).await, 3);
    stopping.cancel();
    following.await;
}
