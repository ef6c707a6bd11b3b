//! `keys init`: made once, never overwritten.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::process::{Ran, edge_ledger};

fn init(folder: &Path, options: &[&str]) -> Ran {
    let mut command = edge_ledger(folder);
    command.args(["keys", "init", "--json", "--dir"]);
    Ran::of(command.arg(folder.join("keys")).args(options))
}

fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder.join("keys")).unwrap();
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(&path).unwrap())
        })
        .collect()
}

fn present(said: &Value) -> Vec<&str> {
    let files = said["files"].as_array().unwrap().iter();
    let files = files.filter(|file| file["present"] == true);
    files.map(|file| file["name"].as_str().unwrap()).collect()
}

#[test]
fn keys_are_made_once_and_then_only_shown() {
    let folder = tempfile::tempdir().unwrap();
    let made = init(folder.path(), &["--unit", "EUR", "--decimals", "2"]).done();
    assert_eq!(
        (&made["made"], &made["unit"]),
        (&true.into(), &"EUR".into())
    );
    assert_eq!(present(&made).len(), 6);
    let before = contents(folder.path());
    let again = init(folder.path(), &[]).done();
    assert_eq!(again["made"], false);
    assert_eq!(again["ledger_id"], made["ledger_id"]);
    assert_eq!(again["decimals"], 2);
    assert_eq!(contents(folder.path()), before);
}

#[test]
fn roots_may_be_taken_off() {
    let folder = tempfile::tempdir().unwrap();
    init(folder.path(), &[]).done();
    for root in ["root.key", "next-root.key"] {
        fs::remove_file(folder.path().join("keys").join(root)).unwrap();
    }
    let again = init(folder.path(), &[]).done();
    let expected = ["genesis", "service.key", "service.cert", "sealing.key"];
    assert_eq!(present(&again), expected);
    for file in again["files"].as_array().unwrap() {
        let is_root = file["name"].as_str().unwrap().ends_with("root.key");
        assert_eq!(
            file["needed_by"].as_array().unwrap().is_empty(),
            is_root,
            "{file}"
        );
    }
}

#[test]
fn another_ledger_is_not_made_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let made = init(folder.path(), &["--credits", "issued"]).done();
    let before = contents(folder.path());
    for options in [
        &["--unit", "EUR"][..],
        &["--decimals", "2"],
        &["--credits", "self-reported"],
        &["--posting-cap", "5"],
        &["--journal-cap", "5"],
        &["--probation", "1h"],
        &["--veto", "71h"],
    ] {
        let error = init(folder.path(), options).failed(1, "KEYS_EXIST");
        assert_eq!(error["ledger_id"], made["ledger_id"], "{error}");
        assert!(error["next"].as_str().unwrap().contains("--dir"), "{error}");
    }
    let same = [
        "--credits",
        "issued",
        "--probation",
        "1day",
        "--veto",
        "72h",
    ];
    init(folder.path(), &same).done();
    assert_eq!(contents(folder.path()), before);
}

#[test]
fn what_no_ledger_can_count_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    init(folder.path(), &["--decimals", "19"]).failed(1, "KEYS_CHOICES");
    init(folder.path(), &["--unit", "a unit that is too long"]).failed(1, "KEYS_CHOICES");
    init(
        folder.path(),
        &["--credits", "issued", "--posting-cap", "5"],
    )
    .failed(2, "USAGE");
    for period in ["31d", "1us", "soon"] {
        init(folder.path(), &["--veto", period]).failed(2, "USAGE");
        init(folder.path(), &["--probation", period]).failed(2, "USAGE");
    }
    let mut bare = edge_ledger(folder.path());
    Ran::of(bare.args(["keys", "init", "--json"])).failed(2, "USAGE");
    let made = init(folder.path(), &["--probation", "0s", "--veto", "30d"]).done();
    assert_eq!(
        (&made["made"], &made["probation_ms"], &made["veto_ms"]),
        (&true.into(), &0.into(), &2_592_000_000_u64.into())
    );
}

fn rotate(folder: &Path, options: &[&str]) -> Ran {
    let mut command = edge_ledger(folder);
    command.args(["keys", "rotate", "--json", "--dir"]);
    Ran::of(command.arg(folder.join("keys")).args(options))
}

#[test]
fn a_service_key_is_followed_by_another_and_nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    rotate(folder.path(), &[]).failed(1, "KEYS_MISSING");
    init(folder.path(), &[]).done();
    let before = contents(folder.path());
    let made = rotate(folder.path(), &[]).done();
    assert_eq!((&made["serial"], &made["kept"]), (&2.into(), &1.into()));
    assert_eq!(
        made["files"],
        serde_json::json!(["service-2.key", "service-2.cert"])
    );
    let after = contents(folder.path());
    assert!(before.iter().all(|(name, text)| after[name] == *text));
    let shown = init(folder.path(), &[]).done();
    assert_eq!(shown["made"], false);
    assert!(present(&shown).contains(&"service-2.key"), "{shown}");
    let made = rotate(folder.path(), &[]).done();
    assert_eq!(made["retired"], serde_json::json!([1]));
    assert!(!contents(folder.path()).contains_key("service.key"));
}

#[test]
fn a_sealing_key_is_followed_by_another_without_the_root() {
    let folder = tempfile::tempdir().unwrap();
    rotate(folder.path(), &["--sealing"]).failed(1, "KEYS_MISSING");
    init(folder.path(), &[]).done();
    fs::remove_file(folder.path().join("keys/root.key")).unwrap();
    let before = contents(folder.path());
    let made = rotate(folder.path(), &["--sealing"]).done();
    assert_eq!((&made["serial"], &made["kept"]), (&2.into(), &1.into()));
    assert_eq!(made["files"], serde_json::json!(["sealing-2.key"]));
    let after = contents(folder.path());
    assert_eq!(after.len(), before.len() + 1);
    assert!(before.iter().all(|(name, text)| after[name] == *text));
    assert_ne!(after["sealing-2.key"], after["sealing.key"]);
    let shown = init(folder.path(), &[]).done();
    let files = shown["files"].as_array().unwrap().iter();
    let sealing = files.filter(|file| file["name"].as_str().unwrap().starts_with("sealing"));
    for file in sealing {
        assert_eq!(
            file["needed_by"],
            serde_json::json!(["identity-service"]),
            "{file}"
        );
    }
    assert!(present(&shown).contains(&"sealing-2.key"), "{shown}");
    rotate(folder.path(), &["--sealing"]).done();
    let made = rotate(folder.path(), &["--sealing"]).done();
    assert_eq!(made["retired"], serde_json::json!([1]));
    assert!(!contents(folder.path()).contains_key("sealing.key"));
    rotate(folder.path(), &["--sealing", "--root", "x"]).failed(2, "USAGE");
}

#[test]
fn the_root_is_named_where_it_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    init(folder.path(), &[]).done();
    let safe = folder.path().join("safe");
    fs::rename(folder.path().join("keys/root.key"), &safe).unwrap();
    let error = rotate(folder.path(), &[]).failed(1, "KEYS_ROOT");
    assert!(
        error["next"].as_str().unwrap().contains("--root FILE"),
        "{error}"
    );
    let next = folder.path().join("keys/next-root.key");
    let options = ["--root", next.to_str().unwrap()];
    rotate(folder.path(), &options).failed(1, "KEYS_FOREIGN");
    let options = ["--root", safe.to_str().unwrap()];
    assert_eq!(rotate(folder.path(), &options).done()["serial"], 2);
}
