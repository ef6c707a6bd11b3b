//! Whether a command goes through a running agent makes no difference to whoever types it.

use std::path::Path;

use serde_json::Value;

use super::process::{Device, Ran, Up};

/// What differs from one deployment to the next, and from one moment to the next.
const OF_THE_MOMENT: [&str; 22] = [
    "added_ms",
    "code",
    "device",
    "digest",
    "event_key",
    "expires_ms",
    "hash",
    "heard_ms_ago",
    "home",
    "id",
    "identity",
    "last_entry_ms",
    "last_ms_ago",
    "last_statement_ms",
    "ledger_id",
    "link",
    "replaced_by",
    "short_id",
    "synced_ms_ago",
    "token",
    "url",
    "wall_ms",
];

/// Everything that a device does, in one order.
const STORY: &[&[&str]] = &[
    &["balance"],
    &[
        "earn",
        "100",
        "--key",
        "shift-1",
        "--memo",
        "first \x1b[31mshift",
    ],
    &["earn", "100", "--key", "shift-1"],
    &["earn", "99", "--key", "shift-1"],
    &["earn", "5"],
    &["spend", "30", "--key", "order-7"],
    &["spend", "1000"],
    &["spend", "1.5"],
    &["spend", "0"],
    &["earn", "1", "--key", "0xzz"],
    &["refund", "order-7", "10"],
    &["refund", "order-7", "5"],
    &["refund", "order-7", "31"],
    &["refund", "order-7"],
    &["refund", "order-8"],
    &["history"],
    &["history", "--limit", "2"],
    &["history", "--limit", "0"],
    &["balance"],
    &["status"],
    &["devices"],
    &["devices", "list"],
    &["devices", "rename", "laptop", "desk"],
    &["devices", "rename", "nobody", "x"],
    &["devices", "rename", "desk", ""],
    &["devices", "revoke", "desk"],
    &["devices", "revoke", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"],
    &["enrol-token"],
    &["enrol-token", "create", "--out", "-", "--uses", "3"],
    &["enrol-token", "create", "--out", "/nowhere/token"],
    &["enrol-token", "list"],
    &["enrol-token", "revoke", "nobody"],
    &["leave"],
    &["leave", "--yes"],
    &["devices"],
];

/// Plays the story, and tells what was printed, without what is of the moment.
fn play(folder: &Path, with_agent: bool) -> Vec<String> {
    let up = Up::start(folder);
    let (laptop, phone) = (up.device("laptop"), up.device("phone"));
    laptop.init();
    let mut agent = with_agent.then(|| laptop.agent(&[]));
    let mut told: Vec<String> = Vec::new();
    for args in STORY {
        told.push(json(&laptop, args));
        told.push(words(&laptop, args));
    }
    let linked = laptop.link(&phone, "link", &[]);
    told.push(still(linked).to_string());
    told.push(words(&laptop, &["devices"]));
    up.stop();
    told.push(json(&laptop, &["link"]));
    told.push(words(&laptop, &["spend", "1"]));
    if let Some(agent) = &mut agent {
        assert!(agent.goes_on());
    }
    told
}

fn json(laptop: &Device, args: &[&str]) -> String {
    let ran = laptop.run(args);
    let shown = still(ran.json());
    format!("{args:?} {:?} {} {shown}", ran.code, ran.stderr)
        .split(' ')
        .map(still_word)
        .collect::<Vec<_>>()
        .join(" ")
}

fn words(laptop: &Device, args: &[&str]) -> String {
    let ran = Ran::of(&mut laptop.words(args));
    let home = laptop.home.display().to_string();
    let text = format!("{args:?} {:?} {}{}", ran.code, ran.stdout, ran.stderr);
    // As `still` has it.
    let text = text.replace("next; not tried yet", "in use");
    text.replace(&home, "HOME")
        .replace('\n', " \n ")
        .split(' ')
        .map(still_word)
        .collect::<Vec<_>>()
        .join(" ")
}

/// A value without what is of the moment. Whether the identity service was asked yet is of the
/// process: an agent looks for other devices there, a single command leaves that to it.
fn still(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if name == "services" {
                    field["identity"] = "…".into();
                }
                if OF_THE_MOMENT.contains(&name.as_str()) && !field.is_null() {
                    *field = "…".into();
                } else {
                    *field = still(field.take());
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = still(item.take());
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    value
}

/// A word without what is of the moment: ids, addresses, dates and times.
fn still_word(word: &str) -> &str {
    let hex = word.chars().filter(char::is_ascii_hexdigit).count();
    let is_date = word.len() == 10 && word.bytes().filter(|byte| *byte == b'-').count() == 2;
    let is_time = word.len() == 8 && word.bytes().filter(|byte| *byte == b':').count() == 2;
    if (hex >= 16 && !word.contains('"')) || is_date || is_time || word.contains("127.0.0.1:") {
        "…"
    } else {
        word
    }
}

#[test]
fn every_command_says_the_same_through_an_agent() {
    let (alone, through) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (alone, through) = (play(alone.path(), false), play(through.path(), true));
    assert_eq!(alone.len(), through.len());
    for (alone, through) in alone.iter().zip(&through) {
        assert_eq!(alone, through);
    }
}
