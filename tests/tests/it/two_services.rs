//! The services as processes of their own on one Redis: from the keys to a balance.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use edge_ledger_store::redis::server::Server;
use edge_ledger_tests::process::edge_ledger;
use edge_ledger_tests::service::Ended;
use edge_ledger_tests::{Process, ServiceProcess};
use serde_json::Value;

use crate::certificates::Authority;

/// Stands for a password: it may appear nowhere.
pub(crate) const CANARY: &str = "hunter2";

/// The command, with nothing of the environment.
pub(crate) fn cli(args: &[&str]) -> anyhow::Result<Command> {
    let mut command = Command::new(edge_ledger()?);
    command.env_clear().args(args).arg("--json");
    Ok(command)
}

/// Runs a command to its end, and returns the one object that it prints.
pub(crate) fn done(args: &[&str]) -> anyhow::Result<Value> {
    let output = cli(args)?.output()?;
    anyhow::ensure!(output.status.success(), "{args:?}: {output:?}");
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The keys of a new deployment, spread as operators should: each service with what it needs, the
/// roots with none of them. Returns the ledger id.
pub(crate) fn spread_keys(folder: &Path) -> anyhow::Result<String> {
    let whole = folder.join("keys");
    let made = done(&["keys", "init", "--dir", path(&whole)?])?;
    for (service, files) in [
        (
            "identity-service",
            &["genesis", "service.key", "service.cert", "sealing.key"][..],
        ),
        (
            "ledger-service",
            &["genesis", "service.key", "service.cert"],
        ),
    ] {
        fs::create_dir(folder.join(service))?;
        for file in files {
            fs::copy(whole.join(file), folder.join(service).join(file))?;
        }
    }
    fs::remove_dir_all(whole)?;
    Ok(made["ledger_id"].as_str().context("no id")?.to_owned())
}

pub(crate) fn path(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("no text")
}

/// Both services, and what they stand on.
struct Two {
    folder: tempfile::TempDir,
    ledger_id: String,
    identity: ServiceProcess,
    ledger: ServiceProcess,
    redis: Server,
}

impl Two {
    fn start() -> anyhow::Result<Self> {
        Self::start_in(tempfile::tempdir()?, &[])
    }

    /// Starts them with further settings.
    fn start_in(folder: tempfile::TempDir, both: &[(&str, &str)]) -> anyhow::Result<Self> {
        Self::start_with(folder, both, &[])
    }

    /// Starts them with further settings of both, and of the identity service.
    fn start_with(
        folder: tempfile::TempDir,
        both: &[(&str, &str)],
        own: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let redis = Server::start();
        let ledger_id = spread_keys(folder.path())?;
        // A user without a password takes any.
        let url = format!("redis://default:{CANARY}@127.0.0.1:{}", redis.port());
        let url_file = folder.path().join("redis-url");
        fs::write(&url_file, url)?;
        let start = |name: &str, more: &[(&str, &str)]| {
            let keys = folder.path().join(name);
            let mut settings = vec![
                ("server.listen", "127.0.0.1:0"),
                ("keys.dir", path(&keys)?),
                ("store.kind", "redis"),
                ("store.url_file", path(&url_file)?),
                ("log.level", "debug"),
            ];
            settings.extend(both);
            settings.extend(more);
            ServiceProcess::start(name, &settings)
        };
        let ledger = start("ledger-service", &[])?;
        let ledger_url = ledger.url();
        let own = [&[("identity.ledger_urls", &ledger_url[..])], own].concat();
        let identity = start("identity-service", &own)?;
        Ok(Self {
            folder,
            ledger_id,
            identity,
            ledger,
            redis,
        })
    }

    /// A command of a device.
    fn device(&self, name: &str, args: &[&str]) -> anyhow::Result<Value> {
        let home = self.folder.path().join(name);
        done(&[&["--home", path(&home)?], args].concat())
    }
}

#[test]
fn two_processes_on_one_redis_are_one_ledger() -> anyhow::Result<()> {
    let two = Two::start()?;
    for (service, name) in [
        (&two.identity, "identity-service"),
        (&two.ledger, "ledger-service"),
    ] {
        let serves = &service.serves;
        assert_eq!(serves["service"], name, "{serves}");
        assert_eq!(serves["ack"], "durable", "{serves}");
        assert_eq!(serves["ledger_id"], *two.ledger_id, "{serves}");
        assert_eq!(serves["version"], env!("CARGO_PKG_VERSION"), "{serves}");
    }
    let url = two.identity.url();
    two.device(
        "phone",
        &[
            "init",
            "--identity-url",
            &url,
            "--ledger-id",
            &two.ledger_id,
        ],
    )?;
    link(&two)?;
    let earned = two.device("phone", &["earn", "30"])?;
    assert_eq!(earned["ack"], "durable", "{earned}");
    two.device("laptop", &["earn", "12"])?;
    for device in ["phone", "laptop"] {
        let balance = two.device(device, &["balance"])?;
        assert_eq!(balance["balance"], "42", "{balance}");
        assert_eq!(balance["synced"], true, "{balance}");
    }

    // A device that stays connected does not hold them up.
    let home = two.folder.path().join("laptop");
    let mut watching = Process::start(&mut cli(&["--home", path(&home)?, "watch"])?)?;
    event(&mut watching, "connected")?;
    for service in [two.ledger, two.identity] {
        let ended = service.drain()?;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        check_log(&ended)?;
        let last = ended.log.last().context("no log")?;
        assert!(last.contains("\"drained\""), "{last}");
    }
    event(&mut watching, "sync_failed")?;
    assert!(two.redis.command("DBSIZE").trim() != ":0");
    Ok(())
}

#[test]
fn with_a_certificate_devices_dial_both_over_tls() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new()?;
    let certified = authority.certify(folder.path(), "127.0.0.1", true)?;
    let authority = authority.file(folder.path())?;
    let tls = [
        ("tls.certificate_file", path(&certified.certificate)?),
        ("tls.key_file", path(&certified.key)?),
    ];
    let two = Two::start_in(folder, &tls)?;
    let url = two.identity.url();
    assert!(url.starts_with("https://"), "{url}");
    let init = [
        "init",
        "--identity-url",
        &url,
        "--tls-ca",
        path(&authority)?,
    ];
    two.device("phone", &init)?;
    let earned = two.device("phone", &["earn", "7"])?;
    assert_eq!(earned["ack"], "durable", "{earned}");
    Ok(())
}

