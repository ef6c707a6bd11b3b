//! `admin export` and `admin import`: what is kept moves from one store to another.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::admin::Site;
use super::process::{Ran, Running};

/// Exports to a file; returns it and its lines.
fn export(site: &Site, name: &str, args: &[&str]) -> (PathBuf, Vec<Value>) {
    let file = site.folder.path().join(name);
    let mut command = site.command(&[&["export"], args].concat());
    command.stdout(File::create(&file).unwrap());
    let ran = Ran::of(&mut command);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let text = fs::read_to_string(&file).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    (file, lines.collect())
}

fn import(site: &Site, file: &Path) -> Ran {
    let mut command = site.command(&["import"]);
    Ran::of(command.stdin(File::open(file).unwrap()))
}

fn kinds(lines: &[Value]) -> Vec<&str> {
    let kinds = lines.iter().map(|line| line["kind"].as_str().unwrap());
    kinds.collect()
}

/// Writes lines as an archive, with an end that fits them.
fn write(file: &Path, lines: &[Value]) {
    let mut text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let count = |kind: &str| kinds(lines).iter().filter(|of| **of == kind).count();
    let runs = lines.iter().filter(|line| line["kind"] == "run");
    let entries: usize = runs
        .map(|run| run["payloads"].as_array().unwrap().len())
        .sum();
    let end = json!({
        "kind": "end",
        "lines": lines.len(),
        "counts": {
            "identities": count("whole"),
            "statements": count("statement"),
            "entries": entries,
        },
        "sha256": hex::encode(Sha256::digest(&text)),
    });
    text.push_str(&format!("{end}\n"));
    fs::write(file, text).unwrap();
}

/// Another digit in the place of the first of a text of hex.
fn altered(text: &Value) -> Value {
    let text = text.as_str().unwrap();
    let digit = if text.starts_with('7') { "8" } else { "7" };
    format!("{digit}{}", &text[1..]).into()
}

#[test]
fn devices_go_on_at_a_store_that_was_filled_from_an_archive() {
    let old = Site::start();
    let (laptop, identity) = old.laptop();
    let phone = old.up.device("phone");
    laptop.link(&phone, "link", &[]);
    laptop.run(&["earn", "5"]).done();
    phone.run(&["earn", "7", "--memo", "by phone"]).done();
    laptop.run(&["devices", "revoke", "phone"]).done();
    laptop.run(&["earn", "1"]).done();
    let quota = ["identity", "quota", &identity, "--entries", "10"];
    old.admin(&quota).done();
    let (file, lines) = export(&old, "a.jsonl", &[]);
    let kinds = kinds(&lines);
    assert_eq!((kinds[0], kinds[1]), ("archive", "identity"), "{kinds:?}");
    assert_eq!(kinds[kinds.len() - 2..], ["whole", "end"], "{kinds:?}");
    assert_eq!(lines.last().unwrap()["counts"]["entries"], 3);
    let before = old.admin(&["identity", "show", &identity]).done();

    // The same again changes nothing where it came from.
    let again = import(&old, &file).done();
    assert_eq!(
        (&again["identities"], &again["new_statements"]),
        (&1.into(), &0.into())
    );
    assert_eq!(
        (&again["new_entries"], &again["cut_off"]),
        (&0.into(), &0.into())
    );

    let new = old.replaced();
    new.admin(&["identity", "show", &identity])
        .failed(1, "UNKNOWN_IDENTITY");
    let came = import(&new, &file).done();
    assert_eq!(
        (&came["new_statements"], &came["new_entries"]),
        (&3.into(), &3.into()),
        "{came}"
    );
    // What is shown is the same: log, epoch, devices, journals, quota.
    let after = new.admin(&["identity", "show", &identity]).done();
    assert_eq!(after, before);
    let again = import(&new, &file).done();
    assert_eq!(
        (&again["new_statements"], &again["new_entries"]),
        (&0.into(), &0.into())
    );

    let status = laptop.run(&["status"]).done();
    assert_eq!(status["synced"], true, "{status}");
    assert_eq!(laptop.balance(), "13");
    laptop.run(&["spend", "3"]).done();
    assert_eq!(laptop.balance(), "10");
    phone.run(&["balance"]).failed(1, "DEVICE_REVOKED");
    // Devices went on there, so the archive is older than the store: it takes nothing back.
    let older = import(&new, &file).done();
    assert_eq!(older["new_entries"], 0, "{older}");
    assert_eq!(laptop.balance(), "10");
}

#[test]
fn one_identity_can_be_exported_and_a_pipe_imported() {
    let site = Site::start();
    let (laptop, identity) = site.laptop();
    laptop.run(&["earn", "5"]).done();
    let other = site.up.device("other");
    other.init();
    let (_, all) = export(&site, "all.jsonl", &[]);
    assert_eq!(all.last().unwrap()["counts"]["identities"], 2);
    let (file, one) = export(&site, "one.jsonl", &["--identity", &identity]);
    assert_eq!(one.last().unwrap()["counts"]["identities"], 1);
    assert_eq!(one[1]["identity"], identity);
    let mut command = site.command(&["import"]);
    let mut running = Running::start(command.stdin(Stdio::piped()));
    for line in fs::read_to_string(&file).unwrap().lines() {
        running.types(line);
    }
    running.close_input();
    assert_eq!(running.line()["identities"], 1);
    let nobody = "ab".repeat(32);
    let mut command = site.command(&["export", "--identity", &nobody]);
    Ran::of(&mut command).failed(1, "UNKNOWN_IDENTITY");
}

