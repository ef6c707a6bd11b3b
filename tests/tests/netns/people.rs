//! The services and devices on a network, and what is measured of them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use device_agent::testing::Deployment;
use device_agent::{
    Agent, Decided, Details, Invitation, NewDevice, Options, Security, Status, Trust,
};
use tempfile::TempDir;
use tokio::time::Instant;

use super::network::Network;

/// Nothing takes longer, unless something is wrong.
pub(crate) const WITHIN: Duration = Duration::from_secs(60);

const IDENTITY_PORT: u16 = 7410;
const LEDGER_PORT: u16 = 7420;

/// Devices of one identity, each in its place.
pub(crate) struct People {
    pub(crate) network: Network,
    deployment: Arc<Deployment>,
    folder: TempDir,
    pub(crate) devices: Vec<Agent>,
    services: Option<(identity_service::Server, ledger_service::Server)>,
}

fn security() -> Security {
    Security {
        accept_plaintext: true,
        ..Security::default()
    }
}

impl People {
    /// Starts both services, and links so many devices.
    pub(crate) async fn new(devices: u8) -> Self {
        let network = Network::new(devices);
        let mut deployment = Deployment::new().unwrap();
        let name = |port| format!("{}:{port}", network.service().address());
        deployment.audiences = vec![name(IDENTITY_PORT), name(LEDGER_PORT)];
        let mut people = Self {
            network,
            deployment: Arc::new(deployment),
            folder: tempfile::tempdir().unwrap(),
            devices: Vec::new(),
            services: None,
        };
        people.start_services().await;
        for index in 0..usize::from(devices) {
            people.add(index).await;
        }
        people
    }

    /// As [`new`](Self::new), all linked with each other, where no ledger service answers any more.
    pub(crate) async fn without_ledger(devices: u8) -> Self {
        let people = Self::new(devices).await;
        people.have_met().await;
        people.cut_ledger_off();
        people
    }

    /// Drops whatever is sent to the ledger service.
    pub(crate) fn cut_ledger_off(&self) {
        let service = self.network.service();
        service.filter(&format!("tcp dport {LEDGER_PORT}"));
    }

    fn url(&self, port: u16) -> String {
        format!("http://{}:{port}", self.network.service().address())
    }

    pub(crate) async fn start_services(&mut self) {
        let service = self.network.service();
        let (deployment, ledger_url) = (self.deployment.clone(), self.url(LEDGER_PORT));
        let at = |port| SocketAddr::from((service.address(), port));
        let (identity, ledger) = (at(IDENTITY_PORT), at(LEDGER_PORT));
        let services = service.run(async move {
            let ledger = deployment.ledger_service_on(ledger).await.unwrap();
            let identity = deployment
                .identity_service_on(identity, vec![ledger_url])
                .await
                .unwrap();
            (identity, ledger)
        });
        self.services = Some(services.await);
    }

    pub(crate) async fn stop_services(&mut self) {
        if let Some((identity, ledger)) = self.services.take() {
            let stop = async move {
                let grace = Duration::from_secs(5);
                tokio::join!(identity.shutdown(grace), ledger.shutdown(grace));
            };
            self.network.service().run(stop).await;
        }
    }

    fn home(&self, index: usize) -> PathBuf {
        self.folder.path().join(format!("device-{index}"))
    }

    async fn add(&mut self, index: usize) {
        let new = NewDevice {
            home: self.home(index),
            identity_urls: self.url(IDENTITY_PORT).as_str().into(),
            ledger_urls: None,
            name: format!("device-{index}"),
            security: security(),
        };
        let trust = Trust::Ledger(self.deployment.ledger_id());
        let place = &self.network.devices()[index];
        if let Some(first) = self.devices.first().cloned() {
            let (shows, shown) = tokio::sync::oneshot::channel();
            let (invites, invited) = tokio::sync::oneshot::channel::<Invitation>();
            let joining = place.run(async move {
                let invitation = invited.await.unwrap();
                device_agent::join(&new, &invitation, trust, |asks| {
                    let _ = shows.send(asks.number());
                })
                .await
                .unwrap()
            });
            let linking = self.network.devices()[0].run(async move {
                let session = first.link().await.unwrap();
                let _ = invites.send(session.link().parse().unwrap());
                let request = session.request(false).await.unwrap();
                let number = shown.await.unwrap();
                assert!(matches!(
                    request.approve(&number).await.unwrap(),
                    Decided::Linked(_)
                ));
            });
            tokio::join!(joining, linking);
        } else {
            place
                .run(async move { device_agent::init(&new, trust).await.unwrap() })
                .await;
        }
        let agent = self.open(index).await;
        self.devices.push(agent);
    }

