//! The root key makes way for the next one, wherever it is interrupted.

use std::fs;
use std::path::{Path, PathBuf};

use super::process::{Device, Ran, Up};

struct Safe {
    folder: PathBuf,
    password: String,
}

impl Safe {
    fn new(folder: &Path) -> Self {
        let password = folder.join("password");
        fs::write(&password, "correct horse battery staple\n").unwrap();
        Self {
            folder: folder.to_owned(),
            password: password.to_str().unwrap().to_owned(),
        }
    }

    fn run(&self, device: &Device, act: &str, name: &str) -> Ran {
        let file = self.folder.join(name);
        let file = file.to_str().unwrap();
        device.run(&["backup", act, file, "--password-file", &self.password])
    }

    /// `backup create --remove`.
    fn remove(&self, device: &Device, name: &str) -> Ran {
        let file = self.folder.join(name);
        let create = ["backup", "create", file.to_str().unwrap(), "--remove"];
        device.run(&[&create[..], &["--password-file", &self.password]].concat())
    }

    fn proof(&self, device: &Device, name: &str) -> String {
        let verified = self.run(device, "verify", name).done();
        verified["proof"].as_str().unwrap().to_owned()
    }
}

/// A folder that finds the services by what a backup says.
fn fresh(folder: &Path, name: &str) -> Device {
    Device {
        home: folder.join(name),
        identity_url: String::new(),
    }
}

#[test]
fn a_rotation_outdates_the_backups_before_it_and_a_second_one_makes_them_worthless() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let (phone, safe) = (up.device("phone"), Safe::new(folder.path()));
    let made = phone.init();
    phone.run(&["earn", "40"]).done();
    safe.run(&phone, "create", "first").done();
    assert_eq!(safe.proof(&phone, "first"), "complete");
    let rotated = phone.run(&["rotate"]).done();
    assert_eq!(
        (
            &rotated["rotations"],
            &rotated["backups"],
            &rotated["identity"]
        ),
        (&1.into(), &"outdated".into(), &made["identity"])
    );
    assert_eq!(safe.proof(&phone, "first"), "outdated");
    // Without a new one it still brings the identity back.
    let tablet = fresh(folder.path(), "tablet");
    let restored = safe.run(&tablet, "restore", "first").done();
    assert_eq!(restored["identity"], made["identity"]);
    assert_eq!(tablet.balance(), "40");
    tablet.run(&["rotate"]).failed(1, "NO_NEXT_ROOT_KEY");
    safe.run(&tablet, "create", "half").done();
    assert_eq!(safe.proof(&tablet, "half"), "root_only");

    safe.run(&phone, "create", "second").done();
    assert_eq!(safe.proof(&phone, "second"), "complete");
    phone.run(&["rotate"]).done();
    safe.run(&phone, "verify", "first")
        .failed(1, "BACKUP_STALE");
    assert_eq!(safe.proof(&phone, "second"), "outdated");
    let nobody = fresh(folder.path(), "nobody");
    safe.run(&nobody, "verify", "first")
        .failed(1, "UNKNOWN_IDENTITY");
    safe.run(&nobody, "restore", "first")
        .failed(1, "UNKNOWN_IDENTITY");
    assert!(!nobody.home.join("home.json").exists());
    // Root keys of another identity, as an interrupted `init` leaves them, are not mixed with these.
    fs::write(nobody.home.join("identity.key"), format!("{:064x}\n", 7)).unwrap();
    safe.run(&nobody, "restore", "second")
        .failed(1, "HOME_DAMAGED");
    let devices = phone.run(&["devices"]).done();
    assert_eq!(devices["devices"].as_array().unwrap().len(), 2, "{devices}");
    // A device that held the key puts it aside once it hears of that.
    assert_eq!(tablet.balance(), "40");
    safe.run(&tablet, "create", "third")
        .failed(1, "NO_ROOT_KEY");
    tablet.run(&["recovery", "set"]).failed(1, "NO_ROOT_KEY");
    assert!(tablet.home.join("retired-identity.key").exists());
    assert_eq!(phone.balance(), "40");
}