#[test]
fn an_archive_of_another_deployment_is_refused() {
    let (one, other) = (Site::start(), Site::start());
    one.laptop();
    let (file, _) = export(&one, "a.jsonl", &[]);
    let error = import(&other, &file).failed(1, "ARCHIVE_FOREIGN");
    assert_eq!(error["identities"], 0, "{error}");
}

#[test]
fn a_file_that_was_cut_short_reaches_no_service() {
    let site = Site::start();
    let (laptop, identity) = site.laptop();
    laptop.run(&["earn", "5"]).done();
    let (file, lines) = export(&site, "a.jsonl", &[]);
    let text = fs::read_to_string(&file).unwrap();
    let cut = site.folder.path().join("cut.jsonl");
    let new = site.elsewhere();
    let whole_lines = text.rfind("{\"kind\":\"end\"").unwrap();
    for (length, line) in [
        (0, 1),
        (whole_lines, lines.len()),
        (whole_lines - 9, lines.len() - 1),
    ] {
        fs::write(&cut, &text[..length]).unwrap();
        let error = import(&new, &cut).failed(1, "ARCHIVE_DAMAGED");
        assert_eq!(error["line"], line, "{error}");
    }
    new.admin(&["identity", "show", &identity])
        .failed(1, "UNKNOWN_IDENTITY");
}

/// With an end that fits: who altered it knew what he did.
#[test]
fn what_was_altered_with_care_is_refused_by_what_was_signed() {
    let site = Site::start();
    let (laptop, identity) = site.laptop();
    laptop.run(&["earn", "5"]).done();
    laptop.run(&["earn", "6"]).done();
    let (_, mut lines) = export(&site, "a.jsonl", &[]);
    lines.pop();
    let file = site.folder.path().join("altered.jsonl");
    let at = |kind: &str| lines.iter().position(|line| line["kind"] == kind).unwrap();
    let (statement, run, whole) = (at("statement"), at("run"), at("whole"));
    let alter = |at: usize, field: &str| {
        let mut lines = lines.clone();
        lines[at][field] = altered(&lines[at][field]);
        (lines, at + 1)
    };
    let without = |left_out: usize, says: usize| {
        let mut lines = lines.clone();
        lines.remove(left_out);
        (lines, says + 1)
    };
    let mut payload = lines.clone();
    payload[run]["payloads"][0] = altered(&payload[run]["payloads"][0]);
    let mut order = lines.clone();
    order.swap(statement, run);
    for (lines, line) in [
        alter(statement, "statement"),
        alter(statement, "receipt"),
        alter(statement, "signature"),
        alter(statement, "certificate_signature"),
        alter(run, "signature"),
        alter(run, "first_prev"),
        alter(whole, "log_hash"),
        (payload, run + 1),
        (order, statement + 1),
        without(statement, run - 1),
        without(run, whole - 1),
        without(whole, whole - 1),
    ] {
        write(&file, &lines);
        let new = site.elsewhere();
        let error = import(&new, &file).failed(1, "ARCHIVE_DAMAGED");
        let says = format!("line {line}:");
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with(&says), "{says} {error}");
        let shown = new.admin(&["identity", "show", &identity]);
        // What came before it is verified, and is nobody's but its own.
        let is_unknown = shown.json()["error"]["reason"] == "UNKNOWN_IDENTITY";
        assert!(is_unknown || shown.done()["entries"].as_u64().unwrap() <= 2);
    }
    write(&file, &lines);
    import(&site.elsewhere(), &file).done();
}

#[test]
fn a_block_moves_too_and_an_identity_that_is_blocked_there_takes_nothing_new() {
    let old = Site::start();
    let (laptop, identity) = old.laptop();
    laptop.run(&["earn", "5"]).done();
    let (early, _) = export(&old, "early.jsonl", &[]);
    laptop.run(&["earn", "6"]).done();
    old.admin(&["identity", "block", &identity, "--reason", "moved"])
        .done();
    let (late, _) = export(&old, "late.jsonl", &[]);
    let new = old.elsewhere();
    import(&new, &early).done();
    new.admin(&["identity", "block", &identity, "--reason", "here"])
        .done();
    import(&new, &early).done();
    import(&new, &late).failed(1, "IDENTITY_BLOCKED");
    new.admin(&["identity", "unblock", &identity]).done();
    import(&new, &late).done();
    let shown = new.admin(&["identity", "show", &identity]).done();
    assert_eq!(
        (&shown["entries"], &shown["block"]["reason"]),
        (&2.into(), &"moved".into())
    );
}
