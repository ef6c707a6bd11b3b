//! A backup brings the identity back when every device is lost.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::process::{Device, Ran, Up};

const PASSWORD: &str = "correct horse battery staple";

fn file(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Writes a password where `--password-file` finds it.
fn password(folder: &Path, name: &str, password: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, format!("{password}\n")).unwrap();
    path
}

fn backup(device: &Device, act: &[&str], password: &Path) -> Ran {
    let mut args = vec!["backup"];
    args.extend(act);
    args.extend(["--password-file", file(password)]);
    device.run(&args)
}

#[test]
fn an_identity_whose_devices_are_all_lost_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let (phone, saved) = (up.device("phone"), folder.path().join("ana.backup"));
    let right = password(folder.path(), "password", PASSWORD);
    let made = phone.init();
    phone.run(&["earn", "40"]).done();

    let written = backup(&phone, &["create", file(&saved)], &right).done();
    assert_eq!(written["identity"], made["identity"]);
    assert_eq!(written["removed"], false);
    let mode = fs::metadata(&saved).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = fs::read(&saved).unwrap();
    backup(&phone, &["create", file(&saved)], &right).failed(1, "FILE_EXISTS");
    assert_eq!(fs::read(&saved).unwrap(), before, "never overwritten");
    let verified = backup(&phone, &["verify", file(&saved)], &right).done();
    assert_eq!(
        (&verified["format"], &verified["proof"], &verified["weak"]),
        (&"v3".into(), &"complete".into(), &false.into())
    );
    assert_eq!(verified["short_id"], made["short_id"]);

    // Nothing but the file, the password and the address that the file names.
    let tablet = Device {
        home: folder.path().join("tablet"),
        identity_url: String::new(),
    };
    let act = ["restore", file(&saved), "--name", "tablet"];
    let restored = backup(&tablet, &act, &right).done();
    assert_eq!(restored["identity"], made["identity"]);
    assert_ne!(restored["device"], made["device"]);
    assert_eq!(tablet.balance(), "40");
    tablet
        .run(&["devices", "revoke", "phone", "--reason", "lost"])
        .done();
    phone.run(&["balance"]).failed(1, "DEVICE_REVOKED");
    tablet.run(&["spend", "15"]).done();
    assert_eq!(tablet.balance(), "25");

    // The restored device has the keys: it can make the next backup, and give them up.
    let second = folder.path().join("second.backup");
    let written = backup(&tablet, &["create", file(&second), "--remove"], &right).done();
    assert_eq!(written["removed"], true);
    let third = folder.path().join("third.backup");
    backup(&tablet, &["create", file(&third)], &right).failed(1, "NO_ROOT_KEY");
    backup(&tablet, &["verify", file(&second)], &right).done();
    backup(&tablet, &act, &right).failed(1, "DEVICE_EXISTS");
    assert_eq!(tablet.balance(), "25");
}

#[test]
fn a_backup_that_cannot_be_used_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let (phone, saved) = (up.device("phone"), folder.path().join("ana.backup"));
    let right = password(folder.path(), "password", PASSWORD);
    let wrong = password(folder.path(), "wrong", "incorrect horse battery");
    let short = password(folder.path(), "short", "too short");
    backup(&phone, &["create", file(&saved)], &right).failed(1, "NO_DEVICE");
    phone.init();
    backup(&phone, &["create", file(&saved)], &short).failed(2, "PASSWORD");
    assert!(!saved.exists());
    backup(&phone, &["create", file(&saved)], &right).done();
    backup(&phone, &["verify", file(&saved)], &wrong).failed(1, "BACKUP_PASSWORD");
    phone
        .run(&["backup", "verify", file(&saved)])
        .failed(2, "PASSWORD");
    let missing = folder.path().join("missing");
    backup(&phone, &["verify", file(&missing)], &right).failed(1, "BACKUP_IO");
    backup(&phone, &["verify", file(&saved)], &missing).failed(2, "PASSWORD");

    let bytes = fs::read(&saved).unwrap();
    let variant = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let cut = variant("cut", &bytes[..bytes.len() - 1]);
    backup(&phone, &["verify", file(&cut)], &right).failed(1, "BACKUP_DAMAGED");
    let mut header = bytes.clone();
    header[20] ^= 1;
    let header = variant("header", &header);
    backup(&phone, &["verify", file(&header)], &right).failed(1, "BACKUP_DAMAGED");
    let mut newer = bytes.clone();
    newer[8] = 4;
    let newer = variant("newer", &newer);
    backup(&phone, &["verify", file(&newer)], &right).failed(1, "BACKUP_NEWER");
    let other = variant("other", b"no backup at all");
    backup(&phone, &["verify", file(&other)], &right).failed(1, "BACKUP_UNKNOWN");
    let empty = variant("empty", b"");
    backup(&phone, &["restore", file(&empty)], &right).failed(1, "BACKUP_UNKNOWN");
    backup(&phone, &["restore", file(&saved)], &right).failed(1, "DEVICE_EXISTS");

    // Another ledger than the one that the backup names, and a service that lost the identity.
    let elsewhere = tempfile::tempdir().unwrap();
    let other = Up::start(elsewhere.path());
    let stranger = other.device("stranger");
    let url = other.url("identity");
    let act = ["restore", file(&saved), "--identity-url", &url];
    backup(&stranger, &act, &right).failed(1, "UNTRUSTED");
    assert!(!stranger.home.join("home.json").exists());
}

#[test]
fn a_backup_of_the_javascript_service_is_told_apart_and_finds_its_identity_or_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let device = up.device("old");
    let right = password(folder.path(), "password", PASSWORD);
    let vectors: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("../../../tests/vectors/backups.json")).unwrap();
    let hex = vectors[0]["file"].as_str().unwrap();
    let bytes: Vec<u8> = (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect();
    let saved = folder.path().join("pikey");
    fs::write(&saved, bytes).unwrap();
    let url = &device.identity_url;
    let act = ["verify", file(&saved), "--identity-url", url];
    backup(&device, &act, &right).failed(1, "UNKNOWN_IDENTITY");
    let act = ["restore", file(&saved), "--identity-url", url];
    backup(&device, &act, &right).failed(1, "UNKNOWN_IDENTITY");
    // The password can come from standard input.
    let mut command = device.command(&["backup", "verify", file(&saved)]);
    command.args(["--identity-url", url, "--password-file", "-"]);
    command.stdin(Stdio::from(fs::File::open(&right).unwrap()));
    Ran::of(&mut command).failed(1, "UNKNOWN_IDENTITY");
}
