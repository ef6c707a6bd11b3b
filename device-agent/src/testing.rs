//! Both services in the test's own process, for tests of applications (feature `testing`).
//!
//! A [`Pair`] is the real thing on a store in memory, on free ports of loopback: nothing has to be
//! installed, pairs do not see each other, and everything is gone when the pair is dropped. Only
//! tests should enable the feature, since it brings both services along:
//!
//! ```toml
//! [dev-dependencies]
//! device-agent = { version = "0.1", features = ["testing"] }
//! ```
//!
//! A test starts a pair, gets its devices from it, and hands them to the application:
//!
//! ```
//! use std::time::Duration;
//! use device_agent::testing::Pair;
//! use device_agent::{AgentError, Details, State, within};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut pair = Pair::start().await?;
//! let phone = pair.first_device("phone").await?;
//! let laptop = pair.link(&phone, "laptop", false).await?;
//!
//! // What one device earns, the other can spend.
//! phone.earn(100, Details::default()).await?;
//! within(Duration::from_secs(5), phone.sync()).await?;
//! within(Duration::from_secs(5), laptop.sync()).await?;
//! laptop.spend(30, Details::default()).await?;
//! within(Duration::from_secs(5), laptop.sync()).await?;
//!
//! // While the ledger service is away, devices go on recording.
//! pair.stop_ledger().await?;
//! phone.earn(5, Details::default()).await?;
//! let waited = within(Duration::from_millis(50), phone.sync()).await;
//! assert!(matches!(waited, Err(AgentError::TimedOut)));
//! assert_eq!(phone.balance().balance, 75);
//!
//! // It comes back where it was, and everything that waited goes up.
//! pair.start_ledger().await?;
//! within(Duration::from_secs(5), phone.sync()).await?;
//! within(Duration::from_secs(5), laptop.sync()).await?;
//! assert_eq!(phone.status().state, State::Online);
//! assert_eq!(laptop.balance().balance, 75);
//! # Ok(())
//! # }
//! ```
//!
//! A device can be stopped and opened again with [`Pair::open`], as after a restart of the
//! application; [`copy_home`] makes what a restored backup is.

mod deployment;
pub mod peer_link;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::{
    Agent, AgentError, Confirmation, Decided, Enrolled, Invitation, NewDevice, Options, Trust,
    init, join,
};

pub use deployment::Deployment;

/// Time that a service has to end by itself.
const GRACE: Duration = Duration::from_secs(5);

