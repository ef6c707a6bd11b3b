//! The agent: the handle that an application holds.

mod enrolments;
mod leaving;
mod link_session;
mod peers;
mod roots;
mod settling;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{Act, IdentityLog, RevokeReason};
use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::keys::SecretKey;
use edge_ledger_core::ledger::posting::EventKey;
use edge_ledger_core::ledger::{Kind, Level, Posting};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::addresses::Addresses;
use crate::book::Book;
use crate::clock::Clock;
use crate::devices::devices;
use crate::engine::{Command, Engine, Recorded, Snapshot, Start};
use crate::enrol::{current, open_store};
use crate::error::{AgentError, PROBATION, Refusal, RootError};
use crate::event::{EventLog, Events};
use crate::identity_client::{Caller, CallerKey, IdentitySession};
use crate::identity_services::IdentityServices;
use crate::limits::COMMANDS_MAX;
use crate::peering::ByHand;
use crate::security::Security;
use crate::statement;
use crate::status::{Balance, DeviceInfo, HistoryItem, Status};
use crate::vault::{Membership, Vault};

pub use link_session::{Decided, JoinRequest, Joining, LinkSession};
pub use roots::{PendingRecovery, RecoveryKeyInfo, RecoveryStatus};

/// What an agent may be told beside its home folder.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Addresses of the identity service, instead of those in the home folder.
    pub identity_urls: Option<Addresses>,
    /// Addresses of the ledger service, instead of those in the home folder.
    pub ledger_urls: Option<Addresses>,
    /// How connections are secured, instead of as the home folder keeps it: it keeps what is given
    /// here from now on.
    pub security: Security,
    /// Whether this device looks for links to the others of its identity.
    pub peer_links: PeerLinks,
}

/// Whether a device looks for direct links to the others of its identity, and takes theirs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PeerLinks {
    /// It does, and entries go over them while no ledger service can be reached.
    #[default]
    On,
    /// It does not.
    Off,
}

/// A running device. Cheap to clone; the engine ends with [`stop`](Self::stop), or when the last
/// clone is dropped.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "holds a device's secret key")]
pub struct Agent {
    shared: Arc<Shared>,
}

struct Shared {
    home: PathBuf,
    /// Held while the root keys may change.
    roots: Mutex<()>,
    membership: Membership,
    identity: IdentityServices,
    key: watch::Receiver<Arc<SecretKey>>,
    clock: Clock,
    commands: mpsc::Sender<Command>,
    snapshot: watch::Receiver<Snapshot>,
    events: EventLog,
    stop: CancellationToken,
    tasks: TaskTracker,
    by_hand: mpsc::Sender<ByHand>,
}

/// The addresses of an application instead of those in the home folder.
fn at_addresses(membership: Membership, options: &Options) -> Membership {
    let (identity, ledger) = (&options.identity_urls, &options.ledger_urls);
    Membership {
        identity_urls: identity.clone().unwrap_or(membership.identity_urls),
        ledger_urls: ledger.clone().unwrap_or(membership.ledger_urls),
        ..membership
    }
}

