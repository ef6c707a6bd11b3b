//! What anybody may ask of a service: whether it takes work, and which calls it has.

use edge_ledger_chassis::{Limits, Serving, health, reflection};
use edge_ledger_proto::DESCRIPTOR_SET;
use edge_ledger_store::Health;
use futures::{StreamExt as _, stream};
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::{v1, v1alpha};

use super::{PATIENCE, assert_refused, stub};

const NAME: &str = "edgeledger.identity.v1.IdentityService";

async fn serve() -> (Serving, Channel, watch::Sender<Health>) {
    let (store, health) = watch::channel(Health::Serving);
    let listener = stub::bind().await;
    let stopping = listener.tasks().stopping();
    let routes = stub::routes().add_service(health::service(&[NAME], health, stopping));
    let routes = reflection::add(routes, &[NAME], DESCRIPTOR_SET);
    let serving = listener.serve(routes, stub::methods(), Limits::default(), None);
    let endpoint = Endpoint::from_shared(format!("http://{}", serving.local_addr())).unwrap();
    (serving, endpoint.connect().await.unwrap(), store)
}

fn about(name: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: name.to_owned(),
    }
}

async fn check(channel: &Channel, name: &str) -> Result<ServingStatus, Status> {
    let mut client = HealthClient::new(channel.clone());
    Ok(client.check(about(name)).await?.into_inner().status())
}

#[tokio::test]
async fn a_service_takes_work_while_its_store_can_commit() {
    let (_serving, channel, store) = serve().await;
    for (health, expected) in [
        (Health::Serving, ServingStatus::Serving),
        (Health::Full, ServingStatus::NotServing),
        (Health::Unavailable, ServingStatus::NotServing),
        (Health::Serving, ServingStatus::Serving),
        (Health::Failed, ServingStatus::NotServing),
    ] {
        store.send_replace(health);
        for name in ["", NAME] {
            assert_eq!(check(&channel, name).await.unwrap(), expected, "{health:?}");
        }
    }
    let unknown = check(&channel, "another.Service").await.unwrap_err();
    assert_refused(&unknown, Code::NotFound, "UNKNOWN_SERVICE");
}

#[tokio::test]
async fn who_watches_hears_of_every_change_and_first_of_a_drain() {
    let (serving, channel, store) = serve().await;
    let mut client = HealthClient::new(channel);
    let mut unknown = client.watch(about("x")).await.unwrap().into_inner();
    let said = unknown.message().await.unwrap().unwrap().status();
    assert_eq!(said, ServingStatus::ServiceUnknown);
    let mut watch = client.watch(about(NAME)).await.unwrap().into_inner();
    for (health, expected) in [
        (None, ServingStatus::Serving),
        (Some(Health::Full), ServingStatus::NotServing),
        (Some(Health::Serving), ServingStatus::Serving),
    ] {
        if let Some(health) = health {
            store.send_replace(health);
        }
        let said = timeout(PATIENCE, watch.message()).await.unwrap();
        assert_eq!(said.unwrap().unwrap().status(), expected);
    }
    let shutdown = timeout(PATIENCE, serving.shutdown(PATIENCE * 2));
    let read = async {
        let last = watch.message().await.unwrap().unwrap().status();
        assert_eq!(last, ServingStatus::NotServing);
        for watch in [&mut watch, &mut unknown] {
            let end = watch.message().await.unwrap_err();
            assert_refused(&end, Code::Unavailable, "DRAINING");
        }
    };
    let (graceful, ()) = tokio::join!(shutdown, read);
    assert_eq!(graceful, Ok(true));
}

#[tokio::test]
async fn tools_learn_the_calls_and_do_not_hold_up_the_end() {
    let (serving, channel, _store) = serve().await;
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let list = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
    };
    // The requests never end.
    let requests = stream::iter([list]).chain(stream::pending());
    let answers = client.server_reflection_info(requests).await.unwrap();
    let mut answers = answers.into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response;
    let Some(v1::server_reflection_response::MessageResponse::ListServicesResponse(list)) = answer
    else {
        panic!("{answer:?}");
    };
    let mut names: Vec<_> = list
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    names.sort();
    let expected = [
        NAME,
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
    ];
    assert_eq!(names, expected);

    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let symbol = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(
                NAME.to_owned(),
            ),
        ),
    };
    let found = client.server_reflection_info(stream::iter([symbol])).await;
    let answer = found.unwrap().into_inner().message().await.unwrap();
    let answer = answer.unwrap().message_response;
    assert!(matches!(
        answer,
        Some(
            v1alpha::server_reflection_response::MessageResponse::FileDescriptorResponse(files)
        ) if !files.file_descriptor_proto.is_empty()
    ));
    let ended = timeout(PATIENCE, serving.shutdown(PATIENCE * 2)).await;
    assert_eq!(ended, Ok(true));
    assert!(answers.message().await.unwrap().is_none());
}
