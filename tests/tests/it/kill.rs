//! `kill -9` of the services, of an agent, or of both at any moment: nothing that was acked or confirmed is
//! lost, nothing counts twice, and no place of a journal is signed twice.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use device_agent::testing::link;
use device_agent::{Agent, DeviceState, Level, NewDevice, Options, Trust, within};
use edge_ledger_tests::Process;
use edge_ledger_tests::process::edge_ledger;

const PATIENCE: Duration = Duration::from_secs(60);
/// Kills per test; each after another number of confirmed calls.
const KILLS: u64 = 12;

/// Ports that were free a moment ago, so that a pair can come back on the same ones.
pub(crate) fn ports() -> anyhow::Result<(u16, u16)> {
    let (a, b) = (
        TcpListener::bind("127.0.0.1:0")?,
        TcpListener::bind("127.0.0.1:0")?,
    );
    Ok((a.local_addr()?.port(), b.local_addr()?.port()))
}

pub(crate) fn up(folder: &Path, (identity, ledger): (u16, u16)) -> anyhow::Result<Process> {
    let mut command = Command::new(edge_ledger()?);
    command
        .args(["up", "--json", "--data"])
        .arg(folder.join("data"))
        .arg("--keys")
        .arg(folder.join("keys"));
    command
        .arg("--identity-listen")
        .arg(format!("127.0.0.1:{identity}"));
    command
        .arg("--ledger-listen")
        .arg(format!("127.0.0.1:{ledger}"));
    let mut process = Process::start(&mut command)?;
    let line = process.line()?;
    anyhow::ensure!(
        line.is_some_and(|line| line.contains("ledger_id")),
        "up says nothing"
    );
    Ok(process)
}

pub(crate) fn recorder(home: &Path, first: u64) -> anyhow::Result<Process> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recorder"));
    let mut process = Process::start(command.arg(home).arg(first.to_string()))?;
    anyhow::ensure!(
        process.line()?.as_deref() == Some("open"),
        "the recorder did not open its home"
    );
    Ok(process)
}

pub(crate) fn new_device(folder: &Path, name: &str, identity_port: u16) -> NewDevice {
    NewDevice {
        home: folder.join(name),
        identity_urls: format!("http://127.0.0.1:{identity_port}").into(),
        ledger_urls: None,
        name: name.to_owned(),
        security: device_agent::Security::default(),
    }
}

/// Makes an identity with two devices: one to be killed, one that watches.
pub(crate) async fn two_devices(folder: &Path, identity_port: u16) -> anyhow::Result<Agent> {
    let (victim, witness) = (
        new_device(folder, "victim", identity_port),
        new_device(folder, "witness", identity_port),
    );
    device_agent::init(&victim, Trust::FirstUse).await?;
    let first = Agent::open(&victim.home, Options::default()).await?;
    let (linked, joined) = link(&first, false, async |invitation, show| {
        device_agent::join(&witness, &invitation, Trust::FirstUse, show).await
    })
    .await?;
    joined?;
    linked?;
    first.stop().await;
    Ok(Agent::open(&witness.home, Options::default()).await?)
}

/// Reads so many confirmed keys.
pub(crate) fn confirmed(
    process: &mut Process,
    count: u64,
    keys: &mut BTreeSet<String>,
) -> anyhow::Result<()> {
    for _ in 0..count {
        let line = process.line()?;
        keys.insert(line.ok_or_else(|| anyhow::anyhow!("the recorder ended by itself"))?);
    }
    Ok(())
}

/// Everything that was confirmed is at the witness once, and the victim's journal is one chain.
pub(crate) async fn check(
    folder: &Path,
    witness: &Agent,
    keys: &BTreeSet<String>,
) -> anyhow::Result<()> {
    let victim = Agent::open(&folder.join("victim"), Options::default()).await?;
    within(PATIENCE, victim.sync()).await?;
    within(PATIENCE, victim.wait_acked(Level::Durable)).await?;
    within(PATIENCE, witness.sync()).await?;
    assert_eq!(victim.status().digest, witness.status().digest);
    assert!(!victim.status().rolled_back);
    let history = witness.history().await?;
    let counted: BTreeSet<String> = history
        .iter()
        .map(|item| item.event_key.to_string())
        .collect();
    assert_eq!(counted.len(), history.len(), "a key was recorded twice");
    assert!(
        keys.is_subset(&counted),
        "lost: {:?}",
        keys.difference(&counted).collect::<Vec<_>>()
    );
    assert_eq!(usize::try_from(witness.balance().balance)?, counted.len());
    // A fork would have several tips and be refused by the service.
    assert!(
        witness
            .devices()
            .iter()
            .all(|device| device.state == DeviceState::Active)
    );
    let seqs: BTreeSet<u64> = history.iter().map(|item| item.seq).collect();
    assert_eq!(seqs.last().copied(), victim.status().tip.map(|tip| tip.seq));
    victim.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_killed_at_any_moment_loses_nothing_that_it_confirmed() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let ports = ports()?;
    let _pair = up(folder.path(), ports)?;
    let witness = two_devices(folder.path(), ports.0).await?;
    let mut keys = BTreeSet::new();
    for round in 0..KILLS {
        let mut victim = recorder(&folder.path().join("victim"), round * 1_000_000)?;
        confirmed(&mut victim, 1 + round * 17 % 60, &mut keys)?;
        keys.extend(victim.kill()?);
    }
    assert!(keys.len() as u64 > KILLS);
    check(folder.path(), &witness, &keys).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_killed_at_any_moment_lose_nothing_that_was_acked_or_confirmed()
-> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let ports = ports()?;
    let mut pair = up(folder.path(), ports)?;
    let witness = two_devices(folder.path(), ports.0).await?;
    let mut keys = BTreeSet::new();
    let mut victim = recorder(&folder.path().join("victim"), 0)?;
    for round in 0..KILLS {
        confirmed(&mut victim, 1 + round * 23 % 80, &mut keys)?;
        pair.kill()?;
        confirmed(&mut victim, 5, &mut keys)?;
        pair = up(folder.path(), ports)?;
    }
    keys.extend(victim.kill()?);
    check(folder.path(), &witness, &keys).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_and_agent_killed_together_lose_nothing() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let ports = ports()?;
    let mut pair = up(folder.path(), ports)?;
    let witness = two_devices(folder.path(), ports.0).await?;
    let mut keys = BTreeSet::new();
    for round in 0..KILLS {
        let mut victim = recorder(&folder.path().join("victim"), round * 1_000_000)?;
        confirmed(&mut victim, 3 + round * 31 % 70, &mut keys)?;
        pair.kill()?;
        keys.extend(victim.kill()?);
        pair = up(folder.path(), ports)?;
    }
    check(folder.path(), &witness, &keys).await?;
    drop(pair);
    Ok(())
}
