//! `grpc.reflection`, v1 and v1alpha: which calls there are, for tools that have no contract at
//! hand. Anybody may ask.

use std::task::{Context, Poll};

use futures::StreamExt as _;
use http::Request;
use http_body_util::{BodyStream, StreamBody};
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic_health::pb::health_server;
use tonic_reflection::server::Builder;
use tower::Service;

use crate::serve::Leaving;

/// Adds reflection over what a process serves and what every process has. `descriptors` is an
/// encoded `FileDescriptorSet` that has all of these services.
///
/// # Panics
/// When the descriptors cannot be read: they are made with the code.
pub fn add(routes: Routes, services: &[&str], descriptors: &[u8]) -> Routes {
    let about = |itself: &str| {
        let builder = Builder::configure()
            .register_encoded_file_descriptor_set(descriptors)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name(health_server::SERVICE_NAME)
            .with_service_name(itself);
        let services = services.iter().copied();
        services.fold(builder, Builder::with_service_name)
    };
    let made = "descriptors are made with the code";
    let v1 = about("grpc.reflection.v1.ServerReflection").build_v1();
    let v1alpha = about("grpc.reflection.v1alpha.ServerReflection").build_v1alpha();
    routes
        .add_service(Ending(v1.expect(made)))
        .add_service(Ending(v1alpha.expect(made)))
}

/// Ends what a client asks when its connection shall end: a client that keeps its stream open, as
/// tools do, would hold up the end otherwise.
#[derive(Clone)]
struct Ending<S>(S);

impl<S: NamedService> NamedService for Ending<S> {
    const NAME: &'static str = S::NAME;
}

impl<S: Service<Request<Body>>> Service<Request<Body>> for Ending<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> S::Future {
        let leaving = Leaving::of(request.extensions());
        self.0.call(request.map(|body| {
            let frames = BodyStream::new(body).take_until(leaving.cancelled_owned());
            Body::new(StreamBody::new(frames))
        }))
    }
}
