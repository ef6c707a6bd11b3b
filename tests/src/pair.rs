//! Both services of a deployment, which can be stopped and started again on the same ports.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Deployment;
use anyhow::Context as _;
use device_agent::{Agent, LinkSession, NewDevice, Options, Trust};

const GRACE: Duration = Duration::from_secs(5);

/// A pair with a folder for the homes of its devices.
#[expect(missing_debug_implementations, reason = "holds keys")]
pub struct Pair {
    /// Keys and store.
    pub deployment: Deployment,
    /// Address of the identity service.
    pub identity_url: String,
    /// Address of the ledger service.
    pub ledger_url: String,
    folder: tempfile::TempDir,
    identity: Option<identity_service::Server>,
    ledger: Option<ledger_service::Server>,
    ledger_addr: SocketAddr,
}

impl Pair {
    /// Starts a pair on an in-memory store.
    ///
    /// # Errors
    /// When a service cannot start.
    pub async fn start() -> anyhow::Result<Self> {
        Self::over(Deployment::new()?).await
    }

    /// Starts a pair over a deployment.
    ///
    /// # Errors
    /// When a service cannot start.
    pub async fn over(deployment: Deployment) -> anyhow::Result<Self> {
        let ledger = deployment.ledger_service().await?;
        let ledger_addr = ledger.local_addr();
        let ledger_url = format!("http://{ledger_addr}");
        let identity = deployment.identity_service(&ledger_url).await?;
        let identity_url = format!("http://{}", identity.local_addr());
        Ok(Self {
            deployment,
            identity_url,
            ledger_url,
            folder: tempfile::tempdir()?,
            identity: Some(identity),
            ledger: Some(ledger),
            ledger_addr,
        })
    }

    /// The home folder of a device.
    pub fn home(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a device of this pair is made of.
    pub fn new_device(&self, name: &str) -> NewDevice {
        NewDevice {
            home: self.home(name),
            identity_url: self.identity_url.clone(),
            ledger_url: None,
            name: name.to_owned(),
            tls_ca: None,
        }
    }

    /// Makes an identity with one device, and opens it.
    ///
    /// # Errors
    /// When a step fails.
    pub async fn first_device(&self, name: &str) -> anyhow::Result<Agent> {
        device_agent::init(
            &self.new_device(name),
            Trust::Ledger(self.deployment.ledger_id()),
        )
        .await?;
        self.open(name).await
    }

    /// Links a further device by another one, and opens it.
    ///
    /// # Errors
    /// When a step fails.
    pub async fn link(&self, by: &Agent, name: &str, admin: bool) -> anyhow::Result<Agent> {
        let session: LinkSession = by.link().await?;
        let invitation = session.link().parse()?;
        let new = self.new_device(name);
        let (accepted, joined) = tokio::join!(
            session.accept(admin, |_| {}),
            device_agent::join(&new, &invitation, Trust::FirstUse)
        );
        accepted.context("accept")?;
        joined.context("join")?;
        self.open(name).await
    }

    /// Opens a device in its home folder.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn open(&self, name: &str) -> anyhow::Result<Agent> {
        Ok(Agent::open(&self.home(name), Options::default()).await?)
    }

    /// Stops the ledger service.
    ///
    /// # Errors
    /// When it did not end by itself.
    pub async fn stop_ledger(&mut self) -> anyhow::Result<()> {
        let ledger = self.ledger.take().context("it is stopped already")?;
        anyhow::ensure!(
            ledger.shutdown(GRACE).await,
            "the ledger service had to be ended"
        );
        Ok(())
    }

    /// Starts the ledger service on its old port, over any store of the deployment.
    ///
    /// # Errors
    /// When it cannot start.
    pub async fn start_ledger(&mut self) -> anyhow::Result<()> {
        self.ledger = Some(self.deployment.ledger_service_on(self.ledger_addr).await?);
        Ok(())
    }

    /// Stops the identity service.
    ///
    /// # Errors
    /// When it did not end by itself.
    pub async fn stop_identity(&mut self) -> anyhow::Result<()> {
        let identity = self.identity.take().context("it is stopped already")?;
        anyhow::ensure!(
            identity.shutdown(GRACE).await,
            "the identity service had to be ended"
        );
        Ok(())
    }
}

/// Copies a home folder as a backup or a clone would: everything but the lock.
///
/// # Errors
/// When a file cannot be copied.
pub fn copy_home(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_name() != "lock" {
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
