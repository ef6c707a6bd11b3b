//! Between the moment in which a recovery takes effect and the one in which somebody finishes it: the
//! root keys of before are worth nothing, and every command says so.

use std::fs;
use std::path::Path;

use super::process::{Device, Up};

fn file(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().unwrap().to_owned()
}

#[test]
fn a_recovery_in_effect_ends_the_root_keys_of_before() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let options = ["--veto", "1s", "--probation", "0s"].map(AsRef::as_ref);
    let up = Up::start_with(folder, &options);
    let (phone, tablet) = (up.device("phone"), up.device("tablet"));
    let made = phone.init();
    fs::write(file(folder, "password"), "correct horse battery staple\n").unwrap();
    let backup = |device: &Device, act: &str, name: &str, options: &[&str]| {
        let (saved, password) = (file(folder, name), file(folder, "password"));
        let act = ["backup", act, &saved, "--password-file", &password];
        device.run(&[&act[..], options].concat())
    };
    backup(&phone, "create", "first", &[]).done();
    let paper = phone.run(&["recovery", "set"]).done();
    let words = paper["words"].as_array().unwrap().iter();
    let words: Vec<&str> = words.map(|word| word.as_str().unwrap()).collect();
    fs::write(file(folder, "words"), words.join(" ")).unwrap();
    let asked = tablet.run(&[
        "recover",
        "--identity",
        made["identity"].as_str().unwrap(),
        "--words-file",
        &file(folder, "words"),
        "--identity-url",
        &tablet.identity_url,
    ]);
    let asked = asked.done();
    assert_eq!(asked["state"], "waiting");
    let status = loop {
        let status = phone.run(&["recovery", "status"]).done();
        if status.get("pending").is_none() {
            break status;
        }
    };
    assert_eq!(
        status["in_effect"]["effective_ms"], asked["effective_ms"],
        "{status}"
    );
    assert_eq!(status["root_key"], false);

    let error = phone.run(&["recovery", "veto"]);
    let error = error.failed(1, "RECOVERY_IN_EFFECT");
    assert_eq!(error["effective_ms"], asked["effective_ms"]);
    backup(&phone, "verify", "first", &[]).failed(1, "BACKUP_STALE");
    for options in [&[][..], &["--remove"]] {
        backup(&phone, "create", "second", options).failed(1, "STALE_ROOT_KEY");
    }
    assert!(!folder.join("second").exists());
    assert!(phone.home.join("identity.key").exists());
    for act in [
        &["rotate"][..],
        &["rotate", "--compromised"],
        &["recovery", "set"],
    ] {
        phone.run(act).failed(1, "STALE_ROOT_KEY");
    }
    let later = phone.home.join("later-identity.key");
    assert!(!later.exists(), "nothing was begun");
    let doctor = phone.run(&["doctor"]).done();
    let mut checks = doctor["checks"].as_array().unwrap().iter();
    let check = checks.find(|check| check["check"] == "recovery").unwrap();
    assert_eq!(check["verdict"], "warn", "{doctor}");

    // A rotation that was begun before ends with the keys.
    fs::write(&later, format!("{:064x}\n", 7)).unwrap();
    backup(&phone, "create", "second", &[]).failed(1, "ROTATION_UNFINISHED");
    phone.run(&["rotate"]).failed(1, "STALE_ROOT_KEY");
    let linked = tablet.run(&["recover", "--name", "tablet"]).done();
    assert_eq!(linked["state"], "linked");
    assert_eq!(phone.balance(), tablet.balance());
    assert!(!later.exists());
    phone.run(&["rotate"]).failed(1, "NO_ROOT_KEY");
    backup(&phone, "create", "second", &[]).failed(1, "NO_ROOT_KEY");
    let status = phone.run(&["recovery", "status"]).done();
    assert_eq!(status.get("in_effect"), None, "{status}");
    backup(&tablet, "create", "second", &[]).done();
}
