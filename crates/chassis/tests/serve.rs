//! The accept loop against real clients, polite and impolite.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "serve/certificates.rs"]
mod certificates;
#[path = "serve/dripping.rs"]
mod dripping;
#[path = "serve/ends.rs"]
mod ends;
#[path = "serve/health.rs"]
mod health;
#[path = "serve/mutual.rs"]
mod mutual;
#[path = "serve/raw.rs"]
mod raw;
#[path = "serve/stub.rs"]
mod stub;
#[path = "serve/tls.rs"]
mod tls;

use std::time::Duration;

use bytes::Bytes;
use edge_ledger_chassis::status::reason_of;
use edge_ledger_chassis::{Limits, Serving};
use edge_ledger_proto::identity::identity_service_client::IdentityServiceClient;
use edge_ledger_proto::identity::{AppendStatementRequest, GetDeploymentRequest, WatchLogRequest};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

/// Long enough for a slow machine; nothing waits for it when all is well.
const PATIENCE: Duration = Duration::from_secs(20);

async fn client(serving: &Serving) -> IdentityServiceClient<Channel> {
    let url = format!("http://{}", serving.local_addr());
    IdentityServiceClient::connect(url).await.unwrap()
}

fn assert_refused(status: &Status, code: Code, reason: &str) {
    assert_eq!(status.code(), code, "{status:?}");
    assert_eq!(reason_of(status).as_deref(), Some(reason), "{status:?}");
}

#[tokio::test]
async fn a_client_without_a_request_is_closed_in_time() {
    let limits = Limits {
        first_request: Duration::from_millis(100),
        ..Limits::default()
    };
    let serving = stub::serve(limits).await;
    // Headers that never end, over HTTP/2: preface, settings, and the beginning of a frame.
    let dripping = [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        &[0, 0, 0, 4, 0, 0, 0, 0, 0],
        &[0, 0, 100, 1, 4, 0, 0, 0, 1, 0x82],
    ]
    .concat();
    let http1 = b"GET / HTTP/1.1\r\nhost: x\r\nx-slow";
    for said in [&b""[..], b"PRI * HT", http1, &dripping] {
        let mut tcp = TcpStream::connect(serving.local_addr()).await.unwrap();
        tcp.write_all(said).await.unwrap();
        let mut rest = Vec::new();
        let closed = timeout(PATIENCE, tcp.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "still open after {said:?}");
    }
    let mut client = client(&serving).await;
    client
        .get_deployment(GetDeploymentRequest {})
        .await
        .unwrap();
    assert!(serving.shutdown(PATIENCE).await);
}

#[tokio::test]
async fn a_connection_with_an_open_call_outlives_the_first_deadline() {
    let limits = Limits {
        first_request: Duration::from_millis(200),
        ..Limits::default()
    };
    let serving = stub::serve(limits).await;
    let mut client = client(&serving).await;
    let watch = client.watch_log(WatchLogRequest::default()).await.unwrap();
    let mut silent = TcpStream::connect(serving.local_addr()).await.unwrap();
    // Opened later than the first, closed at its deadline: by then the first one's has passed.
    let mut byte = [0];
    assert!(timeout(PATIENCE, silent.read(&mut byte)).await.is_ok());
    client
        .get_deployment(GetDeploymentRequest {})
        .await
        .unwrap();
    drop(watch);
}

#[tokio::test]
async fn connections_above_the_limit_are_closed_and_those_below_go_on() {
    let limits = Limits {
        connections_max: 1,
        ..Limits::default()
    };
    let serving = stub::serve(limits).await;
    let mut first = client(&serving).await;
    first.get_deployment(GetDeploymentRequest {}).await.unwrap();
    let mut second = TcpStream::connect(serving.local_addr()).await.unwrap();
    let mut byte = [0];
    let read = timeout(PATIENCE, second.read(&mut byte)).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)));
    first.get_deployment(GetDeploymentRequest {}).await.unwrap();
}

#[tokio::test]
async fn a_reader_that_never_reads_does_not_hold_up_the_end() {
    let serving = stub::serve(Limits::default()).await;
    let mut client = client(&serving).await;
    let _unread = client.watch_log(WatchLogRequest::default()).await.unwrap();
    let _silent = TcpStream::connect(serving.local_addr()).await.unwrap();
    let grace = Duration::from_millis(100);
    let done = timeout(PATIENCE, serving.shutdown(grace)).await;
    assert_eq!(done, Ok(true), "what nobody takes is no work");
}

