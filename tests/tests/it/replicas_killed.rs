//! Two processes of each service on one Redis, six devices of two identities, and `kill -9` of a
//! replica and of Redis while they record: nothing that was acked is lost, nothing counts twice,
//! and every command that Redis got names keys of the documented form, as the documented user.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use device_agent::testing::link;
use device_agent::{Agent, Details, Level, NewDevice, Options, Trust, within};
use edge_ledger_core::identity::{Genesis, IdentityLog};
use edge_ledger_store::LedgerStore as _;
use edge_ledger_store::redis::RedisStore;
use edge_ledger_store::redis::commands::is_fit;
use edge_ledger_store::redis::server::Server;
use edge_ledger_tests::Cluster;
use tokio::task::JoinSet;

const PATIENCE: Duration = Duration::from_secs(60);
const REPLICAS: usize = 2;
const IDENTITIES: usize = 2;
const DEVICES: usize = 3;
const KILLS: usize = 8;

/// Reads what MONITOR shows until the server ends: how many commands, and those with other keys.
type Watch = JoinHandle<(usize, BTreeSet<String>)>;

fn watch(redis: &Server) -> Watch {
    let lines = redis.monitor();
    std::thread::spawn(move || {
        let (mut count, mut odd) = (0, BTreeSet::new());
        for line in lines {
            count += 1;
            if !is_fit(&line) {
                odd.insert(line);
            }
        }
        (count, odd)
    })
}

/// All processes, and what their server is told.
struct Watched {
    cluster: Cluster,
    watch: Option<Watch>,
    commands: usize,
}

impl Watched {
    async fn start() -> anyhow::Result<Self> {
        let mut this = Self {
            cluster: Cluster::on(Cluster::redis_server()).await?,
            watch: None,
            commands: 0,
        };
        this.let_in()?;
        this.cluster.start_replicas(REPLICAS)?;
        Ok(this)
    }

    fn kill_redis(&mut self) -> anyhow::Result<()> {
        self.cluster.shut_gate();
        self.cluster.redis.kill();
        self.look()?;
        self.cluster.redis.start_again();
        self.let_in()
    }

    /// Opens the gate once the server shows what it is told.
    fn let_in(&mut self) -> anyhow::Result<()> {
        let redis = &self.cluster.redis;
        self.watch = Some(watch(redis));
        // Whoever came before would have said who it is.
        let told = redis.command("INFO commandstats");
        let is_new = told.contains("cmdstat_monitor:calls=1,");
        let is_alone = !["auth", "hello"]
            .iter()
            .any(|command| told.contains(&format!("cmdstat_{command}:")));
        anyhow::ensure!(is_new && is_alone, "somebody was faster: {told}");
        self.cluster.open_gate();
        Ok(())
    }

    /// What the server was told until it ended.
    fn look(&mut self) -> anyhow::Result<()> {
        let watch = self.watch.take().context("nobody looks")?;
        let (count, odd) = watch.join().map_err(|_| anyhow::anyhow!("a panic"))?;
        assert_eq!(odd, BTreeSet::new(), "commands with other keys");
        assert!(count > 0, "nothing was seen");
        self.commands += count;
        Ok(())
    }

    fn new_device(&self, name: &str) -> NewDevice {
        NewDevice {
            home: self.cluster.folder().join(name),
            identity_urls: self.cluster.identity.balancer.url().into(),
            ledger_urls: None,
            name: name.to_owned(),
            security: device_agent::Security::default(),
        }
    }

    /// An identity with all its devices, open.
    async fn identity(&self, number: usize) -> anyhow::Result<Vec<Agent>> {
        let first = self.new_device(&format!("{number}-0"));
        device_agent::init(&first, Trust::Ledger(self.cluster.genesis.ledger_id())).await?;
        let mut devices = vec![open(&first.home).await?];
        for device in 1..DEVICES {
            let new = self.new_device(&format!("{number}-{device}"));
            let (linked, joined) = link(&devices[0], false, async |invitation, show| {
                device_agent::join(&new, &invitation, Trust::FirstUse, show).await
            })
            .await?;
            joined.context("join")?;
            linked.context("link")?;
            devices.push(open(&new.home).await?);
        }
        Ok(devices)
    }
}

async fn open(home: &Path) -> anyhow::Result<Agent> {
    Ok(Agent::open(home, Options::default()).await?)
}

/// What the devices of one identity were promised.
#[derive(Default)]
struct Promised {
    stop: AtomicBool,
    count: AtomicUsize,
    acked: Mutex<BTreeSet<String>>,
}

