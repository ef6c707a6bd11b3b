//! S-20, S-21 and S-47: messages that cannot be read, and methods that are not there.

use bytes::Bytes;
use edge_ledger_chassis::Reason;
use edge_ledger_core::limits::STATEMENT_BYTES_MAX;
use edge_ledger_proto::identity as wire;
use http::uri::PathAndQuery;
use tonic::client::Grpc;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::person::{Person, append, register};
use crate::world::{NAME, World, assert_refused, channel};

const SERVICE: &str = "/edgeledger.identity.v1.IdentityService";

/// A message whose field 1 is a number, where the calls expect bytes or a message.
const ODD: wire::LinkOpened = wire::LinkOpened { expires_in_s: 7 };

async fn call(world: &World, method: &str) -> Status {
    let mut grpc = Grpc::new(channel(&world.server, NAME).await);
    grpc.ready().await.unwrap();
    let path = PathAndQuery::try_from(format!("{SERVICE}/{method}")).unwrap();
    let codec = ProstCodec::<wire::LinkOpened, wire::LinkOpened>::new();
    grpc.unary(Request::new(ODD), path, codec)
        .await
        .unwrap_err()
}

#[tokio::test]
async fn s20_larger_than_it_may_be() {
    let world = World::start().await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    let token = person.session(&mut client).await;
    for len in [STATEMENT_BYTES_MAX + 1, 2 * STATEMENT_BYTES_MAX, 5 << 20] {
        let large = Bytes::from(vec![0; len]);
        let status = register(&mut client, large.clone()).await.unwrap_err();
        assert_refused(&status, Code::ResourceExhausted, Reason::MessageTooLarge);
        let status = append(&mut client, &token, large).await.unwrap_err();
        assert_refused(&status, Code::ResourceExhausted, Reason::MessageTooLarge);
    }
    let at_limit = Bytes::from(vec![0; STATEMENT_BYTES_MAX]);
    let status = register(&mut client, at_limit).await.unwrap_err();
    assert_refused(&status, Code::InvalidArgument, Reason::BadMessage);
    person.still_works(&mut client).await;
}

#[tokio::test]
async fn s21_undecodable() {
    let world = World::start().await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    for method in [
        "Register",
        "Authenticate",
        "GetChallenge",
        "GetLog",
        "WatchLog",
    ] {
        let status = call(&world, method).await;
        assert_refused(&status, Code::InvalidArgument, Reason::BadMessage);
    }
    for statement in ["", "not a statement"] {
        let status = register(&mut client, statement.into()).await.unwrap_err();
        assert_refused(&status, Code::InvalidArgument, Reason::BadMessage);
    }
    person.still_works(&mut client).await;
}

#[tokio::test]
async fn s21_undecodable_in_a_stream() {
    let world = World::start().await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    let mut grpc = Grpc::new(channel(&world.server, NAME).await);
    grpc.ready().await.unwrap();
    let path = PathAndQuery::try_from(format!("{SERVICE}/Link")).unwrap();
    let codec = ProstCodec::<wire::LinkOpened, wire::LinkResponse>::new();
    let requests = Request::new(futures::stream::iter([ODD]));
    let response = grpc.streaming(requests, path, codec).await.unwrap();
    let status = response.into_inner().message().await.unwrap_err();
    assert_refused(&status, Code::InvalidArgument, Reason::BadMessage);
    person.still_works(&mut client).await;
}

#[tokio::test]
async fn s47_unknown_methods() {
    let world = World::start().await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    for method in ["NoSuchMethod", "register"] {
        let status = call(&world, method).await;
        assert_refused(&status, Code::Unimplemented, Reason::UnknownMethod);
    }
    person.still_works(&mut client).await;
}
