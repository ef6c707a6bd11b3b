//! From a device's root keys to a backup, and from a backup to a new device.
//!
//! The root key opens a session of its own at the identity service and signs the new device into
//! the log, so no other device is needed. A backup from before a rotation has the root of today as
//! its next one. Nothing is ever overwritten, and it can be interrupted and run again.

use std::path::Path;
use std::sync::Arc;

use edge_ledger_core::identity::{Act, Certificate, DeviceState, IdentityLog};
use edge_ledger_core::ids::{DeviceId, IdentityId, LedgerId};
use edge_ledger_core::keys::SecretKey;

use crate::addresses::Addresses;
use crate::backup::{Backup, Proof};
use crate::book::{Book, has_left};
use crate::enrol::{
    Enrolled, NewDevice, Trust, check_trust, current, describe, open_store, settle,
};
use crate::error::{AgentError, HomeError, RootError};
use crate::identity_client::{Caller, CallerKey, Deployment, IdentitySession};
use crate::identity_services::IdentityServices;
use crate::others::{Others, RootAtWork};
use crate::security::Security;
use crate::statement;
use crate::vault::{self, Vault};

/// Reads what a backup of the device in a home folder holds. Works while the device runs.
///
/// # Errors
/// [`AgentError::NoRootKey`] on a device that never had the keys, or gave them up;
/// [`RootError::RotationUnfinished`]; [`AgentError::Home`].
pub fn back_up(home: &Path) -> Result<Backup, AgentError> {
    let membership = vault::membership(home)?;
    let keys = vault::root_keys(home)?;
    let root = keys.root.ok_or(AgentError::NoRootKey)?;
    if keys.later.is_some() {
        return Err(RootError::RotationUnfinished.into());
    }
    Ok(Backup {
        root: root.seed(),
        next_root: keys.next.map(|key| key.seed()),
        genesis: Some(membership.genesis),
        identity_urls: Some(membership.identity_urls),
        fingerprint: None,
        identity: Some(membership.identity),
    })
}

/// What a backup of a device holds, and what it is worth.
#[expect(missing_debug_implementations, reason = "holds secret keys")]
pub struct Proved {
    /// The backup.
    pub backup: Backup,
    /// What it is to the identity's log.
    pub proof: Proof,
    /// Whether somebody else revoked the device.
    pub revoked: bool,
}

/// Reads what a backup of the device in a home folder holds, and holds it against the identity's log
/// at the service. Keys that moved up by a rotation elsewhere are told as the log has them. The
/// device need not have heard of that, and can run meanwhile.
///
/// # Errors
/// As [`back_up`] and [`prove_backup`].
pub async fn back_up_proved(
    home: &Path,
    identity_urls: &Addresses,
    security: &Security,
) -> Result<Proved, AgentError> {
    let backup = back_up(home)?;
    let (log, now_ms) = read_log(identity_urls, security, home, &backup).await?;
    let revoked = own_key(home, backup.identity()).is_some_and(|key| {
        let device = key.public_key().device_id();
        let record = log.device(&device);
        record.is_some_and(|record| record.state == DeviceState::Revoked)
            && !has_left(&log, &device)
    });
    let (backup, proof) = match (backup.prove(&log, now_ms), backup.next_root.clone()) {
        (Proof::Outdated, Some(root)) => {
            let moved_up = Backup {
                root,
                next_root: None,
                ..backup
            };
            (moved_up, Proof::RootOnly)
        }
        (proof, _) => (backup, proof),
    };
    Ok(Proved {
        backup,
        proof,
        revoked,
    })
}

/// Whether the service told the device in a home folder that somebody else revoked it. A device
/// that another process holds is not asked.
///
/// # Errors
/// [`AgentError::Home`], [`AgentError::Store`].
pub async fn was_told_of_revocation(home: &Path) -> Result<bool, AgentError> {
    let vault = match Vault::lock(home) {
        Err(HomeError::InUse(_)) => return Ok(false),
        vault => vault?,
    };
    let (membership, keys) = vault.open()?;
    let store = open_store(&vault)?;
    let known = Book::log_of(&store, &membership).await?;
    let (key, _) = current(keys, &known.log).ok_or_else(|| vault.without_key())?;
    let left = has_left(&known.log, &key.public_key().device_id());
    let book = Book::open(store, key, known).await?;
    Ok(!left && book.load_revoked().await?.is_some())
}

