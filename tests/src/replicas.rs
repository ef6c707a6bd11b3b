//! A deployment on Redis with several replicas of both services, each with its own connections
//! and its own user at the server.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use device_agent::testing::link;
use device_agent::{Agent, NewDevice, Options, Trust};
use edge_ledger_store::redis::commands::acl_rules;
use edge_ledger_store::redis::server::{DURABLE, Server};
use edge_ledger_store::redis::{RedisConfig, RedisStore};

use crate::{Balancer, Deployment, RawStream};

const GRACE: Duration = Duration::from_secs(5);
/// How long the server may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_millis(500);
/// Most stores: one per replica of each service, and one for the test itself.
const USERS_MAX: usize = 8;
/// Each may do what the page allows, and no more.
const PAGE: &str = include_str!("../../docs/two-services.md");

/// Replicas of both services, and a balancer before each service.
#[expect(missing_debug_implementations, reason = "holds keys")]
pub struct Replicas {
    /// Keys, and a store of the test's own.
    pub deployment: Deployment<RedisStore>,
    /// Before the identity services.
    pub identity_balancer: Balancer,
    /// Before the ledger services.
    pub ledger_balancer: Balancer,
    identity: Vec<identity_service::Server>,
    ledger: Vec<ledger_service::Server>,
    folder: tempfile::TempDir,
    /// The server; last, since all others let go of it first.
    pub redis: Server,
}

/// A server with a user for each store, who keep their rights when it is started again.
pub fn redis_server() -> Server {
    let may = acl_rules(PAGE).join(" ");
    let users: Vec<_> = (0..USERS_MAX)
        .map(|number| format!("--user {} on >secret {may}", user(number)))
        .collect();
    let users = users.iter().flat_map(|user| user.split(' '));
    let settings: Vec<_> = DURABLE.iter().copied().chain(users).collect();
    Server::start_with(&settings)
}

fn user(number: usize) -> String {
    format!("replica{number}")
}

impl Replicas {
    /// Starts so many replicas of each service.
    ///
    /// # Errors
    /// When one cannot start.
    pub async fn start(count: usize) -> anyhow::Result<Self> {
        Self::behind(count, redis_server(), None).await
    }

    /// Starts replicas that reach the server through another port, if one is named.
    ///
    /// # Errors
    /// When one cannot start.
    pub async fn behind(count: usize, redis: Server, port: Option<u16>) -> anyhow::Result<Self> {
        let own = connect(redis.port(), 2 * count).await?;
        let mut deployment = Deployment::with_store(own)?;
        let (identity_balancer, ledger_balancer) =
            (Balancer::bind().await?, Balancer::bind().await?);
        deployment.audiences = vec![identity_balancer.authority(), ledger_balancer.authority()];
        let (mut identity, mut ledger) = (Vec::new(), Vec::new());
        let port = port.unwrap_or(redis.port());
        for number in 0..count {
            let store = connect(port, number).await?;
            ledger.push(deployment.replica(store).ledger_service().await?);
            let store = connect(port, count + number).await?;
            let replica = deployment.replica(store);
            identity.push(replica.identity_service(&ledger_balancer.url()).await?);
        }
        identity_balancer.put_behind(identity.iter().map(|server| server.local_addr()).collect());
        ledger_balancer.put_behind(ledger.iter().map(|server| server.local_addr()).collect());
        Ok(Self {
            deployment,
            identity_balancer,
            ledger_balancer,
            identity,
            ledger,
            folder: tempfile::tempdir()?,
            redis,
        })
    }

    /// The address of one ledger service.
    pub fn ledger_url(&self, replica: usize) -> String {
        format!("http://{}", self.ledger[replica].local_addr())
    }

    /// The address of one identity service.
    pub fn identity_url(&self, replica: usize) -> String {
        format!("http://{}", self.identity[replica].local_addr())
    }

    /// From now on a ledger service does not hear what others announce.
    ///
    /// # Errors
    /// When the server does not do as it is told.
    pub fn deafen_ledger(&self, replica: usize) -> anyhow::Result<()> {
        self.tell_user(replica, "-psubscribe")?;
        let user = user(replica);
        let killed = format!("CLIENT KILL TYPE pubsub USER {user}");
        let killed = self.redis.command(&killed);
        anyhow::ensure!(killed.starts_with(":1"), "{killed}");
        Ok(())
    }

