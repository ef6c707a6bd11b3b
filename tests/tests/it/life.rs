//! The whole life of an identity through the real binaries, over TLS, on both stores: link, earn,
//! clone, revoke, lose everything, recover.

use std::any::Any;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::Context as _;
use edge_ledger_store::redis::server::Server;
use edge_ledger_tests::process::edge_ledger;
use edge_ledger_tests::{Process, ServiceProcess};
use serde_json::Value;

use crate::certificates::Authority;
use crate::two_services::{event, path};

/// How often a device that recovers asks whether its time has come.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// Periods that a test can wait for.
const PERIODS: [&str; 4] = ["--probation", "1s", "--veto", "1s"];

/// A deployment that runs, with a certificate that only its authority vouches for.
struct Site {
    folder: tempfile::TempDir,
    authority: PathBuf,
    identity_url: String,
    ledger_id: String,
    /// What runs, until it is dropped.
    _runs: Box<dyn Any>,
}

impl Site {
    /// Both services in one process on the embedded store.
    fn embedded() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let authority = Authority::new()?;
        let certified = authority.certify(folder.path(), "127.0.0.1", true)?;
        let data = folder.path().join("data");
        let any = "127.0.0.1:0";
        let mut args = vec!["up", "--identity-listen", any, "--ledger-listen", any];
        args.extend(["--tls-cert", path(&certified.certificate)?]);
        args.extend(["--tls-key", path(&certified.key)?, "--data", path(&data)?]);
        args.extend(PERIODS);
        let mut up = Process::start(&mut cli(&args)?)?;
        let said: Value = serde_json::from_str(&up.line()?.context("it is not up")?)?;
        let text = |name: &str| said[name].as_str().map(ToOwned::to_owned);
        Ok(Self {
            authority: authority.file(folder.path())?,
            identity_url: text("identity_url").context("no address")?,
            ledger_id: text("ledger_id").context("no id")?,
            folder,
            _runs: Box::new(up),
        })
    }

    /// Each service as a process of its own, on Redis.
    fn on_redis() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let authority = Authority::new()?;
        let certified = authority.certify(folder.path(), "127.0.0.1", true)?;
        let keys = folder.path().join("keys");
        let init = [&["keys", "init", "--dir", path(&keys)?], &PERIODS[..]].concat();
        let made = said(&cli(&init)?.output()?)?;
        let redis = Server::start();
        let url = redis.url();
        let start = |name, more: &[(&str, &str)]| {
            let settings = [
                ("server.listen", "127.0.0.1:0"),
                ("keys.dir", path(&keys)?),
                ("store.kind", "redis"),
                ("store.url", &url),
                ("tls.certificate_file", path(&certified.certificate)?),
                ("tls.key_file", path(&certified.key)?),
            ];
            ServiceProcess::start(name, &[&settings[..], more].concat())
        };
        let ledger = start("ledger-service", &[])?;
        let ledger_url = ledger.url();
        let identity = start("identity-service", &[("identity.ledger_urls", &ledger_url)])?;
        Ok(Self {
            authority: authority.file(folder.path())?,
            identity_url: identity.url(),
            ledger_id: made["ledger_id"].as_str().context("no id")?.to_owned(),
            folder,
            _runs: Box::new((identity, ledger, redis)),
        })
    }

    fn home(&self, device: &str) -> PathBuf {
        self.folder.path().join(device)
    }

    /// A command of a device.
    fn command(&self, device: &str, args: &[&str]) -> anyhow::Result<Command> {
        let home = self.home(device);
        let mut command = cli(&["--home", path(&home)?])?;
        command
            .args(args)
            .args(["--tls-ca", path(&self.authority)?]);
        Ok(command)
    }

    /// Runs a command of a device, which does what it should.
    fn done(&self, device: &str, args: &[&str]) -> anyhow::Result<Value> {
        let output = self.command(device, args)?.output()?;
        anyhow::ensure!(output.status.success(), "{device} {args:?}: {output:?}");
        said(&output)
    }

    /// Runs a command of a device that is refused, and returns the reason.
    fn refused(&self, device: &str, args: &[&str]) -> anyhow::Result<String> {
        let output = self.command(device, args)?.output()?;
        anyhow::ensure!(!output.status.success(), "{device} {args:?}: {output:?}");
        let reason = said(&output)?["error"]["reason"].take();
        Ok(reason.as_str().context("no reason")?.to_owned())
    }

    /// The balance, which the service confirmed.
    fn balance(&self, device: &str) -> anyhow::Result<String> {
        let shown = self.done(device, &["balance"])?;
        anyhow::ensure!(shown["synced"] == true, "{shown}");
        Ok(shown["balance"].as_str().context("no balance")?.to_owned())
    }

    fn link(&self, by: &str, new: &str) -> anyhow::Result<()> {
        let mut linking = Process::start(&mut self.command(by, &["link"])?)?;
        let code = event(&mut linking, "code")?;
        let link = code["link"].as_str().context("no link")?;
        let join = self.command(new, &["join", link, "--name", new]);
        let mut joining = Process::start(&mut join?)?;
        let number = event(&mut joining, "number")?;
        event(&mut linking, "request")?;
        linking.types(number["number"].as_str().context("no number")?)?;
        event(&mut joining, "joined")?;
        event(&mut linking, "linked")?;
        Ok(())
    }

    /// Copies the home of a device, as a backup of the disk does.
    fn copy(&self, from: &str, to: &str) -> anyhow::Result<()> {
        Ok(device_agent::testing::copy_home(
            &self.home(from),
            &self.home(to),
        )?)
    }

    /// Brings the identity back with its words, once the veto time is over.
    fn recover(&self, device: &str, identity: &str, words: &Path) -> anyhow::Result<Value> {
        let first = [
            "recover",
            "--identity",
            identity,
            "--words-file",
            path(words)?,
            "--identity-url",
            &self.identity_url,
            "--ledger-id",
            &self.ledger_id,
        ];
        let mut told = self.done(device, &first)?;
        let again = ["recover", "--name", device, "--revoke-others"];
        while told["state"] == "waiting" {
            std::thread::sleep(ASK_EVERY);
            told = self.done(device, &again)?;
        }
        Ok(told)
    }
}