/// Writes a sealed backup to a file of mode 0600 that must not be there yet.
///
/// # Errors
/// [`AgentError::Home`] when it is there, or cannot be written.
pub fn write_backup(file: &Path, sealed: &[u8]) -> Result<(), AgentError> {
    Ok(vault::write_private(file, sealed)?)
}

/// Takes the root keys off the device in a home folder. Only a backup has them then, so hold it
/// against the log first.
///
/// # Errors
/// [`AgentError::Home`].
pub fn take_off_root_keys(home: &Path) -> Result<(), AgentError> {
    Ok(vault::remove_root_keys(home)?)
}

/// Holds a backup against the identity's log at the identity service, without installing it.
/// What `security` does not say is as the home folder keeps it, if a device lives there. One of the
/// same identity also reads the log where the backup's keys no longer can.
///
/// # Errors
/// [`AgentError::UnknownIdentity`], [`AgentError::Unreachable`], [`AgentError::Untrusted`] when
/// the service is of another deployment than the backup.
pub async fn prove_backup(
    identity_urls: &Addresses,
    security: &Security,
    home: &Path,
    backup: &Backup,
) -> Result<Proof, AgentError> {
    let (log, now_ms) = read_log(identity_urls, security, home, backup).await?;
    Ok(backup.prove(&log, now_ms))
}

/// Reads an identity's log by the keys of a backup, or as the device in a home folder, and the
/// service's clock.
async fn read_log(
    identity_urls: &Addresses,
    security: &Security,
    home: &Path,
    backup: &Backup,
) -> Result<(IdentityLog, i64), AgentError> {
    let secured = vault::secured_of(home, security)?;
    let services = IdentityServices::new(identity_urls.clone(), secured);
    let (client, Deployment { genesis, .. }) = services.deployment().await?;
    check_trust(trust(backup, Trust::FirstUse), &genesis)?;
    let identity = backup.identity();
    let opened = root_session(&services, genesis.ledger_id(), backup).await;
    let mut session = match (opened, own_key(home, identity)) {
        (Err(AgentError::UnknownIdentity), Some(key)) => {
            let caller = Caller {
                ledger_id: genesis.ledger_id(),
                identity,
                key: CallerKey::Device(key),
            };
            match client.authenticate(&caller).await {
                // One that was cut off knows no more than the backup.
                Err(AgentError::Refused(_)) => return Err(AgentError::UnknownIdentity),
                session => session?,
            }
        }
        (opened, _) => opened?.session,
    };
    let statements = session.log_after(0).await?;
    let empty = IdentityLog::empty(genesis, identity);
    let log = statement::grown(&empty, &statements)?;
    Ok((log, session.began_ms()))
}

/// The key of the device in a home folder, if one of this identity lives there.
fn own_key(home: &Path, identity: IdentityId) -> Option<Arc<SecretKey>> {
    let (membership, mut keys) = vault::read(home).ok()?;
    let key = keys.pop()?;
    (membership.identity == identity).then(|| Arc::new(key))
}

/// A device that a root key brought in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entered {
    /// The device.
    pub enrolled: Enrolled,
    /// The devices that the root key revoked.
    pub revoked: Vec<DeviceId>,
}

/// Makes a new device of the backup's identity, an admin, and keeps the root keys in its home.
/// `trust` is used when the backup does not say which deployment it is of.
///
/// # Errors
/// As [`init`](crate::init); [`AgentError::UnknownIdentity`]; [`AgentError::Refused`], such as
/// `DEVICE_LIMIT`.
pub async fn restore(
    new: &NewDevice,
    backup: &Backup,
    trust: Trust,
    others: Others,
) -> Result<Entered, AgentError> {
    let vault = Vault::lock_free(&new.home)?;
    let secured = vault.secured(&new.security)?;
    let services = IdentityServices::new(new.identity_urls.clone(), secured);
    let (_, deployment) = services.deployment().await?;
    check_trust(self::trust(backup, trust), &deployment.genesis)?;
    let ledger_id = deployment.genesis.ledger_id();
    let opened = root_session(&services, ledger_id, backup).await?;
    let holder = Holder {
        identity: backup.identity(),
        root: opened.root,
        next: opened.next,
    };
    let session = opened.session;
    enter(&vault, new, deployment, session, &holder, others).await
}

