//! What joins the spans of one act across processes: the W3C trace context,
//! <https://www.w3.org/TR/trace-context/>.
//!
//! Calls carry it in their metadata. A stream outlives many acts, so each frame brings its own, as
//! a [`TraceParent`].

use std::collections::HashMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use opentelemetry::{Context, global};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Name of the header.
const TRACEPARENT: &str = "traceparent";
/// Bytes of a `traceparent` of version 00.
pub const TRACEPARENT_BYTES: usize = 55;

/// Which span an act belongs to, as text: it names a span, and grants nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceParent(String);

impl TraceParent {
    /// That of the span that is entered here; none where nothing is traced.
    pub fn current() -> Option<Self> {
        let mut carrier = HashMap::new();
        let context = Span::current().context();
        global::get_text_map_propagator(|propagator| {
            propagator.inject_context(&context, &mut carrier);
        });
        carrier
            .remove(TRACEPARENT)
            .and_then(|text| Self::read(&text))
    }

    /// What another process says. Anything else than a whole `traceparent` is nothing.
    pub fn read(text: &str) -> Option<Self> {
        let fits = text.len() == TRACEPARENT_BYTES
            && text
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-'));
        fits.then(|| Self(text.to_owned()))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Makes a span that was not entered yet part of that act.
    pub fn adopt(&self, span: &Span) {
        let carrier = HashMap::from([(TRACEPARENT.to_owned(), self.0.clone())]);
        let context = global::get_text_map_propagator(|propagator| {
            propagator.extract_with_context(&Context::new(), &carrier)
        });
        set_parent(span, context);
    }
}

/// Puts the span that is entered here into the headers of a request.
pub fn inject(headers: &mut HeaderMap) {
    let context = Span::current().context();
    global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&context, &mut Headers(headers));
    });
}

/// Makes a span that was not entered yet part of what the headers of a request say.
pub(crate) fn extract(headers: &HeaderMap, span: &Span) {
    let context = global::get_text_map_propagator(|propagator| {
        propagator.extract_with_context(&Context::new(), &Received(headers))
    });
    set_parent(span, context);
}

fn set_parent(span: &Span, context: Context) {
    if context.span().span_context().is_valid() {
        // It fails where nothing is traced.
        let _ = span.set_parent(context);
    }
}

/// Names of trace and span here, if something is traced: 32 and 16 hexadecimal digits.
pub fn current_ids() -> Option<(String, String)> {
    let context = Context::current();
    let span = context.span().span_context().clone();
    span.is_valid()
        .then(|| (span.trace_id().to_string(), span.span_id().to_string()))
}

/// Links a span to another of this process: an act of several has more than one origin.
pub fn link(span: &Span, origin: &Span) {
    let origin = origin.context().span().span_context().clone();
    if origin.is_valid() {
        span.add_link(origin);
    }
}

/// The span of a call that became a stream; what happens in the stream points to it.
#[derive(Debug, Clone)]
pub struct StreamSpan(pub(crate) SpanContext);

impl StreamSpan {
    /// Links a span to the call.
    pub fn link(&self, span: &Span) {
        if self.0.is_valid() {
            span.add_link(self.0.clone());
        }
    }
}

struct Headers<'a>(&'a mut HeaderMap);

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        let name = HeaderName::from_bytes(key.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

struct Received<'a>(&'a HeaderMap);

impl Extractor for Received<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn only_a_whole_traceparent_is_read() {
        let read = TraceParent::read(WHOLE);
        assert_eq!(read.as_ref().map(TraceParent::as_str), Some(WHOLE));
        let upper = WHOLE.to_uppercase();
        let long = format!("{WHOLE}0");
        let broken = WHOLE.replace('b', "\n");
        for other in ["", &WHOLE[1..], &long, &upper, &broken] {
            assert_eq!(TraceParent::read(other), None, "{other:?}");
        }
    }

    #[test]
    fn nothing_is_traced_without_a_provider() {
        assert_eq!(TraceParent::current(), None);
        assert_eq!(current_ids(), None);
        let mut headers = HeaderMap::new();
        inject(&mut headers);
        assert!(headers.is_empty());
    }
}
