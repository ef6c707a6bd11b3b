//! S-01, S-02, S-20, S-21, S-47: messages that a stream cannot be made of. Each row asserts code and
//! reason, that nothing of them is kept, and that the device comes back with a good entry.

use bytes::Bytes;
use curve25519_dalek::constants::EIGHT_TORSION;
use edge_ledger_proto::ledger as pb;
use edge_ledger_tests::{RawStream, refusal};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use tonic::transport::Endpoint;
use tonic::{Code, Status};
use tower::{Service as _, ServiceExt as _};

use super::place::{Place, place};

const SYNC: &str = "/edgeledger.ledger.v1.LedgerService/Sync";

/// Sends bytes as the body of a call, and reads the status at its end.
async fn call(
    url: &str,
    path: &str,
    encoding: Option<&str>,
    body: Vec<u8>,
) -> anyhow::Result<Status> {
    let mut channel = Endpoint::from_shared(url.to_owned())?.connect().await?;
    let mut request = Request::post(path)
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if let Some(encoding) = encoding {
        request = request.header("grpc-encoding", encoding);
    }
    let body = Full::new(Bytes::from(body)).map_err(|never| match never {});
    let request = request.body(tonic::body::Body::new(body))?;
    let response = channel.ready().await?.call(request).await?;
    let of = |headers: &HeaderMap| Status::from_header_map(headers);
    if let Some(status) = of(response.headers()) {
        return Ok(status);
    }
    let body = response.into_body().collect().await?;
    let status = body.trailers().and_then(of);
    Ok(status.unwrap_or_else(|| Status::unknown("no status came")))
}

/// A message as gRPC frames it, with a length that may be a lie.
fn framed(is_compressed: bool, len: u32, message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![u8::from(is_compressed)];
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.extend_from_slice(message);
    bytes
}

async fn hello_with_key(place: &Place, key: &[u8]) -> anyhow::Result<Status> {
    let mut stream = RawStream::open(&place.url).await?;
    let heads = place.held().await?.heads;
    let good = stream.sign_hello(&place.identity, &place.identity.devices[0].key, &heads);
    let mut body = pb::HelloBody::decode(good.body)?;
    body.public_key = Bytes::copy_from_slice(key);
    let hello = pb::Hello {
        body: body.encode_to_vec().into(),
        proof: Bytes::copy_from_slice(good.proof.as_bytes()),
    };
    let message = Some(pb::frame::Message::Hello(hello));
    stream
        .send_raw(pb::SyncRequest {
            frame: Some(pb::Frame { message }),
            ..pb::SyncRequest::default()
        })
        .await?;
    stream.end().await
}

#[tokio::test]
async fn s01_a_key_of_another_length_opens_nothing() -> anyhow::Result<()> {
    let mut place = place().await?;
    for len in [0, 31, 33, 64] {
        let status = hello_with_key(&place, &vec![7; len]).await?;
        assert_eq!(
            refusal(&status),
            (Code::InvalidArgument, "KEY_FORMAT".to_owned()),
            "{len} bytes"
        );
    }
    place.goes_on().await
}

#[tokio::test]
async fn s02_a_weak_key_opens_nothing() -> anyhow::Result<()> {
    let mut place = place().await?;
    let small = EIGHT_TORSION
        .iter()
        .map(|point| point.compress().to_bytes());
    for key in small.chain([[0xff; 32]]) {
        let status = hello_with_key(&place, &key).await?;
        assert_eq!(
            refusal(&status),
            (Code::InvalidArgument, "KEY_WEAK".to_owned()),
            "{key:?}"
        );
    }
    place.goes_on().await
}

#[tokio::test]
async fn s20_a_message_above_a_frame_closes_the_stream() -> anyhow::Result<()> {
    let mut place = place().await?;
    let heavy = place.signed(0, 1, vec![0; 1_100_000]);
    place.stream.push(vec![heavy]).await?;
    let status = place.stream.end().await?;
    assert_eq!(
        refusal(&status),
        (Code::ResourceExhausted, "MESSAGE_TOO_LARGE".to_owned())
    );
    place.comes_back().await
}

#[tokio::test]
async fn s21_a_message_without_sense_closes_the_stream() -> anyhow::Result<()> {
    for request in [
        pb::SyncRequest::default(),
        pb::SyncRequest {
            frame: Some(pb::Frame { message: None }),
            ..pb::SyncRequest::default()
        },
        pb::SyncRequest {
            frame: Some(pb::Frame {
                message: Some(pb::frame::Message::Runs(pb::Runs {
                    frame_id: 1,
                    runs: Vec::new(),
                })),
            }),
            ..pb::SyncRequest::default()
        },
    ] {
        let mut place = place().await?;
        place.stream.send_raw(request).await?;
        let status = place.stream.end().await?;
        assert_eq!(
            refusal(&status),
            (Code::InvalidArgument, "BAD_MESSAGE".to_owned())
        );
        place.comes_back().await?;
    }
    Ok(())
}

#[tokio::test]
async fn s20_a_length_of_four_gigabytes_is_refused_by_itself() -> anyhow::Result<()> {
    let mut place = place().await?;
    for len in [u32::MAX, (1 << 20) + 1] {
        let status = call(&place.url, SYNC, None, framed(false, len, b"little")).await?;
        assert_eq!(
            refusal(&status),
            (Code::ResourceExhausted, "MESSAGE_TOO_LARGE".to_owned()),
            "{len}"
        );
    }
    place.goes_on().await
}

#[tokio::test]
async fn s21_bytes_that_are_no_message_close_the_stream() -> anyhow::Result<()> {
    let mut place = place().await?;
    let undecodable = framed(false, 3, &[0xff; 3]);
    let truncated = framed(false, 100, b"the rest is missing");
    let half_a_length = vec![0, 0, 0];
    let compressed = framed(true, 20, &[0x1f; 20]);
    let unknown_flag = [&[7], &undecodable[1..]].concat();
    for (what, encoding, body) in [
        ("undecodable", None, undecodable),
        ("truncated", None, truncated),
        ("half a length", None, half_a_length),
        ("compressed by nothing", None, compressed.clone()),
        ("compressed", Some("gzip"), compressed),
        ("an unknown flag", None, unknown_flag),
    ] {
        let status = call(&place.url, SYNC, encoding, body).await?;
        assert_eq!(
            refusal(&status),
            (Code::InvalidArgument, "BAD_MESSAGE".to_owned()),
            "{what}"
        );
    }
    place.goes_on().await
}

#[tokio::test]
async fn s47_a_call_that_is_not_there_is_refused() -> anyhow::Result<()> {
    let mut place = place().await?;
    for path in [
        "/edgeledger.ledger.v1.LedgerService/Nothing",
        "/edgeledger.ledger.v2.LedgerService/Sync",
    ] {
        let status = call(&place.url, path, None, framed(false, 0, &[])).await?;
        assert_eq!(
            refusal(&status),
            (Code::Unimplemented, "UNKNOWN_METHOD".to_owned()),
            "{path}"
        );
    }
    place.goes_on().await
}
