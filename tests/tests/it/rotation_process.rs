//! F-21 through real processes over TLS: both services find a new certificate and a new service key
//! in their files again and again, while devices earn without pause and somebody else dials anew all
//! the time; no call fails, and nothing is lost.

use std::path::PathBuf;
use std::time::Duration;

use device_agent::testing::link;
use device_agent::{Agent, Details, Event, Events, Level, NewDevice, Options, Security, Trust};
use device_agent::{init, join, probe, within};
use edge_ledger_chassis::KeysFolder;
use edge_ledger_chassis::keys::Choices;
use edge_ledger_core::identity::Genesis;
use edge_ledger_store::redis::server::Server;
use edge_ledger_tests::ServiceProcess;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::certificates::Authority;
use crate::two_services::path;

const PATIENCE: Duration = Duration::from_secs(60);
const ROUNDS: u64 = 3;
/// What each device earns, and has acked, and what is dialled, between two rotations at least.
const STEPS: u64 = 20;
/// What an identity service logs when it goes over; a ledger service has no sealing keys.
const GONE_OVER: [&str; 3] = [
    "another service key signs from now on",
    "the TLS certificate was replaced",
    "other sealing keys are in use from now on",
];

/// Both services, and the files that they read.
struct Site {
    folder: tempfile::TempDir,
    authority: Authority,
    ca: PathBuf,
    genesis: Genesis,
    identity: ServiceProcess,
    ledger: ServiceProcess,
    _redis: Server,
}

impl Site {
    fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let dir = folder.path().join("keys");
        let genesis = KeysFolder::open_or_init(&dir, &Choices::default())?.genesis;
        let authority = Authority::new()?;
        let certified = authority.certify(folder.path(), "127.0.0.1", true)?;
        let redis = Server::start();
        let url = redis.url();
        let settings = [
            ("server.listen", "127.0.0.1:0"),
            ("keys.dir", path(&dir)?),
            ("store.kind", "redis"),
            ("store.url", &url),
            ("tls.certificate_file", path(&certified.certificate)?),
            ("tls.key_file", path(&certified.key)?),
            // Devices dial anew between two rotations, too.
            ("limits.connection_age", "10s"),
        ];
        let ledger = ServiceProcess::start("ledger-service", &settings)?;
        let ledger_url = ("identity.ledger_urls", &ledger.url()[..]);
        let settings = [&settings[..], &[ledger_url]].concat();
        let identity = ServiceProcess::start("identity-service", &settings)?;
        Ok(Self {
            ca: authority.file(folder.path())?,
            folder,
            authority,
            genesis,
            identity,
            ledger,
            _redis: redis,
        })
    }

    fn knows(&self) -> Security {
        Security {
            ca: Some(self.ca.clone()),
            ..Security::default()
        }
    }

    fn new_device(&self, name: &str) -> NewDevice {
        NewDevice {
            home: self.folder.path().join(name),
            identity_urls: self.identity.url().as_str().into(),
            ledger_urls: None,
            name: name.to_owned(),
            security: self.knows(),
        }
    }

    /// An identity with two devices.
    async fn devices(&self) -> anyhow::Result<[Agent; 2]> {
        let (phone, laptop) = (self.new_device("phone"), self.new_device("laptop"));
        init(&phone, Trust::Ledger(self.genesis.ledger_id())).await?;
        let phone = Agent::open(&phone.home, Options::default()).await?;
        let (linked, joined) = link(&phone, false, async |invitation, show| {
            join(&laptop, &invitation, Trust::FirstUse, show).await
        })
        .await?;
        joined?;
        linked?;
        let laptop = Agent::open(&laptop.home, Options::default()).await?;
        Ok([phone, laptop])
    }

    /// Puts new keys and a new certificate in their places, and waits until both processes say that
    /// they use them; the certificate has a further name that none before it had.
    fn rotate(&mut self, name: &str) -> anyhow::Result<u64> {
        let folder = self.folder.path();
        let keys = KeysFolder::at(&folder.join("keys"));
        let (rotated, sealing) = (keys.rotate(None)?, keys.rotate_sealing()?);
        self.authority
            .certify_as(folder, &["127.0.0.1", name], true)?;
        for (service, messages) in [
            (&mut self.identity, &GONE_OVER[..]),
            (&mut self.ledger, &GONE_OVER[..2]),
        ] {
            let said = service.wait_for_all(messages)?;
            anyhow::ensure!(said[0]["serial"] == rotated.serial, "{said:?}");
            if let Some(opens) = said.get(2).map(|said| said["opens"].to_string()) {
                let newest = format!("[{}, ", sealing.serial);
                anyhow::ensure!(opens.contains(&newest), "{opens}");
            }
        }
        Ok(rotated.serial)
    }

    /// Serials of the keys with which the services sign.
    async fn serials(&self) -> anyhow::Result<[u64; 2]> {
        let urls = [self.identity.url(), self.ledger.url()];
        dial(&urls, &self.knows(), &self.genesis).await
    }

    /// Whether a service's certificate has a name.
    async fn is_named(&self, url: &str, name: &str) -> anyhow::Result<bool> {
        let authority = Certificate::from_pem(std::fs::read(&self.ca)?);
        let tls = ClientTlsConfig::new()
            .ca_certificate(authority)
            .domain_name(name);
        let endpoint = Endpoint::from_shared(url.to_owned())?.tls_config(tls)?;
        let Ok(channel) = endpoint.connect().await else {
            return Ok(false);
        };
        let mut client = HealthClient::new(channel);
        let said = client.check(HealthCheckRequest::default()).await?;
        Ok(said.into_inner().status() == ServingStatus::Serving)
    }
}

