//! `admin sessions`: the streams that devices have open in one process.

use std::fmt;

use bytes::Bytes;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use edge_ledger_core::ids::IdentityId;
use edge_ledger_proto::admin as pb;
use serde::Serialize;

use super::Operator;
use crate::device::calendar::utc;
use crate::explain::Failure;
use crate::output::Output;

/// One page of them, or what is said when there is none.
#[derive(Debug, Serialize)]
struct Shown {
    sessions: Vec<Session>,
    /// Whether another page follows.
    more: bool,
}

#[derive(Debug, Serialize)]
struct Session {
    identity: String,
    device: String,
    since_ms: i64,
    frames_waiting: u64,
}

pub(super) async fn run(
    operator: &mut Operator,
    identity: Option<IdentityId>,
    output: &Output,
) -> Result<(), Failure> {
    let identity = identity.map_or_else(Bytes::new, |id| Bytes::copy_from_slice(id.as_bytes()));
    let mut after = 0;
    loop {
        let request = operator.request(pb::ListStreamsRequest {
            identity: identity.clone(),
            after,
        });
        let said = match operator.client.list_streams(request).await {
            Ok(said) => said.into_inner(),
            Err(status) => return Err(operator.refused(status).await),
        };
        let last = said.streams.last().map(|stream| stream.number);
        let sessions = said.streams.into_iter().map(|stream| Session {
            identity: hex::encode(stream.identity),
            device: hex::encode(stream.device),
            since_ms: stream.since_ms,
            frames_waiting: stream.frames_waiting,
        });
        let shown = Shown {
            sessions: sessions.collect(),
            more: said.more && last.is_some(),
        };
        output.print(&shown).await?;
        match last {
            Some(last) if shown.more => after = last,
            Some(_) | None => return Ok(()),
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.sessions.is_empty() {
            return write!(f, "No device has a stream open here.");
        }
        let mut table = Table::new();
        table.load_preset(NOTHING);
        table.set_header(["identity", "device", "since (UTC)", "frames waiting"]);
        for session in &self.sessions {
            table.add_row([
                session.identity.clone(),
                session.device.clone(),
                utc(session.since_ms),
                session.frames_waiting.to_string(),
            ]);
        }
        write!(f, "{}", table.trim_fmt())
    }
}
