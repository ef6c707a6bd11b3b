//! What a revocation does not end: root keys in the folder of the device.

use std::fs;

use serde_json::Value;

use super::process::{Device, Ran, Up};

fn row(device: &Device, name: &str) -> Value {
    let devices = device.run(&["devices"]).done()["devices"].take();
    let rows = devices.as_array().unwrap().clone();
    let row = rows.into_iter().find(|row| row["name"] == name);
    row.unwrap()
}

#[test]
fn a_revocation_says_that_root_keys_go_on_and_what_ends_them() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--probation", "0s"].map(AsRef::as_ref);
    let up = Up::start_with(folder.path(), &options);
    let [old, laptop, tablet] = ["old", "laptop", "tablet"].map(|name| up.device(name));
    old.init();
    old.link(&laptop, "link", &["--admin"]);
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(file("password"), "correct horse battery staple\n").unwrap();
    let backup = |device: &Device, act: &str, name: &str, options: &[&str]| {
        let (saved, password) = (file(name), file("password"));
        let act = ["backup", act, &saved, "--password-file", &password];
        device.run(&[&act[..], options].concat())
    };
    assert_eq!(row(&laptop, "old")["may_hold_root_keys"], true);
    assert_eq!(row(&laptop, "laptop")["may_hold_root_keys"], false);
    let revoke = ["devices", "revoke", "old", "--reason", "lost"];
    let revoked = Ran::of(&mut laptop.words(&revoke));
    let said = &revoked.stdout;
    assert!(said.contains("It may hold the root keys."), "{revoked:?}");
    assert!(said.contains("rotate --compromised"), "{revoked:?}");
    let listed = Ran::of(&mut laptop.words(&["devices"])).stdout;
    assert!(
        listed.contains("perhaps with root keys in the folder: \"old\""),
        "{listed}"
    );
    assert_eq!(row(&laptop, "old")["may_hold_root_keys"], true);

    let error = backup(&old, "create", "saved", &[]);
    let error = error.failed(1, "DEVICE_REVOKED");
    assert!(
        error["next"]
            .as_str()
            .unwrap()
            .contains("--although-revoked")
    );
    assert!(!folder.path().join("saved").exists());
    // An owner whose only root keys these are.
    backup(&old, "create", "saved", &["--although-revoked"]).done();
    let restored = backup(&tablet, "restore", "saved", &["--name", "tablet"]).done();
    assert_eq!(restored["revoked"], Value::Array(Vec::new()));
    assert_eq!(row(&tablet, "tablet")["may_hold_root_keys"], true);
    tablet.run(&["rotate", "--compromised"]).done();
    assert_eq!(row(&laptop, "old")["may_hold_root_keys"], false);
    let listed = Ran::of(&mut laptop.words(&["devices"])).stdout;
    assert!(!listed.contains("perhaps"), "{listed}");
    assert_eq!(row(&tablet, "tablet")["may_hold_root_keys"], true);
    let late = backup(&old, "create", "late", &["--although-revoked"]);
    late.failed(1, "UNKNOWN_IDENTITY");

    // It also knows when nobody is there to ask.
    old.run(&["balance"]).failed(1, "DEVICE_REVOKED");
    up.stop();
    backup(&old, "create", "late", &[]).failed(1, "DEVICE_REVOKED");
}

#[test]
fn a_device_that_left_takes_its_root_keys_off() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--probation", "0s"].map(AsRef::as_ref);
    let up = Up::start_with(folder.path(), &options);
    let (old, laptop) = (up.device("old"), up.device("laptop"));
    old.init();
    old.link(&laptop, "link", &["--admin"]);
    old.run(&["leave", "--yes"]).done();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(file("password"), "correct horse battery staple\n").unwrap();
    let (saved, password) = (file("saved"), file("password"));
    let create = [
        "backup",
        "create",
        &saved,
        "--remove",
        "--password-file",
        &password,
    ];
    assert_eq!(old.run(&create).done()["removed"], true);
}

#[test]
fn a_device_is_revoked_again_for_a_graver_reason_only() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let (laptop, kiosk) = (up.device("laptop"), up.device("kiosk"));
    laptop.init();
    let linked = laptop.link(&kiosk, "link", &[]);
    let id = linked["device"].as_str().unwrap();
    let revoke = |reason: &str| laptop.run(&["devices", "revoke", id, "--reason", reason]);
    let reasons = [
        ("retired", true),
        ("retired", false),
        ("lost", true),
        ("retired", false),
    ];
    for (reason, is_taken) in [&reasons[..], &[("compromised", true), ("lost", false)]].concat() {
        let before = row(&laptop, "kiosk")["reason"].clone();
        if is_taken {
            revoke(reason).done();
            assert_eq!(row(&laptop, "kiosk")["reason"], reason);
        } else {
            let error = revoke(reason).failed(1, "ALREADY_REVOKED");
            assert_eq!(error["revoked_for"], before);
            assert_eq!(row(&laptop, "kiosk")["reason"], before);
        }
    }
}
