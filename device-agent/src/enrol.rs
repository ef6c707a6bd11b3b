//! How a home folder gets its device: `init` makes an identity with its first device, `join`
//! makes a further device of an identity that exists.
//!
//! Both can be interrupted at any moment and run again: keys that were written are used again,
//! and the folder counts as occupied only once everything is in place.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use edge_ledger_core::identity::certificate::Description;
use edge_ledger_core::identity::genesis::next_key_hash;
use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{
    Act, Certificate, DeviceRecord, Genesis, IdentityLog, Statement, StatementBody,
};
use edge_ledger_core::ids::{DeviceId, IdentityId, LedgerId, LogHash};
use edge_ledger_core::keys::SecretKey;
use edge_ledger_store::Embedded;
use edge_ledger_store::embedded::OpenError;
use zeroize::Zeroizing;

use crate::addresses::Addresses;
use crate::book::{Book, adopt_into};
use crate::error::{AgentError, HomeError};
use crate::identity_client::{Caller, CallerKey, Deployment, IdentityClient};
use crate::identity_services::IdentityServices;
use crate::link::{self, Confirmation, Invitation};
use crate::security::{Secured, Security};
use crate::vault::{Membership, Vault};

/// Whom a device trusts to be the deployment that it is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Only the deployment with this id.
    Ledger(LedgerId),
    /// Whatever answers: on loopback, or after a person confirmed the id.
    FirstUse,
}

/// What a new device is called and where it finds its services.
#[derive(Debug, Clone)]
pub struct NewDevice {
    /// The home folder: created if need be, never overwritten.
    pub home: PathBuf,
    /// Addresses of the identity service, such as `http://127.0.0.1:7410`. It may tell others, which
    /// the device keeps after these.
    pub identity_urls: Addresses,
    /// Addresses of the ledger service; the identity service tells them when there are none.
    pub ledger_urls: Option<Addresses>,
    /// The device's name, 1 to 64 bytes.
    pub name: String,
    /// How connections to the services are secured. The home keeps it.
    pub security: Security,
}

impl NewDevice {
    /// What it belongs to.
    pub(crate) fn membership(
        &self,
        identity: IdentityId,
        deployment: Deployment,
    ) -> Result<Membership, AgentError> {
        let (identity_urls, ledger_urls) =
            deployment.places(&self.identity_urls, self.ledger_urls.as_ref())?;
        Ok(Membership {
            identity,
            genesis: deployment.genesis,
            identity_urls,
            ledger_urls,
        })
    }
}

/// What came of [`init`] or [`join`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolled {
    /// The identity.
    pub identity: IdentityId,
    /// The device.
    pub device: DeviceId,
    /// The deployment.
    pub ledger_id: LedgerId,
    /// The device's name.
    pub name: String,
}

/// Asks an identity service which deployment it serves, to show it to a person.
///
/// # Errors
/// [`AgentError::Unreachable`], or [`AgentError::Untrusted`] when the answer does not prove itself.
pub async fn discover(
    identity_urls: &Addresses,
    security: &Security,
) -> Result<LedgerId, AgentError> {
    let services = IdentityServices::new(identity_urls.clone(), Secured::read(security)?);
    let (_, deployment) = services.deployment().await?;
    Ok(deployment.genesis.ledger_id())
}

/// Makes an identity and its first device.
///
/// # Errors
/// [`HomeError::Occupied`] when a device lives in the folder, [`AgentError::Untrusted`] when the
/// service is of another deployment, and whatever the service refuses.
pub async fn init(new: &NewDevice, trust: Trust) -> Result<Enrolled, AgentError> {
    init_invited(new, trust, "").await
}

/// Makes an identity and its first device at a service that wants an invite of its operator.
///
/// # Errors
/// As [`init`]; [`AgentError::Refused`] with `INVITE_INVALID` when the invite is none of this
/// service, expired, or was used for another identity.
pub async fn init_invited(
    new: &NewDevice,
    trust: Trust,
    invite: &str,
) -> Result<Enrolled, AgentError> {
    let vault = Vault::lock_free(&new.home)?;
    let secured = vault.secured(&new.security)?;
    let services = IdentityServices::new(new.identity_urls.clone(), secured);
    let (client, deployment) = services.deployment().await?;
    check_trust(trust, &deployment.genesis)?;
    let fresh = Zeroizing::new(rand::random());
    incept(&vault, new, (client, deployment), &fresh, invite).await
}

