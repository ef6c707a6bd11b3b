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
fn restoring_makes_a_new_device_whatever_key_lies_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let (phone, saved) = (up.device("phone"), folder.path().join("ana.backup"));
    let right = password(folder.path(), "password", PASSWORD);
    phone.init();
    backup(&phone, &["create", file(&saved)], &right).done();
    let tablet = up.device("tablet");
    fs::create_dir(&tablet.home).unwrap();
    let key = |device: &Device| device.home.join("device.key");
    fs::copy(key(&phone), key(&tablet)).unwrap();
    let before = fs::read(key(&tablet)).unwrap();
    let act = ["restore", file(&saved)];
    backup(&tablet, &act, &right).failed(1, "DEVICE_EXISTS");
    assert_eq!(fs::read(key(&tablet)).unwrap(), before, "never overwritten");
    assert_eq!(keys_in(&tablet.home), ["device.key"]);
    let devices = phone.run(&["devices"]).done();
    assert_eq!(devices["devices"].as_array().unwrap().len(), 1);

    // A restore that was killed at its end is finished by the next, as the same device.
    fs::remove_file(key(&tablet)).unwrap();
    let restored = backup(&tablet, &act, &right).done();
    assert_eq!(
        keys_in(&tablet.home),
        ["device.key", "identity.key", "next-identity.key"]
    );
    fs::remove_file(tablet.home.join("home.json")).unwrap();
    fs::copy(key(&tablet), tablet.home.join("entering-device.key")).unwrap();
    let again = backup(&tablet, &act, &right).done();
    assert_eq!(again["device"], restored["device"]);
    assert_eq!(keys_in(&tablet.home).len(), 3);
}

/// The vectors of the JavaScript service's three formats.
fn original() -> Vec<serde_json::Value> {
    let vectors: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("../../../tests/vectors/backups.json")).unwrap();
    let named = ["pikey v1", "pikey v2", "node identity"];
    let found: Vec<_> = vectors
        .into_iter()
        .filter(|vector| named.contains(&vector["name"].as_str().unwrap()))
        .collect();
    assert_eq!(found.len(), named.len());
    found
}

/// Writes the file of a vector.
fn save(vector: &serde_json::Value, path: &Path) {
    let hex = vector["file"].as_str().unwrap();
    let bytes: Vec<u8> = (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect();
    fs::write(path, bytes).unwrap();
}

fn init_from(device: &Device, saved: &Path, password: &Path) -> Ran {
    let url = &device.identity_url;
    let mut args = vec!["init", "--from-backup", file(saved), "--identity-url", url];
    args.extend(["--password-file", file(password), "--name", "old"]);
    device.run(&args)
}

#[test]
fn a_pikey_of_the_javascript_service_is_brought_in_whatever_its_format() {
    let formats = [
        ("pikey-v1", true),
        ("pikey-v2", false),
        ("node-identity", false),
    ];
    for (vector, (format, weak)) in original().iter().zip(formats) {
        let folder = tempfile::tempdir().unwrap();
        let up = Up::start(folder.path());
        let (device, saved) = (up.device("old"), folder.path().join("pikey"));
        let right = password(folder.path(), "password", PASSWORD);
        save(vector, &saved);
        let url = &device.identity_url;
        for act in ["verify", "restore"] {
            let act = [act, file(&saved), "--identity-url", url];
            let error = backup(&device, &act, &right).failed(1, "UNKNOWN_IDENTITY");
            assert_eq!(
                (&error["format"], &error["weak"], &error["identity"]),
                (&format.into(), &weak.into(), &vector["public_key"])
            );
            let next = error["next"].as_str().unwrap();
            assert!(next.contains("init --from-backup"), "{error}");
        }

        let made = init_from(&device, &saved, &right).done();
        assert_eq!(
            (&made["identity"], &made["format"], &made["weak"]),
            (&vector["public_key"], &format.into(), &weak.into())
        );
        // Killed at the very end, it is finished by the same again.
        fs::remove_file(device.home.join("home.json")).unwrap();
        let again = init_from(&device, &saved, &right).done();
        assert_eq!(again["device"], made["device"]);
        device.run(&["earn", "5"]).done();
        let act = ["verify", file(&saved), "--identity-url", url];
        assert_eq!(
            backup(&device, &act, &right).done()["proof"],
            "root_only",
            "the next root key is new"
        );

        // It is there now: further devices come out of the file as out of any backup.
        let tablet = up.device("tablet");
        let error = init_from(&tablet, &saved, &right).failed(1, "IDENTITY_EXISTS");
        assert!(error["next"].as_str().unwrap().contains("backup restore"));
        assert_eq!(keys_in(&tablet.home), Vec::<String>::new());
        let act = ["restore", file(&saved), "--identity-url", url];
        backup(&tablet, &act, &right).done();
        assert_eq!(tablet.balance(), "5");

        // A key that may be known to others makes way, and its file is worthless.
        device.run(&["rotate"]).done();
        let third = up.device("third");
        init_from(&third, &saved, &right).failed(1, "IDENTITY_EXISTS");
        assert_eq!(keys_in(&third.home), Vec::<String>::new());
        let new = folder.path().join("new.backup");
        let made = backup(&device, &["create", file(&new)], &right).done();
        assert_eq!(made["proof"], "complete");
        init_from(&third, &new, &right).failed(1, "IDENTITY_EXISTS");
    }
}

fn keys_in(home: &Path) -> Vec<String> {
    let Ok(files) = fs::read_dir(home) else {
        return Vec::new();
    };
    let names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".key")).collect();
    names.sort();
    names
}

#[test]
fn what_is_said_of_a_pikey_names_what_to_type() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let (device, saved) = (up.device("old"), folder.path().join("pikey"));
    let right = password(folder.path(), "password", PASSWORD);
    save(&original()[0], &saved);
    let url = &device.identity_url;
    let words = |act: &[&str]| {
        let mut command = device.words(act);
        command.args(["--identity-url", url, "--password-file", file(&right)]);
        Ran::of(&mut command)
    };
    let unknown = words(&["backup", "verify", file(&saved)]);
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    for said in ["the file opened", "guessed fast", "init --from-backup"] {
        assert!(unknown.stderr.contains(said), "{said}: {unknown:?}");
    }
    let made = words(&["init", "--from-backup", file(&saved)]);
    assert_eq!(made.code, Some(0), "{made:?}");
    for said in ["pikey-v1", "guessed fast", "edge-ledger rotate"] {
        assert!(made.stdout.contains(said), "{said}: {made:?}");
    }
    // The password can come from standard input.
    let mut command = device.command(&["backup", "verify", file(&saved)]);
    command.args(["--identity-url", url, "--password-file", "-"]);
    command.stdin(Stdio::from(fs::File::open(&right).unwrap()));
    assert_eq!(Ran::of(&mut command).done()["weak"], true);
    device
        .run(&["init", "--password-file", file(&right)])
        .failed(2, "USAGE");
}
