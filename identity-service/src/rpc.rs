//! The calls: each reads its request into the domain's types, asks one room, and answers.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use edge_ledger_chassis::{Clock, Leaving, Reason, Signing, refusal};
use edge_ledger_core::identity::Purpose;
use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_core::ids::IdentityId;
use edge_ledger_core::keys::PublicKey;
use edge_ledger_proto::identity as wire;
use edge_ledger_proto::identity::identity_service_server::IdentityService;
use futures::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

use crate::announcements::{Announcements, Topic};
use crate::authn::{Answer, Authn, Caller};
use crate::limits::SESSION_LIFE_MS;
use crate::link::{Answers, Links};
use crate::log::Logs;
use crate::rates::Rates;
use crate::registration::Door;
use crate::watch::Watch;
use crate::{devices, refusals};

/// The identity service behind its contract.
pub(crate) struct Rpc {
    pub(crate) authn: Arc<Authn>,
    pub(crate) logs: Arc<Logs>,
    pub(crate) links: Links,
    pub(crate) rates: Arc<Rates>,
    pub(crate) door: Door,
    pub(crate) announcements: Announcements,
    pub(crate) signer: Signing,
    pub(crate) ledger_urls: Vec<String>,
    pub(crate) identity_urls: Vec<String>,
    pub(crate) clock: Clock,
}

type Answered<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl IdentityService for Rpc {
    type WatchLogStream =
        Pin<Box<dyn Stream<Item = Result<wire::WatchLogResponse, Status>> + Send>>;
    type LinkStream = Answers;

    async fn get_deployment(
        &self,
        _: Request<wire::GetDeploymentRequest>,
    ) -> Answered<wire::GetDeploymentResponse> {
        Ok(Response::new(wire::GetDeploymentResponse {
            genesis: self.logs.genesis().bytes().clone(),
            certificate: Some(self.signer.current().certificate().into()),
            ledger_urls: self.ledger_urls.clone(),
            identity_urls: self.identity_urls.clone(),
        }))
    }

    async fn get_challenge(
        &self,
        request: Request<wire::GetChallengeRequest>,
    ) -> Answered<wire::GetChallengeResponse> {
        let (_, extensions, request) = request.into_parts();
        self.rates.challenges.admit(&extensions)?;
        // An identity is a public key: one that no signature could come from is none.
        let identity = key(&request.identity)?.identity_id();
        let device = key(&request.public_key)?.device_id();
        let purpose = wire::ChallengePurpose::try_from(request.purpose).ok();
        let purpose = purpose.and_then(|purpose| Purpose::try_from(purpose).ok());
        let purpose =
            purpose.ok_or_else(|| refusal(Reason::BadMessage, "the purpose is unknown"))?;
        let given = self
            .authn
            .challenge(&extensions, identity, device, purpose)?;
        Ok(Response::new(wire::GetChallengeResponse {
            challenge: given.challenge,
            sealed: given.sealed,
        }))
    }

    async fn authenticate(
        &self,
        request: Request<wire::AuthenticateRequest>,
    ) -> Answered<wire::AuthenticateResponse> {
        let (_, extensions, request) = request.into_parts();
        self.rates.proofs.admit(&extensions)?;
        let answer = Answer {
            sealed: &request.sealed,
            key: key(&request.public_key)?,
            proof: &request.proof,
        };
        let token = self.authn.authenticate(&extensions, answer).await?;
        Ok(Response::new(wire::AuthenticateResponse {
            token: token.to_string(),
            expires_in_s: u32::try_from(SESSION_LIFE_MS / 1_000).unwrap_or(0),
        }))
    }

    async fn register(
        &self,
        request: Request<wire::RegisterRequest>,
    ) -> Answered<wire::RegisterResponse> {
        self.rates.registrations.admit(request.extensions())?;
        let wire::RegisterRequest { statement, invite } = request.into_inner();
        let admit = self.door.admit(&invite);
        let parts = self.logs.register(statement, admit).await?;
        Ok(Response::new(wire::RegisterResponse {
            statement: Some(parts.into()),
        }))
    }

    async fn get_log(
        &self,
        request: Request<wire::GetLogRequest>,
    ) -> Answered<wire::GetLogResponse> {
        let caller = self.authn.caller(request.metadata()).await?;
        let request = request.into_inner();
        own(&caller, &request.identity)?;
        let page = self.logs.page(&caller.view.log, request.after_position);
        Ok(Response::new(wire::GetLogResponse {
            statements: page.statements.into_iter().map(Into::into).collect(),
            more: page.more,
        }))
    }

    async fn watch_log(
        &self,
        request: Request<wire::WatchLogRequest>,
    ) -> Answered<Self::WatchLogStream> {
        let (metadata, extensions, message) = request.into_parts();
        let identity = identity(&message.identity)?;
        // Before the log is read, so that no change falls between.
        let waiter = self.announcements.wait_for(Topic::Log(identity));
        let caller = self.authn.caller(&metadata).await?;
        own(&caller, &message.identity)?;
        let (logs, clock) = (Arc::clone(&self.logs), self.clock.clone());
        let leaving = Leaving::of(&extensions);
        let watch = Watch::new(logs, clock, leaving, waiter, caller, message.after_position);
        let respond = |parts: ReceiptParts| wire::WatchLogResponse {
            statement: Some(parts.into()),
        };
        let stream = watch.into_stream().map(move |parts| parts.map(respond));
        Ok(Response::new(Box::pin(stream)))
    }

    async fn append_statement(
        &self,
        request: Request<wire::AppendStatementRequest>,
    ) -> Answered<wire::AppendStatementResponse> {
        let caller = self.authn.caller(request.metadata()).await?;
        let statement = request.into_inner().statement;
        let parts = self.logs.append(caller.session.identity, statement).await?;
        Ok(Response::new(wire::AppendStatementResponse {
            statement: Some(parts.into()),
        }))
    }

    async fn list_devices(
        &self,
        request: Request<wire::ListDevicesRequest>,
    ) -> Answered<wire::ListDevicesResponse> {
        let caller = self.authn.caller(request.metadata()).await?;
        own(&caller, &request.into_inner().identity)?;
        Ok(Response::new(wire::ListDevicesResponse {
            devices: devices::list(&caller.view.log),
        }))
    }

    async fn link(&self, request: Request<Streaming<wire::LinkRequest>>) -> Answered<Answers> {
        Ok(Response::new(self.links.relay(request)))
    }
}

fn key(bytes: &Bytes) -> Result<PublicKey, Status> {
    PublicKey::from_bytes(bytes).map_err(refusals::key)
}

fn identity(bytes: &Bytes) -> Result<IdentityId, Status> {
    IdentityId::try_from(&bytes[..])
        .map_err(|_| refusal(Reason::KeyFormat, "an identity has 32 bytes"))
}

/// Checks that a request is about the caller's identity.
fn own(caller: &Caller, requested: &Bytes) -> Result<(), Status> {
    if identity(requested)? == caller.session.identity {
        Ok(())
    } else {
        Err(refusals::not_yours())
    }
}
