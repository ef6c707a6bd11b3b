//! `devices`: who belongs to the identity, under which name, and who no longer does.

use std::fmt;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use device_agent::{AddedBy, Agent, DeviceId, DeviceInfo, DeviceState, RevokeReason};
use serde::Serialize;

use super::calendar::utc;
use super::enrol::check_name;
use super::rights::{acted, warn_of_no_admin};
use super::synced::{Synced, sync};
use crate::args::{self, Reason};
use crate::explain::{Failure, key_format};
use crate::output::Output;

/// Fewer characters of an id are a name.
const ID_PREFIX_MIN: usize = 4;
/// Longer words without a blank are meant as an id.
const ID_LIKE_MIN: usize = 28;

pub(super) async fn run(
    act: Option<args::Devices>,
    agent: &Agent,
    output: &Output,
) -> Result<(), Failure> {
    match act {
        None | Some(args::Devices::List) => list(agent, output).await,
        Some(args::Devices::Rename { device, name }) => {
            check_name(&name)?;
            rename(agent, &device, name, output).await
        }
        Some(args::Devices::Revoke { device, reason }) => {
            revoke(agent, &device, reason, output).await
        }
    }
}

#[derive(Debug, Serialize)]
struct List {
    devices: Vec<Row>,
    #[serde(flatten)]
    synced: Synced,
}

#[derive(Debug, Serialize)]
struct Row {
    device: String,
    name: String,
    /// The name, told apart from equal ones.
    label: String,
    platform: String,
    admin: bool,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced_by: Option<String>,
    /// Why it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// Until when it has no admin rights though it is an admin.
    #[serde(skip_serializing_if = "Option::is_none")]
    probation_ends_ms: Option<i64>,
    added_at: u64,
    added_ms: Option<i64>,
    added_by: By,
    /// Whether root keys can lie in its folder.
    may_hold_root_keys: bool,
    /// Its newest entry that is kept here, by its own clock.
    last_entry_ms: Option<i64>,
    /// Its newest statement, by the clock of the service.
    last_statement_ms: Option<i64>,
    this: bool,
}

/// Who signed a device or a token into the log.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum By {
    Root,
    Device { device: String, label: String },
    EnrolmentKey { id: String, name: String },
    OtherBranch,
}

impl By {
    pub(super) fn new(by: &AddedBy, all: &[DeviceInfo]) -> Self {
        match by {
            AddedBy::Root => Self::Root,
            AddedBy::OtherBranch => Self::OtherBranch,
            AddedBy::Device(id) => {
                let device = all.iter().find(|device| device.device == *id);
                Self::Device {
                    label: device.map_or_else(|| id.to_string(), |device| label(device, all)),
                    device: id.to_string(),
                }
            }
            AddedBy::Enrolment { id, name } => Self::EnrolmentKey {
                id: id.to_string(),
                name: name.clone(),
            },
        }
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("root key"),
            Self::OtherBranch => f.write_str("another branch"),
            Self::Device { label, .. } => f.write_str(label),
            Self::EnrolmentKey { name, .. } => write!(f, "token {name}"),
        }
    }
}

async fn list(agent: &Agent, output: &Output) -> Result<(), Failure> {
    let synced = sync(agent).await?;
    let all = agent.devices();
    let now_ms = agent.now_ms();
    let rows = all.iter().map(|device| Row::new(device, &all, now_ms));
    let devices = rows.collect();
    let list = List { devices, synced };
    output.print(&list).await?;
    list.synced.note(output).await;
    Ok(())
}

impl Row {
    fn new(device: &DeviceInfo, all: &[DeviceInfo], now_ms: i64) -> Self {
        let (state, replaced_by) = match device.state {
            DeviceState::Active => ("active", None),
            DeviceState::Replaced { by } => ("replaced", Some(by.to_string())),
            DeviceState::Revoked => ("revoked", None),
        };
        Self {
            device: device.device.to_string(),
            name: device.name.clone(),
            label: label(device, all),
            platform: device.platform.clone(),
            admin: device.admin,
            state,
            replaced_by,
            reason: device.revoked_for.map(reason_word),
            probation_ends_ms: device.probation_at(now_ms),
            added_at: device.added_at,
            added_ms: device.added_ms,
            added_by: By::new(&device.added_by, all),
            may_hold_root_keys: device.may_hold_root_keys,
            last_entry_ms: device.last_entry_ms,
            last_statement_ms: device.last_statement_ms,
            this: device.this,
        }
    }

