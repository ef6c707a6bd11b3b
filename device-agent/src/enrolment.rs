//! Devices that join without a person: an admin device lets an enrolment key add a number of them,
//! and each machine signs itself in with the token that holds the key.
//!
//! It can be interrupted and run again, as `join` can: the device's key is kept, and one that is in
//! the log already is not added twice, whatever became of the token meanwhile.

mod token;

use std::sync::Arc;
use std::time::Duration;

use edge_ledger_core::identity::log::EnrolmentRecord;
use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{Act, Certificate, IdentityLog};
use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::keys::SecretKey;

pub use token::{EnrolmentToken, TokenError};

use crate::devices::{AddedBy, added_by};
use crate::enrol::{Enrolled, NewDevice, Trust, check_trust, describe, settle};
use crate::error::{AgentError, ENROLMENT_ENDED};
use crate::identity_client::{Caller, CallerKey, IdentityClient, IdentitySession};
use crate::identity_services::IdentityServices;
use crate::statement;
use crate::vault::{Membership, Vault};

/// What an enrolment key may do, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// Its name, for people: 1 to 64 bytes.
    pub name: String,
    /// How many devices it may add, 1 to 64.
    pub uses: u32,
    /// How long it may add them, by the clock of the service: at most 366 days.
    pub life: Duration,
}

/// What the log says about one enrolment key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolmentInfo {
    /// The id that its key would have as a device.
    pub id: DeviceId,
    /// Its name.
    pub name: String,
    /// How many devices it may add.
    pub uses: u32,
    /// How many it has added.
    pub used: u32,
    /// Service time after which it adds none, in milliseconds since 1970.
    pub expires_ms: i64,
    /// Whether it was ended, by a statement or with who made it.
    pub ended: bool,
    /// Log position of the statement that made it.
    pub added_at: u64,
    /// Who made it.
    pub added_by: AddedBy,
}

impl EnrolmentInfo {
    pub(crate) fn new(record: &EnrolmentRecord, log: &IdentityLog) -> Self {
        Self {
            id: record.key.device_id(),
            name: record.name.clone(),
            uses: record.uses,
            used: record.used,
            expires_ms: record.expires_ms,
            ended: record.ended,
            added_at: record.added_at,
            added_by: added_by(log, record.added_at),
        }
    }

    /// Whether it can add a device at a service time, in milliseconds since 1970.
    pub fn is_open(&self, now_ms: i64) -> bool {
        !self.ended && self.used < self.uses && now_ms <= self.expires_ms
    }
}

/// Makes a further device of an identity, with a token and without a person. Only the deployment
/// that the token names is trusted. `new.identity_urls` say where to ask;
/// [`EnrolmentToken::identity_urls`] are where its maker finds the service.
///
/// When many machines join at once, each signs again at the end of the log until it has its place.
///
/// # Errors
/// As [`init`](crate::init); [`AgentError::Refused`] with `ENROLMENT_ENDED` when the token has
/// expired, is used up or was revoked, or with `DEVICE_LIMIT`; [`AgentError::UnknownEnrolment`].
pub async fn join_by_token(
    new: &NewDevice,
    token: &EnrolmentToken,
) -> Result<Enrolled, AgentError> {
    let vault = Vault::lock_free(&new.home)?;
    let secured = vault.secured(&new.security)?;
    let services = IdentityServices::new(new.identity_urls.clone(), secured);
    let (client, deployment) = services.deployment().await?;
    let (identity_urls, ledger_urls) =
        deployment.places(&new.identity_urls, new.ledger_urls.as_ref())?;
    let genesis = deployment.genesis;
    check_trust(Trust::Ledger(token.ledger_id()), &genesis)?;
    let key = Arc::new(vault.device_key(rand::random())?);
    let device = key.public_key().device_id();
    let joining = Joining {
        token,
        key,
        services,
    };
    let mut session = joining.session(client).await?;
    let description = describe(token.identity(), &new.name);
    let certificate = Certificate::sign(token.ledger_id(), &joining.key, &description)?;
    let statements = statement::append(
        &mut session,
        &IdentityLog::empty(genesis.clone(), token.identity()),
        |log| log.device(&device).is_some(),
        |_| Act::AddDevice {
            certificate: Box::new(certificate.clone()),
            admin: false,
        },
        &[SigningAs::Enrolment(token.key())],
    )
    .await?;
    let membership = Membership {
        identity: token.identity(),
        genesis,
        identity_urls,
        ledger_urls,
    };
    settle(&vault, &membership, device, &statements).await
}

/// A machine on its way in.
struct Joining<'a> {
    token: &'a EnrolmentToken,
    key: Arc<SecretKey>,
    services: IdentityServices,
}

impl Joining<'_> {
    /// A session of the enrolment key; or of the device, if it is in the log already and the
    /// answer was lost, since the key may be used up by it.
    async fn session(&self, client: IdentityClient) -> Result<IdentitySession, AgentError> {
        let ended = match client
            .authenticate(&self.caller(self.token.shared_key()))
            .await
        {
            Err(AgentError::Refused(refusal)) if refusal.reason == ENROLMENT_ENDED => refusal,
            // The challenge was fresh and the proof is right: what is missing is the key in the log.
            Err(AgentError::Refused(refusal)) if refusal.reason == "CHALLENGE_INVALID" => {
                return Err(AgentError::UnknownEnrolment);
            }
            session => return session,
        };
        match self.services.sign_in(&self.caller(self.key.clone())).await {
            Err(AgentError::Refused(refusal)) if refusal.reason == "CHALLENGE_INVALID" => {
                Err(AgentError::Refused(ended))
            }
            session => session,
        }
    }

    fn caller(&self, key: Arc<SecretKey>) -> Caller {
        Caller {
            ledger_id: self.token.ledger_id(),
            identity: self.token.identity(),
            key: CallerKey::Device(key),
        }
    }
}