/// Registers the identity of a root key, the folder's own or else that of a seed, with a first
/// device.
pub(crate) async fn incept(
    vault: &Vault,
    new: &NewDevice,
    (mut client, deployment): (IdentityClient, Deployment),
    root_seed: &[u8; 32],
    invite: &str,
) -> Result<Enrolled, AgentError> {
    let root = vault.root_key(*root_seed)?;
    let next_root = vault.next_root_key(rand::random())?;
    let key = vault.device_key(rand::random())?;
    let identity = root.public_key().identity_id();
    let ledger_id = deployment.genesis.ledger_id();
    let certificate = Certificate::sign(ledger_id, &key, &describe(identity, &new.name))?;
    let body = StatementBody {
        identity,
        position: 1,
        expected_head: LogHash::ZERO,
        act: Act::Incept {
            next_root_hash: next_key_hash(&next_root.public_key()),
            genesis: Box::new(deployment.genesis.clone()),
            certificate: Box::new(certificate),
        },
    };
    let statement = Statement::sign(ledger_id, &body, &[SigningAs::Root(&root)])?;
    let receipted = client.register(statement.bytes().clone(), invite).await?;
    let membership = new.membership(identity, deployment)?;
    let device = key.public_key().device_id();
    settle(vault, &membership, device, &[receipted]).await
}

/// Makes a further device of an identity, with the code or link that a linked device shows.
/// `new.identity_urls` are used when the invitation has none. `show` is given the number for the
/// person, who types it at the linked device.
///
/// # Errors
/// As [`init`], and [`AgentError::LinkEnded`], also when the person did not let it in.
pub async fn join(
    new: &NewDevice,
    invitation: &Invitation,
    trust: Trust,
    show: impl FnOnce(&Confirmation),
) -> Result<Enrolled, AgentError> {
    let vault = Vault::lock_free(&new.home)?;
    let dialled = invitation.addresses(&new.identity_urls);
    let services = IdentityServices::new(dialled.clone(), vault.secured(&new.security)?);
    let (mut client, deployment) = services.deployment().await?;
    let (identity_urls, ledger_urls) = deployment.places(&dialled, new.ledger_urls.as_ref())?;
    let key = Arc::new(vault.device_key(rand::random())?);
    let link = link::join(&mut client, invitation).await?;
    // Who sealed the offer knows the code, which is as good as the ledger id in the link.
    let expected = invitation.ledger_id.map_or(trust, Trust::Ledger);
    let asked = link.ask(
        invitation,
        &key,
        rand::random(),
        |identity| describe(identity, &new.name),
        |genesis| check_trust(expected, genesis),
        show,
    );
    let (genesis, identity) = asked.await?;
    let caller = Caller {
        ledger_id: genesis.ledger_id(),
        identity,
        key: CallerKey::Device(key.clone()),
    };
    let statements = client.authenticate(&caller).await?.log_after(0).await?;
    let membership = Membership {
        identity,
        genesis,
        identity_urls,
        ledger_urls,
    };
    settle(
        &vault,
        &membership,
        key.public_key().device_id(),
        &statements,
    )
    .await
}

