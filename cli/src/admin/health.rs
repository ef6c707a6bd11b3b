//! `admin health`: how a process is.

use std::fmt;

use edge_ledger_proto::admin as pb;
use serde::Serialize;

use super::Operator;
use crate::device::calendar::utc;
use crate::explain::{Exit, Failure};
use crate::output::Output;

/// How it is.
#[derive(Debug, Serialize)]
struct Shown {
    serving: bool,
    services: Vec<String>,
    version: String,
    since_ms: i64,
    now_ms: i64,
    store: String,
    store_health: String,
    ack: String,
    ledger_id: String,
}

pub(super) async fn run(operator: &mut Operator, output: &Output) -> Result<(), Failure> {
    let request = operator.request(pb::GetHealthRequest {});
    let said = match operator.client.get_health(request).await {
        Ok(said) => said.into_inner(),
        Err(status) => return Err(operator.refused(status).await),
    };
    let shown = Shown {
        serving: said.serving,
        services: said.services,
        version: said.version,
        since_ms: said.since_ms,
        now_ms: said.now_ms,
        store: said.store,
        store_health: said.store_health,
        ack: said.ack,
        ledger_id: hex::encode(said.ledger_id),
    };
    output.print(&shown).await?;
    match shown.serving {
        true => Ok(()),
        false => Err(Failure::said(Exit::Refused)),
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let takes = match self.serving {
            true => "Takes work",
            false => "TAKES NO WORK",
        };
        writeln!(f, "{takes}: {}", self.services.join(", "))?;
        writeln!(f, "  version    {}", self.version)?;
        writeln!(f, "  since      {} UTC", utc(self.since_ms))?;
        writeln!(f, "  its clock  {} UTC", utc(self.now_ms))?;
        writeln!(f, "  store      {}, {}", self.store, self.store_health)?;
        writeln!(f, "  acks       {}", self.ack)?;
        write!(f, "  ledger id  {}", self.ledger_id)
    }
}
