//! `keys invite`: lets one person register an identity.

use std::fmt;

use edge_ledger_chassis::{Clock, KeysError, KeysFolder, Sealing};
use identity_service::Invites;
use serde::Serialize;

use crate::args::KeysInvite;
use crate::device::calendar::utc;
use crate::explain::Failure;
use crate::output::Output;

/// An invite.
#[derive(Debug, Serialize)]
struct Made {
    invite: String,
    ledger_id: String,
    expires_ms: i64,
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            invite, expires_ms, ..
        } = self;
        let until = utc(*expires_ms);
        writeln!(f, "{invite}\n")?;
        writeln!(
            f,
            "Good for one identity until {until} UTC: give it to one person, who types"
        )?;
        write!(f, "  edge-ledger init --invite {invite}")
    }
}

/// One thing at a time: what is missing is named, and the next when it is there.
fn first(errors: Vec<KeysError>) -> Failure {
    let unread = || Failure::refused("KEYS_IO", "the keys cannot be read");
    errors.into_iter().next().map_or_else(unread, Failure::from)
}

pub(super) async fn run(options: &KeysInvite, output: &Output) -> Result<(), Failure> {
    let folder = KeysFolder::at(&options.dir);
    let (genesis, _) = folder.service_key().map_err(first)?;
    let sealing = Sealing::load(folder).map_err(first)?;
    let ledger_id = genesis.ledger_id();
    let life_ms = i64::try_from(options.expires.as_millis()).unwrap_or(i64::MAX);
    let expires_ms = Clock::system().wall_ms().saturating_add(life_ms);
    output
        .print(&Made {
            invite: Invites::new(sealing, ledger_id).make(expires_ms),
            ledger_id: ledger_id.to_string(),
            expires_ms,
        })
        .await
}
