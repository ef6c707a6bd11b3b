//! Calls of the identity service.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_core::identity::{Challenge, Genesis, Purpose};
use edge_ledger_core::ids::{IdentityId, LedgerId};
use edge_ledger_core::keys::{PublicKey, SecretKey, Signature};
use edge_ledger_core::limits::CHALLENGE_LIFE_MS;
use edge_ledger_proto::DESCRIPTOR_SET;
use edge_ledger_proto::identity as pb;
use edge_ledger_proto::identity::identity_service_client::IdentityServiceClient;
use edge_ledger_telemetry::rpc::{ClientSpans, Methods};
use tonic::transport::Endpoint;
use tonic::{Request, Status};
use tonic_types::StatusExt as _;

use crate::addresses::Addresses;
use crate::error::{AgentError, Refusal, VERSION_CONFLICT};
use crate::limits::{CALL_WITHIN, CONNECT_WITHIN, KEEPALIVE_EVERY, KEEPALIVE_WITHIN};
use crate::security::Secured;
use crate::tls::{self, root_cause};

/// A connection to a service, whose calls are watched.
pub(crate) type Channel = ClientSpans<tonic::transport::Channel>;

/// The methods that the services have.
static METHODS: LazyLock<Methods> = LazyLock::new(|| Methods::new(DESCRIPTOR_SET));

/// The host and port of an address, as HTTP names them.
///
/// # Errors
/// [`AgentError::Unreachable`] for an address without a host.
pub(crate) fn authority(service: &'static str, url: &str) -> Result<String, AgentError> {
    let uri: Option<http::Uri> = url.parse().ok();
    let authority = uri
        .as_ref()
        .and_then(http::Uri::authority)
        .map(ToString::to_string);
    authority.ok_or_else(|| AgentError::Unreachable {
        service,
        url: url.to_owned(),
        why: "the address has no host; it looks like http://127.0.0.1:7420".to_owned(),
    })
}

/// Opens a connection, over TLS to an address of `https`.
pub(crate) async fn connect(
    service: &'static str,
    url: &str,
    secured: &Secured,
) -> Result<Channel, AgentError> {
    let unreachable = |why: &dyn std::fmt::Display| AgentError::Unreachable {
        service,
        url: url.to_owned(),
        why: why.to_string(),
    };
    authority(service, url)?;
    let endpoint = Endpoint::from_shared(url.to_owned())
        .map_err(|e| unreachable(&e))?
        .connect_timeout(CONNECT_WITHIN)
        .http2_keep_alive_interval(KEEPALIVE_EVERY)
        .keep_alive_timeout(KEEPALIVE_WITHIN)
        .keep_alive_while_idle(true)
        .tcp_nodelay(true);
    let without_tls = |problem| AgentError::Tls {
        service,
        url: url.to_owned(),
        problem,
    };
    let endpoint = secured.apply(endpoint).map_err(without_tls)?;
    let error = match endpoint.connect().await {
        Ok(channel) => return Ok(ClientSpans::new(channel, METHODS.clone())),
        Err(error) => error,
    };
    let problem = match tls::problem(url, &error) {
        Some(problem) => Some(problem),
        None => secured.refusal_at(url).await,
    };
    Err(problem.map_or_else(|| unreachable(&root_cause(&error)), without_tls))
}

/// Reasons that pass by themselves, beside those that their code says it of.
const PASSING: [&str; 4] = [
    "OVERLOADED",
    "RATE_LIMITED",
    "SLOW_CONSUMER",
    "STORAGE_FULL",
];

/// What a status means to a caller: a typed refusal is final, anything else may pass later.
pub(crate) fn from_status(service: &'static str, url: &str, status: &Status) -> AgentError {
    let reason = status.get_details_error_info().map(|info| info.reason);
    let passing = matches!(
        status.code(),
        tonic::Code::Unavailable | tonic::Code::DeadlineExceeded | tonic::Code::Aborted
    ) || reason
        .as_ref()
        .is_some_and(|reason| PASSING.contains(&reason.as_str()));
    if reason.is_none()
        && let Some(problem) = tls::problem(url, status)
    {
        return AgentError::Tls {
            service,
            url: url.to_owned(),
            problem,
        };
    }
    match reason {
        Some(reason) if !passing => AgentError::Refused(Refusal {
            reason,
            message: status.message().to_owned(),
        }),
        _ => AgentError::Unreachable {
            service,
            url: url.to_owned(),
            why: if status.message().is_empty() {
                status.code().to_string()
            } else {
                status.message().to_owned()
            },
        },
    }
}

/// What a status means that ended the first call of a connection: its cause may be that the service
/// speaks TLS, and was dialled without, or that it does not let in this device.
pub(crate) async fn from_first_status(
    service: &'static str,
    url: &str,
    secured: &Secured,
    status: &Status,
) -> AgentError {
    let error = from_status(service, url, status);
    let has_reason = status.get_details_error_info().is_some();
    if has_reason || matches!(error, AgentError::Tls { .. }) {
        return error;
    }
    let problem = if tls::is_spoken_at(url).await {
        Some(tls::TlsProblem::TlsService)
    } else {
        secured.refusal_at(url).await
    };
    match problem {
        Some(problem) => AgentError::Tls {
            service,
            url: url.to_owned(),
            problem,
        },
        None => error,
    }
}

