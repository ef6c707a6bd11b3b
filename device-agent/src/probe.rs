//! Looks at a home folder and at services without being a device: for whoever wants to know what
//! is wrong.

mod certificate;

use std::path::Path;

use bytes::Bytes;
use edge_ledger_core::identity::{Challenge, Genesis, ServiceCertificate};
use edge_ledger_core::ids::{DeviceId, IdentityId, LedgerId};
use edge_ledger_core::keys::{SecretKey, Signature};
use edge_ledger_core::limits::CHALLENGE_LIFE_MS;
use edge_ledger_core::sync::Frame;
use edge_ledger_proto::identity as pb;
use tonic::Status;
use tonic::transport::Channel;

pub use certificate::certificate;

use crate::addresses::Addresses;
use crate::clock::Clock;
use crate::error::{AgentError, HomeError};
use crate::health::takes_work;
use crate::identity_client::{
    IdentityClient, authority, connect, from_first_status, from_status, timed,
};
use crate::limits::LIVE_WITHIN;
use crate::security::{Secured, Security};
use crate::stream;
use crate::vault;

/// What a home folder says of its device. It is read, not locked: an agent may be running.
#[derive(Debug, Clone)]
pub struct Home {
    /// The identity.
    pub identity: IdentityId,
    /// The device, by its key.
    pub device: DeviceId,
    /// The deployment, which its id and its service keys follow from.
    pub genesis: Genesis,
    /// Addresses of the identity service.
    pub identity_urls: Addresses,
    /// Addresses of the ledger service.
    pub ledger_urls: Addresses,
}

/// Reads a home folder.
///
/// # Errors
/// [`HomeError::Empty`] when no device lives there, [`HomeError::Damaged`], [`HomeError::Io`].
pub fn home(folder: &Path) -> Result<Home, HomeError> {
    let (membership, keys) = vault::read(folder)?;
    let key = keys
        .last()
        .ok_or_else(|| HomeError::Empty(folder.display().to_string()))?;
    Ok(Home {
        identity: membership.identity,
        device: key.public_key().device_id(),
        genesis: membership.genesis,
        identity_urls: membership.identity_urls,
        ledger_urls: membership.ledger_urls,
    })
}

/// How a device's connections are secured.
#[derive(Clone)]
#[expect(
    missing_debug_implementations,
    reason = "nobody wants to read certificates"
)]
pub struct Way(Secured);

/// How connections are secured: as given, or else as a home folder keeps it.
///
/// # Errors
/// [`HomeError`] when a file cannot be read, or does not hold what it should.
pub fn way(folder: &Path, security: &Security) -> Result<Way, HomeError> {
    Ok(Way(vault::secured_of(folder, security)?))
}

/// What an identity service says of itself, proven by its certificate.
#[derive(Debug, Clone)]
pub struct Site {
    /// The deployment.
    pub genesis: Genesis,
    /// The deployment's id.
    pub ledger_id: LedgerId,
    /// Addresses of the ledger service as devices should dial them, if it tells any.
    pub ledger_urls: Option<Addresses>,
    /// Further addresses of the identity service, likewise.
    pub identity_urls: Option<Addresses>,
    /// Serial of the service key that it signs with.
    pub key_serial: u64,
    /// How far the service's clock is ahead of this machine's, in milliseconds, by the expiry of
    /// a challenge: to be shown, and for nothing else.
    pub clock_ahead_ms: i64,
}

