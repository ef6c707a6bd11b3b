//! S-50: a store that was put back gives a position of the identity log twice. The device that sees
//! it keeps the proof, goes on with entries under both branches, signs nothing more in the log but
//! what puts them together, and then all devices agree again.

use std::fs;
use std::path::Path;

use edge_ledger_core::identity::Evidence;
use serde_json::Value;
use tempfile::TempDir;

use super::process::{Device, Up};

/// A service whose store can be put back.
struct Place {
    folder: TempDir,
    up: Option<Up>,
}

impl Place {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let probation = ["--probation", "0s"].map(AsRef::as_ref);
        let up = Some(Up::start_with(folder.path(), &probation));
        Self { folder, up }
    }

    fn device(&self, name: &str) -> Device {
        self.up.as_ref().unwrap().device(name)
    }

    /// Stops the service, copies its store from here to there, and starts it again.
    fn copy(&mut self, from: &str, to: &str) {
        let stopped = self.up.take().unwrap().stop();
        let file = |name: &str| self.folder.path().join(name);
        fs::copy(file(from), file(to)).unwrap();
        self.up = Some(stopped.start());
    }

    fn save(&mut self) {
        self.copy("server/store.redb", "saved.redb");
    }

    fn put_back(&mut self) {
        self.copy("saved.redb", "server/store.redb");
    }
}

fn synced(device: &Device, args: &[&str]) -> Value {
    let said = device.run(args).done();
    assert_eq!(said["synced"], true, "{said}");
    said
}

fn row(device: &Device, name: &str) -> Value {
    let devices = device.run(&["devices"]).json()["devices"].take();
    let rows = devices.as_array().unwrap().clone();
    let row = rows.into_iter().find(|row| row["name"] == name);
    row.unwrap()
}

fn doctor_on_the_log(device: &Device) -> Value {
    let checks = device.run(&["doctor"]).json()["checks"].take();
    let mut checks = checks.as_array().unwrap().clone().into_iter();
    checks.find(|c| c["check"] == "identity_log").unwrap()
}

fn evidence_in(status: &Value, made: &Value) -> Evidence {
    let file = status["file"].as_str().unwrap();
    let evidence = Evidence::decode(fs::read(file).unwrap().into()).unwrap();
    assert_eq!(evidence.position(), status["position"].as_u64().unwrap());
    assert_eq!(
        evidence.identity().to_string(),
        made["identity"].as_str().unwrap()
    );
    let ledger_id = evidence.genesis().ledger_id();
    assert_eq!(ledger_id.to_string(), made["ledger_id"].as_str().unwrap());
    evidence
}

#[test]
fn a_store_that_was_put_back_is_proved_and_both_branches_are_put_together() {
    let mut place = Place::start();
    let [phone, laptop, tablet, kiosk, desk] =
        ["phone", "laptop", "tablet", "kiosk", "desk"].map(|name| place.device(name));
    let made = phone.init();
    phone.link(&laptop, "link", &["--admin"]);
    phone.link(&tablet, "link", &[]);
    synced(&phone, &["earn", "40"]);
    synced(&tablet, &["earn", "1"]);
    place.save();
    // What the store then loses: a device that is ended, and one that is linked, and what it earned.
    let revoked = phone
        .run(&["devices", "revoke", "tablet", "--reason", "lost"])
        .done();
    let position = revoked["log_position"].as_u64().unwrap();
    phone.link(&kiosk, "link", &[]);
    synced(&kiosk, &["earn", "5"]);
    assert_eq!(synced(&phone, &["earn", "2"])["balance"], "48");
    let linked_ms = row(&phone, "kiosk")["added_ms"].clone();
    assert!(linked_ms.is_i64());
    place.put_back();
    // Another branch: the thief can speak again, and a device is linked that the phone has not seen.
    laptop.link(&desk, "link", &[]);
    assert_eq!(desk.balance(), "41");
    synced(&desk, &["earn", "6"]);
    synced(&tablet, &["earn", "7"]);

    let status = synced(&phone, &["status"]);
    let forked = &status["forked_log"];
    assert_eq!(forked["position"], position, "{status}");
    let evidence = evidence_in(forked, &made);
    // Entries of both branches go on; whom either ended says nothing here.
    assert_eq!(synced(&phone, &["earn", "3"])["balance"], "57");
    assert_eq!(laptop.balance(), (40 + 1 + 2 + 3 + 6 + 7).to_string());
    kiosk.run(&["earn", "4"]).failed(1, "FORBIDDEN");
    for act in [
        &["devices", "rename", "phone", "x"][..],
        &["devices", "revoke", "desk", "--reason", "lost"],
        &["rotate"],
        &["recovery", "set"],
    ] {
        phone.run(act).failed(1, "LOG_FORKED");
    }
    let check = doctor_on_the_log(&phone);
    assert_eq!(check["verdict"], "fail");
    let fix = check["fix"].as_str().unwrap();
    assert!(fix.contains(forked["file"].as_str().unwrap()) && fix.contains("recovery settle"));
    // The proof is made again if somebody takes it away.
    fs::remove_file(forked["file"].as_str().unwrap()).unwrap();
    let status = synced(&phone, &["status"]);
    assert_eq!(evidence_in(&status["forked_log"], &made), evidence);
    // How it came in stands in the branch that was lost.
    let came = row(&phone, "kiosk");
    assert_eq!(came["added_by"]["kind"], "other_branch", "{came}");
    assert!(came["added_ms"].is_null(), "{came}");
    // Who knows one branch only has nothing to settle.
    laptop.run(&["recovery", "settle"]).failed(1, "NO_ROOT_KEY");

    let settled = synced(&phone, &["recovery", "settle"]);
    assert_eq!(settled["branches"], 1, "{settled}");
    phone.run(&["recovery", "settle"]).failed(1, "NOT_FORKED");
    for device in [&phone, &laptop] {
        let came = row(device, "kiosk");
        assert_eq!(came["added_by"]["label"], "phone", "{came}");
        assert_eq!(came["added_ms"], linked_ms);
        assert_eq!(row(device, "desk")["added_by"]["label"], "laptop");
        let ended = row(device, "tablet");
        assert_eq!(
            (&ended["state"], &ended["reason"]),
            (&"revoked".into(), &"lost".into())
        );
    }
    tablet.run(&["balance"]).failed(1, "DEVICE_REVOKED");
    synced(&kiosk, &["balance"]);
    let balances = [&phone, &laptop, &kiosk, &desk].map(|device| device.balance());
    assert_eq!(balances, ["61", "61", "61", "61"]);
    let digests = [&phone, &laptop, &kiosk, &desk].map(|device| {
        let status = synced(device, &["status"]);
        assert!(status["forked_log"].is_null(), "{status}");
        status["digest"].as_str().unwrap().to_owned()
    });
    assert!(digests.iter().all(|digest| *digest == digests[0]));
    let status = synced(&phone, &["status"]);
    assert_eq!(evidence_in(&status["settled_fork"], &made), evidence);
    assert_eq!(doctor_on_the_log(&phone)["verdict"], "ok");
    for (device, from, to) in [(&phone, "kiosk", "ours"), (&laptop, "ours", "mine")] {
        device.run(&["devices", "rename", from, to]).done();
    }
}

