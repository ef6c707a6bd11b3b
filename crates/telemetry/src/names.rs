//! Every name of a metric and attribute, in one place.
//!
//! Those of calls and stores are the semantic conventions of OpenTelemetry as of [`SCHEMA_URL`];
//! the rest are ours. Prometheus spells them with underscores, adds the unit, and `_total` to what
//! only grows: `rpc.server.call.duration` is `rpc_server_call_duration_seconds`.

/// Version of the conventions, <https://opentelemetry.io/docs/specs/semconv/>.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.42.0";
/// Name of the instrumentation scope of everything here.
pub const SCOPE: &str = "edge-ledger";

/// How the other end is spoken to: `grpc`.
pub const RPC_SYSTEM_NAME: &str = "rpc.system.name";
/// Whole name of a method, such as `edgeledger.ledger.v1.LedgerService/Sync`.
pub const RPC_METHOD: &str = "rpc.method";
/// The gRPC code of the answer, such as `UNAVAILABLE`.
pub const RPC_STATUS_CODE: &str = "rpc.response.status_code";
/// What went wrong, as a word of a bounded set.
pub const ERROR_TYPE: &str = "error.type";
/// What kind of store: `redis` or `redb`.
pub const DB_SYSTEM_NAME: &str = "db.system.name";
/// What a store was asked for.
pub const DB_OPERATION_NAME: &str = "db.operation.name";
/// How many things at once, if more than one.
pub const DB_OPERATION_BATCH_SIZE: &str = "db.operation.batch.size";
/// Why, as a word of a bounded set.
pub const REASON: &str = "reason";
/// How it ended, as a word of a bounded set.
pub const OUTCOME: &str = "outcome";
/// The way that entries take: `service`, `webrtc`, `both` or `none`.
pub const PATH: &str = "path";
/// `sent` or `received`.
pub const DIRECTION: &str = "direction";

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it counts or measures in, as UCUM writes it.
    pub unit: &'static str,
    /// What it says.
    pub description: &'static str,
    /// What is added up, counted or measured.
    pub kind: Kind,
    /// Its attributes.
    pub attributes: &'static [&'static str],
}

/// What kind of metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Grows and shrinks.
    UpDownCounter,
    /// The last value.
    Gauge,
    /// A distribution.
    Histogram,
}

impl Metric {
    /// As Prometheus names it, without `_bucket`, `_sum` and `_count` of a distribution.
    pub fn prometheus(&self) -> String {
        let mut name = self.name.replace('.', "_");
        match self.unit {
            "s" => name.push_str("_seconds"),
            "By" => name.push_str("_bytes"),
            _ => {}
        }
        if self.kind == Kind::Counter {
            name.push_str("_total");
        }
        name
    }
}

