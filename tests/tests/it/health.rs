//! What tools and load balancers ask of both services, without a device or a session.

use edge_ledger_tests::{Pair, refusal};
use tokio_stream::StreamExt as _;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::{ServerReflectionRequest, server_reflection_response};

const IDENTITY: &[&str] = &[
    "edgeledger.identity.v1.IdentityService",
    "edgeledger.signal.v1.SignalService",
];
const LEDGER: &[&str] = &["edgeledger.ledger.v1.LedgerService"];

async fn connect(url: &str) -> anyhow::Result<Channel> {
    Ok(Endpoint::from_shared(url.to_owned())?.connect().await?)
}

#[tokio::test]
async fn each_service_tells_its_own_health() -> anyhow::Result<()> {
    let pair = Pair::start().await?;
    for (url, own, other) in [
        (&pair.identity_url, IDENTITY, LEDGER),
        (&pair.ledger_url, LEDGER, IDENTITY),
    ] {
        let mut client = HealthClient::new(connect(url).await?);
        for service in [&[""], own].concat() {
            let service = service.to_owned();
            let said = client.check(HealthCheckRequest { service }).await?;
            assert_eq!(said.into_inner().status(), ServingStatus::Serving);
        }
        for service in other {
            let service = (*service).to_owned();
            let unknown = client.check(HealthCheckRequest { service }).await;
            assert_eq!(
                unknown.as_ref().map_err(refusal).err(),
                Some((Code::NotFound, "UNKNOWN_SERVICE".to_owned()))
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn each_service_tells_its_own_calls() -> anyhow::Result<()> {
    let pair = Pair::start().await?;
    for (url, own) in [(&pair.identity_url, IDENTITY), (&pair.ledger_url, LEDGER)] {
        let mut client = ServerReflectionClient::new(connect(url).await?);
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let answers = client
            .server_reflection_info(tokio_stream::once(request))
            .await?;
        let answer = answers.into_inner().next().await;
        let answer = answer.ok_or_else(|| anyhow::anyhow!("no answer"))??;
        let Some(server_reflection_response::MessageResponse::ListServicesResponse(list)) =
            answer.message_response
        else {
            anyhow::bail!("no list of services");
        };
        let names: Vec<_> = list.service.into_iter().map(|s| s.name).collect();
        let ours = names.iter().filter(|name| name.starts_with("edgeledger."));
        assert_eq!(ours.collect::<Vec<_>>(), own.iter().collect::<Vec<_>>());
    }
    Ok(())
}