    /// What it may do.
    fn may(&self) -> String {
        let may = match self.probation_ends_ms {
            Some(ends_ms) => format!("all, from {} on", utc(ends_ms)),
            None if self.admin => "all".to_owned(),
            None => "earn, spend".to_owned(),
        };
        match self.may_hold_root_keys {
            true => format!("{may}; root keys?"),
            false => may,
        }
    }

    /// Where it stands, and why.
    fn stands(&self) -> String {
        let state = self.state.to_owned();
        match self.reason {
            Some(reason) => format!("{state}: {reason}"),
            None => state,
        }
    }

    /// When it last signed anything that is known here.
    fn last_act(&self) -> String {
        let last_ms = self.last_entry_ms.max(self.last_statement_ms);
        last_ms.map_or_else(|| "none".to_owned(), utc)
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_preset(NOTHING);
        table.set_header([
            "name",
            "device",
            "platform",
            "may",
            "state",
            "added (UTC)",
            "by",
            "last act",
        ]);
        for row in &self.devices {
            let this = if row.this { " (this one)" } else { "" };
            table.add_row([
                format!("{}{this}", row.label),
                row.device.clone(),
                row.platform.clone(),
                row.may(),
                row.stands(),
                row.added_ms.map_or_else(|| "unknown".to_owned(), utc),
                row.added_by.to_string(),
                row.last_act(),
            ]);
        }
        write!(f, "{}", table.trim_fmt())?;
        let left = |row: &&Row| row.may_hold_root_keys && row.state == "revoked";
        let left = self.devices.iter().filter(left).map(|row| &row.label);
        let left: Vec<String> = left.map(|label| format!("\"{label}\"")).collect();
        if left.is_empty() {
            return Ok(());
        }
        write!(
            f,
            "\nRevoked, and perhaps with root keys in the folder: {}. {ROOT_KEYS_GO_ON}",
            left.join(", ")
        )
    }
}

/// What is said of root keys in the folder of a device that was revoked.
const ROOT_KEYS_GO_ON: &str = "A revocation does not end root keys: whoever has that folder can still \
    link devices. End them: `edge-ledger rotate --compromised`, where you have the root keys, or after \
    `edge-ledger backup restore FILE`; with neither, `edge-ledger recover` with the recovery words.";

/// A reason, as it is typed and printed.
pub(super) fn reason_word(reason: RevokeReason) -> &'static str {
    match reason {
        RevokeReason::Lost => "lost",
        RevokeReason::Compromised => "compromised",
        RevokeReason::Retired => "retired",
    }
}

/// What became of a device.
#[derive(Debug, Serialize)]
struct Changed {
    device: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// Until when no admin has admin rights.
    #[serde(skip_serializing_if = "Option::is_none")]
    no_admin_until_ms: Option<i64>,
    /// Whether root keys can lie in its folder, which go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    may_hold_root_keys: Option<bool>,
    log_position: u64,
    #[serde(skip)]
    before: String,
}

async fn rename(agent: &Agent, typed: &str, name: String, output: &Output) -> Result<(), Failure> {
    let target = resolve(agent, typed).await?;
    acted(agent, agent.rename(target.device, &name).await)?;
    let changed = Changed {
        device: target.device.to_string(),
        name,
        reason: None,
        no_admin_until_ms: None,
        may_hold_root_keys: None,
        log_position: agent.status().log_position,
        before: target.name,
    };
    output.print(&changed).await
}