impl Agent {
    /// Opens the device in a home folder and starts to sync. Works offline: what is recorded then
    /// is sent when a service can be reached.
    ///
    /// # Errors
    /// [`HomeError`](crate::HomeError) when there is no device, or another process holds it.
    pub async fn open(home: &Path, options: Options) -> Result<Self, AgentError> {
        let vault = Vault::lock(home)?;
        let (membership, keys) = vault.open()?;
        let secured = vault.secured(&options.security)?;
        let membership = at_addresses(membership, &options);
        secured.warn_of(&membership.identity_urls);
        secured.warn_of(&membership.ledger_urls);
        let store = open_store(&vault)?;
        let known = Book::log_of(&store, &membership).await?;
        let (key, successor) = current(keys, &known.log).ok_or_else(|| vault.without_key())?;
        // What was killed at the very end of coming in left it.
        vault.forget_entering()?;
        if let Err(error) = vault.settle_root_keys(&known.log) {
            tracing::warn!(%error, "the root keys cannot be moved up");
        }
        let book = Book::open(store, key.clone(), known).await?;
        let (tell_key, key) = watch::channel(key);
        let (clock, events) = (Clock::start(), EventLog::default());
        let stop = CancellationToken::new();
        let (wires, ends) = peers::wires();
        let identity = IdentityServices::of_agent(
            membership.identity_urls.clone(),
            secured.clone(),
            clock,
            events.clone(),
        );
        let (engine, snapshot) = Engine::new(Start {
            peers: wires.engine,
            acked: book.load_ack().await?,
            revoked: book.load_revoked().await?,
            book,
            key: tell_key,
            successor,
            ledgers: membership.ledger_urls.clone(),
            identity: identity.clone(),
            secured,
            clock,
            events: events.clone(),
            stop: stop.clone(),
            vault,
        });
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let tasks = TaskTracker::new();
        tasks.spawn(engine.run(inbox));
        let views = peers::Views {
            membership: &membership,
            identity: &identity,
            key: &key,
            snapshot: &snapshot,
            clock,
            stop: &stop,
        };
        ends.start(options.peer_links, &tasks, views);
        tasks.close();
        let shared = Arc::new(Shared {
            home: home.to_owned(),
            roots: Mutex::new(()),
            membership,
            identity,
            key,
            clock,
            commands,
            snapshot,
            events,
            stop,
            tasks,
            by_hand: wires.by_hand,
        });
        Ok(Self { shared })
    }

    /// Earns: credits the identity. `amount` is in minor units.
    ///
    /// # Errors
    /// [`AgentError::Posting`] out of limits, [`AgentError::EventKeyConflict`] when the key was
    /// used for another amount, [`AgentError::Store`].
    pub async fn earn(&self, amount: u64, details: Details) -> Result<Recorded, AgentError> {
        self.record(Kind::Credit, amount, details).await
    }

    /// Spends: debits this device's lineage. `amount` is in minor units.
    ///
    /// # Errors
    /// As [`earn`](Self::earn), and [`AgentError::NoFunds`].
    pub async fn spend(&self, amount: u64, details: Details) -> Result<Recorded, AgentError> {
        self.record(Kind::Debit, amount, details).await
    }

    /// Gives back `total` minor units of an own debit: cumulative, so a later refund of the same
    /// debit names the larger total.
    ///
    /// # Errors
    /// As [`earn`](Self::earn), [`AgentError::NothingToRefund`], and [`AgentError::RefundTotal`]
    /// for a total below an earlier one or above the debit.
    pub async fn refund(
        &self,
        debit: EventKey,
        total: u64,
        memo: String,
    ) -> Result<Recorded, AgentError> {
        let details = Details {
            event_key: Some(debit),
            memo,
            ..Details::default()
        };
        self.record(Kind::Refund, total, details).await
    }

    async fn record(
        &self,
        kind: Kind,
        amount: u64,
        details: Details,
    ) -> Result<Recorded, AgentError> {
        let event_key = match details.event_key {
            Some(key) => key,
            None => EventKey::new(uuid::Uuid::now_v7().as_bytes().to_vec())?,
        };
        let mut posting = Posting::new(kind, event_key, amount)?.with_memo(details.memo)?;
        posting.issuer_proof = details.issuer_proof.into();
        let span = tracing::info_span!("post", otel.name = kind_name(kind));
        let asked = span.clone();
        let recorded = self.ask(|reply| Command::Record {
            posting,
            span: asked,
            reply,
        });
        recorded.instrument(span).await
    }

    /// Waits until a sync that began after this call is done: everything that this device had
    /// recorded is with the service, and everything that the service had is here. Waits for ever
    /// while no service can be reached; wrap it in a timeout.
    ///
    /// # Errors
    /// [`AgentError::Refused`] when the service refuses this device.
    pub async fn sync(&self) -> Result<(), AgentError> {
        self.ask(|reply| Command::Sync { reply }).await
    }

