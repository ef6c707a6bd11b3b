//! Machines that join with a token, without a person.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::process::{Device, Ran, pair_with_laptop};

/// A device that is told nothing but its folder and its name.
fn joins(folder: &Path, name: &str, file: &Path) -> Ran {
    let device = Device {
        home: folder.join(name),
        identity_url: String::new(),
    };
    let file = file.to_str().unwrap();
    device.run(&["join", "--token-file", file, "--name", name])
}

#[test]
fn a_token_lets_machines_in_until_it_is_used_up_or_ended() {
    let (folder, _up, laptop) = pair_with_laptop();
    let (folder, file) = (folder.path(), folder.path().join("kiosks.token"));
    let out = file.to_str().unwrap();
    let create =
        |args: &[&str]| laptop.run(&[&["enrol-token", "create", "--out", out], args].concat());
    let made = create(&["--uses", "2", "--expires", "1h", "--name", "kiosks"]).done();
    assert_eq!(
        (&made["name"], &made["uses"]),
        (&"kiosks".into(), &2.into())
    );
    assert_eq!(made["file"], out);
    assert!(made["token"].is_null(), "{made}");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    create(&[]).failed(1, "FILE_EXISTS");

    let joined = joins(folder, "kiosk-1", &file).done();
    assert_eq!(
        (&joined["event"], &joined["name"]),
        (&"joined".into(), &"kiosk-1".into())
    );
    joins(folder, "kiosk-1", &file).failed(1, "DEVICE_EXISTS");
    joins(folder, "kiosk-2", &file).done();
    joins(folder, "kiosk-3", &file).failed(1, "ENROLMENT_ENDED");

    let tokens = laptop.run(&["enrol-token"]).done()["tokens"].take();
    assert_eq!(tokens.as_array().unwrap().len(), 1, "{tokens}");
    let token = &tokens[0];
    assert_eq!(
        (&token["state"], &token["left"]),
        (&"used_up".into(), &0.into())
    );
    assert_eq!((&token["used"], &token["id"]), (&2.into(), &made["id"]));
    assert_eq!(token["added_by"]["label"], "laptop");
    let devices = laptop.run(&["devices"]).done()["devices"].take();
    assert_eq!(devices[0]["added_by"]["kind"], "root");
    for at in [1, 2] {
        let by = &devices[at]["added_by"];
        assert_eq!(
            (&by["kind"], &by["name"]),
            (&"enrolment_key".into(), &"kiosks".into())
        );
        assert_eq!(devices[at]["admin"], false);
    }

    fs::remove_file(&file).unwrap();
    create(&["--uses", "5", "--name", "shops"]).done();
    let ended = laptop.run(&["enrol-token", "revoke", "shops"]).done();
    joins(folder, "shop", &file).failed(1, "ENROLMENT_ENDED");
    let again = ["enrol-token", "revoke", "shops"];
    laptop.run(&again).failed(1, "UNKNOWN_ENROLMENT");
    let by_id = ["enrol-token", "revoke", ended["id"].as_str().unwrap()];
    laptop.run(&by_id).failed(1, "ENROLMENT_ENDED");
    let listed = laptop.run(&["enrol-token", "list"]).done();
    assert_eq!(listed["tokens"][1]["state"], "revoked", "{listed}");
}

#[test]
fn a_token_that_expired_is_listed_so_and_lets_nobody_in() {
    let (folder, _up, laptop) = pair_with_laptop();
    let (folder, file) = (folder.path(), folder.path().join("short.token"));
    let out = file.to_str().unwrap();
    let create = [
        "enrol-token",
        "create",
        "--uses",
        "5",
        "--expires",
        "1s",
        "--out",
        out,
    ];
    let made = laptop.run(&create).done();
    let listed = || laptop.run(&["enrol-token"]).done()["tokens"][0].take();
    let over = loop {
        let token = listed();
        if token["state"] != "open" {
            break token;
        }
    };
    assert_eq!(
        (&over["state"], &over["expires_ms"]),
        (&"expired".into(), &made["expires_ms"])
    );
    let error = joins(folder, "kiosk", &file).failed(1, "ENROLMENT_ENDED");
    assert!(error["next"].is_string(), "{error}");
    assert!(!folder.join("kiosk/home.json").exists());
    assert_eq!(listed()["used"], 0);
}

