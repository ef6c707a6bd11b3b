//! `admin identity`: one identity, and what the operator says of it.

use std::fmt;

use bytes::Bytes;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use edge_ledger_core::ids::IdentityId;
use edge_ledger_core::text::shown;
use edge_ledger_proto::admin as pb;
use serde::Serialize;

use super::Operator;
use crate::args::{AdminIdentity, Quota};
use crate::device::calendar::utc;
use crate::explain::Failure;
use crate::output::Output;

/// What is kept of an identity.
#[derive(Debug, Serialize)]
struct Shown {
    identity: String,
    log_position: u64,
    log_hash: String,
    store_epoch: String,
    devices: Vec<Device>,
    journals: usize,
    entries: u64,
    entries_max: Option<u64>,
    payload_bytes: Option<u64>,
    block: Option<Block>,
}

#[derive(Debug, Serialize)]
struct Device {
    device: String,
    name: String,
    platform: String,
    state: String,
    admin: bool,
    /// The highest place of each branch.
    tips: Vec<u64>,
}

#[derive(Debug, Serialize)]
struct Block {
    reason: String,
    since_ms: i64,
}

/// What a block changed.
#[derive(Debug, Serialize)]
struct Blocked {
    identity: String,
    blocked: bool,
    was_blocked: bool,
    block: Option<Block>,
}

/// The bound in effect.
#[derive(Debug, Serialize)]
struct Bounded {
    identity: String,
    entries: u64,
    entries_max: Option<u64>,
}

pub(super) async fn run(
    operator: &mut Operator,
    act: &AdminIdentity,
    output: &Output,
) -> Result<(), Failure> {
    match act {
        AdminIdentity::Show { id, measure } => show(operator, *id, *measure, output).await,
        AdminIdentity::Block { id, reason } => block(operator, *id, reason, output).await,
        AdminIdentity::Unblock { id } => unblock(operator, *id, output).await,
        AdminIdentity::Quota { id, entries } => quota(operator, *id, *entries, output).await,
    }
}

async fn show(
    operator: &mut Operator,
    id: IdentityId,
    measure: bool,
    output: &Output,
) -> Result<(), Failure> {
    let identity = bytes(id);
    let request = operator.long_request(pb::GetIdentityRequest { identity, measure });
    let said = match operator.client.get_identity(request).await {
        Ok(said) => said.into_inner(),
        Err(status) => return Err(operator.refused(status).await),
    };
    let devices = said.devices.into_iter().map(|device| Device {
        device: hex::encode(device.device),
        name: device.name,
        platform: device.platform,
        state: device.state,
        admin: device.admin,
        tips: device.tips,
    });
    let devices: Vec<_> = devices.collect();
    let journals = devices.iter().filter(|device| !device.tips.is_empty());
    let shown = Shown {
        identity: id.to_string(),
        log_position: said.log_position,
        log_hash: hex::encode(said.log_hash),
        store_epoch: hex::encode(said.store_epoch),
        journals: journals.count(),
        devices,
        entries: said.entries,
        entries_max: said.entries_max,
        payload_bytes: said.payload_bytes,
        block: said.block.map(Into::into),
    };
    output.print(&shown).await
}

async fn block(
    operator: &mut Operator,
    id: IdentityId,
    reason: &str,
    output: &Output,
) -> Result<(), Failure> {
    let request = operator.request(pb::BlockIdentityRequest {
        identity: bytes(id),
        reason: reason.to_owned(),
    });
    let said = match operator.client.block_identity(request).await {
        Ok(said) => said.into_inner(),
        Err(status) => return Err(operator.refused(status).await),
    };
    let blocked = Blocked {
        identity: id.to_string(),
        blocked: true,
        was_blocked: said.was_blocked,
        block: said.block.map(Into::into),
    };
    output.print(&blocked).await
}

async fn unblock(operator: &mut Operator, id: IdentityId, output: &Output) -> Result<(), Failure> {
    let identity = bytes(id);
    let request = operator.request(pb::UnblockIdentityRequest { identity });
    let said = match operator.client.unblock_identity(request).await {
        Ok(said) => said.into_inner(),
        Err(status) => return Err(operator.refused(status).await),
    };
    let blocked = Blocked {
        identity: id.to_string(),
        blocked: false,
        was_blocked: said.was_blocked,
        block: None,
    };
    output.print(&blocked).await
}

async fn quota(
    operator: &mut Operator,
    id: IdentityId,
    Quota(entries_max): Quota,
    output: &Output,
) -> Result<(), Failure> {
    let request = operator.request(pb::SetQuotaRequest {
        identity: bytes(id),
        entries_max,
    });
    let said = match operator.client.set_quota(request).await {
        Ok(said) => said.into_inner(),
        Err(status) => return Err(operator.refused(status).await),
    };
    let bounded = Bounded {
        identity: id.to_string(),
        entries: said.entries,
        entries_max: said.entries_max,
    };
    output.print(&bounded).await
}

fn bytes(id: IdentityId) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}

impl From<pb::Block> for Block {
    fn from(block: pb::Block) -> Self {
        Self {
            reason: block.reason,
            since_ms: block.since_ms,
        }
    }
}

/// Entries, and how many there may be.
fn used(entries: u64, most: Option<u64>) -> String {
    match most {
        Some(most) => format!("{entries} of at most {most}"),
        None => format!("{entries}, as many as it likes"),
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Identity {}", self.identity)?;
        if let Some(block) = &self.block {
            let (since, why) = (utc(block.since_ms), shown(&block.reason));
            writeln!(f, "  BLOCKED      since {since} UTC: {why}")?;
        }
        writeln!(f, "  entries      {}", used(self.entries, self.entries_max))?;
        if let Some(bytes) = self.payload_bytes {
            writeln!(f, "  bytes        {bytes}")?;
        }
        writeln!(f, "  journals     {}", self.journals)?;
        writeln!(f, "  log          {} statements", self.log_position)?;
        writeln!(f, "  log hash     {}", self.log_hash)?;
        writeln!(f, "  store epoch  {}", self.store_epoch)?;
        let mut table = Table::new();
        table.load_preset(NOTHING);
        table.set_header(["device", "name", "platform", "state", "admin", "entries"]);
        for device in &self.devices {
            let tips: Vec<String> = device.tips.iter().map(u64::to_string).collect();
            let tips = match tips.len() {
                0 => "0".to_owned(),
                1 => tips.concat(),
                _ => format!("forked: {}", tips.join(", ")),
            };
            table.add_row([
                device.device.clone(),
                shown(&device.name),
                shown(&device.platform),
                device.state.clone(),
                if device.admin { "yes" } else { "" }.to_owned(),
                tips,
            ]);
        }
        write!(f, "{}", table.trim_fmt())
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let identity = &self.identity;
        match (self.blocked, self.was_blocked) {
            (true, false) => write!(
                f,
                "Blocked {identity}. Its devices keep what they record.\n\
                 Next:  edge-ledger admin identity unblock {identity}"
            ),
            (true, true) => {
                let why = self.block.as_ref().map_or("", |block| &block.reason);
                write!(f, "{identity} was blocked before: {}", shown(why))
            }
            (false, true) => write!(
                f,
                "Unblocked {identity}. Its devices come back within a minute."
            ),
            (false, false) => write!(f, "{identity} was not blocked."),
        }
    }
}

impl fmt::Display for Bounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used = used(self.entries, self.entries_max);
        write!(f, "{} has entries: {used}.", self.identity)
    }
}
