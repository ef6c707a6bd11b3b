//! A home folder that is copied, as people do with files.

use std::fs;
use std::path::Path;

use super::process::{Running, Up};

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "lock" {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[test]
fn one_copy_goes_on_by_itself_and_the_other_is_told_what_to_type() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let (laptop, phone, copied) = (up.device("laptop"), up.device("phone"), up.device("copied"));
    laptop.init();
    laptop.link(&phone, "link", &[]);
    phone.run(&["earn", "10"]).done();
    copy(&phone.home, &copied.home);
    phone.run(&["earn", "5"]).done();

    copied.run(&["earn", "2"]).done();
    assert_eq!(copied.balance(), "17");
    assert_eq!(laptop.balance(), "17");
    let refused = phone.run(&["balance"]).failed(1, "DEVICE_REVOKED");
    let next = refused["next"].as_str().unwrap();
    assert!(next.contains("join CODE --replace"), "{next}");
    // What it records now waits for another key.
    let waits = phone.run(&["earn", "3"]).failed(1, "DEVICE_REVOKED");
    assert_eq!(
        (&waits["recorded"], &waits["waiting"]),
        (&true.into(), &1.into())
    );
    let status = phone.run(&["status"]).done();
    assert_eq!(
        (&status["waiting"], &status["tip"]["seq"]),
        (&1.into(), &2.into())
    );

    let mut linking = Running::start(&mut laptop.command(&["link"]));
    let shown = linking.line();
    let link = shown["link"].as_str().unwrap();
    let mut joining = Running::start(&mut phone.command(&["join", link, "--replace"]));
    let (asked, joined) = linking.let_in(&mut joining);
    assert_eq!(
        (&asked["replaces"], &joined["name"]),
        (&"phone".into(), &"phone".into())
    );
    linking.event("linked");
    assert_eq!(linking.end().code, Some(0));
    phone.run(&["earn", "1"]).done();
    for device in [&phone, &copied, &laptop] {
        assert_eq!(device.balance(), "21");
    }
    let devices = laptop.run(&["devices"]).done();
    let labels: Vec<_> = devices["devices"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|device| device["state"] == "active")
        .map(|device| device["label"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(labels.len(), 3, "{labels:?}");
}