/// A deployment as its identity service describes it; the genesis proves its id.
#[derive(Debug, Clone)]
pub(crate) struct Deployment {
    pub(crate) genesis: Genesis,
    /// Addresses of its ledger service, where it tells any.
    pub(crate) ledger_urls: Option<Addresses>,
    /// Further addresses of the identity service.
    pub(crate) identity_urls: Option<Addresses>,
}

impl Deployment {
    /// Where a device finds both services from now on: the identity service where it was dialled,
    /// and wherever else it is, the ledger service where the device was told.
    ///
    /// # Errors
    /// [`AgentError::Untrusted`] when nobody says where the ledger service is.
    pub(crate) fn places(
        &self,
        dialled: &Addresses,
        ledger_urls: Option<&Addresses>,
    ) -> Result<(Addresses, Addresses), AgentError> {
        let nowhere = "the service does not say where the ledger service is";
        let ledger_urls = ledger_urls.or(self.ledger_urls.as_ref()).cloned();
        let ledger_urls = ledger_urls.ok_or_else(|| AgentError::Untrusted(nowhere.to_owned()))?;
        Ok((dialled.and(self.identity_urls.as_ref()), ledger_urls))
    }
}

/// A connection to the identity service.
pub(crate) struct IdentityClient {
    url: String,
    secured: Secured,
    channel: Channel,
    rpc: IdentityServiceClient<Channel>,
}

/// Who calls.
pub(crate) struct Caller {
    pub(crate) ledger_id: LedgerId,
    pub(crate) identity: IdentityId,
    pub(crate) key: CallerKey,
}

/// What it proves itself with.
pub(crate) enum CallerKey {
    /// A device's, or an enrolment key.
    Device(Arc<SecretKey>),
    Root(Arc<SecretKey>),
}

impl CallerKey {
    fn public_key(&self) -> PublicKey {
        match self {
            Self::Device(key) | Self::Root(key) => key.public_key(),
        }
    }

    fn prove(&self, ledger_id: LedgerId, challenge: &[u8]) -> Signature {
        match self {
            Self::Device(key) => Challenge::prove(ledger_id, challenge, key),
            Self::Root(key) => Challenge::prove_root(ledger_id, challenge, key),
        }
    }
}

/// A session of the identity service.
pub(crate) struct IdentitySession {
    client: IdentityClient,
    identity: IdentityId,
    token: String,
    began_ms: i64,
}

impl IdentityClient {
    pub(crate) async fn connect(url: &str, secured: &Secured) -> Result<Self, AgentError> {
        let channel = connect("identity", url, secured).await?;
        Ok(Self::over(channel, url, secured))
    }

    pub(crate) fn over(channel: Channel, url: &str, secured: &Secured) -> Self {
        Self {
            url: url.to_owned(),
            secured: secured.clone(),
            rpc: IdentityServiceClient::new(channel.clone()),
            channel,
        }
    }

    /// The address that was dialled.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The connection, for the other calls of the same service.
    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub(crate) fn rpc(&mut self) -> &mut IdentityServiceClient<Channel> {
        &mut self.rpc
    }

    pub(crate) fn refused(&self, status: &Status) -> AgentError {
        from_status("identity", &self.url, status)
    }

    /// What a status means that ended the first call.
    pub(crate) async fn refused_first(&self, status: &Status) -> AgentError {
        from_first_status("identity", &self.url, &self.secured, status).await
    }

    pub(crate) async fn deployment(&mut self) -> Result<Deployment, AgentError> {
        let response = self
            .rpc
            .get_deployment(timed(pb::GetDeploymentRequest {}))
            .await;
        let response = match response {
            Ok(response) => response.into_inner(),
            Err(status) => return Err(self.refused_first(&status).await),
        };
        Ok(Deployment {
            genesis: Genesis::decode(response.genesis)?,
            ledger_urls: Addresses::told(response.ledger_urls),
            identity_urls: Addresses::told(response.identity_urls),
        })
    }

    pub(crate) async fn register(
        &mut self,
        statement: Bytes,
        invite: &str,
    ) -> Result<ReceiptParts, AgentError> {
        let invite = invite.to_owned();
        let response = self
            .rpc
            .register(timed(pb::RegisterRequest { statement, invite }))
            .await;
        let refused = |status: Status| {
            let reason = status.get_details_error_info().map(|info| info.reason);
            // The log begins with another statement, and will for ever.
            match reason.as_deref() {
                Some(VERSION_CONFLICT) => AgentError::IdentityExists,
                _ => self.refused(&status),
            }
        };
        receipted(response.map_err(refused)?.into_inner().statement)
    }

