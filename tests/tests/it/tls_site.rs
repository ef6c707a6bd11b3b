//! Replicas of both services that speak TLS, in this process, over one store in a file: each with its
//! own copy of the keys and its own certificate.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use device_agent::testing::link;
use device_agent::{Agent, NewDevice, Options, Security, Trust, init, join};
use edge_ledger_chassis::keys::{Choices, Rotated};
use edge_ledger_chassis::{Clock, KeysFolder, Limits, Sealing, Signing, Tls, TlsFiles};
use edge_ledger_core::identity::Genesis;
use edge_ledger_store::Embedded;
use edge_ledger_tests::Balancer;

use crate::certificates::Authority;

/// So short that devices go from connection to connection.
const CONNECTION_AGE: Duration = Duration::from_millis(200);

/// Both services, once.
pub(crate) struct Replica {
    pub(crate) folder: PathBuf,
    pub(crate) signing: Signing,
    pub(crate) tls: Tls,
    identity: identity_service::Server,
    ledger: ledger_service::Server,
}

/// All of them, behind a balancer for each service.
pub(crate) struct TlsSite {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) genesis: Genesis,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) authority: Authority,
    pub(crate) ca: PathBuf,
    store: Embedded,
    sealing: Sealing,
    identity_balancer: Balancer,
    ledger_balancer: Balancer,
}

/// Whom services let in: the authority's file, and names.
pub(crate) type Clients = Option<(PathBuf, Vec<String>)>;

impl TlsSite {
    pub(crate) async fn start(count: usize, clients: Clients) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let keys = KeysFolder::open_or_init(&folder.path().join("keys"), &Choices::default())?;
        let authority = Authority::new()?;
        let mut site = Self {
            genesis: keys.genesis,
            replicas: Vec::new(),
            ca: authority.file(folder.path())?,
            authority,
            store: Embedded::open(&folder.path().join("store"))?,
            sealing: keys.sealing,
            identity_balancer: Balancer::bind().await?,
            ledger_balancer: Balancer::bind().await?,
            folder,
        };
        for number in 0..count {
            let replica = site.replica(number, clients.clone()).await?;
            site.replicas.push(replica);
        }
        let replicas = site.replicas.iter();
        let targets = replicas
            .clone()
            .map(|replica| replica.identity.local_addr());
        site.identity_balancer.put_behind(targets.collect());
        let targets = replicas.map(|replica| replica.ledger.local_addr());
        site.ledger_balancer.put_behind(targets.collect());
        Ok(site)
    }

    async fn replica(&self, number: usize, clients: Clients) -> anyhow::Result<Replica> {
        let folder = self.folder.path().join(format!("replica-{number}"));
        fs::create_dir(&folder)?;
        for name in ["genesis", "service.key", "service.cert"] {
            fs::copy(self.keys().join(name), folder.join(name))?;
        }
        let (genesis, signing) = Signing::load(KeysFolder::at(&folder))
            .map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
        let certified = self.authority.certify(&folder, "127.0.0.1", true)?;
        let (client_ca, client_names) = clients.unzip();
        let files = TlsFiles {
            certificate: certified.certificate,
            key: certified.key,
            client_ca,
            client_names: client_names.unwrap_or_default(),
        };
        let tls =
            Tls::load(files, Clock::system()).map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
        let any = ([127, 0, 0, 1], 0).into();
        let store = Arc::new(self.store.clone());
        let ledger = ledger_service::Server::bind(ledger_service::Config {
            listen: any,
            audiences: vec![self.ledger_balancer.authority()],
            genesis: genesis.clone(),
            signer: signing.clone(),
            identities: store.clone(),
            ledgers: store.clone(),
            clock: Clock::system(),
            limits: Limits {
                connection_age: CONNECTION_AGE,
                ..Limits::default()
            },
            tls: Some(tls.clone()),
            reflection: false,
        });
        let identity = identity_service::Server::bind(identity_service::Config {
            listen: any,
            audiences: vec![self.identity_balancer.authority()],
            ledger_urls: vec![secured(&self.ledger_balancer.url())],
            identity_urls: Vec::new(),
            store,
            genesis,
            signer: signing.clone(),
            sealing: self.sealing.clone(),
            clock: Clock::system(),
            limits: identity_service::Limits::default(),
            tls: Some(tls.clone()),
            ice: identity_service::IceConfig::default(),
            reflection: false,
        });
        Ok(Replica {
            ledger: ledger.await?,
            identity: identity.await?,
            folder,
            signing,
            tls,
        })
    }

    /// The folder of the keys, with the roots.
    fn keys(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    pub(crate) fn rotate(&self) -> anyhow::Result<Rotated> {
        Ok(KeysFolder::at(&self.keys()).rotate(None)?)
    }

    /// Brings a replica the files of a new key, in their order.
    pub(crate) fn bring(&self, replica: &Replica, rotated: &Rotated) -> anyhow::Result<()> {
        for name in &rotated.files {
            fs::copy(self.keys().join(name), replica.folder.join(name))?;
        }
        Ok(())
    }

    /// Where devices find the identity service.
    pub(crate) fn identity_url(&self) -> String {
        secured(&self.identity_balancer.url())
    }

    pub(crate) fn new_device(&self, name: &str, security: Security) -> NewDevice {
        NewDevice {
            home: self.home(name),
            identity_urls: self.identity_url().into(),
            ledger_urls: None,
            name: name.to_owned(),
            security,
        }
    }

    pub(crate) fn home(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A device that knows the authority, and no more.
    pub(crate) fn knows(&self) -> Security {
        Security {
            ca: Some(self.ca.clone()),
            ..Security::default()
        }
    }

    pub(crate) async fn first_device(&self, name: &str) -> anyhow::Result<Agent> {
        let trust = Trust::Ledger(self.genesis.ledger_id());
        init(&self.new_device(name, self.knows()), trust).await?;
        open(&self.home(name)).await
    }

    pub(crate) async fn link(&self, by: &Agent, name: &str) -> anyhow::Result<Agent> {
        let new = self.new_device(name, self.knows());
        let (linked, joined) = link(by, false, async |invitation, show| {
            join(&new, &invitation, Trust::FirstUse, show).await
        })
        .await?;
        joined?;
        linked?;
        open(&self.home(name)).await
    }
}

impl Replica {
    pub(crate) fn identity_url(&self) -> String {
        format!("https://{}", self.identity.local_addr())
    }

    pub(crate) fn ledger_url(&self) -> String {
        format!("https://{}", self.ledger.local_addr())
    }
}

async fn open(home: &Path) -> anyhow::Result<Agent> {
    Ok(Agent::open(home, Options::default()).await?)
}

fn secured(url: &str) -> String {
    url.replace("http://", "https://")
}
