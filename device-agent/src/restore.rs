//! From a device's root keys to a backup, and from a backup to a new device.
//!
//! The root key opens a session of its own at the identity service and signs the new device into
//! the log, so no other device is needed. Nothing is ever overwritten, and it can be interrupted
//! and run again.

use std::path::Path;
use std::sync::Arc;

use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{Act, Certificate, IdentityLog};
use edge_ledger_core::ids::LedgerId;

use crate::backup::{Backup, Proof};
use crate::enrol::{Enrolled, NewDevice, Trust, check_trust, describe, settle};
use crate::error::AgentError;
use crate::identity_client::{Caller, CallerKey, Deployment, IdentityClient, IdentitySession};
use crate::security::Security;
use crate::statement;
use crate::vault::{self, Membership, Vault};

/// Reads what a backup of the device in a home folder holds. Works while the device runs.
///
/// # Errors
/// [`AgentError::NoRootKey`] on a device that never had the keys, or gave them up;
/// [`AgentError::Home`].
pub fn back_up(home: &Path) -> Result<Backup, AgentError> {
    let membership = vault::membership(home)?;
    let (root, next_root) = vault::root_keys(home)?;
    let root = root.ok_or(AgentError::NoRootKey)?;
    Ok(Backup {
        root: root.seed(),
        next_root: next_root.map(|key| key.seed()),
        genesis: Some(membership.genesis),
        identity_url: Some(membership.identity_url),
        fingerprint: None,
    })
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
/// What `security` does not say is as the home folder keeps it, if a device lives there.
///
/// # Errors
/// [`AgentError::UnknownIdentity`], [`AgentError::Unreachable`], [`AgentError::Untrusted`] when
/// the service is of another deployment than the backup.
pub async fn prove_backup(
    identity_url: &str,
    security: &Security,
    home: &Path,
    backup: &Backup,
) -> Result<Proof, AgentError> {
    let secured = vault::secured_of(home, security)?;
    let mut client = IdentityClient::connect(identity_url, &secured).await?;
    let Deployment { genesis, .. } = client.deployment().await?;
    check_trust(trust(backup, Trust::FirstUse), &genesis)?;
    let mut session = root_session(client, genesis.ledger_id(), backup).await?;
    let statements = session.log_after(0).await?;
    let empty = IdentityLog::empty(genesis, backup.identity());
    Ok(backup.prove(&statement::grown(&empty, &statements)?))
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
) -> Result<Enrolled, AgentError> {
    let vault = Vault::lock_free(&new.home)?;
    let secured = vault.secured(&new.security)?;
    let mut client = IdentityClient::connect(&new.identity_url, &secured).await?;
    let Deployment {
        genesis,
        ledger_url,
    } = client.deployment().await?;
    check_trust(self::trust(backup, trust), &genesis)?;
    let mut session = root_session(client, genesis.ledger_id(), backup).await?;
    let key = vault.device_key(rand::random())?;
    let (identity, device) = (backup.identity(), key.public_key().device_id());
    let description = describe(identity, &new.name);
    let certificate = Certificate::sign(genesis.ledger_id(), &key, &description)?;
    let root = backup.root_key();
    let statements = statement::append(
        &mut session,
        &IdentityLog::empty(genesis.clone(), identity),
        |log| log.device(&device).is_some(),
        |_| Act::AddDevice {
            certificate: Box::new(certificate.clone()),
            admin: true,
        },
        &[SigningAs::Root(&root)],
    )
    .await?;
    vault.root_key(*backup.root)?;
    if let Some(next) = &backup.next_root {
        vault.next_root_key(**next)?;
    }
    let membership = Membership {
        identity,
        genesis,
        identity_url: new.identity_url.clone(),
        ledger_url: new.ledger_url.clone().unwrap_or(ledger_url),
    };
    settle(&vault, &membership, device, &statements).await
}

/// A backup that names its deployment trusts no other.
fn trust(backup: &Backup, otherwise: Trust) -> Trust {
    backup
        .genesis
        .as_ref()
        .map_or(otherwise, |genesis| Trust::Ledger(genesis.ledger_id()))
}

/// Opens a session with the root key.
async fn root_session(
    client: IdentityClient,
    ledger_id: LedgerId,
    backup: &Backup,
) -> Result<IdentitySession, AgentError> {
    let caller = Caller {
        ledger_id,
        identity: backup.identity(),
        key: CallerKey::Root(Arc::new(backup.root_key())),
    };
    match client.authenticate(&caller).await {
        // The challenge was fresh and the proof is right: what is missing is the log.
        Err(AgentError::Refused(refusal)) if refusal.reason == "CHALLENGE_INVALID" => {
            Err(AgentError::UnknownIdentity)
        }
        session => session,
    }
}