    /// The service's clock, in milliseconds since 1970: not later than it is, as a challenge lives no
    /// longer than it may.
    pub(crate) async fn clock_ms(&mut self, caller: &Caller) -> Result<i64, AgentError> {
        let (_, challenge) = self.challenge(caller).await?;
        Ok(given_ms(&challenge))
    }

    async fn challenge(
        &mut self,
        caller: &Caller,
    ) -> Result<(pb::GetChallengeResponse, Challenge), AgentError> {
        let request = pb::GetChallengeRequest {
            identity: Bytes::copy_from_slice(caller.identity.as_bytes()),
            public_key: Bytes::copy_from_slice(caller.key.public_key().as_bytes()),
            purpose: pb::ChallengePurpose::Identity.into(),
        };
        let given = match self.rpc.get_challenge(timed(request)).await {
            Ok(given) => given.into_inner(),
            Err(status) => return Err(self.refused_first(&status).await),
        };
        let challenge = Challenge::decode(&given.challenge)?;
        let meant = challenge.purpose == Purpose::Identity
            && challenge.identity == caller.identity
            && challenge.device == caller.key.public_key().device_id()
            && challenge.audience == authority("identity", &self.url)?;
        if !meant {
            return Err(AgentError::Untrusted(
                "the challenge is meant for somebody else".to_owned(),
            ));
        }
        Ok((given, challenge))
    }

    /// Proves the caller's key for this service and opens a session.
    pub(crate) async fn authenticate(
        mut self,
        caller: &Caller,
    ) -> Result<IdentitySession, AgentError> {
        let (given, challenge) = self.challenge(caller).await?;
        let proof = caller.key.prove(caller.ledger_id, &given.challenge);
        let request = pb::AuthenticateRequest {
            sealed: given.sealed,
            public_key: Bytes::copy_from_slice(caller.key.public_key().as_bytes()),
            proof: Bytes::copy_from_slice(proof.as_bytes()),
        };
        let opened = self
            .rpc
            .authenticate(timed(request))
            .await
            .map_err(|s| self.refused(&s))?
            .into_inner();
        Ok(IdentitySession {
            client: self,
            identity: caller.identity,
            token: opened.token,
            began_ms: given_ms(&challenge),
        })
    }
}

/// When a challenge was given, by its expiry.
fn given_ms(challenge: &Challenge) -> i64 {
    challenge.expires_ms.saturating_sub(CHALLENGE_LIFE_MS)
}

impl IdentitySession {
    /// The service's clock when the session was asked for, in milliseconds since 1970: what the
    /// rules of a log go by. Not later than it was, as a challenge lives no longer than it may.
    pub(crate) fn began_ms(&self) -> i64 {
        self.began_ms
    }

    /// All statements after a position.
    pub(crate) async fn log_after(
        &mut self,
        position: u64,
    ) -> Result<Vec<ReceiptParts>, AgentError> {
        let mut all = Vec::new();
        loop {
            let request = pb::GetLogRequest {
                identity: Bytes::copy_from_slice(self.identity.as_bytes()),
                after_position: position + all.len() as u64,
            };
            let request = self.signed_in(timed(request))?;
            let page = self
                .client
                .rpc
                .get_log(request)
                .await
                .map_err(|s| self.client.refused(&s))?
                .into_inner();
            let more = page.more && !page.statements.is_empty();
            for statement in page.statements {
                all.push(receipted(Some(statement))?);
            }
            if !more {
                return Ok(all);
            }
        }
    }

    pub(crate) async fn append(&mut self, statement: Bytes) -> Result<ReceiptParts, AgentError> {
        let request = self.signed_in(timed(pb::AppendStatementRequest { statement }))?;
        let response = self.client.rpc.append_statement(request).await;
        receipted(
            response
                .map_err(|s| self.client.refused(&s))?
                .into_inner()
                .statement,
        )
    }

    /// Adds the session's token to a request.
    pub(crate) fn signed_in<T>(&self, mut request: Request<T>) -> Result<Request<T>, AgentError> {
        let untrusted =
            |_| AgentError::Untrusted("the session token is no header value".to_owned());
        let mut value: tonic::metadata::MetadataValue<_> = format!("Bearer {}", self.token)
            .parse()
            .map_err(untrusted)?;
        value.set_sensitive(true);
        request.metadata_mut().insert("authorization", value);
        Ok(request)
    }

    pub(crate) fn client(&mut self) -> &mut IdentityClient {
        &mut self.client
    }
}

pub(crate) fn timed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL_WITHIN);
    request
}

pub(crate) fn receipted(
    statement: Option<pb::ReceiptedStatement>,
) -> Result<ReceiptParts, AgentError> {
    let statement =
        statement.ok_or_else(|| AgentError::Untrusted("the answer has no statement".to_owned()))?;
    ReceiptParts::try_from(statement).map_err(|e| AgentError::Untrusted(e.to_string()))
}