/// The command, with nothing of the environment.
fn cli(args: &[&str]) -> anyhow::Result<Command> {
    let mut command = Command::new(edge_ledger()?);
    command.env_clear().arg("--json").args(args);
    Ok(command)
}

/// The one object that a command printed.
fn said(output: &Output) -> anyhow::Result<Value> {
    serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))
}

fn live(site: &Site) -> anyhow::Result<()> {
    let init = [
        "--identity-url",
        &site.identity_url,
        "--ledger-id",
        &site.ledger_id,
    ];
    site.done("phone", &[&["init", "--name", "phone"], &init[..]].concat())?;
    let recovery = site.done("phone", &["recovery", "set"])?;
    let words = site.folder.path().join("words");
    let shown = recovery["words"].as_array().context("no words")?;
    let shown: Vec<_> = shown.iter().filter_map(Value::as_str).collect();
    fs::write(&words, shown.join(" "))?;
    let identity = recovery["identity"].as_str().context("no identity")?;

    site.link("phone", "laptop")?;
    site.done("phone", &["earn", "100"])?;
    site.done("laptop", &["spend", "30"])?;
    assert_eq!(site.balance("phone")?, "70");

    // Two of one: the first that speaks goes on under a new key, the other is told what to type.
    site.copy("phone", "copy")?;
    site.done("phone", &["earn", "5"])?;
    site.done("copy", &["earn", "2"])?;
    assert_eq!(site.balance("copy")?, "77");
    assert_eq!(site.balance("laptop")?, "77");
    assert_eq!(site.refused("phone", &["balance"])?, "DEVICE_REVOKED");

    site.done("copy", &["devices", "revoke", "laptop", "--reason", "lost"])?;
    assert_eq!(site.refused("laptop", &["balance"])?, "DEVICE_REVOKED");
    assert_eq!(site.balance("copy")?, "77");

    // All devices are lost, and the words are on paper.
    for device in ["phone", "copy", "laptop"] {
        fs::remove_dir_all(site.home(device))?;
    }
    let recovered = site.recover("tablet", identity, &words)?;
    assert_eq!(recovered["state"], "linked", "{recovered}");
    assert_eq!(site.balance("tablet")?, "77");
    site.done("tablet", &["earn", "1"])?;
    assert_eq!(site.balance("tablet")?, "78");
    let devices = site.done("tablet", &["devices"])?;
    let devices = devices["devices"].as_array().context("no devices")?;
    let active = devices.iter().filter(|device| device["state"] == "active");
    let active: Vec<_> = active.map(|device| &device["name"]).collect();
    assert_eq!(active, ["tablet"]);
    Ok(())
}

#[test]
fn an_identity_lives_on_the_embedded_store() -> anyhow::Result<()> {
    live(&Site::embedded()?)
}

#[test]
fn an_identity_lives_on_redis() -> anyhow::Result<()> {
    live(&Site::on_redis()?)
}