    /// From now on a ledger service cannot commit, while the others can.
    ///
    /// # Errors
    /// When the server does not do as it is told.
    pub fn hinder_ledger(&self, replica: usize) -> anyhow::Result<()> {
        self.tell_user(replica, "-set -evalsha")
    }

    /// From now on it can again.
    ///
    /// # Errors
    /// When the server does not do as it is told.
    pub fn free_ledger(&self, replica: usize) -> anyhow::Result<()> {
        self.tell_user(replica, "+set +evalsha")
    }

    fn tell_user(&self, number: usize, rules: &str) -> anyhow::Result<()> {
        let user = user(number);
        let told = self.redis.command(&format!("ACL SETUSER {user} {rules}"));
        anyhow::ensure!(told.starts_with("+OK"), "{told}");
        Ok(())
    }

    /// Makes an identity with one device, and opens it behind the balancers.
    ///
    /// # Errors
    /// When a step fails.
    pub async fn first_device(&self, name: &str) -> anyhow::Result<Agent> {
        let trust = Trust::Ledger(self.deployment.ledger_id());
        device_agent::init(&self.new_device(name), trust).await?;
        self.open(name, None).await
    }

    /// Links a further device by another one, and opens it behind the balancers. The two ends of
    /// the link are at different replicas, if there are several.
    ///
    /// # Errors
    /// When a step fails.
    pub async fn link(&self, by: &Agent, name: &str) -> anyhow::Result<Agent> {
        let new = self.new_device(name);
        let (linked, joined) = link(by, false, async |invitation, show| {
            device_agent::join(&new, &invitation, Trust::FirstUse, show).await
        })
        .await?;
        joined.context("join")?;
        linked.context("link")?;
        self.open(name, None).await
    }

    /// Opens a device at one ledger service, or behind the balancer.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn open(&self, name: &str, replica: Option<usize>) -> anyhow::Result<Agent> {
        let options = Options {
            identity_urls: None,
            ledger_urls: replica.map(|replica| self.ledger_url(replica).into()),
            security: device_agent::Security::default(),
            peer_links: device_agent::PeerLinks::default(),
        };
        Ok(Agent::open(&self.home(name), options).await?)
    }

    /// A device that speaks frame by frame, with nothing yet, at one ledger service.
    ///
    /// # Errors
    /// When it is not welcomed.
    pub async fn raw(
        &self,
        replica: usize,
        identity: &crate::Identity,
        device: usize,
    ) -> anyhow::Result<RawStream> {
        let nothing = edge_ledger_core::ledger::Heads::default();
        RawStream::hello(&self.ledger_url(replica), identity, device, &nothing).await
    }

    /// Stops a ledger service in good order, and takes it from behind the balancer.
    ///
    /// # Errors
    /// When it did not end by itself.
    pub async fn stop_ledger(&mut self, replica: usize) -> anyhow::Result<()> {
        let stopped = self.ledger.remove(replica);
        let left = self.ledger.iter().map(|server| server.local_addr());
        self.ledger_balancer.put_behind(left.collect());
        anyhow::ensure!(stopped.shutdown(GRACE).await, "it had to be ended");
        Ok(())
    }

    /// The home folder of a device.
    pub fn home(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a device behind the balancers is made of.
    pub fn new_device(&self, name: &str) -> NewDevice {
        NewDevice {
            home: self.home(name),
            identity_urls: self.identity_balancer.url().into(),
            ledger_urls: None,
            name: name.to_owned(),
            security: device_agent::Security::default(),
        }
    }
}

async fn connect(port: u16, number: usize) -> anyhow::Result<RedisStore> {
    let user = user(number);
    let mut config = RedisConfig::new(format!("redis://{user}:secret@127.0.0.1:{port}"));
    config.response_timeout = ANSWERS_WITHIN;
    Ok(RedisStore::connect(config).await?)
}