/// Who holds an identity.
pub(crate) struct Holder {
    pub(crate) identity: IdentityId,
    /// The root key of today.
    pub(crate) root: Arc<SecretKey>,
    /// The one that comes after it, where it is known.
    pub(crate) next: Option<SecretKey>,
}

/// Links the device of a folder by the root key, as an admin, and keeps the root keys there. The
/// others are ended before it, but for a last admin, who is ended right after it.
pub(crate) async fn enter(
    vault: &Vault,
    new: &NewDevice,
    deployment: Deployment,
    session: IdentitySession,
    holder: &Holder,
    others: Others,
) -> Result<Entered, AgentError> {
    let genesis = deployment.genesis.clone();
    let (identity, root) = (holder.identity, &holder.root);
    // What is in the way is told before anything is said.
    vault.has_room_for_root_keys(root, holder.next.as_ref())?;
    let key = vault.entering_key(rand::random())?;
    let device = key.public_key().device_id();
    let description = describe(identity, &new.name);
    let certificate = Certificate::sign(genesis.ledger_id(), &key, &description)?;
    let mut at_work = RootAtWork {
        session,
        root,
        own: device,
        log: IdentityLog::empty(genesis, identity),
        gained: Vec::new(),
        revoked: Vec::new(),
    };
    if others == Others::Revoke {
        at_work.end_others().await?;
    }
    let add = Act::AddDevice {
        certificate: Box::new(certificate),
        admin: true,
    };
    let is_in = |log: &IdentityLog| log.device(&device).is_some();
    at_work.say(is_in, add).await?;
    if others == Others::Revoke {
        at_work.end_others().await?;
    }
    vault.root_key(*root.seed())?;
    if let Some(next) = &holder.next {
        vault.next_root_key(*next.seed())?;
    }
    vault.device_key(*key.seed())?;
    let membership = new.membership(identity, deployment)?;
    let enrolled = settle(vault, &membership, device, &at_work.gained).await?;
    vault.forget_entering()?;
    Ok(Entered {
        enrolled,
        revoked: at_work.revoked,
    })
}

/// A backup that names its deployment trusts no other.
fn trust(backup: &Backup, otherwise: Trust) -> Trust {
    backup
        .genesis
        .as_ref()
        .map_or(otherwise, |genesis| Trust::Ledger(genesis.ledger_id()))
}

/// A session that a backup opened.
pub(crate) struct Opened {
    pub(crate) session: IdentitySession,
    /// The key that opened it: the root of today.
    root: Arc<SecretKey>,
    /// The backup's key after that.
    next: Option<SecretKey>,
}

/// Opens a session with the root key of a backup, or with its next one, which may be the root by
/// now.
pub(crate) async fn root_session(
    services: &IdentityServices,
    ledger_id: LedgerId,
    backup: &Backup,
) -> Result<Opened, AgentError> {
    let identity = backup.identity();
    let next = backup.next_root_key();
    let keys = [
        (Some(backup.root_key()), next),
        (backup.next_root_key(), None),
    ];
    for (root, next) in keys {
        let Some(root) = root.map(Arc::new) else {
            continue;
        };
        let caller = Caller {
            ledger_id,
            identity,
            key: CallerKey::Root(root.clone()),
        };
        if let Some(session) = admitted(services.sign_in(&caller).await)? {
            return Ok(Opened {
                session,
                root,
                next,
            });
        }
    }
    Err(AgentError::UnknownIdentity)
}

/// The session, or none if the log is missing, or does not have the key in its role.
///
/// # Errors
/// Anything else that went wrong.
pub(crate) fn admitted(
    session: Result<IdentitySession, AgentError>,
) -> Result<Option<IdentitySession>, AgentError> {
    match session {
        // The challenge was fresh and the proof is right.
        Err(AgentError::Refused(refusal)) if refusal.reason == "CHALLENGE_INVALID" => Ok(None),
        session => session.map(Some),
    }
}
