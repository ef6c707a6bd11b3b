//! `admin`: what an operator sees and does, through real processes.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::process::{Device, Ran, Up, edge_ledger};

/// A pair that answers operators, and what its operator types with.
pub(crate) struct Site {
    pub(crate) up: Up,
    pub(crate) address: String,
    pub(crate) token_file: PathBuf,
    pub(crate) folder: TempDir,
}

impl Site {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("server-keys");
        Self::start_in(folder, &keys, ["127.0.0.1:0"; 2])
    }

    /// Starts a pair on an empty store, with these keys and at these addresses.
    fn start_in(folder: TempDir, keys: &Path, [identity, ledger]: [&str; 2]) -> Self {
        let data = tempfile::tempdir_in(folder.path()).unwrap().keep();
        let mut command = edge_ledger(folder.path());
        command.args(["up", "--json", "--operator-listen", "127.0.0.1:0"]);
        command.args(["--identity-listen", identity, "--ledger-listen", ledger]);
        command.arg("--data").arg(data).arg("--keys").arg(keys);
        let up = Up::run(folder.path(), &mut command);
        let said = |name: &str| up.said[name].as_str().unwrap().to_owned();
        Self {
            address: said("operator_url"),
            token_file: said("operator_token_file").into(),
            up,
            folder,
        }
    }

    /// A further pair with the same keys, on an empty store.
    pub(crate) fn elsewhere(&self) -> Self {
        let keys = self.folder.path().join("server-keys");
        Self::start_in(tempfile::tempdir().unwrap(), &keys, ["127.0.0.1:0"; 2])
    }

    /// Ends this pair, and starts one with the same keys at the same addresses, on an empty store.
    pub(crate) fn replaced(self) -> Self {
        let Self { up, folder, .. } = self;
        let urls = [up.url("identity"), up.url("ledger")];
        let listens = urls
            .each_ref()
            .map(|url| url.strip_prefix("http://").unwrap());
        up.stop();
        let keys = folder.path().join("server-keys");
        Self::start_in(folder, &keys, listens)
    }

    /// Runs a command of the operator, as JSON.
    pub(crate) fn admin(&self, args: &[&str]) -> Ran {
        self.admin_with(&self.token_file, args)
    }

    fn admin_with(&self, token_file: &Path, args: &[&str]) -> Ran {
        let mut command = edge_ledger(self.folder.path());
        command.args(["--json", "admin", "--address", &self.address]);
        command.arg("--token-file").arg(token_file);
        Ran::of(command.args(args))
    }

    /// A command of the operator.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = edge_ledger(self.folder.path());
        command.args(["--json", "admin", "--address", &self.address]);
        command.arg("--token-file").arg(&self.token_file).args(args);
        command
    }

    /// The same in words.
    fn words(&self, args: &[&str]) -> String {
        let mut command = edge_ledger(self.folder.path());
        command.args(["admin", "--address", &self.address]);
        command.arg("--token-file").arg(&self.token_file);
        let ran = Ran::of(command.args(args));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.stdout
    }

    /// A device of a new identity, and that identity.
    pub(crate) fn laptop(&self) -> (Device, String) {
        let laptop = self.up.device("laptop");
        let made = laptop.init();
        (laptop, made["identity"].as_str().unwrap().to_owned())
    }
}

