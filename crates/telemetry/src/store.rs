//! Watches the operations of a store: never keys, never values.

use std::future::Future;

use opentelemetry::KeyValue;
use opentelemetry::trace::Status;
use tracing::Instrument as _;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::Stopwatch;
use crate::meters::meters;
use crate::names;

/// Which kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// A Redis server.
    Redis,
    /// The embedded store.
    Redb,
}

impl System {
    fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Redb => "redb",
        }
    }
}

/// An operation: a word of the program's own, and how many things it is about.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// Where.
    pub system: System,
    /// What, such as `append`.
    pub name: &'static str,
    /// How many at once.
    pub batch: usize,
}

/// Watches one operation to its end.
///
/// # Errors
/// Those of the operation; `kind` says of which kind one is, as a word of the program's own.
pub async fn watched<T, E>(
    operation: Operation,
    kind: impl FnOnce(&E) -> &'static str,
    works: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let Operation {
        system,
        name,
        batch,
    } = operation;
    let span = tracing::info_span!("store", otel.kind = "client", otel.name = name);
    span.set_attribute(names::DB_SYSTEM_NAME, system.name());
    span.set_attribute(names::DB_OPERATION_NAME, name);
    if batch > 1 {
        let batch = i64::try_from(batch).unwrap_or(i64::MAX);
        span.set_attribute(names::DB_OPERATION_BATCH_SIZE, batch);
    }
    let watch = Stopwatch::start();
    let done = works.instrument(span.clone()).await;
    let mut attributes = vec![
        KeyValue::new(names::DB_SYSTEM_NAME, system.name()),
        KeyValue::new(names::DB_OPERATION_NAME, name),
    ];
    if let Err(error) = &done {
        let kind = kind(error);
        span.set_attribute(names::ERROR_TYPE, kind);
        span.set_status(Status::error(kind));
        attributes.push(KeyValue::new(names::ERROR_TYPE, kind));
    }
    let duration = &meters().db_client_operation_duration;
    duration.record(watch.seconds(), &attributes);
    done
}
