//! One call.

use http::{HeaderMap, Response};
use opentelemetry::trace::Status;
use opentelemetry::{KeyValue, StringValue};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::body::Watched;
use super::methods::Method;
use crate::Stopwatch;
use crate::meters::meters;
use crate::names;

/// Name of the header and trailer that has the code.
const GRPC_STATUS: &str = "grpc-status";

/// The codes of gRPC by their numbers.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
const OK: &str = CODES[0];
const CANCELLED: &str = CODES[1];
const UNKNOWN: &str = CODES[2];
const UNAVAILABLE: &str = CODES[14];

/// Codes that are the service's fault; the rest is its caller's.
const FAULTS: [&str; 6] = [
    UNKNOWN,
    "DEADLINE_EXCEEDED",
    "UNIMPLEMENTED",
    "INTERNAL",
    UNAVAILABLE,
    "DATA_LOSS",
];

/// Which end watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Server,
    Client,
}

/// A call that goes on. Dropped before its end, it was given up.
#[derive(Debug)]
pub(super) struct Call {
    end: End,
    method: Method,
    span: Span,
    watch: Stopwatch,
    has_ended: bool,
}

impl Call {
    pub(super) fn begin(end: End, method: Method) -> Self {
        let span = match end {
            End::Server => {
                tracing::info_span!("call", otel.kind = "server", otel.name = &*method.name)
            }
            End::Client => {
                tracing::info_span!("call", otel.kind = "client", otel.name = &*method.name)
            }
        };
        span.set_attribute(names::RPC_SYSTEM_NAME, "grpc");
        span.set_attribute(names::RPC_METHOD, StringValue::from(method.name.clone()));
        Self {
            end,
            method,
            span,
            watch: Stopwatch::start(),
            has_ended: false,
        }
    }

    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    /// Goes on in the answer, to its end; a stream stands now.
    pub(super) fn answered<B>(mut self, answer: Response<B>) -> Response<Watched<B>> {
        let code = code_in(answer.headers());
        match code {
            Some(code) => self.ended(code),
            None if self.method.is_stream => self.ended(OK),
            None => {}
        }
        answer.map(|body| Watched::new(body, self))
    }

    /// The other end was not reached.
    pub(super) fn unreached(mut self) {
        self.ended(UNAVAILABLE);
    }

    /// The answer ended with these trailers.
    pub(super) fn trailed(&mut self, trailers: &HeaderMap) {
        self.ended(code_in(trailers).unwrap_or(UNKNOWN));
    }

    fn ended(&mut self, code: &'static str) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        let failed = match self.end {
            End::Server => FAULTS.contains(&code),
            End::Client => code != OK,
        };
        self.span.set_attribute(names::RPC_STATUS_CODE, code);
        if failed {
            self.span.set_attribute(names::ERROR_TYPE, code);
            self.span.set_status(Status::error(code));
        }
        if !self.method.is_stream || code != OK {
            let mut attributes = vec![
                KeyValue::new(names::RPC_SYSTEM_NAME, "grpc"),
                KeyValue::new(
                    names::RPC_METHOD,
                    StringValue::from(self.method.name.clone()),
                ),
                KeyValue::new(names::RPC_STATUS_CODE, code),
            ];
            if failed {
                attributes.push(KeyValue::new(names::ERROR_TYPE, code));
            }
            let duration = match self.end {
                End::Server => &meters().rpc_server_call_duration,
                End::Client => &meters().rpc_client_call_duration,
            };
            duration.record(self.watch.seconds(), &attributes);
        }
        // It ends now, not when the stream does.
        self.span = Span::none();
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.ended(CANCELLED);
    }
}

fn code_in(headers: &HeaderMap) -> Option<&'static str> {
    let status = headers.get(GRPC_STATUS)?;
    let number: Option<usize> = status.to_str().ok().and_then(|text| text.parse().ok());
    let code = number.and_then(|number| CODES.get(number).copied());
    Some(code.unwrap_or(UNKNOWN))
}
