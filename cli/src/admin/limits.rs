//! `admin limits`: the bounds that a process keeps to.

use std::fmt;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use edge_ledger_proto::admin as pb;
use serde::Serialize;

use super::Operator;
use crate::explain::Failure;
use crate::output::Output;

/// All bounds.
#[derive(Debug, Serialize)]
struct Shown {
    limits: Vec<Limit>,
}

#[derive(Debug, Serialize)]
struct Limit {
    name: String,
    value: String,
    meaning: String,
}

pub(super) async fn run(operator: &mut Operator, output: &Output) -> Result<(), Failure> {
    let request = operator.request(pb::ListLimitsRequest {});
    let said = match operator.client.list_limits(request).await {
        Ok(said) => said.into_inner(),
        Err(status) => return Err(operator.refused(status).await),
    };
    let limits = said.limits.into_iter().map(|limit| Limit {
        name: limit.name,
        value: limit.value,
        meaning: limit.meaning,
    });
    let limits = limits.collect();
    output.print(&Shown { limits }).await
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_preset(NOTHING);
        table.set_header(["name", "value", "what it bounds"]);
        for Limit {
            name,
            value,
            meaning,
        } in &self.limits
        {
            table.add_row([name, value, meaning]);
        }
        write!(f, "{}", table.trim_fmt())
    }
}