#[test]
fn only_the_token_opens_the_listener() {
    let site = Site::start();
    let mode = fs::metadata(&site.token_file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o400);
    let health = site.admin(&["health"]).done();
    assert_eq!(health["serving"], true, "{health}");
    assert_eq!(health["ledger_id"], site.up.ledger_id());
    assert_eq!(
        (&health["store"], &health["ack"]),
        (&"embedded".into(), &"durable".into())
    );
    // It is told nowhere.
    let token = fs::read_to_string(&site.token_file).unwrap();
    assert!(!health.to_string().contains(token.trim()));

    let other = site.folder.path().join("other.token");
    let mut make = edge_ledger(site.folder.path());
    make.args(["--json", "keys", "operator-token", "--out"])
        .arg(&other);
    Ran::of(&mut make).done();
    Ran::of(&mut make).failed(1, "FILE_EXISTS");
    let refused = site
        .admin_with(&other, &["health"])
        .failed(1, "OPERATOR_TOKEN");
    let next = refused["next"].as_str().unwrap();
    assert!(next.contains("--token-file"), "{refused}");
    // So many guesses are answered, and the token still opens.
    let mut reasons = Vec::new();
    for _ in 0..30 {
        let ran = site.admin_with(&other, &["limits"]);
        reasons.push(ran.json()["error"]["reason"].as_str().unwrap().to_owned());
    }
    assert!(
        reasons.iter().any(|reason| reason == "UNREACHABLE"),
        "{reasons:?}"
    );
    site.admin(&["health"]).done();

    fs::set_permissions(&other, Permissions::from_mode(0o644)).unwrap();
    site.admin_with(&other, &["health"])
        .failed(1, "KEYS_EXPOSED");
    let none = site.folder.path().join("none");
    site.admin_with(&none, &["health"])
        .failed(1, "KEYS_MISSING");
    let mut bare = edge_ledger(site.folder.path());
    let bare = Ran::of(bare.args(["--json", "admin", "health"]));
    bare.failed(2, "USAGE");
}

#[test]
fn what_is_no_operator_listener_is_told_apart() {
    let site = Site::start();
    let admin = |address: &str| {
        let mut command = edge_ledger(site.folder.path());
        command.args(["--json", "admin", "health", "--address", address]);
        Ran::of(command.arg("--token-file").arg(&site.token_file))
    };
    let error = admin(&site.up.url("ledger")).failed(1, "UNKNOWN_METHOD");
    assert!(
        error["next"].as_str().unwrap().contains("operator.listen"),
        "{error}"
    );
    let error = admin("http://127.0.0.1:1").failed(75, "UNREACHABLE");
    assert!(
        error["next"].as_str().unwrap().contains("--address"),
        "{error}"
    );
    admin("nonsense").failed(2, "URL_FORMAT");
    let error = admin("http://192.0.2.1:7430").failed(1, "PLAINTEXT");
    assert!(
        error["next"]
            .as_str()
            .unwrap()
            .contains("--address https://"),
        "{error}"
    );
}

#[test]
fn the_bounds_and_keys_are_shown_and_a_key_is_made() {
    let site = Site::start();
    let limits = site.admin(&["limits"]).done();
    let limits = limits["limits"].as_array().unwrap();
    let value = |name: &str| {
        let limit = limits.iter().find(|limit| limit["name"] == name);
        limit.unwrap_or_else(|| panic!("no {name}"))["value"].clone()
    };
    assert_eq!(value("limits.connections_per_address_max"), "50");
    assert_eq!(value("identity.joins_per_minute"), "20");
    assert_eq!(value("frame.bytes"), "1048576");

    let keys = site.admin(&["keys"]).done();
    assert_eq!(
        (&keys["signing_serial"], &keys["rotates"]),
        (&1.into(), &true.into())
    );
    let made = site.admin(&["keys", "rotate"]).done();
    assert_eq!((&made["serial"], &made["kept"]), (&2.into(), &1.into()));
    let keys = site.admin(&["keys"]).done();
    assert_eq!(keys["signing_serial"], 2);
    assert_eq!(keys["folder_serials"], serde_json::json!([1, 2]));
    // Devices go on, under the new key.
    let (laptop, _) = site.laptop();
    laptop.run(&["earn", "5"]).done();
    assert_eq!(laptop.balance(), "5");
    fs::remove_file(site.folder.path().join("server-keys/root.key")).unwrap();
    let error = site
        .admin(&["keys", "rotate"])
        .failed(1, "ROTATES_ELSEWHERE");
    assert!(
        error["message"].as_str().unwrap().contains("root.key"),
        "{error}"
    );
}