/// Records until it is stopped; each key that is acked is noted.
async fn record(agent: Agent, name: String, promised: Arc<Promised>) -> anyhow::Result<()> {
    for number in 0.. {
        if promised.stop.load(Ordering::Relaxed) {
            break;
        }
        let key = format!("{name}-{number}");
        let details = Details {
            event_key: Some(key.parse()?),
            ..Details::default()
        };
        agent.earn(1, details).await?;
        within(PATIENCE, agent.wait_acked(Level::Durable)).await?;
        let mut acked = promised
            .acked
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        acked.insert(key);
        promised.count.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Waits until so many more were acked, or a device fails.
async fn go_on(
    promised: &Promised,
    lanes: &mut JoinSet<anyhow::Result<()>>,
    more: usize,
) -> anyhow::Result<()> {
    let enough = promised.count.load(Ordering::Relaxed) + more;
    while promised.count.load(Ordering::Relaxed) < enough {
        if let Some(ended) = lanes.try_join_next() {
            ended??;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

/// Lost and duplicated keys of one identity: as each device sees it, and as the store keeps it.
async fn count(
    devices: &[Agent],
    acked: &BTreeSet<String>,
    store: &RedisStore,
    genesis: &Genesis,
) -> anyhow::Result<(usize, usize)> {
    for device in devices.iter().chain(devices) {
        within(PATIENCE, device.sync()).await?;
    }
    let identity = devices[0].status().identity;
    // No device was ended, so that none of the log is needed.
    let log = IdentityLog::empty(genesis.clone(), identity);
    let kept = store.heads(identity).await?.value.digest(&log);
    let (mut lost, mut duplicated) = (0, 0);
    for device in devices {
        assert_eq!(device.status().digest, kept.to_string());
        let history = device.history().await?;
        let keys: BTreeSet<_> = history
            .iter()
            .map(|item| item.event_key.to_string())
            .collect();
        let balance = usize::try_from(device.balance().balance)?;
        lost += acked.difference(&keys).count();
        duplicated += history.len() - keys.len() + balance.abs_diff(keys.len());
    }
    Ok((lost, duplicated))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_and_redis_killed_at_any_moment_lose_and_repeat_nothing() -> anyhow::Result<()> {
    let mut watched = Watched::start().await?;
    let promised = Arc::new(Promised::default());
    let (mut identities, mut lanes) = (Vec::new(), JoinSet::new());
    for number in 0..IDENTITIES {
        let devices = watched.identity(number).await?;
        for (device, agent) in devices.iter().enumerate() {
            let name = format!("{number}-{device}");
            lanes.spawn(record(agent.clone(), name, Arc::clone(&promised)));
        }
        identities.push(devices);
    }
    for kill in 0..KILLS {
        go_on(&promised, &mut lanes, 30 + 17 * kill).await?;
        match kill % 4 {
            0 => watched.cluster.ledger.kill_one()?,
            1 => watched.kill_redis()?,
            2 => watched.cluster.identity.kill_one()?,
            // Everything that may be killed at once.
            _ => {
                watched.cluster.ledger.kill_one()?;
                watched.kill_redis()?;
            }
        }
        // The others serve alone for a while.
        go_on(&promised, &mut lanes, 20).await?;
        while watched.cluster.ledger.running.len() < REPLICAS {
            watched.cluster.ledger.start_one()?;
        }
        while watched.cluster.identity.running.len() < REPLICAS {
            watched.cluster.identity.start_one()?;
            let id = identities[0][1].status().device;
            identities[0][0]
                .rename(id, &format!("after kill {kill}"))
                .await?;
        }
    }
    go_on(&promised, &mut lanes, 60).await?;
    promised.stop.store(true, Ordering::Relaxed);
    for ended in lanes.join_all().await {
        ended?;
    }
    let acked = promised
        .acked
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let store = watched.cluster.store().await?;
    let (mut lost, mut duplicated) = (0, 0);
    for (number, devices) in identities.iter().enumerate() {
        let own = acked
            .iter()
            .filter(|key| key.starts_with(&format!("{number}-")));
        let own = own.cloned().collect();
        let found = count(devices, &own, &store, &watched.cluster.genesis).await?;
        lost += found.0;
        duplicated += found.1;
    }
    watched.cluster.redis.kill();
    watched.look()?;
    println!(
        "{lost} acked lost, {duplicated} duplicated: {} acked by {} devices in {KILLS} kills, {} \
         commands of redis",
        acked.len(),
        IDENTITIES * DEVICES,
        watched.commands
    );
    assert_eq!((lost, duplicated), (0, 0));
    Ok(())
}
