//! Two processes of each service on one Redis, six devices of two identities, and `kill -9` of a
//! replica and of Redis while they record: nothing that was acked is lost, nothing counts twice,
//! and every command that Redis got names keys of the documented form, as the documented user.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use device_agent::testing::link;
use device_agent::{Agent, Details, Level, NewDevice, Options, Trust, within};
use edge_ledger_chassis::KeysFolder;
use edge_ledger_chassis::keys::Choices;
use edge_ledger_core::identity::{Genesis, IdentityLog};
use edge_ledger_store::LedgerStore as _;
use edge_ledger_store::redis::commands::{acl_settings, is_fit};
use edge_ledger_store::redis::server::{DURABLE, Server};
use edge_ledger_store::redis::{RedisConfig, RedisStore};
use edge_ledger_tests::{Balancer, ServiceProcess};
use tokio::task::JoinSet;

const PATIENCE: Duration = Duration::from_secs(60);
const PAGE: &str = include_str!("../../../docs/two-services.md");
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

/// The processes of one service, behind a balancer.
struct Service {
    name: &'static str,
    balancer: Balancer,
    settings: Vec<(&'static str, String)>,
    running: Vec<ServiceProcess>,
}

impl Service {
    fn start_one(&mut self) -> anyhow::Result<()> {
        let settings = self.settings.iter();
        let settings: Vec<_> = settings
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        self.running
            .push(ServiceProcess::start(self.name, &settings)?);
        self.balance()
    }

    /// `kill -9` of the oldest.
    fn kill_one(&mut self) -> anyhow::Result<()> {
        let oldest = self.running.remove(0);
        oldest.signal("KILL")?;
        oldest.end_within(PATIENCE)?;
        self.balance()
    }

    fn balance(&self) -> anyhow::Result<()> {
        let running = self.running.iter();
        let addresses = running.map(|process| Ok(process.address().parse()?));
        let addresses: anyhow::Result<Vec<SocketAddr>> = addresses.collect();
        self.balancer.put_behind(addresses?);
        Ok(())
    }
}

/// All processes, and what they stand on.
struct Cluster {
    identity: Service,
    ledger: Service,
    redis: Server,
    /// The way of all processes to Redis: it is open only while every command is watched.
    gate: Balancer,
    watch: Option<Watch>,
    commands: usize,
    folder: tempfile::TempDir,
    genesis: Genesis,
}

impl Cluster {
    async fn start() -> anyhow::Result<Self> {
        let user = acl_settings(PAGE, "secret");
        let settings = DURABLE
            .iter()
            .copied()
            .chain(user.iter().map(String::as_str));
        let redis = Server::start_with(&settings.collect::<Vec<_>>());
        let folder = tempfile::tempdir()?;
        let keys = folder.path().join("keys");
        let made = KeysFolder::open_or_init(&keys, &Choices::default())?;
        let genesis = made.genesis;
        let gate = Balancer::bind().await?;
        let redis_url = format!("redis://edge-ledger:secret@{}", gate.authority());
        let keys = keys.to_str().context("no text")?.to_owned();
        let service = |name, balancer: Balancer| Service {
            name,
            settings: vec![
                ("server.listen", "127.0.0.1:0".to_owned()),
                ("server.audiences", balancer.authority()),
                ("keys.dir", keys.clone()),
                ("store.kind", "redis".to_owned()),
                ("store.url", redis_url.clone()),
                ("store.response_timeout", "1s".to_owned()),
            ],
            balancer,
            running: Vec::new(),
        };
        let ledger = service("ledger-service", Balancer::bind().await?);
        let mut identity = service("identity-service", Balancer::bind().await?);
        let ledger_url = ("identity.ledger_url", ledger.balancer.url());
        identity.settings.push(ledger_url);
        let mut this = Self {
            identity,
            ledger,
            redis,
            gate,
            watch: None,
            commands: 0,
            folder,
            genesis,
        };
        this.let_in()?;
        for _ in 0..REPLICAS {
            this.identity.start_one()?;
            this.ledger.start_one()?;
        }
        Ok(this)
    }

    fn kill_redis(&mut self) -> anyhow::Result<()> {
        self.gate.put_behind(Vec::new());
        self.redis.kill();
        self.look()?;
        self.redis.start_again();
        self.let_in()
    }

    /// Opens the gate once the server shows what it is told.
    fn let_in(&mut self) -> anyhow::Result<()> {
        self.watch = Some(watch(&self.redis));
        // Whoever came before would have said who it is.
        let told = self.redis.command("INFO commandstats");
        let is_new = told.contains("cmdstat_monitor:calls=1,");
        let is_alone = !["auth", "hello"]
            .iter()
            .any(|command| told.contains(&format!("cmdstat_{command}:")));
        anyhow::ensure!(is_new && is_alone, "somebody was faster: {told}");
        let redis = SocketAddr::from(([127, 0, 0, 1], self.redis.port()));
        self.gate.put_behind(vec![redis]);
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
            home: self.folder.path().join(name),
            identity_url: self.identity.balancer.url(),
            ledger_url: None,
            name: name.to_owned(),
            security: device_agent::Security::default(),
        }
    }

    /// An identity with all its devices, open.
    async fn identity(&self, number: usize) -> anyhow::Result<Vec<Agent>> {
        let first = self.new_device(&format!("{number}-0"));
        device_agent::init(&first, Trust::Ledger(self.genesis.ledger_id())).await?;
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
    let mut cluster = Cluster::start().await?;
    let promised = Arc::new(Promised::default());
    let (mut identities, mut lanes) = (Vec::new(), JoinSet::new());
    for number in 0..IDENTITIES {
        let devices = cluster.identity(number).await?;
        for (device, agent) in devices.iter().enumerate() {
            let name = format!("{number}-{device}");
            lanes.spawn(record(agent.clone(), name, Arc::clone(&promised)));
        }
        identities.push(devices);
    }
    for kill in 0..KILLS {
        go_on(&promised, &mut lanes, 30 + 17 * kill).await?;
        match kill % 4 {
            0 => cluster.ledger.kill_one()?,
            1 => cluster.kill_redis()?,
            2 => cluster.identity.kill_one()?,
            // Everything that may be killed at once.
            _ => {
                cluster.ledger.kill_one()?;
                cluster.kill_redis()?;
            }
        }
        // The others serve alone for a while.
        go_on(&promised, &mut lanes, 20).await?;
        while cluster.ledger.running.len() < REPLICAS {
            cluster.ledger.start_one()?;
        }
        while cluster.identity.running.len() < REPLICAS {
            cluster.identity.start_one()?;
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
    let url = format!("redis://edge-ledger:secret@{}", cluster.gate.authority());
    let store = RedisStore::connect(RedisConfig::new(url)).await?;
    let (mut lost, mut duplicated) = (0, 0);
    for (number, devices) in identities.iter().enumerate() {
        let own = acked
            .iter()
            .filter(|key| key.starts_with(&format!("{number}-")));
        let own = own.cloned().collect();
        let found = count(devices, &own, &store, &cluster.genesis).await?;
        lost += found.0;
        duplicated += found.1;
    }
    cluster.redis.kill();
    cluster.look()?;
    println!(
        "{lost} acked lost, {duplicated} duplicated: {} acked by {} devices in {KILLS} kills, {} \
         commands of redis",
        acked.len(),
        IDENTITIES * DEVICES,
        cluster.commands
    );
    assert_eq!((lost, duplicated), (0, 0));
    Ok(())
}