#[test]
fn an_identity_is_shown_blocked_and_unblocked_and_loses_nothing() {
    let site = Site::start();
    let (laptop, identity) = site.laptop();
    laptop.run(&["earn", "5"]).done();
    let shown = site
        .admin(&["identity", "show", &identity, "--measure"])
        .done();
    assert_eq!(
        (&shown["entries"], &shown["block"]),
        (&1.into(), &Value::Null)
    );
    assert!(shown["payload_bytes"].as_u64().unwrap() > 0, "{shown}");
    assert_eq!(shown["devices"][0]["name"], "laptop", "{shown}");
    assert_eq!(shown["devices"][0]["tips"], serde_json::json!([1]));

    let block = [
        "identity",
        "block",
        &identity,
        "--reason",
        "looks like spam",
    ];
    let blocked = site.admin(&block).done();
    assert_eq!(blocked["was_blocked"], false);
    assert_eq!(site.admin(&block).done()["was_blocked"], true);
    let words = site.words(&["identity", "show", &identity]);
    assert!(
        words.contains("BLOCKED") && words.contains("looks like spam"),
        "{words}"
    );
    // The reason is the operator's business.
    let earned = laptop.run(&["earn", "7"]).done();
    assert_eq!(earned["synced"], false, "{earned}");
    let why = earned["sync_error"].as_str().unwrap();
    assert!(
        why.contains("IDENTITY_BLOCKED") && !why.contains("spam"),
        "{earned}"
    );
    laptop.run(&["link"]).failed(1, "IDENTITY_BLOCKED");
    let shown = site.admin(&["identity", "show", &identity]).done();
    assert_eq!(shown["entries"], 1, "nothing was taken");
    // What is about its devices goes on.
    laptop.run(&["devices", "rename", "laptop", "desk"]).done();

    site.admin(&["identity", "unblock", &identity]).done();
    assert_eq!(laptop.balance(), "12");
    let shown = site.admin(&["identity", "show", &identity]).done();
    assert_eq!(
        (&shown["entries"], &shown["devices"][0]["name"]),
        (&2.into(), &"desk".into())
    );
}

#[test]
fn a_quota_keeps_entries_on_the_device_until_it_is_lifted() {
    let site = Site::start();
    let (laptop, identity) = site.laptop();
    laptop.run(&["earn", "5"]).done();
    let quota = |entries: &str| {
        let args = ["identity", "quota", &identity, "--entries", entries];
        site.admin(&args).done()
    };
    assert_eq!(quota("1")["entries"], 1);
    let earned = laptop.run(&["earn", "7"]).done();
    let why = earned["sync_error"].as_str().unwrap();
    assert!(why.contains("QUOTA_EXCEEDED"), "{earned}");
    let shown = site.admin(&["identity", "show", &identity]).done();
    assert_eq!(
        (&shown["entries"], &shown["entries_max"]),
        (&1.into(), &1.into())
    );
    assert_eq!(quota("default")["entries_max"], Value::Null);
    assert_eq!(laptop.balance(), "12");
}

#[test]
fn what_an_operator_types_wrongly_is_said() {
    let site = Site::start();
    let nobody = "ab".repeat(32);
    for args in [
        &["identity", "show", &nobody][..],
        &["identity", "block", &nobody, "--reason", "x"],
        &["identity", "unblock", &nobody],
        &["identity", "quota", &nobody, "--entries", "5"],
    ] {
        site.admin(args).failed(1, "UNKNOWN_IDENTITY");
    }
    let (_, identity) = site.laptop();
    for reason in ["", " ", "two\nlines", &"x".repeat(201)] {
        let block = ["identity", "block", &identity, "--reason", reason];
        site.admin(&block).failed(1, "OPERATOR_WORDS");
    }
    site.admin(&["identity", "show", "abc"]).failed(2, "USAGE");
    let quota = ["identity", "quota", &identity, "--entries", "many"];
    site.admin(&quota).failed(2, "USAGE");
}