#[test]
fn an_agent_makes_the_file_where_it_was_asked_for() {
    let (folder, _up, laptop) = pair_with_laptop();
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let _agent = laptop.agent(&[]);
    let create = ["enrol-token", "create", "--name", "a"];
    let ran = Ran::of(laptop.command(&create).current_dir(&elsewhere));
    assert_eq!(ran.done()["file"], "enrolment.token");
    let file = elsewhere.join("enrolment.token");
    assert!(file.is_file());
    let before = fs::read(&file).unwrap();
    let ran = Ran::of(laptop.command(&create).current_dir(&elsewhere));
    ran.failed(1, "FILE_EXISTS");
    assert_eq!(fs::read(&file).unwrap(), before);
    // The agent noticed that it could not be kept: nothing was let in by it.
    let tokens = laptop.run(&["enrol-token"]).done();
    assert_eq!(tokens["tokens"].as_array().unwrap().len(), 1, "{tokens}");
    joins(folder.path(), "kiosk", &file).done();
    // Where the statement is refused, the file goes too.
    let kiosk = Device {
        home: folder.path().join("kiosk"),
        identity_url: String::new(),
    };
    let refused = [
        "enrol-token",
        "create",
        "--out",
        elsewhere.join("b").to_str().unwrap(),
    ]
    .map(str::to_owned);
    kiosk.run(&refused).failed(1, "FORBIDDEN");
    assert!(!elsewhere.join("b").exists());
}

#[test]
fn a_token_can_be_sent_through_a_pipe() {
    let (folder, _up, laptop) = pair_with_laptop();
    let ran = Ran::of(&mut laptop.words(&["enrol-token", "create", "--out", "-"]));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.starts_with("edge-ledger enrolment token 1\n"));
    assert_eq!(ran.stdout.lines().count(), 6);
    let home = folder.path().join("kiosk");
    let kiosk = Device {
        home,
        identity_url: String::new(),
    };
    let mut joining = super::process::Running::start(&mut kiosk.command(&[
        "join",
        "--token-file",
        "-",
        "--name",
        "kiosk",
    ]));
    joining.types(ran.stdout.trim_end());
    joining.close_input();
    assert_eq!(joining.line()["event"], "joined");
    assert_eq!(joining.end().code, Some(0));
    let made = laptop.run(&["enrol-token", "create", "--out", "-"]).done();
    assert!(made["token"].as_str().unwrap().ends_with('\n') && made["file"].is_null());
}

#[test]
fn what_is_no_token_of_ours_is_refused_before_anything_is_made() {
    let (folder, _up, laptop) = pair_with_laptop();
    let (folder, file) = (folder.path(), folder.path().join("a.token"));
    let out = file.to_str().unwrap();
    laptop.run(&["enrol-token", "create", "--out", out]).done();
    let text = fs::read_to_string(&file).unwrap();
    let private = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    };
    let key = text
        .lines()
        .find_map(|line| line.strip_prefix("key "))
        .unwrap();
    for (name, text, reason) in [
        ("empty", String::new(), "TOKEN_UNKNOWN"),
        ("binary", "\u{1}\u{0}".repeat(9_000), "TOKEN_UNKNOWN"),
        ("newer", text.replace("token 1", "token 9"), "TOKEN_NEWER"),
        ("cut", text[..text.len() - 20].to_owned(), "TOKEN_DAMAGED"),
        (
            "moved",
            text.replace("http://", "https://"),
            "TOKEN_DAMAGED",
        ),
    ] {
        let ran = joins(folder, "kiosk", &private(name, &text));
        let error = ran.failed(1, reason);
        assert!(error["next"].is_string(), "{error}");
        assert!(!ran.stdout.contains(&key[..8]), "{ran:?}");
    }
    joins(folder, "kiosk", &folder.join("none")).failed(1, "TOKEN_IO");
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let open = joins(folder, "kiosk", &file).failed(1, "TOKEN_EXPOSED");
    assert!(open["next"].as_str().unwrap().contains("chmod"), "{open}");
    assert!(!folder.join("kiosk").exists());

    // A service of another ledger is not trusted, whatever was typed.
    let other = tempfile::tempdir().unwrap();
    let up = super::process::Up::start(other.path());
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let kiosk = up.device("kiosk");
    let join = [
        "join",
        "--token-file",
        out,
        "--identity-url",
        &kiosk.identity_url,
    ];
    kiosk.run(&join).failed(1, "UNTRUSTED");
    joins(folder, "kiosk", &file).done();
}