async fn revoke(
    agent: &Agent,
    typed: &str,
    reason: Reason,
    output: &Output,
) -> Result<(), Failure> {
    let target = resolve(agent, typed).await?;
    let why = match reason {
        Reason::Lost => RevokeReason::Lost,
        Reason::Compromised => RevokeReason::Compromised,
        Reason::Retired => RevokeReason::Retired,
    };
    if let Some(before) = target.revoked_for.filter(|before| !why.outweighs(*before)) {
        let word = reason_word(before);
        let message = format!("\"{}\" was revoked already, as {word}", target.name);
        return Err(Failure::refused("ALREADY_REVOKED", message)
            .with("revoked_for", word)
            .next("nothing is left to do; a graver reason can be given with --reason"));
    }
    let no_admin_until_ms = warn_of_no_admin(agent, target.device, output).await;
    acted(agent, agent.revoke(target.device, why).await)?;
    let changed = Changed {
        device: target.device.to_string(),
        before: target.name.clone(),
        name: target.name,
        reason: Some(reason_word(why)),
        no_admin_until_ms,
        may_hold_root_keys: Some(target.may_hold_root_keys),
        log_position: agent.status().log_position,
    };
    output.print(&changed).await
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            device,
            name,
            before,
            ..
        } = self;
        match self.reason {
            None => write!(f, "\"{before}\" is called \"{name}\" ({device}).")?,
            Some(_) => write!(
                f,
                "Revoked \"{name}\" ({device}). What it had told the service stays; nothing after that counts."
            )?,
        }
        match self.may_hold_root_keys {
            Some(true) => write!(f, "\nIt may hold the root keys. {ROOT_KEYS_GO_ON}"),
            Some(false) | None => Ok(()),
        }
    }
}

/// Finds the device that is meant, by the latest log.
async fn resolve(agent: &Agent, typed: &str) -> Result<DeviceInfo, Failure> {
    sync(agent).await?;
    find(&agent.devices(), typed).cloned()
}

/// What means this device and no other: its name; where that could mean another one too, the
/// name with the log position; and where somebody is called that, the id.
pub(super) fn label(device: &DeviceInfo, all: &[DeviceInfo]) -> String {
    let others = || all.iter().filter(|other| other.device != device.device);
    let is_free = |label: &String| {
        label.parse::<DeviceId>().is_err()
            && others().all(|other| other.name != *label && numbered(other) != *label)
    };
    [device.name.clone(), numbered(device)]
        .into_iter()
        .find(is_free)
        .unwrap_or_else(|| device.device.to_string())
}

fn numbered(device: &DeviceInfo) -> String {
    format!("{} #{}", device.name, device.added_at)
}

/// The device with this id or label; else the active one with this name; else the one whose id or
/// name begins like this.
fn find<'a>(all: &'a [DeviceInfo], typed: &str) -> Result<&'a DeviceInfo, Failure> {
    let id = typed.parse::<DeviceId>();
    let exact = all.iter().find(|device| {
        id.as_ref().is_ok_and(|id| *id == device.device) || label(device, all) == typed
    });
    if let Some(device) = exact {
        return Ok(device);
    }
    let active = || {
        all.iter()
            .filter(|device| device.state == DeviceState::Active)
    };
    let named: Vec<_> = active().filter(|device| device.name == typed).collect();
    let lower = typed.to_lowercase();
    let begins = |device: &&DeviceInfo| {
        let by_id = typed.len() >= ID_PREFIX_MIN && device.device.to_string().starts_with(&lower);
        by_id || (!typed.is_empty() && device.name.to_lowercase().starts_with(&lower))
    };
    let meant = if named.is_empty() {
        active().filter(begins).collect()
    } else {
        named
    };
    match (meant.as_slice(), id) {
        ([device], _) => Ok(device),
        ([], Err(error)) if typed.len() >= ID_LIKE_MIN && !typed.contains(' ') => {
            Err(key_format(error))
        }
        ([], _) => {
            let message = format!("no active device is called \"{typed}\"");
            Err(Failure::refused("UNKNOWN_DEVICE", message).next("edge-ledger devices"))
        }
        (several, _) => {
            let labels: Vec<String> = several.iter().map(|device| label(device, all)).collect();
            let listed = format!("\"{}\"", labels.join("\", \""));
            let message = format!("\"{typed}\" is ambiguous: it can mean {listed}");
            Err(Failure::refused("AMBIGUOUS_DEVICE", message)
                .with("devices", labels)
                .next("type more of its name, or its id: `edge-ledger devices` lists both"))
        }
    }
}

#[cfg(test)]
mod tests;
