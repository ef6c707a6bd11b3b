//! Connections that are too many of one address, or too old.

use std::time::Duration;

use edge_ledger_chassis::Limits;
use edge_ledger_proto::identity::{GetDeploymentRequest, WatchLogRequest};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{PATIENCE, client, stub};

#[tokio::test]
async fn an_address_has_so_many_connections_unless_it_is_trusted() {
    let limits = Limits {
        connections_per_address_max: 1,
        trusted_proxies: Vec::new(),
        ..Limits::default()
    };
    let trusting = Limits {
        trusted_proxies: Limits::default().trusted_proxies,
        ..limits.clone()
    };
    let serving = stub::serve(limits).await;
    let mut first = client(&serving).await;
    first.get_deployment(GetDeploymentRequest {}).await.unwrap();
    let mut second = TcpStream::connect(serving.local_addr()).await.unwrap();
    let mut byte = [0];
    let read = timeout(PATIENCE, second.read(&mut byte)).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)));
    first.get_deployment(GetDeploymentRequest {}).await.unwrap();

    let serving = stub::serve(trusting).await;
    let mut clients = (client(&serving).await, client(&serving).await);
    for client in [&mut clients.0, &mut clients.1] {
        client
            .get_deployment(GetDeploymentRequest {})
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn an_old_connection_is_cut_off_after_a_grace_and_the_client_comes_back() {
    let limits = Limits {
        connection_age: Duration::from_millis(200),
        connection_age_grace: Duration::from_millis(200),
        ..Limits::default()
    };
    let serving = stub::serve(limits).await;
    let mut client = client(&serving).await;
    let watch = client.watch_log(WatchLogRequest::default()).await.unwrap();
    let mut watch = watch.into_inner();
    let read = async { while let Ok(Some(_)) = watch.message().await {} };
    timeout(PATIENCE, read).await.unwrap();
    client
        .get_deployment(GetDeploymentRequest {})
        .await
        .unwrap();
}
