//! From `up` on the embedded store to two services on Redis, through real processes: the devices go on
//! where they were, and nothing is lost, counted twice or asked for again.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use edge_ledger_store::redis::server::Server;
use edge_ledger_tests::{Process, ServiceProcess};
use serde_json::Value;

use crate::two_services::{cli, done, join_by, path};

/// A device's home, in a folder with the others.
fn device(folder: &Path, name: &str, args: &[&str]) -> anyhow::Result<Value> {
    let home = folder.join(name);
    done(&[&["--home", path(&home)?], args].concat())
}

/// Where operators are answered, and what opens it.
struct Operator {
    address: String,
    token: PathBuf,
}

impl Operator {
    fn args<'a>(&'a self, args: &[&'a str]) -> anyhow::Result<Vec<&'a str>> {
        let admin = ["admin", "--address", &self.address, "--token-file"];
        Ok([&admin[..], &[path(&self.token)?], args].concat())
    }

    fn done(&self, args: &[&str]) -> anyhow::Result<Value> {
        done(&self.args(args)?)
    }

    fn export(&self, file: &Path) -> anyhow::Result<()> {
        let mut command = cli(&self.args(&["export"])?)?;
        let status = command.stdout(File::create(file)?).status()?;
        anyhow::ensure!(status.success(), "{status}");
        Ok(())
    }

    fn import(&self, file: &Path) -> anyhow::Result<Value> {
        let mut command = cli(&self.args(&["import"])?)?;
        let output = command.stdin(File::open(file)?).output()?;
        anyhow::ensure!(output.status.success(), "{output:?}");
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// Starts `up`; returns it and what it says.
fn up(folder: &Path, listens: [&str; 2]) -> anyhow::Result<(Process, Value)> {
    let (data, keys) = (folder.join("data"), folder.join("keys"));
    let mut command = cli(&[
        "up",
        "--data",
        path(&data)?,
        "--keys",
        path(&keys)?,
        "--identity-listen",
        listens[0],
        "--ledger-listen",
        listens[1],
        "--operator-listen",
        "127.0.0.1:0",
    ])?;
    let mut up = Process::start(&mut command)?;
    let said = up.line()?.context("it ended")?;
    Ok((up, serde_json::from_str(&said)?))
}

fn operator(said: &Value) -> anyhow::Result<Operator> {
    let text = |name: &str| said[name].as_str().with_context(|| name.to_owned());
    Ok(Operator {
        address: text("operator_url")?.to_owned(),
        token: text("operator_token_file")?.into(),
    })
}

/// Both services on one Redis, at the addresses that the pair had.
struct Two {
    _services: [ServiceProcess; 2],
    operator: Operator,
    _redis: Server,
}

fn two_services(folder: &Path, said: &Value, token: &Path) -> anyhow::Result<Two> {
    let redis = Server::start();
    let (keys, url) = (folder.join("keys"), redis.url());
    let listen = |name: &str| {
        let url = said[name].as_str().context("no address")?;
        url.strip_prefix("http://").context("no http")
    };
    let settings = [
        ("keys.dir", path(&keys)?),
        ("store.kind", "redis"),
        ("store.url", &url),
    ];
    let ledger_url = said["ledger_url"].as_str().context("no address")?;
    let own = [
        ("server.listen", listen("identity_url")?),
        ("identity.ledger_urls", ledger_url),
    ];
    let identity = ServiceProcess::start("identity-service", &[&settings[..], &own].concat())?;
    let own = [
        ("server.listen", listen("ledger_url")?),
        ("operator.listen", "127.0.0.1:0"),
        ("operator.token_file", path(token)?),
    ];
    let mut ledger = ServiceProcess::launch("ledger-service", &[&settings[..], &own].concat())?;
    let said = ledger.wait_for_all(&["answers operators", "serves"])?;
    let address = said[0]["address"].as_str().context("no address")?;
    Ok(Two {
        operator: Operator {
            address: format!("http://{address}"),
            token: token.to_owned(),
        },
        _services: [identity, ledger],
        _redis: redis,
    })
}

#[test]
fn devices_of_an_embedded_store_go_on_at_services_on_redis() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let (pair, said) = up(folder, ["127.0.0.1:0"; 2])?;
    let url = said["identity_url"].as_str().context("no address")?;
    let made = device(folder, "phone", &["init", "--identity-url", url])?;
    let identity = made["identity"].as_str().context("no identity")?;
    for name in ["laptop", "kiosk"] {
        join_by(folder, "phone", name)?;
    }
    for name in ["phone", "laptop", "kiosk"] {
        for _ in 0..5 {
            device(folder, name, &["earn", "10"])?;
        }
    }
    device(folder, "laptop", &["spend", "7", "--key", "coffee"])?;
    device(folder, "phone", &["devices", "revoke", "kiosk"])?;
    // Another one, which nobody must mix up with it.
    device(folder, "stranger", &["init", "--identity-url", url])?;
    device(folder, "stranger", &["earn", "1"])?;
    let old = operator(&said)?;
    let early = folder.join("early.jsonl");
    old.export(&early)?;
    device(folder, "phone", &["earn", "100"])?;
    let file = folder.join("all.jsonl");
    old.export(&file)?;
    let before = old.done(&["identity", "show", identity, "--measure"])?;
    assert_eq!(pair.terminate()?, Some(0));
    // What is recorded while nobody answers waits on the device.
    let offline = device(folder, "laptop", &["earn", "1000"])?;
    assert_eq!(offline["synced"], false, "{offline}");

    let new = two_services(folder, &said, &old.token)?;
    let first = new.operator.import(&early)?;
    assert_eq!(
        (&first["identities"], &first["new_entries"]),
        (&2.into(), &17.into()),
        "{first}"
    );
    let second = new.operator.import(&file)?;
    assert_eq!(second["new_entries"], 1, "{second}");
    let third = new.operator.import(&file)?;
    assert_eq!(
        (&third["new_entries"], &third["new_statements"]),
        (&0.into(), &0.into())
    );
    // Log, store epoch, devices and journals are the same.
    let after = new
        .operator
        .done(&["identity", "show", identity, "--measure"])?;
    assert_eq!(after, before);

    // An ack of then is one of now: nothing has to be brought back.
    let status = device(folder, "phone", &["status"])?;
    assert_eq!(status["synced"], true, "{status}");
    assert_eq!(status["unacked_entries"], 0, "{status}");
    for (name, balance) in [("laptop", "1243"), ("phone", "1243"), ("stranger", "1")] {
        let shown = device(folder, name, &["balance"])?;
        assert_eq!(
            (&shown["synced"], &shown["balance"]),
            (&true.into(), &balance.into()),
            "{shown}"
        );
    }
    // The same key is the same payment, wherever it was made.
    device(folder, "laptop", &["spend", "7", "--key", "coffee"])?;
    device(folder, "phone", &["spend", "43"])?;
    for name in ["phone", "laptop"] {
        assert_eq!(device(folder, name, &["balance"])?["balance"], "1200");
    }
    let home = folder.join("kiosk");
    let kiosk = cli(&["--home", path(&home)?, "balance"])?.output()?;
    let kiosk: Value = serde_json::from_slice(&kiosk.stdout)?;
    assert_eq!(kiosk["error"]["reason"], "DEVICE_REVOKED", "{kiosk}");
    // And back again.
    let back = folder.join("back.jsonl");
    new.operator.export(&back)?;
    drop(new);
    let (pair, said) = up(folder, ["127.0.0.1:0"; 2])?;
    let old = operator(&said)?;
    let came = old.import(&back)?;
    assert_eq!(came["new_entries"], 2, "{came}");
    assert_eq!(pair.terminate()?, Some(0));
    Ok(())
}