#[test]
fn a_doctor_hears_of_both_that_the_store_takes_no_writes() -> anyhow::Result<()> {
    let mut two = Two::start()?;
    let url = two.identity.url();
    two.device("phone", &["init", "--identity-url", &url])?;
    two.redis.kill();
    for service in [&mut two.identity, &mut two.ledger] {
        service.wait_for("redis is in another state")?;
    }
    let home = two.folder.path().join("phone");
    let doctor = cli(&["--home", path(&home)?, "doctor"])?.output()?;
    assert_eq!(doctor.status.code(), Some(1), "{doctor:?}");
    let report: Value = serde_json::from_slice(&doctor.stdout)?;
    let checks = report["checks"].as_array().context("no checks")?;
    for name in ["identity_health", "ledger_health"] {
        let check = checks.iter().find(|check| check["check"] == name);
        let check = check.with_context(|| report.to_string())?;
        assert_eq!(check["verdict"], "fail", "{check}");
        let text = check.to_string();
        assert!(
            text.contains("NOT_SERVING") && text.contains("docs/redis.md"),
            "{check}"
        );
    }
    Ok(())
}

/// Whoever was invited, and once.
#[test]
fn an_invite_registers_one_identity() -> anyhow::Result<()> {
    let wanted = [("identity.registration", "invite")];
    let two = Two::start_with(tempfile::tempdir()?, &[], &wanted)?;
    let keys = two.folder.path().join("identity-service");
    let made = done(&["keys", "invite", "--dir", path(&keys)?, "--expires", "1h"])?;
    assert_eq!(made["ledger_id"], *two.ledger_id, "{made}");
    let invite = made["invite"].as_str().context("no invite")?;
    let url = two.identity.url();
    let init = ["init", "--identity-url", &url];
    let refused = |name: &str, args: &[&str]| -> anyhow::Result<Value> {
        let home = two.folder.path().join(name);
        let output = cli(&[&["--home", path(&home)?], args].concat())?.output()?;
        let mut said: Value = serde_json::from_slice(&output.stdout)?;
        Ok(said["error"]["reason"].take())
    };
    assert_eq!(refused("phone", &init)?, "INVITE_INVALID");
    let invited = [&init[..], &["--invite", invite]].concat();
    two.device("phone", &invited)?;
    assert_eq!(refused("stranger", &invited)?, "INVITE_INVALID");
    two.device("phone", &["earn", "7"])?;
    Ok(())
}

/// Links `laptop` by `phone`.
fn link(two: &Two) -> anyhow::Result<()> {
    join_by(two.folder.path(), "phone", "laptop")
}

/// Links a device by another one, each in a folder of its name.
pub(crate) fn join_by(folder: &Path, by: &str, name: &str) -> anyhow::Result<()> {
    let home = folder.join(by);
    let mut linking = Process::start(&mut cli(&["--home", path(&home)?, "link"])?)?;
    let code = event(&mut linking, "code")?;
    let link = code["link"].as_str().context("no link")?;
    let home = folder.join(name);
    let join = ["--home", path(&home)?, "join", link, "--name", name];
    let mut joining = Process::start(&mut cli(&join)?)?;
    let number = event(&mut joining, "number")?;
    event(&mut linking, "request")?;
    linking.types(number["number"].as_str().context("no number")?)?;
    event(&mut joining, "joined")?;
    event(&mut linking, "linked")?;
    Ok(())
}

pub(crate) fn event(process: &mut Process, event: &str) -> anyhow::Result<Value> {
    while let Some(line) = process.line()? {
        let line: Value = serde_json::from_str(&line)?;
        if line["event"] == event {
            return Ok(line);
        }
    }
    anyhow::bail!("it ended without {event}")
}

/// Every line is an object, and none tells a secret.
pub(crate) fn check_log(ended: &Ended) -> anyhow::Result<()> {
    for line in &ended.log {
        let event: Value = serde_json::from_str(line).with_context(|| line.clone())?;
        assert!(
            event["level"].is_string() && event["message"].is_string(),
            "{line}"
        );
        assert!(!line.contains(CANARY), "{line}");
    }
    Ok(())
}
