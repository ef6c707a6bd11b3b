//! `admin keys`: the service keys of a process.

use std::fmt;

use edge_ledger_proto::admin as pb;
use serde::Serialize;

use super::Operator;
use crate::explain::Failure;
use crate::output::Output;

/// The keys.
#[derive(Debug, Serialize)]
struct Shown {
    signing_serial: u64,
    folder_serials: Vec<u64>,
    rotates: bool,
    folder: String,
}

/// What was made.
#[derive(Debug, Serialize)]
struct Made {
    serial: u64,
    kept: u64,
    retired: Vec<u64>,
}

pub(super) async fn list(operator: &mut Operator, output: &Output) -> Result<(), Failure> {
    let request = operator.request(pb::ListKeysRequest {});
    let said = match operator.client.list_keys(request).await {
        Ok(said) => said.into_inner(),
        Err(status) => return Err(operator.refused(status).await),
    };
    let shown = Shown {
        signing_serial: said.signing_serial,
        folder_serials: said.folder_serials,
        rotates: said.rotates,
        folder: said.folder,
    };
    output.print(&shown).await
}

pub(super) async fn rotate(operator: &mut Operator, output: &Output) -> Result<(), Failure> {
    let request = operator.request(pb::RotateServiceKeyRequest {});
    let said = match operator.client.rotate_service_key(request).await {
        Ok(said) => said.into_inner(),
        Err(status) => return Err(operator.refused(status).await),
    };
    let made = Made {
        serial: said.serial,
        kept: said.kept_serial,
        retired: said.retired_serials,
    };
    output.print(&made).await
}

fn numbers(serials: &[u64]) -> String {
    let serials: Vec<String> = serials.iter().map(u64::to_string).collect();
    serials.join(", ")
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Key {} signs.", self.signing_serial)?;
        writeln!(f, "  in the folder  {}", numbers(&self.folder_serials))?;
        writeln!(f, "  folder         {}", self.folder)?;
        writeln!(
            f,
            "Service keys have no end; what any of them signed stays valid."
        )?;
        let newer = self.folder_serials.last().copied().unwrap_or(0);
        if newer > self.signing_serial {
            return write!(
                f,
                "Next:  key {newer} is there and does not sign yet: it does within seconds, or the \
                 service's log says why not"
            );
        }
        match self.rotates {
            true => write!(f, "Next:  edge-ledger admin keys rotate"),
            false => write!(
                f,
                "Next:  where the root key is: edge-ledger keys rotate --dir DIR; then bring the new \
                 files to every replica"
            ),
        }
    }
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { serial, kept, .. } = self;
        writeln!(
            f,
            "Made service key {serial}, which signs now; key {kept} stays."
        )?;
        if !self.retired.is_empty() {
            writeln!(f, "  removed  key {}", numbers(&self.retired))?;
        }
        write!(f, "Next:  back the keys folder up")
    }
}
