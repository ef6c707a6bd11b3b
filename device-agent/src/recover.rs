//! From a recovery key to a new device: in two runs, with the veto time between them.
//!
//! The first says in the log, by the recovery key, that the identity gets a fresh root key. When
//! the veto time is over, that root key opens a session and links the device of this folder, as a
//! backup does. Keys are on the disk before anything is sent, and the log alone says how far it
//! came, so both can be interrupted and run again.

use std::path::Path;
use std::sync::Arc;

use edge_ledger_core::identity::genesis::next_key_hash;
use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{Act, IdentityLog};
use edge_ledger_core::ids::{IdentityId, LedgerId};
use edge_ledger_core::keys::{PublicKey, SecretKey};

use crate::addresses::Addresses;
use crate::enrol::{NewDevice, Trust, check_trust};
use crate::error::{AgentError, RootError};
use crate::identity_client::{Caller, CallerKey, Deployment, IdentitySession};
use crate::identity_services::IdentityServices;
use crate::others::Others;
use crate::restore::{Entered, Holder, admitted, enter};
use crate::statement;
use crate::vault::{self, Recovering, Vault};
use crate::words::RecoveryWords;

/// How far a recovery is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovered {
    /// It waits for its veto time. Run it again then.
    Waiting {
        /// The identity.
        identity: IdentityId,
        /// When it takes effect, by the service's clock, in milliseconds since 1970.
        effective_ms: i64,
    },
    /// This device is one of the identity, an admin, and holds its root keys. See to the other
    /// devices, and then call [`recovery_ended`].
    Linked(Entered),
}

/// A recovery that was begun in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The identity.
    pub identity: IdentityId,
    /// The deployment.
    pub ledger_id: LedgerId,
    /// Addresses of the identity service.
    pub identity_urls: Addresses,
    /// When it takes effect, once the service has taken it.
    pub effective_ms: Option<i64>,
    /// Whether its device lives in the folder, and [`recovery_ended`] was not called since.
    pub linked: bool,
}

/// What was begun in a home folder, if anything.
///
/// # Errors
/// [`AgentError::Home`], also when a device lives there that no recovery made.
pub fn recovery_begun(home: &Path) -> Result<Option<Begun>, AgentError> {
    let occupied = vault::must_be_free(home);
    let linked = occupied.is_err();
    let Some(state) = Recovering::read(home)? else {
        return Ok(occupied.map(|()| None)?);
    };
    Ok(Some(Begun {
        identity: state.identity,
        ledger_id: state.ledger_id,
        identity_urls: state.identity_urls,
        effective_ms: state.effective_ms,
        linked,
    }))
}

/// Forgets that a recovery made the device in a home folder: its person has seen to the other
/// devices of the identity, which can still speak until then.
///
/// # Errors
/// [`AgentError::Home`], also when no device lives there.
pub fn recovery_ended(home: &Path) -> Result<(), AgentError> {
    vault::membership(home)?;
    Ok(vault::forget_recovering(home)?)
}

/// Recovers an identity with the words of its recovery key. They are needed until the service has
/// taken the recovery; a later run finishes what was begun in the folder without them. `others` is
/// asked by the run that links the device.
///
/// # Errors
/// [`RootError::WrongWords`]; [`RootError::RecoveryEnded`] when it was vetoed: a further run
/// begins anew, and [`RootError::RecoveryNotInEffect`] where that cannot be seen without the words;
/// [`RootError::OtherRecovery`]; [`RootError::OtherIdentity`]; and as
/// [`restore`](crate::restore).
pub async fn recover(
    new: &NewDevice,
    identity: IdentityId,
    words: Option<&RecoveryWords>,
    trust: Trust,
    others: Others,
) -> Result<Recovered, AgentError> {
    let vault = Vault::lock_free(&new.home)?;
    // What is in the way is told now, and not when the veto time is over.
    vault.has_room_for_device()?;
    let known = Recovering::read(vault.folder())?;
    if let Some(other) = known.as_ref().filter(|known| known.identity != identity) {
        return Err(RootError::OtherIdentity(other.identity).into());
    }
    let secured = vault.secured(&new.security)?;
    let services = IdentityServices::new(new.identity_urls.clone(), secured);
    let (_, deployment) = services.deployment().await?;
    let trust = known.as_ref().map_or(trust, |k| Trust::Ledger(k.ledger_id));
    check_trust(trust, &deployment.genesis)?;
    let (root, next) = vault.recovering_keys([rand::random(), rand::random()])?;
    vault.has_room_for_root_keys(&root, Some(&next))?;
    let attempt = Attempt {
        vault: &vault,
        new,
        services,
        identity,
        root: Arc::new(root),
        next,
        others,
    };
    attempt.run(deployment, known, words).await
}

/// One run.
struct Attempt<'a> {
    vault: &'a Vault,
    new: &'a NewDevice,
    services: IdentityServices,
    identity: IdentityId,
    root: Arc<SecretKey>,
    next: SecretKey,
    others: Others,
}