    pub(crate) async fn open(&self, index: usize) -> Agent {
        let home = self.home(index);
        let open = async move { Agent::open(&home, Options::default()).await.unwrap() };
        self.network.devices()[index].run(open).await
    }

    /// Waits until a device is as it shall be, and says how long that took.
    pub(crate) async fn until(
        &self,
        index: usize,
        what: &str,
        holds: impl Fn(&Status) -> bool,
    ) -> Duration {
        let (agent, began) = (&self.devices[index], Instant::now());
        let mut events = agent.events();
        let wait = async {
            while !holds(&agent.status()) {
                // Whatever changes is told, but for the passing of time.
                let _ = tokio::time::timeout(Duration::from_millis(20), events.next()).await;
            }
        };
        let waited = tokio::time::timeout(WITHIN, wait).await;
        assert!(
            waited.is_ok(),
            "device {index}, {what}: {:#?}",
            agent.status()
        );
        began.elapsed()
    }

    /// Waits until every device has a link to every other one.
    pub(crate) async fn have_met(&self) {
        let others = self.devices.len() - 1;
        for index in 0..self.devices.len() {
            let met = |s: &Status| s.peers.iter().filter(|peer| peer.live).count() == others;
            self.until(index, "all are linked", met).await;
        }
    }

    /// Earns 1 on each device in turn for a while, each when all others have seen the last; says how
    /// long each took to be seen everywhere.
    pub(crate) async fn earn_for(&self, time: Duration) -> Latencies {
        let began = Instant::now();
        let mut latencies = Latencies::default();
        let turns = (0..self.devices.len()).cycle();
        for (had, turn) in (self.devices[0].balance().balance..).zip(turns) {
            if began.elapsed() >= time {
                return latencies;
            }
            let called = Instant::now();
            self.devices[turn]
                .earn(1, Details::default())
                .await
                .unwrap();
            for index in 0..self.devices.len() {
                self.until(index, "an entry is seen", |s| s.balance.balance == had + 1)
                    .await;
            }
            latencies.0.push(called.elapsed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        latencies
    }

    /// Waits until the service has everything, and all devices the same; says what they have.
    pub(crate) async fn converge(&self) -> i128 {
        for (index, agent) in self.devices.iter().enumerate() {
            let synced = tokio::time::timeout(WITHIN, agent.sync()).await;
            assert!(synced.is_ok(), "device {index}: {:#?}", agent.status());
            self.until(index, "all is acked", |s| s.unacked_entries() == 0)
                .await;
        }
        let digest = self.devices[0].status().digest;
        for index in 1..self.devices.len() {
            self.until(index, "all hold the same", |s| s.digest == digest)
                .await;
        }
        self.devices[0].balance().balance
    }
}

/// How long entries took to be seen everywhere.
#[derive(Default)]
pub(crate) struct Latencies(pub(crate) Vec<Duration>);

impl Latencies {
    pub(crate) fn print(&mut self, what: &str) {
        self.0.sort_unstable();
        let percentile = |percent: usize| {
            let rank = (self.0.len() * percent).div_ceil(100).saturating_sub(1);
            self.0.get(rank).copied().unwrap_or_default().as_secs_f64() * 1_000.0
        };
        println!(
            "{what}: {} entries, p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
            self.0.len(),
            percentile(50),
            percentile(99),
            percentile(100),
        );
    }
}