#[tokio::test]
async fn a_call_that_is_not_answered_within_the_grace_is_work_left() {
    let serving = stub::serve(Limits::default()).await;
    let mut client = client(&serving).await;
    let mut later = client.clone();
    let ended = async {
        // Answered after the other call, on the same connection, was handed in.
        let request = GetDeploymentRequest {};
        later.get_deployment(request).await.unwrap();
        serving.shutdown(Duration::from_millis(100)).await
    };
    let request = AppendStatementRequest::default();
    let (answered, done) = tokio::join!(biased; client.append_statement(request), ended);
    assert!(!done, "a call without an answer");
    answered.unwrap_err();
}

#[tokio::test]
async fn an_idle_client_does_not_use_up_the_grace() {
    let serving = stub::serve(Limits::default()).await;
    let mut client = client(&serving).await;
    client
        .get_deployment(GetDeploymentRequest {})
        .await
        .unwrap();
    let graceful = timeout(PATIENCE, serving.shutdown(PATIENCE * 2))
        .await
        .unwrap();
    assert!(graceful);
}

#[tokio::test]
async fn connections_without_a_request_do_not_use_up_the_grace() {
    let limits = Limits {
        first_request: PATIENCE * 2,
        ..Limits::default()
    };
    let serving = stub::serve(limits).await;
    let mut connections = Vec::new();
    for said in ["", "PRI * HT", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut tcp = TcpStream::connect(serving.local_addr()).await.unwrap();
        tcp.write_all(said.as_bytes()).await.unwrap();
        connections.push(tcp);
    }
    // Served only after those were accepted.
    let mut client = client(&serving).await;
    client
        .get_deployment(GetDeploymentRequest {})
        .await
        .unwrap();
    let ended = timeout(PATIENCE, serving.shutdown(PATIENCE * 2)).await;
    assert_eq!(ended, Ok(true));
}

#[tokio::test]
async fn handlers_know_who_dialled_what() {
    let serving = stub::serve(Limits::default()).await;
    let url = format!("http://localhost:{}", serving.local_addr().port());
    let mut client = IdentityServiceClient::connect(url).await.unwrap();
    let response = client
        .get_deployment(GetDeploymentRequest {})
        .await
        .unwrap();
    let expected = format!(
        "127.0.0.1 dialled localhost:{}",
        serving.local_addr().port()
    );
    assert_eq!(response.into_inner().ledger_urls, [expected]);
}

#[tokio::test]
async fn what_tonic_refuses_has_a_code_and_a_reason() {
    let serving = stub::serve(Limits::default()).await;
    let mut raw = raw::Raw::connect(serving.local_addr()).await;
    let unknown = raw.call("NoSuchMethod", Bytes::new()).await.unwrap_err();
    assert_refused(&unknown, Code::Unimplemented, "UNKNOWN_METHOD");
    let large = Bytes::from(vec![0; 3 * stub::MESSAGE_BYTES_MAX]);
    let large = raw.call("Register", large).await.unwrap_err();
    assert_refused(&large, Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
    let garbage = Bytes::from_static(&[0xff; 8]);
    let garbage = raw.call("Register", garbage).await.unwrap_err();
    assert_refused(&garbage, Code::InvalidArgument, "BAD_MESSAGE");
    let zipped = raw.call_compressed("Register").await.unwrap_err();
    assert_refused(&zipped, Code::InvalidArgument, "BAD_MESSAGE");
    raw.call("GetDeployment", Bytes::new()).await.unwrap();
}

#[tokio::test]
async fn too_much_metadata_is_refused_and_the_limit_passes() {
    let serving = stub::serve(Limits::default()).await;
    let mut client = client(&serving).await;
    let mut request = Request::new(GetDeploymentRequest {});
    request
        .metadata_mut()
        .insert("x-large", "x".repeat(9_000).parse().unwrap());
    let refused = client.get_deployment(request).await.unwrap_err();
    assert_refused(&refused, Code::ResourceExhausted, "METADATA_TOO_LARGE");
    let mut request = Request::new(GetDeploymentRequest {});
    for _ in 0..65 {
        request
            .metadata_mut()
            .append("x-many", "x".parse().unwrap());
    }
    let refused = client.get_deployment(request).await.unwrap_err();
    assert_refused(&refused, Code::ResourceExhausted, "METADATA_TOO_LARGE");
    let mut request = Request::new(GetDeploymentRequest {});
    request
        .metadata_mut()
        .insert("x-large", "x".repeat(7_500).parse().unwrap());
    client.get_deployment(request).await.unwrap();
}