impl Attempt<'_> {
    async fn run(
        self,
        deployment: Deployment,
        known: Option<Recovering>,
        words: Option<&RecoveryWords>,
    ) -> Result<Recovered, AgentError> {
        let ledger_id = deployment.genesis.ledger_id();
        if let Some(session) = self.session(ledger_id, self.root.clone()).await? {
            return self.link(deployment, session).await;
        }
        let Some(words) = words else {
            let effective_ms = known.and_then(|known| known.effective_ms);
            let effective_ms = effective_ms.ok_or(RootError::WrongWords)?;
            return self.look_again(deployment, effective_ms).await;
        };
        let key = Arc::new(words.key());
        let session = self.session(ledger_id, key.clone()).await?;
        let mut session = session.ok_or(RootError::WrongWords)?;
        let empty = IdentityLog::empty(deployment.genesis.clone(), self.identity);
        let statements = session.log_after(0).await?;
        let log = statement::grown(&empty, &statements)?;
        if let Some(effective_ms) = self.standing(&log)? {
            self.save(ledger_id, Some(effective_ms))?;
            return Ok(self.waiting(effective_ms));
        }
        self.save(ledger_id, None)?;
        let public = self.root.public_key();
        let next_root_hash = next_key_hash(&self.next.public_key());
        let gained = statement::append(
            &mut session,
            &log,
            |log| was_asked(log, &public),
            |_| Act::Recover {
                root: public,
                next_root_hash,
            },
            &[SigningAs::Recovery(&key), SigningAs::Root(&self.root)],
        )
        .await?;
        let log = statement::grown(&log, &gained)?;
        if log.is_root(&public, log.time()) {
            // There is no veto time.
            let session = self.session(ledger_id, self.root.clone()).await?;
            let session = session.ok_or(AgentError::UnknownIdentity)?;
            return self.link(deployment, session).await;
        }
        let effective_ms = self.standing(&log)?.ok_or(RootError::RecoveryEnded)?;
        self.save(ledger_id, Some(effective_ms))?;
        Ok(self.waiting(effective_ms))
    }

    /// Without the words nothing is told of the log until the recovery holds. Whether that can still
    /// come is told by the service's clock alone: a key that is not the root at a later time than
    /// that of the recovery never will be.
    async fn look_again(
        self,
        deployment: Deployment,
        effective_ms: i64,
    ) -> Result<Recovered, AgentError> {
        let ledger_id = deployment.genesis.ledger_id();
        let (mut client, _) = self.services.deployment().await?;
        let caller = self.caller(ledger_id, self.root.clone());
        if client.clock_ms(&caller).await? < effective_ms {
            return Ok(self.waiting(effective_ms));
        }
        match self.session(ledger_id, self.root.clone()).await? {
            Some(session) => self.link(deployment, session).await,
            // The keys stay: with the words it is seen in the log what became of them.
            None => Err(RootError::RecoveryNotInEffect.into()),
        }
    }

    fn caller(&self, ledger_id: LedgerId, key: Arc<SecretKey>) -> Caller {
        Caller {
            ledger_id,
            identity: self.identity,
            key: CallerKey::Root(key),
        }
    }

    /// When the recovery takes effect, if it waits; none if it was not asked for.
    fn standing(&self, log: &IdentityLog) -> Result<Option<i64>, AgentError> {
        let public = self.root.public_key();
        match log.recovery(log.time()) {
            Some(recovery) if recovery.root == public => Ok(Some(recovery.effective_ms)),
            Some(recovery) if !was_asked(log, &public) => Err(RootError::OtherRecovery {
                effective_ms: recovery.effective_ms,
            }
            .into()),
            Some(_) | None if was_asked(log, &public) => {
                // Its keys were taken: another attempt needs others.
                self.vault.forget_recovering()?;
                Err(RootError::RecoveryEnded.into())
            }
            Some(_) | None => Ok(None),
        }
    }

    fn save(&self, ledger_id: LedgerId, effective_ms: Option<i64>) -> Result<(), AgentError> {
        let state = Recovering {
            identity: self.identity,
            ledger_id,
            identity_urls: self.new.identity_urls.clone(),
            effective_ms,
        };
        Ok(self.vault.save_recovering(&state)?)
    }

    fn waiting(&self, effective_ms: i64) -> Recovered {
        Recovered::Waiting {
            identity: self.identity,
            effective_ms,
        }
    }

    /// A session by the new root key, or by the recovery key: none if the log does not have it so.
    async fn session(
        &self,
        ledger_id: LedgerId,
        key: Arc<SecretKey>,
    ) -> Result<Option<IdentitySession>, AgentError> {
        let caller = self.caller(ledger_id, key);
        admitted(self.services.sign_in(&caller).await)
    }

    async fn link(
        self,
        deployment: Deployment,
        session: IdentitySession,
    ) -> Result<Recovered, AgentError> {
        let holder = Holder {
            identity: self.identity,
            root: self.root,
            next: Some(self.next),
        };
        let (vault, new) = (self.vault, self.new);
        let entered = enter(vault, new, deployment, session, &holder, self.others).await?;
        vault.forget_recovering_keys()?;
        Ok(Recovered::Linked(entered))
    }
}

/// Whether the log ever was asked to take a key as the root by a recovery.
fn was_asked(log: &IdentityLog, key: &PublicKey) -> bool {
    let records = log.records_after(0).iter();
    records
        .map(|record| &record.statement.body().act)
        .any(|act| matches!(act, Act::Recover { root, .. } if root == key))
}
