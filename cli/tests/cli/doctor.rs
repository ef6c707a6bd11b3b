//! What the doctor finds, and whether it says how to mend it.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use edge_ledger_chassis::keys::Choices;
use edge_ledger_chassis::{Clock, KeysFolder, Tls, TlsFiles};
use edge_ledger_store::Embedded;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::Value;

use super::process::{
    Device, Ran, Running, Up, command, pair_with_laptop, pair_with_laptop_and_phone,
};

/// What the doctor prints.
fn report(laptop: &Device, args: &[&str], code: i32) -> Value {
    let ran = Ran::of(laptop.command(&["doctor"]).args(args));
    assert_eq!(ran.code, Some(code), "{ran:?}");
    let report = ran.json();
    assert_eq!(report["ok"], code == 0, "{report}");
    report
}

/// What the doctor says of each thing.
fn look(laptop: &Device, args: &[&str], code: i32) -> Value {
    let report = report(laptop, args, code);
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
    let (_folder, _up, laptop) = pair_with_laptop();
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
        "identity_health",
        "clock",
        "ledger_reach",
        "ledger_tls",
        "ledger_greeting",
        "ledger_health",
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
    let (_folder, up, laptop) = pair_with_laptop();
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
    let (_folder, _up, laptop) = pair_with_laptop();
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
    let (_folder, _up, laptop, phone) = pair_with_laptop_and_phone();
    laptop.run(&["devices", "revoke", "phone"]).done();
    assert_eq!(faults(&look(&phone, &[], 1)), [("sync", "fail")]);
}

/// A certificate of loopback that signed itself, and its key.
struct Certified {
    certificate: PathBuf,
    key: PathBuf,
    pair: KeyPair,
}

impl Certified {
    fn new(folder: &Path) -> Self {
        let pair = KeyPair::generate().unwrap();
        let key = folder.join("key.pem");
        fs::write(&key, pair.serialize_pem()).unwrap();
        Self {
            certificate: folder.join("cert.pem"),
            key,
            pair,
        }
    }

    /// Makes a certificate that ends, by this machine's clock, after some hours.
    fn renew(&self, ends_in_hours: i64) {
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let ends_s = Clock::system().wall_ms() / 1_000 + ends_in_hours * 3_600;
        let ends_s = Duration::from_secs(ends_s.try_into().unwrap());
        params.not_after = date_time_ymd(1970, 1, 1) + ends_s;
        let certificate = params.self_signed(&self.pair).unwrap();
        fs::write(&self.certificate, certificate.pem()).unwrap();
    }

    fn options(&self) -> [&OsStr; 4] {
        [
            "--tls-cert".as_ref(),
            self.certificate.as_os_str(),
            "--tls-key".as_ref(),
            self.key.as_os_str(),
        ]
    }

    /// Starts the pair with such a certificate.
    fn up(&self, folder: &Path, ends_in_hours: i64) -> Up {
        self.renew(ends_in_hours);
        Up::start_with(folder, &self.options())
    }

    /// Serves with the certificate that is there, even if it has ended, as it can while a service
    /// runs. Returns the address.
    async fn serve(&self, folder: &Path) -> (identity_service::Server, String) {
        let keys = KeysFolder::open_or_init(&folder.join("other-keys"), &Choices::default());
        let keys = keys.unwrap();
        let files = TlsFiles {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            client_ca: None,
            client_names: Vec::new(),
        };
        let config = identity_service::Config {
            listen: ([127, 0, 0, 1], 0).into(),
            audiences: Vec::new(),
            ledger_urls: vec!["https://127.0.0.1:1".to_owned()],
            identity_urls: Vec::new(),
            store: Arc::new(Embedded::in_memory()),
            genesis: keys.genesis.clone(),
            signer: keys.signer.clone(),
            sealing: keys.sealing.clone(),
            clock: Clock::system(),
            limits: identity_service::Limits::default(),
            tls: Some(Tls::load(files, Clock::system()).unwrap()),
            ice: identity_service::IceConfig::default(),
            reflection: true,
        };
        let server = identity_service::Server::bind(config).await.unwrap();
        let url = format!("https://{}", server.local_addr());
        (server, url)
    }
}

/// What is said of a check, and how to mend it.
fn said<'a>(report: &'a Value, check: &str) -> (&'a str, &'a str) {
    let checks = report["checks"].as_array().unwrap();
    let found = checks.iter().find(|found| found["check"] == check).unwrap();
    let fix = found["fix"].as_str().unwrap_or_default();
    (found["says"].as_str().unwrap(), fix)
}

#[test]
fn the_end_of_a_certificate_is_told_before_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let certified = Certified::new(folder.path());
    let both = ["identity_tls", "ledger_tls"];
    let day = 24;

    let up = certified.up(folder.path(), 15 * day + 1);
    let laptop = up.device("laptop");
    let ca = certified.certificate.to_str().unwrap();
    let init = [
        "init",
        "--identity-url",
        &laptop.identity_url,
        "--tls-ca",
        ca,
    ];
    laptop.run(&init).done();
    assert_eq!(faults(&look(&laptop, &[], 0)), []);
    let seen = report(&laptop, &[], 0);
    for check in both {
        assert!(said(&seen, check).0.contains("ends in 15 days"), "{seen}");
    }
    // Dialled without TLS, both say so, whatever error comes first.
    let plain = ["identity", "ledger"].map(|name| up.url(name).replace("https://", "http://"));
    let there = ["--identity-url", &plain[0], "--ledger-url", &plain[1]];
    let seen = report(&laptop, &there, 1);
    for check in both {
        let (says, fix) = said(&seen, check);
        assert!(says.contains("speaks TLS there"), "{seen}");
        assert!(fix.contains("https://"), "{seen}");
    }
    drop(up);

    // The next has the same key, so the device takes it.
    let up = certified.up(folder.path(), 5 * day + 1);
    let urls = [up.url("identity"), up.url("ledger")];
    let there = ["--identity-url", &urls[0], "--ledger-url", &urls[1]];
    let warned = both.map(|check| (check, "warn"));
    assert_eq!(faults(&look(&laptop, &there, 0)), warned);
    let seen = report(&laptop, &there, 0);
    for check in both {
        let (says, fix) = said(&seen, check);
        assert!(says.contains("ends in 5 days"), "{seen}");
        assert!(fix.contains("renew"), "{seen}");
    }
    drop(up);

    // Nobody starts with one that has ended; one that ends meanwhile is still shown.
    certified.renew(-day);
    let mut command = command(folder.path(), "127.0.0.1:0", "127.0.0.1:0");
    let refused = Ran::of(command.args(certified.options()));
    let error = refused.failed(1, "TLS_FILE");
    assert!(error["message"].as_str().unwrap().contains("holds from"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (_server, url) = runtime.block_on(certified.serve(folder.path()));
    let there = ["--identity-url", &url, "--ledger-url", &url];
    let seen = look(&laptop, &there, 1);
    for check in both {
        assert_eq!(seen[check], "fail", "{seen}");
    }
    assert!(seen["identity_health"].is_null(), "{seen}");
    let seen = report(&laptop, &there, 1);
    for check in both {
        let (says, fix) = said(&seen, check);
        assert!(
            says.contains("expired") && says.contains("holds from"),
            "{seen}"
        );
        assert!(fix.contains("renew"), "{seen}");
    }
}