/// Makes a further device in a home folder whose device lost its place to a copy of it, with the
/// code or link that a linked device shows. The new one goes on in the old one's lineage, and what
/// the old one had told nobody is recorded under the new key. `security` as in [`Options`](crate::Options).
///
/// # Errors
/// As [`join`]; [`HomeError::Empty`] when no device lives in the folder;
/// [`AgentError::LinkEnded`] also when the device was revoked, whose lineage has ended.
pub async fn rejoin(
    home: &Path,
    invitation: &Invitation,
    security: &Security,
    show: impl FnOnce(&Confirmation),
) -> Result<Enrolled, AgentError> {
    let vault = Vault::lock(home)?;
    let (membership, keys) = vault.open()?;
    let store = open_store(&vault)?;
    let known = Book::log_of(&store, &membership).await?;
    let (key, successor) = current(keys, &known.log).ok_or_else(|| vault.without_key())?;
    let new = match successor {
        Some(successor) => successor,
        None => Arc::new(vault.next_device_key(rand::random())?),
    };
    let old = key.public_key().device_id();
    let record = known.log.device(&old).cloned();
    let mut book = Book::open(store, key, known).await?;
    let dialled = invitation.addresses(&membership.identity_urls);
    let services = IdentityServices::new(dialled, vault.secured(security)?);
    let (mut client, _) = services.deployment().await?;
    let link = link::join(&mut client, invitation).await?;
    let name = record.map_or_else(String::new, |record| record.name);
    let asked = link.ask(
        invitation,
        &new,
        rand::random(),
        |identity| Description {
            replaces: Some(old),
            ..describe(identity, &name)
        },
        |genesis| check_trust(Trust::Ledger(membership.genesis.ledger_id()), genesis),
        show,
    );
    let (genesis, identity) = asked.await?;
    if identity != membership.identity {
        let what = "the code is of another identity than the device here";
        return Err(AgentError::Untrusted(what.to_owned()));
    }
    let caller = Caller {
        ledger_id: genesis.ledger_id(),
        identity,
        key: CallerKey::Device(new.clone()),
    };
    let mut session = client.authenticate(&caller).await?;
    let gained = session.log_after(book.log().head().position).await?;
    book.adopt(&gained).await?;
    book.save_revoked(None).await?;
    Ok(Enrolled {
        identity,
        device: new.public_key().device_id(),
        ledger_id: genesis.ledger_id(),
        name,
    })
}

/// The key of the device here, which is the last that the log knows, and the one after it that
/// was made to take its place, if there is one.
pub(crate) fn current(
    mut keys: Vec<SecretKey>,
    log: &IdentityLog,
) -> Option<(Arc<SecretKey>, Option<Arc<SecretKey>>)> {
    let in_log = |key: &SecretKey| log.device(&key.public_key().device_id()).is_some();
    let known = keys.iter().rposition(in_log).unwrap_or(0);
    let successor = keys.drain((known + 1).min(keys.len())..).next_back();
    Some((Arc::new(keys.pop()?), successor.map(Arc::new)))
}

pub(crate) fn check_trust(trust: Trust, genesis: &Genesis) -> Result<(), AgentError> {
    match trust {
        Trust::Ledger(expected) if expected != genesis.ledger_id() => {
            Err(AgentError::Untrusted(format!(
                "the service is of ledger {}, not {expected}",
                genesis.ledger_id()
            )))
        }
        Trust::Ledger(_) | Trust::FirstUse => Ok(()),
    }
}

pub(crate) fn describe(identity: IdentityId, name: &str) -> Description {
    let platform = format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH);
    Description {
        identity,
        name: name.to_owned(),
        platform,
        replaces: None,
    }
}

/// Stores the log, which must hold the device, and occupies the folder last.
pub(crate) async fn settle(
    vault: &Vault,
    membership: &Membership,
    device: DeviceId,
    statements: &[ReceiptParts],
) -> Result<Enrolled, AgentError> {
    let store = open_store(vault)?;
    let empty = IdentityLog::empty(membership.genesis.clone(), membership.identity);
    let known = edge_ledger_store::log_view::read_log(
        &store,
        &membership.genesis,
        membership.identity,
        None,
    )
    .await?;
    let log = known.map_or(empty, |view| (*view.log).clone());
    adopt_into(&store, &log, statements).await?;
    let view = edge_ledger_store::log_view::read_log(
        &store,
        &membership.genesis,
        membership.identity,
        None,
    )
    .await?;
    let record = view.and_then(|view| view.log.device(&device).cloned());
    let Some(DeviceRecord { name, .. }) = record else {
        let what = "the log that was sent does not hold this device";
        return Err(AgentError::Untrusted(what.to_owned()));
    };
    vault.occupy(membership)?;
    Ok(Enrolled {
        identity: membership.identity,
        device,
        ledger_id: membership.genesis.ledger_id(),
        name,
    })
}

pub(crate) fn open_store(vault: &Vault) -> Result<Embedded, HomeError> {
    let path = vault.store_path();
    Embedded::open(&path).map_err(|error| match error {
        OpenError::InUse(path) => HomeError::InUse(path.display().to_string()),
        OpenError::Io { path, source } => HomeError::Io {
            path: path.display().to_string(),
            why: source,
        },
        error @ (OpenError::Damaged { .. } | OpenError::Newer(_)) => HomeError::Damaged {
            path: path.display().to_string(),
            why: error.to_string(),
        },
    })
}