    /// Waits until everything that was recorded before this call is acked at a level.
    ///
    /// # Errors
    /// [`AgentError::Stopped`].
    pub async fn wait_acked(&self, level: Level) -> Result<(), AgentError> {
        self.ask(|reply| Command::WaitAcked { level, reply }).await
    }

    /// The balance as this device knows it.
    pub fn balance(&self) -> Balance {
        self.shared.snapshot.borrow().status.balance
    }

    /// Name of one whole unit of the deployment, and its decimal places.
    pub fn unit(&self) -> (&str, u32) {
        let genesis = &self.shared.membership.genesis;
        (genesis.unit(), genesis.decimals())
    }

    /// All postings with whether they count, oldest first by the devices' clocks.
    ///
    /// # Errors
    /// [`AgentError::Store`].
    pub async fn history(&self) -> Result<Vec<HistoryItem>, AgentError> {
        self.ask(|reply| Command::History { reply }).await
    }

    /// Addresses of the identity service and of the ledger service.
    pub fn addresses(&self) -> (&Addresses, &Addresses) {
        let membership = &self.shared.membership;
        (&membership.identity_urls, &membership.ledger_urls)
    }

    /// Waits until the agent has looked up from what it does: one that hangs never does.
    ///
    /// # Errors
    /// [`AgentError::Stopped`].
    pub async fn answers(&self) -> Result<(), AgentError> {
        self.ask(|reply| Command::Beat { reply }).await
    }

    /// Everything that the agent knows of itself.
    pub fn status(&self) -> Status {
        let snapshot = self.shared.snapshot.borrow().clone();
        let since = self
            .shared
            .clock
            .monotonic_ms()
            .saturating_sub(snapshot.at_ms);
        let mut status = snapshot.status;
        status.synced_ms_ago = status.synced_ms_ago.map(|ms| ms + since);
        status.heard_ms_ago = status.heard_ms_ago.map(|ms| ms + since);
        for endpoint in &mut status.ledger_endpoints {
            endpoint.ms_ago = endpoint.ms_ago.map(|ms| ms + since);
        }
        status.identity_endpoints = self.shared.identity.shown();
        status
    }

    /// Events from now on.
    pub fn events(&self) -> Events {
        self.shared.events.reader(None)
    }

    /// Events from a cursor on; those that are gone are reported as missed.
    pub fn events_from(&self, cursor: u64) -> Events {
        self.shared.events.reader(Some(cursor))
    }

    /// All devices that ever were in the log, in the order in which they were added.
    pub fn devices(&self) -> Vec<DeviceInfo> {
        let this = self.key().public_key().device_id();
        let snapshot = self.shared.snapshot.borrow().clone();
        devices(&snapshot.log, this, &snapshot.last_entries)
    }

    /// The latest time that is known here: that of the log, or of this device's clock. For
    /// display: what holds is decided by the clock of the service.
    pub fn now_ms(&self) -> i64 {
        self.log().time().max(self.shared.clock.wall_ms())
    }

    /// Ends a device's lineage. This device must be an admin, or the one that is ended.
    ///
    /// # Errors
    /// [`AgentError::Refused`], such as `LAST_ADMIN`; [`AgentError::Unreachable`]: nobody can be
    /// cut off offline.
    pub async fn revoke(&self, device: DeviceId, reason: RevokeReason) -> Result<(), AgentError> {
        self.state_act(|_| Act::Revoke {
            device,
            reason,
            tips: Vec::new(),
        })
        .await
        .map(|_| ())
    }

    /// Gives a device another name. This device must be an admin, or the one that is renamed.
    ///
    /// # Errors
    /// As [`revoke`](Self::revoke).
    pub async fn rename(&self, device: DeviceId, name: &str) -> Result<(), AgentError> {
        self.state_act(|_| Act::Rename {
            device,
            name: name.to_owned(),
        })
        .await
        .map(|_| ())
    }

