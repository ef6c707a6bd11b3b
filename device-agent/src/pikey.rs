//! From a PiKey of the JavaScript service to an identity of this deployment: its key is the root key
//! that opens the identity's log. Nothing else of that service comes along.

use edge_ledger_core::identity::IdentityLog;
use edge_ledger_core::identity::genesis::next_key_hash;

use crate::backup::Backup;
use crate::enrol::{Enrolled, NewDevice, Trust, check_trust, incept, settle};
use crate::error::AgentError;
use crate::identity_client::{Deployment, IdentitySession};
use crate::identity_services::IdentityServices;
use crate::restore::root_session;
use crate::statement;
use crate::vault::{self, Vault};

/// Makes the identity of the PiKey in a backup of the JavaScript service, and its first device. The
/// root key that comes next is new. Can be interrupted and run again.
///
/// # Errors
/// [`AgentError::IdentityExists`] when it was made already: [`restore`](crate::restore) brings it
/// back; and as [`init_invited`](crate::init_invited).
pub async fn init_from_backup(
    new: &NewDevice,
    backup: &Backup,
    trust: Trust,
    invite: &str,
) -> Result<Enrolled, AgentError> {
    if backup.genesis.is_some() {
        return Err(AgentError::IdentityExists);
    }
    let vault = Vault::lock_free(&new.home)?;
    let found = vault::root_keys(vault.folder())?;
    vault.has_room_for_root_keys(&backup.root_key(), found.next.as_ref())?;
    let secured = vault.secured(&new.security)?;
    let services = IdentityServices::new(new.identity_urls.clone(), secured);
    let (client, deployment) = services.deployment().await?;
    check_trust(trust, &deployment.genesis)?;
    let ledger_id = deployment.genesis.ledger_id();
    match root_session(&services, ledger_id, backup).await {
        // Nobody knows it, or its root key was replaced: registering it tells which.
        Err(AgentError::UnknownIdentity) => {}
        opened => return finish(&vault, new, deployment, opened?.session, backup).await,
    }
    let is_fresh = found.root.is_none() && vault.made_device_key()?.is_none();
    let made = incept(&vault, new, (client, deployment), &backup.root, invite).await;
    if is_fresh && matches!(made, Err(AgentError::IdentityExists)) {
        // No log has them.
        vault.forget_first_keys()?;
    }
    made
}

/// Ends what was interrupted: the log begins with the keys of this folder.
async fn finish(
    vault: &Vault,
    new: &NewDevice,
    deployment: Deployment,
    mut session: IdentitySession,
    backup: &Backup,
) -> Result<Enrolled, AgentError> {
    let identity = backup.identity();
    let statements = session.log_after(0).await?;
    let empty = IdentityLog::empty(deployment.genesis.clone(), identity);
    let log = statement::grown(&empty, &statements)?;
    let found = vault::root_keys(vault.folder())?;
    let next = found.next.map(|key| next_key_hash(&key.public_key()));
    let device = vault.made_device_key()?;
    let device = device.map(|key| key.public_key().device_id());
    let own = device.filter(|device| log.device(device).is_some());
    match own {
        Some(device)
            if found.root.is_some() && next.is_some() && next == log.next_root_hash(log.time()) =>
        {
            let membership = new.membership(identity, deployment)?;
            settle(vault, &membership, device, &statements).await
        }
        Some(_) | None => Err(AgentError::IdentityExists),
    }
}
