//! Providers and exporters of a program.
//!
//! What is exported, and where to, is said by the environment variables of OpenTelemetry,
//! <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>. Without an
//! endpoint nothing is sent and nobody complains; spans still have names that logs show, and
//! metrics can still be scraped ([`Telemetry::prometheus`]).

mod environment;
mod resource;

use std::time::Duration;

use opentelemetry::global;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter};
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use prometheus::{Registry, TextEncoder};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

pub use environment::ExportError;
use environment::{Signal, is_exported};

use crate::{Stopwatch, names};

/// Time that the end of a program waits at most for what is still to be sent.
pub const FLUSH_WITHIN: Duration = Duration::from_secs(2);

/// What is traced and sent: what services and agents do, and nothing that sending does itself.
const DIRECTIVES: &str =
    "info,h2=off,hyper=off,hyper_util=off,tonic=off,tower=off,opentelemetry=off,rustls=off";

/// A program as telemetry names it.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// `service.name`, unless `OTEL_SERVICE_NAME` says another.
    pub name: &'static str,
}

/// The providers of a program.
#[derive(Debug, Clone)]
pub struct Telemetry {
    traces: SdkTracerProvider,
    metrics: SdkMeterProvider,
    logs: Option<SdkLoggerProvider>,
    registry: Registry,
}

impl Telemetry {
    /// Starts them, and makes them those of this process. Needs a Tokio runtime that was entered,
    /// and outlives them.
    ///
    /// # Errors
    /// [`ExportError`] when the environment says something that cannot be done.
    pub fn start(program: Program) -> Result<Self, ExportError> {
        environment::check()?;
        let resource = resource::of(program);
        let mut traces = SdkTracerProvider::builder().with_resource(resource.clone());
        if is_exported(Signal::Traces) {
            let exporter = SpanExporter::builder().with_tonic().build();
            traces = traces.with_batch_exporter(exporter.map_err(ExportError::exporter)?);
        }
        let registry = Registry::new();
        let scraped = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .build()
            .map_err(ExportError::exporter)?;
        let metrics = SdkMeterProvider::builder().with_resource(resource.clone());
        let mut metrics = metrics.with_reader(scraped);
        if is_exported(Signal::Metrics) {
            let exporter = MetricExporter::builder().with_tonic().build();
            metrics = metrics.with_periodic_exporter(exporter.map_err(ExportError::exporter)?);
        }
        let logs = if is_exported(Signal::Logs) {
            let exporter = LogExporter::builder().with_tonic().build();
            let exporter = exporter.map_err(ExportError::exporter)?;
            let logs = SdkLoggerProvider::builder().with_resource(resource);
            Some(logs.with_batch_exporter(exporter).build())
        } else {
            None
        };
        let (traces, metrics) = (traces.build(), metrics.build());
        global::set_text_map_propagator(TraceContextPropagator::new());
        global::set_tracer_provider(traces.clone());
        global::set_meter_provider(metrics.clone());
        Ok(Self {
            traces,
            metrics,
            logs,
            registry,
        })
    }

    /// Whether the environment says where to send anything.
    pub fn is_wanted() -> bool {
        Signal::ALL.into_iter().any(is_exported)
    }

    /// What makes spans and sends events, for a subscriber.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: tracing::Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let tracer = self.traces.tracer(names::SCOPE);
        let spans = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(EnvFilter::new(DIRECTIVES));
        let events = self.logs.as_ref().map(|logs| {
            OpenTelemetryTracingBridge::new(logs).with_filter(EnvFilter::new(DIRECTIVES))
        });
        spans.and_then(events)
    }

    /// Whether a log for people has this: events, and of what sending does itself only what fails.
    pub fn is_for_people(of: &tracing::Metadata<'_>) -> bool {
        let is_own = of.target().starts_with("opentelemetry");
        of.is_event() && (!is_own || *of.level() <= tracing::Level::WARN)
    }

    /// All metrics in the text format of Prometheus.
    ///
    /// # Errors
    /// What cannot be written as such.
    pub fn prometheus(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// Sends what is left, all signals at once, and ends. Blocks for no longer than that; says what
    /// failed.
    pub fn shutdown(self, within: Duration) -> Vec<String> {
        let Self {
            traces,
            metrics,
            logs,
            registry: _,
        } = self;
        let ends: [Box<dyn FnOnce() -> Result<(), String> + Send>; 3] = [
            Box::new(move || said(traces.shutdown_with_timeout(within))),
            Box::new(move || said(metrics.shutdown_with_timeout(within))),
            Box::new(move || logs.map_or(Ok(()), |logs| said(logs.shutdown_with_timeout(within)))),
        ];
        let (tell, told) = std::sync::mpsc::channel();
        for end in ends {
            let tell = tell.clone();
            std::thread::spawn(move || {
                // Whoever waited may have left.
                let _ = tell.send(end());
            });
        }
        drop(tell);
        let watch = Stopwatch::start();
        let mut failed = Vec::new();
        loop {
            let left = within.saturating_sub(watch.elapsed());
            match told.recv_timeout(left) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => failed.push(error),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return failed,
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                    failed.push(format!("not sent within {within:?}"));
                    return failed;
                }
            }
        }
    }
}

fn said<E: std::fmt::Display>(done: Result<(), E>) -> Result<(), String> {
    done.map_err(|error| error.to_string())
}
