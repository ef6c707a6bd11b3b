//! Both services as processes of their own on one Redis, several of each behind a balancer, with
//! the rights that the page gives them.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use edge_ledger_chassis::KeysFolder;
use edge_ledger_chassis::keys::Choices;
use edge_ledger_core::identity::Genesis;
use edge_ledger_store::redis::commands::acl_settings;
use edge_ledger_store::redis::server::{DURABLE, Server};
use edge_ledger_store::redis::{RedisConfig, RedisStore};

use crate::{Balancer, ServiceProcess};

/// Time that a killed process has to be gone.
const KILLED_WITHIN: Duration = Duration::from_secs(60);
const PAGE: &str = include_str!("../../docs/two-services.md");

/// The processes of one service.
#[derive(Debug)]
pub struct Service {
    name: &'static str,
    /// Before all of them.
    pub balancer: Balancer,
    /// What those are started with that start from now on; of equal ones the last.
    pub settings: Vec<(&'static str, String)>,
    /// Those that run, the oldest first.
    pub running: Vec<ServiceProcess>,
}

impl Service {
    /// Starts one more.
    ///
    /// # Errors
    /// When it does not serve.
    pub fn start_one(&mut self) -> anyhow::Result<()> {
        self.start_with(&[])
    }

    /// Starts one more, at an address (and port) that another had.
    ///
    /// # Errors
    /// When it does not serve.
    pub fn start_at(&mut self, address: &str) -> anyhow::Result<()> {
        self.start_with(&[("server.listen", address)])
    }

    fn start_with(&mut self, own: &[(&str, &str)]) -> anyhow::Result<()> {
        let settings = self.settings.iter();
        let settings = settings.map(|(key, value)| (*key, value.as_str()));
        let settings: Vec<_> = settings.chain(own.iter().copied()).collect();
        self.running
            .push(ServiceProcess::start(self.name, &settings)?);
        self.balance()
    }

    /// `kill -9` of the oldest.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill_one(&mut self) -> anyhow::Result<()> {
        self.kill(0)
    }

    /// `kill -9` of one of those that run.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill(&mut self, index: usize) -> anyhow::Result<()> {
        let killed = self.running.remove(index);
        killed.signal("KILL")?;
        killed.end_within(KILLED_WITHIN)?;
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
#[expect(missing_debug_implementations, reason = "has the keys in its folder")]
pub struct Cluster {
    /// The identity services.
    pub identity: Service,
    /// The ledger services.
    pub ledger: Service,
    /// The deployment.
    pub genesis: Genesis,
    folder: tempfile::TempDir,
    /// The way of all processes to the server.
    gate: Balancer,
    /// The server; last, since all others let go of it first.
    pub redis: Server,
}

impl Cluster {
    /// A server with the user that the page names.
    pub fn redis_server() -> Server {
        let user = acl_settings(PAGE, "secret");
        let user = user.iter().map(String::as_str);
        let settings: Vec<_> = DURABLE.iter().copied().chain(user).collect();
        Server::start_with(&settings)
    }

    /// Starts so many processes of each service on a server.
    ///
    /// # Errors
    /// When one does not serve.
    pub async fn start(redis: Server, replicas: usize) -> anyhow::Result<Self> {
        let mut this = Self::on(redis).await?;
        this.open_gate();
        this.start_replicas(replicas)?;
        Ok(this)
    }

    /// No process yet, and a gate before the server that is shut.
    ///
    /// # Errors
    /// When there are no keys or ports.
    pub async fn on(redis: Server) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let keys = folder.path().join("keys");
        let made = KeysFolder::open_or_init(&keys, &Choices::default())?;
        let genesis = made.genesis;
        let gate = Balancer::bind().await?;
        let url = url(&gate.authority());
        let keys = keys.to_str().context("no text")?.to_owned();
        let service = |name, balancer: Balancer| Service {
            name,
            settings: vec![
                ("server.listen", "127.0.0.1:0".to_owned()),
                ("server.audiences", balancer.authority()),
                ("keys.dir", keys.clone()),
                ("store.kind", "redis".to_owned()),
                ("store.url", url.clone()),
                ("store.response_timeout", "1s".to_owned()),
            ],
            balancer,
            running: Vec::new(),
        };
        let ledger = service("ledger-service", Balancer::bind().await?);
        let mut identity = service("identity-service", Balancer::bind().await?);
        let ledger_url = ("identity.ledger_urls", ledger.balancer.url());
        identity.settings.push(ledger_url);
        Ok(Self {
            identity,
            ledger,
            genesis,
            folder,
            gate,
            redis,
        })
    }

    /// Lets processes reach the server.
    pub fn open_gate(&self) {
        let redis = SocketAddr::from(([127, 0, 0, 1], self.redis.port()));
        self.gate.put_behind(vec![redis]);
    }

    /// Lets nobody in from here on.
    pub fn shut_gate(&self) {
        self.gate.put_behind(Vec::new());
    }

    /// Starts so many more processes of each service.
    ///
    /// # Errors
    /// When one does not serve.
    pub fn start_replicas(&mut self, replicas: usize) -> anyhow::Result<()> {
        for _ in 0..replicas {
            self.identity.start_one()?;
            self.ledger.start_one()?;
        }
        Ok(())
    }

    /// Where devices may have their homes.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A further store on the server.
    ///
    /// # Errors
    /// When it cannot connect.
    pub async fn store(&self) -> anyhow::Result<RedisStore> {
        let url = url(&self.gate.authority());
        Ok(RedisStore::connect(RedisConfig::new(url)).await?)
    }
}

fn url(authority: &str) -> String {
    format!("redis://edge-ledger:secret@{authority}")
}