/// Asks an identity service who it is and how late it is.
///
/// # Errors
/// [`AgentError::Unreachable`], [`AgentError::Refused`], and [`AgentError::Untrusted`] when its
/// certificate does not fit its genesis.
pub async fn identity_service(url: &str, way: &Way) -> Result<Site, AgentError> {
    let mut client = IdentityClient::connect(url, &way.0).await?;
    let refused = |status| from_status("identity", url, &status);
    let deployment = client
        .rpc()
        .get_deployment(timed(pb::GetDeploymentRequest {}))
        .await;
    let deployment = match deployment {
        Ok(deployment) => deployment.into_inner(),
        Err(status) => return Err(client.refused_first(&status).await),
    };
    let genesis = Genesis::decode(deployment.genesis)?;
    let certificate = deployment.certificate.unwrap_or_default();
    let signature = Signature::try_from(&certificate.signature[..])
        .map_err(|error| AgentError::Untrusted(error.to_string()))?;
    let certificate = ServiceCertificate::verify(&genesis, certificate.body, signature)?;
    // Challenges are given to anybody, also to a key that nobody knows.
    let stranger = SecretKey::from_seed(rand::random()).public_key();
    let request = pb::GetChallengeRequest {
        identity: Bytes::copy_from_slice(stranger.identity_id().as_bytes()),
        public_key: Bytes::copy_from_slice(stranger.as_bytes()),
        purpose: pb::ChallengePurpose::Identity.into(),
    };
    let clock = Clock::start();
    let given = client.rpc().get_challenge(timed(request)).await;
    let given = given.map_err(refused)?.into_inner();
    let challenge = Challenge::decode(&given.challenge)?;
    // The answer was made about half-way.
    let half_ms = i64::try_from(clock.monotonic_ms() / 2).unwrap_or(0);
    let here_ms = clock.wall_ms().saturating_sub(half_ms);
    let there_ms = challenge.expires_ms.saturating_sub(CHALLENGE_LIFE_MS);
    Ok(Site {
        ledger_id: genesis.ledger_id(),
        genesis,
        ledger_urls: Addresses::told(deployment.ledger_urls),
        identity_urls: Addresses::told(deployment.identity_urls),
        key_serial: certificate.serial(),
        clock_ahead_ms: there_ms.saturating_sub(here_ms),
    })
}

/// Opens a stream to a ledger service and checks its greeting: that it is of the deployment, and
/// was meant. Says the serial of its service key.
///
/// # Errors
/// [`AgentError::Unreachable`], [`AgentError::Refused`], [`AgentError::Untrusted`].
pub async fn ledger_service(url: &str, way: &Way, genesis: &Genesis) -> Result<u64, AgentError> {
    let silent = || AgentError::Unreachable {
        service: "ledger",
        url: url.to_owned(),
        why: "it does not greet".to_owned(),
    };
    // The other half is kept: a stream that is closed is not greeted.
    let stream::Stream {
        mut inbound,
        outbound: _outbound,
    } = stream::open(url, None, &way.0).await?;
    let first = tokio::time::timeout(LIVE_WITHIN, stream::next_frame(&mut inbound)).await;
    let first = first.map_err(|_| silent())?;
    match first.map_err(|status| from_status("ledger", url, &status))? {
        Some(Frame::Greeting(greeting)) => {
            let checked = greeting.check(genesis, &authority("ledger", url)?);
            let certificate = checked.map_err(|error| AgentError::Untrusted(error.to_string()))?;
            Ok(certificate.serial())
        }
        Some(other) => Err(AgentError::Untrusted(format!(
            "it greets with {}",
            other.name()
        ))),
        None => Err(silent()),
    }
}

/// A connection to something that answers beside the services, such as their operator listener.
///
/// # Errors
/// [`AgentError::Unreachable`], [`AgentError::Tls`].
pub async fn connection(name: &'static str, url: &str, way: &Way) -> Result<Channel, AgentError> {
    let watched = connect(name, url, &way.0).await?;
    Ok(watched.inner().clone())
}

/// What the status of a call on such a connection means.
pub async fn meaning(name: &'static str, url: &str, way: &Way, status: &Status) -> AgentError {
    from_first_status(name, url, &way.0, status).await
}

/// Whether a service (`identity`, `ledger`) says that it takes work (`grpc.health.v1`).
///
/// # Errors
/// [`AgentError::Unreachable`], [`AgentError::Tls`], [`AgentError::Refused`].
pub async fn health(service: &'static str, url: &str, way: &Way) -> Result<bool, AgentError> {
    let said = takes_work(connect(service, url, &way.0).await?).await;
    said.map_err(|status| from_status(service, url, &status))
}
