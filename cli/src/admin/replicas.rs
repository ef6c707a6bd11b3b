//! `admin replicas`: the processes that are there.

use std::fmt;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use edge_ledger_proto::admin as pb;
use serde::Serialize;

use super::Operator;
use crate::device::calendar::utc;
use crate::explain::Failure;
use crate::output::Output;

/// All of them.
#[derive(Debug, Serialize)]
struct Shown {
    replicas: Vec<Replica>,
}

/// One process.
#[derive(Debug, Serialize)]
pub(super) struct Replica {
    id: String,
    services: Vec<String>,
    version: String,
    pub(super) address: String,
    since_ms: i64,
    pub(super) key_serial: u64,
    streams: u64,
    heard_ms_ago: u64,
}

pub(super) async fn run(operator: &mut Operator, output: &Output) -> Result<(), Failure> {
    let replicas = list(operator).await?;
    output.print(&Shown { replicas }).await
}

/// Asks for them.
pub(super) async fn list(operator: &mut Operator) -> Result<Vec<Replica>, Failure> {
    let request = operator.request(pb::ListReplicasRequest {});
    let said = match operator.client.list_replicas(request).await {
        Ok(said) => said.into_inner(),
        Err(status) => return Err(operator.refused(status).await),
    };
    let replicas = said.replicas.into_iter().map(|replica| Replica {
        id: hex::encode(replica.id),
        services: replica.services,
        version: replica.version,
        address: replica.address,
        since_ms: replica.since_ms,
        key_serial: replica.key_serial,
        streams: replica.streams,
        heard_ms_ago: replica.heard_ms_ago,
    });
    Ok(replicas.collect())
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.replicas.is_empty() {
            return write!(
                f,
                "None was heard of yet: each says within 10 s that it is there."
            );
        }
        let mut table = Table::new();
        table.load_preset(NOTHING);
        table.set_header([
            "service",
            "address",
            "version",
            "since (UTC)",
            "key",
            "streams",
            "heard",
        ]);
        for replica in &self.replicas {
            table.add_row([
                replica.services.join(", "),
                replica.address.clone(),
                replica.version.clone(),
                utc(replica.since_ms),
                replica.key_serial.to_string(),
                replica.streams.to_string(),
                format!("{} s ago", replica.heard_ms_ago / 1_000),
            ]);
        }
        write!(f, "{}", table.trim_fmt())
    }
}
