//! The instruments, one for each metric of [`names`].

use std::sync::OnceLock;

use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, UpDownCounter};
use opentelemetry::{InstrumentationScope, KeyValue, global};

use crate::names::{self, Metric};

/// Bounds of times of calls, in seconds, as the conventions advise.
const CALL_BOUNDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
/// Bounds of what takes less than a call, in seconds.
const INSIDE_BOUNDS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];

/// The instruments. They do nothing without a provider.
#[derive(Debug)]
#[expect(missing_docs, reason = "each is described where its metric is named")]
pub struct Meters {
    pub rpc_server_call_duration: Histogram<f64>,
    pub rpc_client_call_duration: Histogram<f64>,
    pub db_client_operation_duration: Histogram<f64>,
    pub connection_active: UpDownCounter<i64>,
    pub connection_refused: Counter<u64>,
    pub store_ready: Gauge<u64>,
    pub tls_certificate_end: Gauge<i64>,
    pub tls_reload_failed: Gauge<u64>,
    pub refusals: Counter<u64>,
    pub session_active: UpDownCounter<i64>,
    pub session_cut: Counter<u64>,
    pub entry_kept: Counter<u64>,
    pub entry_refused: Counter<u64>,
    pub entry_waiting: Counter<u64>,
    pub fork: Counter<u64>,
    pub merge_duration: Histogram<f64>,
    pub fanout_lag: Histogram<f64>,
    pub link_outcome: Counter<u64>,
    pub link_path: Gauge<u64>,
    pub entry_unacked: Gauge<u64>,
    pub peer_active: Gauge<u64>,
    pub peer_lag: Gauge<u64>,
    pub peer_ice_outcome: Counter<u64>,
    pub peer_io: Counter<u64>,
}

/// The instruments of this process. They are made at the first call, so a program starts its
/// providers before.
pub fn meters() -> &'static Meters {
    static METERS: OnceLock<Meters> = OnceLock::new();
    METERS.get_or_init(|| {
        let scope = InstrumentationScope::builder(names::SCOPE)
            .with_version(crate::version::VERSION)
            .with_schema_url(names::SCHEMA_URL)
            .build();
        Meters::of(&global::meter_with_scope(scope))
    })
}

impl Meters {
    /// The instruments of a meter.
    pub fn of(meter: &Meter) -> Self {
        let calls = |metric| histogram(meter, metric, &CALL_BOUNDS);
        let inside = |metric| histogram(meter, metric, &INSIDE_BOUNDS);
        let counter = |metric| counter(meter, metric);
        let gauge = |metric| gauge(meter, metric);
        let up_down = |metric| up_down(meter, metric);
        Self {
            rpc_server_call_duration: calls(names::RPC_SERVER_CALL_DURATION),
            rpc_client_call_duration: calls(names::RPC_CLIENT_CALL_DURATION),
            db_client_operation_duration: inside(names::DB_CLIENT_OPERATION_DURATION),
            connection_active: up_down(names::CONNECTION_ACTIVE),
            connection_refused: counter(names::CONNECTION_REFUSED),
            store_ready: gauge(names::STORE_READY),
            tls_certificate_end: meter
                .i64_gauge(names::TLS_CERTIFICATE_END.name)
                .with_unit(names::TLS_CERTIFICATE_END.unit)
                .with_description(names::TLS_CERTIFICATE_END.description.trim())
                .build(),
            tls_reload_failed: gauge(names::TLS_RELOAD_FAILED),
            refusals: counter(names::REFUSALS),
            session_active: up_down(names::LEDGER_SESSION_ACTIVE),
            session_cut: counter(names::LEDGER_SESSION_CUT),
            entry_kept: counter(names::LEDGER_ENTRY_KEPT),
            entry_refused: counter(names::LEDGER_ENTRY_REFUSED),
            entry_waiting: counter(names::LEDGER_ENTRY_WAITING),
            fork: counter(names::LEDGER_FORK),
            merge_duration: inside(names::LEDGER_MERGE_DURATION),
            fanout_lag: inside(names::LEDGER_FANOUT_LAG),
            link_outcome: counter(names::IDENTITY_LINK_OUTCOME),
            link_path: gauge(names::AGENT_LINK_PATH),
            entry_unacked: gauge(names::AGENT_ENTRY_UNACKED),
            peer_active: gauge(names::AGENT_PEER_ACTIVE),
            peer_lag: gauge(names::AGENT_PEER_LAG),
            peer_ice_outcome: counter(names::AGENT_PEER_ICE_OUTCOME),
            peer_io: counter(names::AGENT_PEER_IO),
        }
    }
}

fn histogram(meter: &Meter, metric: Metric, bounds: &[f64]) -> Histogram<f64> {
    meter
        .f64_histogram(metric.name)
        .with_unit(metric.unit)
        .with_description(metric.description.trim())
        .with_boundaries(bounds.to_vec())
        .build()
}

fn counter(meter: &Meter, metric: Metric) -> Counter<u64> {
    meter
        .u64_counter(metric.name)
        .with_unit(metric.unit)
        .with_description(metric.description.trim())
        .build()
}

fn gauge(meter: &Meter, metric: Metric) -> Gauge<u64> {
    meter
        .u64_gauge(metric.name)
        .with_unit(metric.unit)
        .with_description(metric.description.trim())
        .build()
}

fn up_down(meter: &Meter, metric: Metric) -> UpDownCounter<i64> {
    meter
        .i64_up_down_counter(metric.name)
        .with_unit(metric.unit)
        .with_description(metric.description.trim())
        .build()
}

/// An attribute that says why: a word of the program's own, so there are few of them.
pub fn reason(word: &'static str) -> [KeyValue; 1] {
    [KeyValue::new(names::REASON, word)]
}

/// An attribute that says which way: `sent` or `received`.
pub fn direction(word: &'static str) -> [KeyValue; 1] {
    [KeyValue::new(names::DIRECTION, word)]
}

/// An attribute that says which way entries go.
pub fn path(word: &'static str) -> [KeyValue; 1] {
    [KeyValue::new(names::PATH, word)]
}

/// An attribute that says how something ended.
pub fn outcome(word: &'static str) -> [KeyValue; 1] {
    [KeyValue::new(names::OUTCOME, word)]
}
