//! A collector in this process: it takes what is exported, and keeps it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{
    LogsService, LogsServiceServer,
};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status};

/// Time after which what was exported must have arrived.
const ARRIVES_WITHIN: Duration = Duration::from_secs(60);

/// A span, as far as the tests look.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) service: String,
    pub(crate) name: String,
    pub(crate) trace: Vec<u8>,
    pub(crate) id: Vec<u8>,
    pub(crate) parent: Vec<u8>,
    pub(crate) links: Vec<Vec<u8>>,
    pub(crate) attributes: BTreeMap<String, String>,
}

#[derive(Debug, Default)]
struct Kept {
    spans: Mutex<Vec<Seen>>,
    /// Trace and text of each line of a log.
    lines: Mutex<Vec<(Vec<u8>, String)>>,
    metrics: Mutex<Vec<String>>,
    /// Everything as it came, for whoever looks for a secret.
    raw: Mutex<String>,
    came: Notify,
}

/// The collector. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Collector {
    address: SocketAddr,
    kept: Arc<Kept>,
    _end: DropGuard,
}

impl Collector {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let tcp = TcpListener::bind("127.0.0.1:0").await?;
        let address = tcp.local_addr()?;
        let kept = Arc::new(Kept::default());
        let end = CancellationToken::new();
        let router = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(Takes(kept.clone())))
            .add_service(MetricsServiceServer::new(Takes(kept.clone())))
            .add_service(LogsServiceServer::new(Takes(kept.clone())));
        let ended = end.clone().cancelled_owned();
        let tasks = TaskTracker::new();
        tasks.spawn(router.serve_with_incoming_shutdown(TcpListenerStream::new(tcp), ended));
        Ok(Self {
            address,
            kept,
            _end: end.drop_guard(),
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until something that came is what is looked for.
    pub(crate) async fn wait_for<T>(
        &self,
        what: &str,
        look: impl Fn(&Self) -> Option<T>,
    ) -> anyhow::Result<T> {
        let waits = async {
            loop {
                let came = self.kept.came.notified();
                if let Some(found) = look(self) {
                    return found;
                }
                came.await;
            }
        };
        let found = tokio::time::timeout(ARRIVES_WITHIN, waits).await;
        found.with_context(|| format!("{what} never came; there are {:#?}", self.spans()))
    }

    pub(crate) fn spans(&self) -> Vec<Seen> {
        locked(&self.kept.spans).clone()
    }

    pub(crate) fn lines(&self) -> Vec<(Vec<u8>, String)> {
        locked(&self.kept.lines).clone()
    }

    pub(crate) fn metrics(&self) -> Vec<String> {
        locked(&self.kept.metrics).clone()
    }

    pub(crate) fn raw(&self) -> String {
        locked(&self.kept.raw).clone()
    }
}

fn locked<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Takes(Arc<Kept>);

impl Takes {
    fn took(&self, whole: &impl std::fmt::Debug) {
        locked(&self.0.raw).push_str(&format!("{whole:?}\n"));
        self.0.came.notify_waiters();
    }
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn attributes(of: &[KeyValue]) -> BTreeMap<String, String> {
    of.iter()
        .map(|of| (of.key.clone(), text(of.value.as_ref())))
        .collect()
}

#[tonic::async_trait]
impl TraceService for Takes {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let whole = request.into_inner();
        for of in &whole.resource_spans {
            let resource = of.resource.as_ref().map(|r| attributes(&r.attributes));
            let service = resource.unwrap_or_default().remove("service.name");
            let spans = of.scope_spans.iter().flat_map(|scope| &scope.spans);
            locked(&self.0.spans).extend(spans.map(|span| Seen {
                service: service.clone().unwrap_or_default(),
                name: span.name.clone(),
                trace: span.trace_id.clone(),
                id: span.span_id.clone(),
                parent: span.parent_span_id.clone(),
                links: span.links.iter().map(|link| link.span_id.clone()).collect(),
                attributes: attributes(&span.attributes),
            }));
        }
        self.took(&whole);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Takes {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let whole = request.into_inner();
        let scopes = whole.resource_logs.iter().flat_map(|of| &of.scope_logs);
        let records = scopes.flat_map(|scope| &scope.log_records);
        let lines = records.map(|record| (record.trace_id.clone(), text(record.body.as_ref())));
        locked(&self.0.lines).extend(lines);
        self.took(&whole);
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Takes {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let whole = request.into_inner();
        let scopes = whole
            .resource_metrics
            .iter()
            .flat_map(|of| &of.scope_metrics);
        let names = scopes.flat_map(|scope| &scope.metrics);
        locked(&self.0.metrics).extend(names.map(|metric| metric.name.clone()));
        self.took(&whole);
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}