/// Dials both services anew; serials of the keys with which they sign.
async fn dial(urls: &[String; 2], knows: &Security, genesis: &Genesis) -> anyhow::Result<[u64; 2]> {
    let nowhere = tempfile::tempdir()?;
    let way = probe::way(nowhere.path(), knows)?;
    let identity = probe::identity_service(&urls[0], &way).await?;
    let ledger = probe::ledger_service(&urls[1], &way, genesis).await?;
    Ok([identity.key_serial, ledger])
}

/// Something that is done over and over until it is told to stop.
struct Busy {
    stop: watch::Sender<bool>,
    steps: Vec<watch::Receiver<u64>>,
    tasks: JoinSet<anyhow::Result<u64>>,
}

impl Busy {
    fn new() -> Self {
        Self {
            stop: watch::Sender::new(false),
            steps: Vec::new(),
            tasks: JoinSet::new(),
        }
    }

    fn spawn<F>(&mut self, step: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = anyhow::Result<()>> + Send,
    {
        let (done, steps) = watch::channel(0);
        self.steps.push(steps);
        let stop = self.stop.subscribe();
        self.tasks.spawn(async move {
            while !*stop.borrow() {
                step().await?;
                done.send_modify(|done| *done += 1);
            }
            let done = *done.borrow();
            Ok(done)
        });
    }

    /// Waits until each went on for so many steps.
    async fn go_on(&mut self, steps: u64) -> anyhow::Result<()> {
        for done in &mut self.steps {
            let enough = *done.borrow() + steps;
            let going = timeout(PATIENCE, done.wait_for(|done| *done >= enough)).await?;
            if going.is_err() {
                break;
            }
        }
        // One that ended by itself says why.
        match self.tasks.try_join_next() {
            Some(ended) => Err(ended?.err().unwrap_or_else(|| anyhow::anyhow!("it ended"))),
            None => Ok(()),
        }
    }

    /// How many steps there were in all.
    async fn stop(mut self) -> anyhow::Result<u64> {
        self.stop.send_replace(true);
        let mut steps = 0;
        while let Some(ended) = self.tasks.join_next().await {
            steps += ended??;
        }
        Ok(steps)
    }
}

/// What went wrong with a device until it was stopped.
async fn failures(mut events: Events) -> Vec<String> {
    let mut failures = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            Event::SyncFailed { why, .. } | Event::Refused { why, .. } => failures.push(why),
            Event::Missed { events } => failures.push(format!("{events} events were missed")),
            _ => {}
        }
    }
    failures
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f21_no_call_fails_while_processes_go_over_to_new_keys_and_certificates()
-> anyhow::Result<()> {
    let mut site = Site::start()?;
    let devices = site.devices().await?;
    let laptop = devices[1].status().device;
    let (mut earning, mut dialling, mut watching) = (Busy::new(), Busy::new(), JoinSet::new());
    for device in &devices {
        watching.spawn(failures(device.events()));
        let device = device.clone();
        earning.spawn(move || {
            let device = device.clone();
            async move {
                device.earn(1, Details::default()).await?;
                Ok(within(PATIENCE, device.wait_acked(Level::Durable)).await?)
            }
        });
    }
    let urls = [site.identity.url(), site.ledger.url()];
    let (knows, genesis) = (site.knows(), site.genesis.clone());
    dialling.spawn(move || {
        let (urls, knows, genesis) = (urls.clone(), knows.clone(), genesis.clone());
        async move { dial(&urls, &knows, &genesis).await.map(drop) }
    });
    for round in 1..=ROUNDS {
        earning.go_on(STEPS).await?;
        dialling.go_on(STEPS).await?;
        let name = format!("round-{round}.example");
        let serial = tokio::task::block_in_place(|| site.rotate(&name))?;
        assert_eq!(site.serials().await?, [serial; 2]);
        for url in [site.identity.url(), site.ledger.url()] {
            assert!(site.is_named(&url, &name).await?, "{url} in round {round}");
            assert!(!site.is_named(&url, "round-0.example").await?, "{url}");
        }
        // A session, and a statement with a receipt of the new key.
        devices[0].rename(laptop, &name).await?;
    }
    earning.go_on(STEPS).await?;
    dialling.go_on(STEPS).await?;
    let (earned, dialled) = (earning.stop().await?, dialling.stop().await?);
    println!("{earned} entries were acked and {dialled} dialled in {ROUNDS} rotations");
    for device in &devices {
        within(PATIENCE, device.wait_acked(Level::Durable)).await?;
        within(PATIENCE, device.sync()).await?;
    }
    for device in &devices {
        within(PATIENCE, device.sync()).await?;
        assert_eq!(device.balance().balance, i128::from(earned));
        device.stop().await;
    }
    for failures in watching.join_all().await {
        assert_eq!(failures, Vec::<String>::new());
    }
    for service in [site.identity, site.ledger] {
        let ended = service.drain()?;
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    Ok(())
}