#[test]
fn a_backup_is_held_against_the_log_before_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let (phone, safe) = (up.device("phone"), Safe::new(folder.path()));
    phone.init();
    let first = safe.run(&phone, "create", "first").done();
    assert_eq!(first["proof"], "complete");
    let tablet = fresh(folder.path(), "tablet");
    safe.run(&tablet, "restore", "first").done();

    // A rotation elsewhere, of which this device has not heard.
    tablet.run(&["rotate"]).done();
    let half = safe.run(&phone, "create", "half").done();
    assert_eq!(half["proof"], "root_only");
    assert_eq!(safe.proof(&phone, "half"), "root_only");
    safe.remove(&phone, "taken").failed(1, "BACKUP_ROOT_ONLY");
    assert!(!folder.path().join("taken").exists());
    assert!(phone.home.join("identity.key").exists());

    tablet.run(&["rotate", "--compromised"]).done();
    safe.run(&phone, "create", "stale")
        .failed(1, "STALE_ROOT_KEY");
    safe.remove(&phone, "stale").failed(1, "STALE_ROOT_KEY");
    assert!(!folder.path().join("stale").exists());

    // Better an unproved one than none, but not in place of the keys.
    let stopped = up.stop();
    let blind = safe.run(&tablet, "create", "blind").done();
    assert_eq!(blind["proof"], "unproved");
    assert!(blind["proof_error"].is_string(), "{blind}");
    safe.remove(&tablet, "gone").failed(75, "UNREACHABLE");
    assert!(!folder.path().join("gone").exists());
    let _up = stopped.start();
    assert_eq!(safe.proof(&tablet, "blind"), "complete");
    assert_eq!(safe.remove(&tablet, "gone").done()["proof"], "complete");
}

#[test]
fn a_compromised_root_takes_both_keys_and_the_recovery_key_along() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let (phone, safe) = (up.device("phone"), Safe::new(folder.path()));
    phone.init();
    safe.run(&phone, "create", "stolen").done();
    phone.run(&["recovery", "set"]).done();
    let rotated = phone.run(&["rotate", "--compromised"]).done();
    assert_eq!(
        (
            &rotated["reason"],
            &rotated["rotations"],
            &rotated["backups"]
        ),
        (&"compromised".into(), &2.into(), &"worthless".into())
    );
    safe.run(&phone, "verify", "stolen")
        .failed(1, "BACKUP_STALE");
    let thief = fresh(folder.path(), "thief");
    safe.run(&thief, "restore", "stolen")
        .failed(1, "UNKNOWN_IDENTITY");
    assert_eq!(phone.run(&["recovery", "status"]).done()["set"], false);
    phone.run(&["recovery", "set"]).done();
    safe.run(&phone, "create", "next").done();
    assert_eq!(safe.proof(&phone, "next"), "complete");
    // Through the agent, too.
    let _agent = phone.agent(&[]);
    phone.run(&["rotate"]).done();
    assert_eq!(safe.proof(&phone, "next"), "outdated");
}

#[test]
fn an_interrupted_rotation_is_finished_wherever_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let (phone, safe) = (up.device("phone"), Safe::new(folder.path()));
    phone.init();
    phone.run(&["earn", "40"]).done();
    let key = |device: &Device, name: &str| device.home.join(name);
    // As it was before, with what a killed process had written: the answer never came.
    let before = fresh(folder.path(), "before");
    copy(&phone.home, &before.home);
    phone.run(&["rotate"]).done();
    let root = fs::read(key(&phone, "identity.key")).unwrap();
    let next = fs::read(key(&phone, "next-identity.key")).unwrap();
    assert_eq!(fs::read(key(&before, "next-identity.key")).unwrap(), root);
    fs::write(key(&before, "later-identity.key"), &next).unwrap();
    fs::remove_dir_all(&phone.home).unwrap();
    fs::rename(&before.home, &phone.home).unwrap();
    safe.run(&phone, "create", "early")
        .failed(1, "ROTATION_UNFINISHED");
    assert_eq!(phone.balance(), "40");
    let settled = |device: &Device| {
        assert_eq!(fs::read(key(device, "identity.key")).unwrap(), root);
        assert_eq!(fs::read(key(device, "next-identity.key")).unwrap(), next);
        assert!(!key(device, "later-identity.key").exists());
    };
    settled(&phone);
    // Killed between the two steps in which the keys move up.
    fs::rename(
        key(&phone, "next-identity.key"),
        key(&phone, "later-identity.key"),
    )
    .unwrap();
    assert_eq!(phone.balance(), "40");
    settled(&phone);
    // Nothing is written before the service is there, and what was written is used.
    let stopped = up.stop();
    phone.run(&["rotate"]).failed(75, "UNREACHABLE");
    settled(&phone);
    fs::write(key(&phone, "later-identity.key"), format!("{:064x}\n", 7)).unwrap();
    let _up = stopped.start();
    phone.run(&["rotate"]).done();
    assert_eq!(fs::read(key(&phone, "identity.key")).unwrap(), next);
    let used = fs::read_to_string(key(&phone, "next-identity.key")).unwrap();
    assert_eq!(used.trim(), format!("{:064x}", 7));
    safe.run(&phone, "create", "late").done();
    assert_eq!(safe.proof(&phone, "late"), "complete");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "lock" {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}
