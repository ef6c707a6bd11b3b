//! A service that answers one call, streams for ever on another, never answers a third, and refuses
//! the rest.

use std::pin::Pin;

use bytes::Bytes;
use edge_ledger_chassis::{Authority, Limits, Listener, Peer, Reason, Serving, refusal};
use edge_ledger_proto::identity as wire;
use edge_ledger_proto::identity::identity_service_server::{
    IdentityService, IdentityServiceServer,
};
use edge_ledger_telemetry::rpc::Methods;
use futures::Stream;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

pub(super) const MESSAGE_BYTES_MAX: usize = 64 * 1024;

pub(super) async fn serve(limits: Limits) -> Serving {
    bind().await.serve(routes(), methods(), limits, None)
}

pub(super) async fn bind() -> Listener {
    Listener::bind("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap()
}

pub(super) fn routes() -> Routes {
    let service = IdentityServiceServer::new(Stub).max_decoding_message_size(MESSAGE_BYTES_MAX);
    Routes::new(service)
}

pub(super) fn methods() -> Methods {
    Methods::new(edge_ledger_proto::DESCRIPTOR_SET)
}

struct Stub;

fn refused<T>() -> Result<Response<T>, Status> {
    Err(refusal(Reason::Forbidden, "a stub does nothing"))
}

type Watched = Pin<Box<dyn Stream<Item = Result<wire::WatchLogResponse, Status>> + Send>>;
type Linked = Pin<Box<dyn Stream<Item = Result<wire::LinkResponse, Status>> + Send>>;

#[tonic::async_trait]
impl IdentityService for Stub {
    type WatchLogStream = Watched;
    type LinkStream = Linked;

    async fn get_deployment(
        &self,
        request: Request<wire::GetDeploymentRequest>,
    ) -> Result<Response<wire::GetDeploymentResponse>, Status> {
        let Peer(peer) = request.extensions().get::<Peer>().unwrap();
        let Authority(authority) = request.extensions().get::<Authority>().unwrap();
        Ok(Response::new(wire::GetDeploymentResponse {
            ledger_urls: vec![format!("{} dialled {authority}", peer.ip())],
            ..wire::GetDeploymentResponse::default()
        }))
    }

    async fn watch_log(
        &self,
        _: Request<wire::WatchLogRequest>,
    ) -> Result<Response<Watched>, Status> {
        let large = wire::WatchLogResponse {
            statement: Some(wire::ReceiptedStatement {
                statement: Bytes::from(vec![0; MESSAGE_BYTES_MAX]),
                receipt: None,
            }),
        };
        Ok(Response::new(Box::pin(futures::stream::repeat_with(
            move || Ok(large.clone()),
        ))))
    }

    async fn get_challenge(
        &self,
        _: Request<wire::GetChallengeRequest>,
    ) -> Result<Response<wire::GetChallengeResponse>, Status> {
        refused()
    }

    async fn authenticate(
        &self,
        _: Request<wire::AuthenticateRequest>,
    ) -> Result<Response<wire::AuthenticateResponse>, Status> {
        refused()
    }

    async fn register(
        &self,
        _: Request<wire::RegisterRequest>,
    ) -> Result<Response<wire::RegisterResponse>, Status> {
        refused()
    }

    async fn get_log(
        &self,
        _: Request<wire::GetLogRequest>,
    ) -> Result<Response<wire::GetLogResponse>, Status> {
        refused()
    }

    async fn append_statement(
        &self,
        _: Request<wire::AppendStatementRequest>,
    ) -> Result<Response<wire::AppendStatementResponse>, Status> {
        std::future::pending().await
    }

    async fn list_devices(
        &self,
        _: Request<wire::ListDevicesRequest>,
    ) -> Result<Response<wire::ListDevicesResponse>, Status> {
        refused()
    }

    async fn link(
        &self,
        _: Request<Streaming<wire::LinkRequest>>,
    ) -> Result<Response<Linked>, Status> {
        refused()
    }
}
