//! Watches calls, on both ends: a span and a time for each.
//!
//! A call that is a stream lives as long as somebody is there; its span ends when the stream
//! stands, and what happens in the stream has spans of its own that point to it
//! ([`StreamSpan`]).

mod body;
mod call;
mod methods;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use opentelemetry::trace::TraceContextExt as _;
use tower::Service;
use tracing::Instrument as _;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

pub use body::Watched;
use call::{Call, End};
pub use methods::Methods;

use crate::context::{self, StreamSpan};

type Answering<B, E> = Pin<Box<dyn Future<Output = Result<Response<Watched<B>>, E>> + Send>>;

/// Watches the calls that a service answers, refusals included.
#[derive(Debug, Clone)]
pub struct ServerSpans<S> {
    inner: S,
    methods: Methods,
}

impl<S> ServerSpans<S> {
    /// Around a service with these methods.
    pub fn new(inner: S, methods: Methods) -> Self {
        Self { inner, methods }
    }
}

impl<S, A, B> Service<Request<A>> for ServerSpans<S>
where
    S: Service<Request<A>, Response = Response<B>, Error = Infallible>,
    S::Future: Send + 'static,
    B: http_body::Body + Send + 'static,
{
    type Response = Response<Watched<B>>;
    type Error = Infallible;
    type Future = Answering<B, Infallible>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        let call = Call::begin(End::Server, self.methods.of(request.uri().path()));
        context::extract(request.headers(), call.span());
        let span_context = call.span().context().span().span_context().clone();
        request.extensions_mut().insert(StreamSpan(span_context));
        let answer = self.inner.call(request).instrument(call.span().clone());
        Box::pin(async move {
            let answer = answer.await?;
            Ok(call.answered(answer))
        })
    }
}

/// Watches the calls that a device makes, and tells the service which act they belong to.
#[derive(Debug, Clone)]
pub struct ClientSpans<S> {
    inner: S,
    methods: Methods,
}

impl<S> ClientSpans<S> {
    /// Around a connection to services with these methods.
    pub fn new(inner: S, methods: Methods) -> Self {
        Self { inner, methods }
    }

    /// The connection.
    pub fn inner(&self) -> &S {
        &self.inner
    }
}

impl<S, A, B> Service<Request<A>> for ClientSpans<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    B: http_body::Body + Send + 'static,
{
    type Response = Response<Watched<B>>;
    type Error = S::Error;
    type Future = Answering<B, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        let call = Call::begin(End::Client, self.methods.of(request.uri().path()));
        call.span()
            .in_scope(|| context::inject(request.headers_mut()));
        let answer = self.inner.call(request).instrument(call.span().clone());
        Box::pin(async move {
            match answer.await {
                Ok(answer) => Ok(call.answered(answer)),
                Err(error) => {
                    call.unreached();
                    Err(error)
                }
            }
        })
    }
}