/// Why a pair could not do what a test asked of it.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// A device failed.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The identity service did not start.
    #[error(transparent)]
    Identity(#[from] identity_service::BindError),
    /// The ledger service did not start.
    #[error(transparent)]
    Ledger(#[from] ledger_service::BindError),
    /// The keys of the deployment do not fit together.
    #[error(transparent)]
    Keys(#[from] edge_ledger_core::identity::FormatError),
    /// A folder cannot be used.
    #[error("the folder of a device: {0}")]
    Folder(#[from] std::io::Error),
    /// A service that is stopped, or one that did not end by itself.
    #[error("the {0} service {1}")]
    Service(&'static str, &'static str),
}

/// Both services, with a folder for the homes of their devices.
#[expect(missing_debug_implementations, reason = "holds keys")]
pub struct Pair {
    /// Keys and store. A test may put another store in while the ledger service is stopped.
    pub deployment: Deployment,
    /// Address of the identity service.
    pub identity_url: String,
    /// Address of the ledger service.
    pub ledger_url: String,
    folder: tempfile::TempDir,
    identity: Option<identity_service::Server>,
    ledger: Option<ledger_service::Server>,
    identity_addr: SocketAddr,
    ledger_addr: SocketAddr,
}

impl Pair {
    /// Starts a pair of a fresh deployment on a store in memory.
    ///
    /// # Errors
    /// [`PairError`] when a service cannot start.
    pub async fn start() -> Result<Self, PairError> {
        Self::over(Deployment::new()?).await
    }

    /// Starts a pair over a deployment.
    ///
    /// # Errors
    /// [`PairError`] when a service cannot start.
    pub async fn over(deployment: Deployment) -> Result<Self, PairError> {
        let ledger = deployment.ledger_service().await?;
        let ledger_addr = ledger.local_addr();
        let ledger_url = format!("http://{ledger_addr}");
        let listen = ([127, 0, 0, 1], 0).into();
        let identity = deployment
            .identity_service_on(listen, vec![ledger_url.clone()])
            .await?;
        Ok(Self {
            deployment,
            identity_url: format!("http://{}", identity.local_addr()),
            identity_addr: identity.local_addr(),
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
            identity_urls: self.identity_url.as_str().into(),
            ledger_urls: None,
            name: name.to_owned(),
            security: crate::Security::default(),
        }
    }

    /// Makes an identity with one device, and opens it.
    ///
    /// # Errors
    /// [`PairError`] when a step fails.
    pub async fn first_device(&self, name: &str) -> Result<Agent, PairError> {
        let trust = Trust::Ledger(self.deployment.ledger_id());
        init(&self.new_device(name), trust).await?;
        self.open(name).await
    }

    /// Links a further device by another one, and opens it.
    ///
    /// # Errors
    /// [`PairError`] when a step fails.
    pub async fn link(&self, by: &Agent, name: &str, admin: bool) -> Result<Agent, PairError> {
        let new = self.new_device(name);
        let joining = async |invitation: Invitation, show: Show| {
            join(&new, &invitation, Trust::FirstUse, show).await
        };
        let (linked, joined) = link(by, admin, joining).await?;
        joined?;
        linked?;
        self.open(name).await
    }

    /// Opens a device in its home folder.
    ///
    /// # Errors
    /// [`PairError`] when it cannot be opened.
    pub async fn open(&self, name: &str) -> Result<Agent, PairError> {
        Ok(Agent::open(&self.home(name), Options::default()).await?)
    }

    /// Stops the ledger service.
    ///
    /// # Errors
    /// [`PairError::Service`] when it did not end by itself.
    pub async fn stop_ledger(&mut self) -> Result<(), PairError> {
        let ledger = self.ledger.take();
        let ledger = ledger.ok_or(PairError::Service("ledger", "is stopped already"))?;
        ended("ledger", ledger.shutdown(GRACE).await)
    }

    /// Starts the ledger service on its old port, over any store of the deployment.
    ///
    /// # Errors
    /// [`PairError`] when it cannot start.
    pub async fn start_ledger(&mut self) -> Result<(), PairError> {
        self.ledger = Some(self.deployment.ledger_service_on(self.ledger_addr).await?);
        Ok(())
    }

    /// Starts the identity service on its old port.
    ///
    /// # Errors
    /// [`PairError`] when it cannot start.
    pub async fn start_identity(&mut self) -> Result<(), PairError> {
        let (addr, ledger_urls) = (self.identity_addr, vec![self.ledger_url.clone()]);
        let identity = self.deployment.identity_service_on(addr, ledger_urls);
        self.identity = Some(identity.await?);
        Ok(())
    }

    /// Stops the identity service.
    ///
    /// # Errors
    /// [`PairError::Service`] when it did not end by itself.
    pub async fn stop_identity(&mut self) -> Result<(), PairError> {
        let identity = self.identity.take();
        let identity = identity.ok_or(PairError::Service("identity", "is stopped already"))?;
        ended("identity", identity.shutdown(GRACE).await)
    }
}

fn ended(service: &'static str, by_itself: bool) -> Result<(), PairError> {
    if by_itself {
        Ok(())
    } else {
        Err(PairError::Service(service, "had to be ended"))
    }
}

/// Given the number that a new device shows.
pub type Show = Box<dyn FnOnce(&Confirmation) + Send>;

/// Links a device that `joining` joins, with the number carried over as a person would. Returns
/// what came of it at the linked device and at the new one.
///
/// # Errors
/// [`AgentError`] when no session can be opened.
pub async fn link(
    by: &Agent,
    admin: bool,
    joining: impl AsyncFnOnce(Invitation, Show) -> Result<Enrolled, AgentError>,
) -> Result<(Result<Decided, AgentError>, Result<Enrolled, AgentError>), AgentError> {
    let session = by.link().await?;
    let invitation = session.link().parse()?;
    let (shows, shown) = oneshot::channel();
    let show = Box::new(|asks: &Confirmation| {
        // Who waits for it may have been refused meanwhile.
        let _ = shows.send(asks.number());
    });
    let linking = async {
        let request = session.request(admin).await?;
        let number = shown.await.map_err(|_| AgentError::LinkNumber)?;
        request.approve(&number).await
    };
    Ok(tokio::join!(linking, joining(invitation, show)))
}

/// Copies a home folder as a backup or a clone would: everything but the lock.
///
/// # Errors
/// [`PairError::Folder`] when a file cannot be copied.
pub fn copy_home(from: &Path, to: &Path) -> Result<(), PairError> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_name() != "lock" {
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