    /// Stops: closes what waits into entries, tells the service what it can within a second, and
    /// releases the home folder.
    pub async fn stop(&self) {
        self.shared.stop.cancel();
        self.shared.tasks.wait().await;
    }

    fn key(&self) -> Arc<SecretKey> {
        self.shared.key.borrow().clone()
    }

    fn log(&self) -> Arc<IdentityLog> {
        self.shared.snapshot.borrow().log.clone()
    }

    /// Nothing is said in a log that forked: it would be in one branch alone.
    fn check_log(&self) -> Result<(), AgentError> {
        match &self.shared.snapshot.borrow().status.forked_log {
            Some(forked) => Err(RootError::LogForked {
                position: forked.position,
            }
            .into()),
            None => Ok(()),
        }
    }

    async fn sign_in(&self) -> Result<IdentitySession, AgentError> {
        let membership = &self.shared.membership;
        let caller = Caller {
            ledger_id: membership.genesis.ledger_id(),
            identity: membership.identity,
            key: CallerKey::Device(self.key()),
        };
        self.shared.identity.sign_in(&caller).await
    }

    /// Refuses what the service would refuse at the end, as it stands by its clock.
    fn check_probation(&self, now_ms: i64) -> Result<(), AgentError> {
        let own = self.devices().into_iter().find(|device| device.this);
        match own.and_then(|device| device.probation_at(now_ms)) {
            Some(_) => Err(AgentError::Refused(Refusal {
                reason: PROBATION.to_owned(),
                message: "this device has no admin rights before its probation is over".to_owned(),
            })),
            None => Ok(()),
        }
    }

    /// Appends an act of this device to the log.
    async fn state_act(
        &self,
        act: impl Fn(&IdentityLog) -> Act,
    ) -> Result<IdentitySession, AgentError> {
        self.check_log()?;
        let mut session = self.sign_in().await?;
        self.state_in(&mut session, act, None).await?;
        Ok(session)
    }

    /// Appends an act of this device to the log, signed also by a key that enters by it.
    async fn state_in(
        &self,
        session: &mut IdentitySession,
        act: impl Fn(&IdentityLog) -> Act,
        newcomer: Option<SigningAs<'_>>,
    ) -> Result<(), AgentError> {
        let key = self.key();
        let mut keys = vec![SigningAs::Device(&key)];
        keys.extend(newcomer);
        let log = self.log();
        let parts = statement::append(session, &log, |_| false, act, &keys).await?;
        self.ask(|reply| Command::Adopt { parts, reply }).await
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, AgentError>>) -> Command,
    ) -> Result<T, AgentError> {
        let (reply, answer) = oneshot::channel();
        self.shared
            .commands
            .send(command(reply))
            .await
            .map_err(|_| AgentError::Stopped)?;
        answer.await.map_err(|_| AgentError::Stopped)?
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Name of the span in which a posting is made.
fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Credit => "earn",
        Kind::Debit => "spend",
        Kind::Refund => "refund",
    }
}

/// What a posting may carry beside its amount.
#[derive(Debug, Clone, Default)]
pub struct Details {
    /// Idempotency key; a fresh UUIDv7 when there is none.
    pub event_key: Option<EventKey>,
    /// For people, at most 128 bytes.
    pub memo: String,
    /// An issuer's proof, where the deployment asks for one.
    pub issuer_proof: Vec<u8>,
}

/// Runs a future for at most so long.
///
/// # Errors
/// [`AgentError::TimedOut`], or the future's own.
pub async fn within<T>(
    limit: Duration,
    future: impl Future<Output = Result<T, AgentError>>,
) -> Result<T, AgentError> {
    tokio::time::timeout(limit, future)
        .await
        .unwrap_or(Err(AgentError::TimedOut))
}