/// The branch that was lost is the longer one, and the device that has it has no root key: it signs
/// by the words, while its agent runs.
#[test]
fn the_words_of_the_recovery_key_put_branches_together_in_a_running_agent() {
    let mut place = Place::start();
    let [phone, laptop] = ["phone", "laptop"].map(|name| place.device(name));
    phone.init();
    phone.link(&laptop, "link", &["--admin"]);
    let paper = phone.run(&["recovery", "set"]).done();
    let words = paper["words"].as_array().unwrap().iter();
    let words: Vec<&str> = words.map(|word| word.as_str().unwrap()).collect();
    let file = place.folder.path().join("words");
    fs::write(&file, words.join(" ")).unwrap();
    synced(&laptop, &["balance"]);
    place.save();
    for (from, to) in [("laptop", "a"), ("a", "b"), ("b", "c")] {
        laptop.run(&["devices", "rename", from, to]).done();
    }
    synced(&laptop, &["earn", "5"]);
    place.put_back();
    phone.run(&["devices", "rename", "phone", "x"]).done();

    let mut agent = laptop.agent(&[]);
    let told = agent.event("log_forked");
    assert!(Path::new(told["file"].as_str().unwrap()).exists());
    let settle = |file: &Path| {
        let file = file.to_str().unwrap();
        laptop.run(&["recovery", "settle", "--words-file", file])
    };
    let other = place.folder.path().join("other words");
    fs::write(&other, format!("{} art", "abandon ".repeat(23))).unwrap();
    settle(&other).failed(1, "WRONG_WORDS");
    assert_eq!(settle(&file).done()["branches"], 1);
    let changed = agent.event("keys_changed");
    assert_eq!(changed["change"], "fork_settled", "{changed}");
    agent.signal("TERM");
    agent.end();
    assert_eq!(
        (phone.balance(), laptop.balance()),
        ("5".into(), "5".into())
    );
    assert!(synced(&laptop, &["status"])["forked_log"].is_null());
    laptop.run(&["devices", "rename", "laptop", "y"]).done();
}

/// Each time another branch is lost: who saw both keeps both, and puts them together one by one.
#[test]
fn a_store_that_is_put_back_twice_leaves_two_branches_to_put_together() {
    let mut place = Place::start();
    let [phone, laptop, tablet, kiosk] =
        ["phone", "laptop", "tablet", "kiosk"].map(|name| place.device(name));
    phone.init();
    phone.link(&laptop, "link", &["--admin"]);
    phone.link(&tablet, "link", &[]);
    for device in [&laptop, &tablet] {
        synced(device, &["balance"]);
    }
    place.save();
    phone.link(&kiosk, "link", &[]);
    synced(&kiosk, &["earn", "1"]);
    synced(&phone, &["balance"]);
    place.put_back();
    laptop.run(&["devices", "rename", "laptop", "one"]).done();
    synced(&phone, &["earn", "2"]);
    place.put_back();
    tablet.run(&["devices", "rename", "tablet", "two"]).done();
    let status = synced(&laptop, &["status"]);
    assert!(status["forked_log"].is_object(), "{status}");
    assert_eq!(synced(&phone, &["balance"])["balance"], "3");

    assert_eq!(synced(&phone, &["recovery", "settle"])["branches"], 2);
    for device in [&kiosk, &phone, &laptop, &tablet] {
        assert!(synced(device, &["status"])["forked_log"].is_null());
    }
    for device in [&kiosk, &phone, &laptop, &tablet] {
        assert_eq!(device.balance(), "3");
    }
}
