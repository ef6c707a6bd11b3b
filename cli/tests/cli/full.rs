//! An identity whose places are all taken is still its owner's.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::process::{Device, Ran, Up};

/// Active devices that anybody but the root key may add.
const ACTIVE: usize = 16;
/// Those that the root key may add beyond them.
const BY_ROOT: usize = 4;

/// An identity that is full, with everything that brings it back.
struct Full {
    folder: PathBuf,
    up: Up,
    laptop: Device,
    identity: String,
}

impl Full {
    fn start(folder: &Path) -> Self {
        let options = ["--veto", "0s", "--probation", "0s"].map(AsRef::as_ref);
        let up = Up::start_with(folder, &options);
        let laptop = up.device("laptop");
        let made = laptop.init();
        let full = Self {
            folder: folder.to_owned(),
            identity: made["identity"].as_str().unwrap().to_owned(),
            up,
            laptop,
        };
        let paper = full.laptop.run(&["recovery", "set"]).done();
        let words = paper["words"].as_array().unwrap().iter();
        let words: Vec<&str> = words.map(|word| word.as_str().unwrap()).collect();
        fs::write(full.file("words"), words.join(" ")).unwrap();
        fs::write(full.file("password"), "correct horse battery staple\n").unwrap();
        full.backup(&full.laptop, "create", &[]).done();
        let token = full.file("token");
        let create = ["enrol-token", "create", "--uses", "64", "--out", &token];
        full.laptop.run(&create).done();
        for number in 1..ACTIVE {
            full.join(number).done();
        }
        full.join(ACTIVE).failed(1, "DEVICE_LIMIT");
        full
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    /// A machine comes in by the token.
    fn join(&self, number: usize) -> Ran {
        let device = self.up.device(&format!("kiosk {number}"));
        device.run(&["join", "--token-file", &self.file("token")])
    }

    fn backup(&self, device: &Device, act: &str, options: &[&str]) -> Ran {
        let (file, password) = (self.file("ana.backup"), self.file("password"));
        let act = ["backup", act, &file, "--password-file", &password];
        device.run(&[&act[..], options].concat())
    }

    /// All that were there are revoked, and nobody else comes in.
    fn is_of(&self, device: &Device, said: &Value, revoked: usize) {
        assert_eq!(said["revoked"].as_array().unwrap().len(), revoked, "{said}");
        let devices = device.run(&["devices"]).done()["devices"].take();
        let devices = devices.as_array().unwrap().iter();
        let active: Vec<&Value> = devices.filter(|d| d["state"] == "active").collect();
        assert!(matches!(active[..], [only] if only["this"] == true));
        self.laptop.run(&["balance"]).failed(1, "DEVICE_REVOKED");
        self.join(99).failed(1, "ENROLMENT_ENDED");
        assert_eq!(device.balance(), "0");
    }
}

#[test]
fn an_identity_that_is_full_comes_back_by_its_recovery_key() {
    let folder = tempfile::tempdir().unwrap();
    let full = Full::start(folder.path());
    let (tablet, words) = (full.up.device("tablet"), full.file("words"));
    let url = tablet.identity_url.clone();
    let recovered = tablet.run(&[
        "recover",
        "--identity",
        &full.identity,
        "--words-file",
        &words,
        "--identity-url",
        &url,
        "--revoke-others",
    ]);
    full.is_of(&tablet, &recovered.done(), ACTIVE);
}

#[test]
fn an_identity_that_is_full_comes_back_out_of_a_backup() {
    let folder = tempfile::tempdir().unwrap();
    let full = Full::start(folder.path());
    for number in 1..=BY_ROOT {
        let device = full.up.device(&format!("restored {number}"));
        let restored = full.backup(&device, "restore", &[]).done();
        assert_eq!(restored["revoked"], Value::Array(Vec::new()));
    }
    let tablet = full.up.device("tablet");
    let error = full.backup(&tablet, "restore", &[]);
    let error = error.failed(1, "DEVICE_LIMIT");
    let next = error["next"].as_str().unwrap();
    assert!(next.contains("--revoke-others"), "{error}");
    let restored = full.backup(&tablet, "restore", &["--revoke-others"]);
    full.is_of(&tablet, &restored.done(), ACTIVE + BY_ROOT);
}

/// The last admin of an identity without a recovery key makes way for the new one.
#[test]
fn a_backup_ends_the_only_device() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let (laptop, tablet) = (up.device("laptop"), up.device("tablet"));
    let made = laptop.init();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(file("password"), "correct horse battery staple\n").unwrap();
    let backup = |device: &Device, act: &str, options: &[&str]| {
        let (saved, password) = (file("ana.backup"), file("password"));
        let act = ["backup", act, &saved, "--password-file", &password];
        device.run(&[&act[..], options].concat())
    };
    backup(&laptop, "create", &[]).done();
    let restored = backup(&tablet, "restore", &["--revoke-others"]).done();
    assert_eq!(restored["revoked"], serde_json::json!([made["device"]]));
    laptop.run(&["balance"]).failed(1, "DEVICE_REVOKED");
    assert_eq!(tablet.balance(), "0");
}
