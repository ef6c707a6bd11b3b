//! What the doctor finds, and whether it says how to mend it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use super::process::{Device, Ran, Running, Up};

/// What the doctor says of each thing.
fn look(laptop: &Device, args: &[&str], code: i32) -> Value {
    let ran = Ran::of(laptop.command(&["doctor"]).args(args));
    assert_eq!(ran.code, Some(code), "{ran:?}");
    let report = ran.json();
    assert_eq!(report["ok"], code == 0, "{report}");
    let mut seen = serde_json::Map::new();
    for check in report["checks"].as_array().unwrap() {
        let well = check["verdict"] == "ok";
        assert_eq!(check["fix"].is_null(), well, "{check}");
        assert!(!check["says"].as_str().unwrap().is_empty(), "{check}");
        let name = check["check"].as_str().unwrap().to_owned();
        let twice = seen.insert(name, check["verdict"].clone());
        // What is looked at twice would have two answers.
        assert_eq!(twice, None, "{report}");
    }
    Value::Object(seen)
}

/// What is not as it should be, but for the disk, which is the machine's.
fn faults(seen: &Value) -> Vec<(&str, &str)> {
    let all = seen.as_object().unwrap().iter();
    let all = all.map(|(check, verdict)| (check.as_str(), verdict.as_str().unwrap()));
    all.filter(|(check, verdict)| *check != "space" && *verdict != "ok")
        .collect()
}

#[test]
fn all_is_well_with_and_without_an_agent() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let laptop = up.device("laptop");
    laptop.init();
    laptop.run(&["earn", "5"]).done();
    let alone = look(&laptop, &[], 0);
    assert_eq!(faults(&alone), []);
    for check in [
        "device",
        "permissions",
        "agent",
        "store",
        "journal",
        "sync",
        "outbox",
        "identity_reach",
        "identity_tls",
        "identity_greeting",
        "clock",
        "ledger_reach",
        "ledger_tls",
        "ledger_greeting",
    ] {
        assert_eq!(alone[check], "ok", "{alone}");
    }
    let _agent = laptop.agent(&[]);
    assert_eq!(faults(&look(&laptop, &[], 0)), []);
    let words = Ran::of(&mut laptop.words(&["doctor"]));
    let end = words.stdout.lines().last().unwrap();
    // Unless the machine's disk is nearly full.
    assert!(
        ["All is well.", "It works, with 1 to know of."].contains(&end),
        "{words:?}"
    );
    assert!(words.stdout.contains("ok    ledger greeting"), "{words:?}");
}

#[test]
fn without_a_device_it_says_how_to_get_one() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let laptop = up.device("laptop");
    let seen = look(&laptop, &["--identity-url", &laptop.identity_url], 1);
    assert_eq!(faults(&seen), [("device", "fail")]);
    assert_eq!(seen["ledger_greeting"], "ok");
    let words = Ran::of(&mut laptop.words(&["doctor"]));
    assert!(
        words.stdout.contains("edge-ledger init") && words.stdout.contains("edge-ledger join"),
        "{words:?}"
    );
    assert!(!laptop.home.exists());
}

#[test]
fn services_that_are_away_or_others_are_told_from_a_sound_device() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let laptop = up.device("laptop");
    laptop.init();
    let other = tempfile::tempdir().unwrap();
    let other = Up::start(other.path());
    let urls = [other.url("identity"), other.url("ledger")];
    let others = ["--identity-url", &urls[0], "--ledger-url", &urls[1]];
    let seen = look(&laptop, &others, 1);
    assert_eq!(
        faults(&seen),
        [
            ("identity_greeting", "fail"),
            ("ledger_greeting", "fail"),
            ("sync", "fail"),
        ]
    );
    up.stop();
    laptop.run(&["earn", "5"]).done();
    let seen = look(&laptop, &[], 1);
    assert_eq!(
        faults(&seen),
        [
            ("identity_reach", "fail"),
            ("ledger_reach", "fail"),
            ("outbox", "warn"),
            ("sync", "warn"),
        ]
    );
}

#[test]
fn what_is_wrong_with_the_folder_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let laptop = up.device("laptop");
    laptop.init();
    let key = laptop.home.join("device.key");
    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    assert_eq!(faults(&look(&laptop, &[], 0)), [("permissions", "warn")]);
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();

    let mut watching = Running::start(&mut laptop.command(&["watch"]));
    watching.line();
    assert_eq!(faults(&look(&laptop, &[], 0)), [("agent", "warn")]);
    drop(watching);

    let store = laptop.home.join("ledger.redb");
    let sound = fs::read(&store).unwrap();
    fs::write(&store, "not a store at all").unwrap();
    assert_eq!(faults(&look(&laptop, &[], 1)), [("store", "fail")]);
    fs::write(&store, sound).unwrap();
    assert_eq!(faults(&look(&laptop, &[], 0)), []);
    fs::write(laptop.home.join("home.json"), "{}").unwrap();
    let seen = look(&laptop, &["--identity-url", &laptop.identity_url], 1);
    assert_eq!(faults(&seen), [("device", "fail")]);
}

#[test]
fn a_device_that_was_cut_off_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let (laptop, phone) = (up.device("laptop"), up.device("phone"));
    laptop.init();
    laptop.link(&phone, "link", &[]);
    laptop.run(&["devices", "revoke", "phone"]).done();
    assert_eq!(faults(&look(&phone, &[], 1)), [("sync", "fail")]);
}