macro_rules! metrics {
    ($($(#[doc = $doc:literal])* $id:ident = $name:literal, $unit:literal, $kind:ident, [$($attribute:expr),*];)*) => {
        $(
            $(#[doc = $doc])*
            pub const $id: Metric = Metric {
                name: $name,
                unit: $unit,
                description: concat!($($doc),*),
                kind: Kind::$kind,
                attributes: &[$($attribute),*],
            };
        )*
        /// All metrics.
        pub const METRICS: &[Metric] = &[$($id),*];
    };
}

metrics! {
    /// Time from a call's request to the end of its answer, on the service's side; calls that are streams for as long as somebody is there are not in it.
    RPC_SERVER_CALL_DURATION = "rpc.server.call.duration", "s", Histogram, [RPC_SYSTEM_NAME, RPC_METHOD, RPC_STATUS_CODE, ERROR_TYPE];
    /// The same on the side of the device.
    RPC_CLIENT_CALL_DURATION = "rpc.client.call.duration", "s", Histogram, [RPC_SYSTEM_NAME, RPC_METHOD, RPC_STATUS_CODE, ERROR_TYPE];
    /// Time of an operation of the store.
    DB_CLIENT_OPERATION_DURATION = "db.client.operation.duration", "s", Histogram, [DB_SYSTEM_NAME, DB_OPERATION_NAME, ERROR_TYPE];
    /// Connections that are open.
    CONNECTION_ACTIVE = "edge_ledger.connection.active", "{connection}", UpDownCounter, [];
    /// Connections that were closed at once since a limit was reached.
    CONNECTION_REFUSED = "edge_ledger.connection.refused", "{connection}", Counter, [REASON];
    /// Whether the store can commit: 1 or 0.
    STORE_READY = "edge_ledger.store.ready", "{bool}", Gauge, [];
    /// When the certificate in use ends, in seconds since 1970.
    TLS_CERTIFICATE_END = "edge_ledger.tls.certificate.end", "s", Gauge, [];
    /// Whether the files of the certificate cannot be used, so that the one before stays in use: 1 or 0.
    TLS_RELOAD_FAILED = "edge_ledger.tls.reload.failed", "{bool}", Gauge, [];
    /// Calls that were refused with a typed reason.
    REFUSALS = "edge_ledger.refusal", "{refusal}", Counter, [REASON];
    /// Streams of devices that are open after their welcome.
    LEDGER_SESSION_ACTIVE = "ledger.session.active", "{session}", UpDownCounter, [];
    /// Streams that ended, by why.
    LEDGER_SESSION_CUT = "ledger.session.cut", "{session}", Counter, [REASON];
    /// Entries that were committed.
    LEDGER_ENTRY_KEPT = "ledger.entry.kept", "{entry}", Counter, [];
    /// Runs of entries that were refused for good, by why.
    LEDGER_ENTRY_REFUSED = "ledger.entry.refused", "{run}", Counter, [REASON];
    /// Runs that wait for what comes before them.
    LEDGER_ENTRY_WAITING = "ledger.entry.waiting", "{run}", Counter, [];
    /// Journals that were seen to have two branches.
    LEDGER_FORK = "ledger.fork", "{fork}", Counter, [];
    /// Time from a frame to the commit of what is new in it.
    LEDGER_MERGE_DURATION = "ledger.merge.duration", "s", Histogram, [];
    /// Time from a commit's announcement to its being written to the streams of the other devices here.
    LEDGER_FANOUT_LAG = "ledger.fanout.lag", "s", Histogram, [];
    /// Link sessions that ended, by how.
    IDENTITY_LINK_OUTCOME = "identity.link.outcome", "{link}", Counter, [OUTCOME];
    /// The way that a device's entries take: 1 at the one in use.
    AGENT_LINK_PATH = "agent.link.path", "{bool}", Gauge, [PATH];
    /// Entries that this device has and no service confirmed.
    AGENT_ENTRY_UNACKED = "agent.entry.unacked", "{entry}", Gauge, [];
    /// Links to other devices that are open.
    AGENT_PEER_ACTIVE = "agent.peer.active", "{link}", Gauge, [];
    /// Frames of entries that a linked device has not answered: the most of any.
    AGENT_PEER_LAG = "agent.peer.lag", "{frame}", Gauge, [];
    /// Attempts at a link to another device, by how they ended.
    AGENT_PEER_ICE_OUTCOME = "agent.peer.ice.outcome", "{attempt}", Counter, [OUTCOME];
    /// Bytes over links to other devices.
    AGENT_PEER_IO = "agent.peer.io", "By", Counter, [DIRECTION];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_spells_them_its_way() {
        let name = RPC_SERVER_CALL_DURATION.prometheus();
        assert_eq!(name, "rpc_server_call_duration_seconds");
        assert_eq!(LEDGER_ENTRY_KEPT.prometheus(), "ledger_entry_kept_total");
        assert_eq!(LEDGER_SESSION_ACTIVE.prometheus(), "ledger_session_active");
        assert_eq!(AGENT_PEER_IO.prometheus(), "agent_peer_io_bytes_total");
    }

    #[test]
    fn a_name_is_one_metric() {
        for (index, metric) in METRICS.iter().enumerate() {
            let others = &METRICS[index + 1..];
            assert!(others.iter().all(|other| other.name != metric.name));
        }
    }
}
