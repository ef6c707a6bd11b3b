//! The calls: each reads its request into the domain's types, asks one room, and answers.

use std::pin::Pin;

use edge_ledger_chassis::{Reason, Tasks, refusal};
use edge_ledger_core::ids::IdentityId;
use edge_ledger_proto::admin as wire;
use edge_ledger_proto::admin::admin_service_server::AdminService;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::health::Health;
use crate::identities::Identities;
use crate::keys::Keys;
use crate::place::Place;
use crate::server::{About, Config};
use crate::{bounds, export, import};

/// The calls of operators behind their contract.
pub(crate) struct Rpc {
    about: About,
    health: Health,
    keys: Keys,
    identities: Identities,
    place: Place,
}

impl Rpc {
    pub(crate) fn new(config: Config, tasks: Tasks) -> Self {
        let place = Place {
            genesis: config.genesis.clone(),
            signer: config.signer.clone(),
            identities: config.identities.clone(),
            ledgers: config.ledgers.clone(),
            terms: config.terms.clone(),
            clock: config.clock.clone(),
            tasks,
        };
        Self {
            health: Health::new(&config),
            about: config.about,
            keys: Keys {
                signer: config.signer,
                rotates: config.rotates,
            },
            identities: Identities(place.clone()),
            place,
        }
    }
}

type Answered<T> = Result<Response<T>, Status>;
type Sent<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl AdminService for Rpc {
    type ExportStream = Sent<wire::ExportResponse>;
    type ImportStream = Sent<wire::ImportResponse>;

    async fn get_health(
        &self,
        _: Request<wire::GetHealthRequest>,
    ) -> Answered<wire::GetHealthResponse> {
        Ok(Response::new(self.health.now(&self.about)))
    }

    async fn list_keys(
        &self,
        _: Request<wire::ListKeysRequest>,
    ) -> Answered<wire::ListKeysResponse> {
        self.keys.list().await.map(Response::new)
    }

    async fn rotate_service_key(
        &self,
        _: Request<wire::RotateServiceKeyRequest>,
    ) -> Answered<wire::RotateServiceKeyResponse> {
        self.keys.rotate().await.map(Response::new)
    }

    async fn list_limits(
        &self,
        _: Request<wire::ListLimitsRequest>,
    ) -> Answered<wire::ListLimitsResponse> {
        Ok(Response::new(bounds::list(&self.about)))
    }

    async fn get_identity(
        &self,
        request: Request<wire::GetIdentityRequest>,
    ) -> Answered<wire::GetIdentityResponse> {
        let request = request.into_inner();
        let identity = identity(&request.identity)?;
        let shown = self.identities.show(identity, request.measure).await?;
        Ok(Response::new(shown))
    }

    async fn block_identity(
        &self,
        request: Request<wire::BlockIdentityRequest>,
    ) -> Answered<wire::BlockIdentityResponse> {
        let request = request.into_inner();
        let identity = identity(&request.identity)?;
        let blocked = self.identities.block(identity, &request.reason).await?;
        Ok(Response::new(blocked))
    }

    async fn unblock_identity(
        &self,
        request: Request<wire::UnblockIdentityRequest>,
    ) -> Answered<wire::UnblockIdentityResponse> {
        let identity = identity(&request.into_inner().identity)?;
        self.identities.unblock(identity).await.map(Response::new)
    }

    async fn set_quota(
        &self,
        request: Request<wire::SetQuotaRequest>,
    ) -> Answered<wire::SetQuotaResponse> {
        let request = request.into_inner();
        let identity = identity(&request.identity)?;
        let set = self.identities.set_quota(identity, request.entries_max);
        set.await.map(Response::new)
    }

    async fn export(&self, request: Request<wire::ExportRequest>) -> Answered<Self::ExportStream> {
        let of = request.into_inner().identity;
        let of = (!of.is_empty()).then(|| identity(&of)).transpose()?;
        let items = export::start(self.place.clone(), of);
        Ok(Response::new(Box::pin(ReceiverStream::new(items))))
    }

    async fn import(
        &self,
        request: Request<Streaming<wire::ImportRequest>>,
    ) -> Answered<Self::ImportStream> {
        let told = import::start(self.place.clone(), request.into_inner());
        Ok(Response::new(Box::pin(ReceiverStream::new(told))))
    }
}

fn identity(bytes: &[u8]) -> Result<IdentityId, Status> {
    IdentityId::try_from(bytes).map_err(|_| refusal(Reason::KeyFormat, "an identity has 32 bytes"))
}
