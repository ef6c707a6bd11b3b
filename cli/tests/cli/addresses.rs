//! Services at several addresses, as they are typed and shown.

use serde_json::Value;

use super::agent::silent;
use super::process::{Device, Ran, Up, pair_with_laptop};

/// Where nobody is.
const NOWHERE: &str = "http://127.0.0.1:1";

/// Addresses of a service as `status` has them: which is in use, and what came of each.
fn shown(status: &Value, service: &str) -> Vec<(String, bool, Value)> {
    let addresses = status["services"][service].as_array().unwrap().iter();
    addresses
        .map(|at| {
            let url = at["url"].as_str().unwrap().to_owned();
            (url, at["in_use"].as_bool().unwrap(), at["last"].clone())
        })
        .collect()
}

#[test]
fn the_address_that_works_is_used_and_status_shows_them_all() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let (identity, ledger) = (up.url("identity"), up.url("ledger"));
    let laptop = Device {
        // One after the other, with commas …
        identity_url: format!("{NOWHERE},{identity}"),
        ..up.device("laptop")
    };
    laptop.init();
    // … or one by one.
    let both = ["--ledger-url", NOWHERE, "--ledger-url", &ledger];
    let earn = [&["earn", "5"], &both[..]].concat();
    assert_eq!(laptop.run(&earn).done()["synced"], true);
    let status = laptop.run(&[&["status"], &both[..]].concat()).done();
    let expected = [
        (NOWHERE.to_owned(), false, "failed".into()),
        (ledger.clone(), true, "answered".into()),
    ];
    assert_eq!(shown(&status, "ledger"), expected, "{status}");
    assert!(status["services"]["ledger"][0]["why"].is_string());
    let expected = [
        (NOWHERE.to_owned(), true, Value::Null),
        (identity.clone(), false, Value::Null),
    ];
    assert_eq!(shown(&status, "identity"), expected, "{status}");
    let words = Ran::of(&mut laptop.words(&[&["status"], &both[..]].concat()));
    let lines = [
        format!("  services   ledger    {NOWHERE}  failed 0 s ago: "),
        format!("             ledger    {ledger}  in use"),
        format!("             identity  {NOWHERE}  next; not tried yet"),
        format!("             identity  {identity}  not tried yet"),
    ];
    for line in lines {
        assert!(words.stdout.contains(&line), "{words:?}");
    }
    // Calls of the identity service find it, too, and one that says nothing holds nobody up.
    laptop.run(&["devices", "rename", "laptop", "desk"]).done();
    let (_silent, silent) = silent();
    let list = format!("{silent},{ledger}");
    let earn = laptop.run(&["earn", "5", "--ledger-url", &list]).done();
    assert_eq!(
        (&earn["synced"], &earn["balance"]),
        (&true.into(), &"10".into())
    );
}

#[test]
fn an_agent_says_when_another_address_is_used_and_commands_name_all_or_none() {
    let (_folder, up, laptop) = pair_with_laptop();
    let ledger = up.url("ledger");
    let both = format!("{NOWHERE},{ledger}");
    let mut agent = laptop.agent(&["--ledger-url", &both]);
    let changed = agent.event("address_changed");
    assert_eq!(changed["service"], "ledger");
    assert_eq!(changed["url"], ledger.as_str());
    laptop.run(&["earn", "5", "--ledger-url", &both]).done();
    for other in [&ledger, &format!("{ledger},{NOWHERE}")] {
        let error = laptop.run(&["balance", "--ledger-url", other]);
        error.failed(75, "HOME_IN_USE");
    }
    let status = laptop.run(&["status"]).done();
    assert_eq!(shown(&status, "ledger")[1].0, ledger);
    assert_eq!(status["state"], "online");
}

#[test]
fn the_doctor_looks_at_every_address_and_one_that_works_is_enough() {
    let (_folder, up, laptop) = pair_with_laptop();
    let look = |list: &str, code| {
        let ran = Ran::of(laptop.command(&["doctor"]).args(["--ledger-url", list]));
        assert_eq!(ran.code, Some(code), "{ran:?}");
        let report = ran.json();
        let checks = report["checks"].as_array().unwrap().iter();
        let reached = checks.filter(|check| check["check"] == "ledger_reach");
        let reached = reached.map(|check| (check["address"].clone(), check["verdict"].clone()));
        reached.collect::<Vec<_>>()
    };
    let ledger = up.url("ledger");
    let expected = [
        (NOWHERE.into(), "warn".into()),
        (ledger.as_str().into(), "ok".into()),
    ];
    assert_eq!(look(&format!("{NOWHERE},{ledger}"), 0), expected);
    let expected = [
        (NOWHERE.into(), "fail".into()),
        ("http://127.0.0.1:2".into(), "fail".into()),
    ];
    assert_eq!(look(&format!("{NOWHERE},http://127.0.0.1:2"), 1), expected);
    // A service with one address is not named by it.
    assert_eq!(look(&ledger, 0), [(Value::Null, "ok".into())]);
}

#[test]
fn a_backup_and_a_token_name_all_addresses() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let both = format!("{},{NOWHERE}", up.url("identity"));
    let laptop = Device {
        identity_url: both.clone(),
        ..up.device("laptop")
    };
    laptop.init();
    let token = ["enrol-token", "create", "--out", "-"];
    let token = laptop.run(&token).done()["token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(token.contains(&format!("service {both}\n")), "{token}");
    let file = folder.path().join("ana.backup");
    let password = folder.path().join("password");
    std::fs::write(&password, "a long password").unwrap();
    let paths = [&file, &password].map(|path| path.to_str().unwrap());
    let with = ["--password-file", paths[1]];
    let create = [&["backup", "create", paths[0]], &with[..]].concat();
    laptop.run(&create).done();
    let verify = [&["backup", "verify", paths[0]], &with[..]].concat();
    let urls = laptop.run(&verify).done()["identity_urls"].clone();
    assert_eq!(urls, Value::from(both.split(',').collect::<Vec<_>>()));
}
