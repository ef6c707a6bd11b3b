//! A client that sends any bytes to any method.

use std::net::SocketAddr;

use bytes::{Buf as _, BufMut as _, Bytes};
use http::uri::PathAndQuery;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// A client without a contract.
pub(super) struct Raw(Channel);

impl Raw {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        Self(endpoint.connect().await.unwrap())
    }

    pub(super) async fn call(&mut self, method: &str, message: Bytes) -> Result<Bytes, Status> {
        self.send(method, Request::new(message)).await
    }

    /// Says that the message is compressed, which the service never agreed to.
    pub(super) async fn call_compressed(&mut self, method: &str) -> Result<Bytes, Status> {
        let mut request = Request::new(Bytes::new());
        request
            .metadata_mut()
            .insert("grpc-encoding", "gzip".parse().unwrap());
        self.send(method, request).await
    }

    async fn send(&mut self, method: &str, request: Request<Bytes>) -> Result<Bytes, Status> {
        let path = format!("/edgeledger.identity.v1.IdentityService/{method}");
        let path = PathAndQuery::try_from(path).unwrap();
        let mut grpc = Grpc::new(self.0.clone());
        grpc.ready().await.unwrap();
        grpc.unary(request, path, Verbatim)
            .await
            .map(tonic::Response::into_inner)
    }
}

#[derive(Clone, Copy)]
struct Verbatim;

impl Codec for Verbatim {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Verbatim {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Verbatim {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let len = buffer.remaining();
        Ok(Some(buffer.copy_to_bytes(len)))
    }
}
