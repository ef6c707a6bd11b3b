//! `watch`: what happens, as it happens.

use std::fmt;
use std::path::PathBuf;

use device_agent::{Agent, Event, Events, KeyChange};
use edge_ledger_core::text::shown;
use serde::Serialize;

use super::calendar::utc;
use super::devices::reason_word;
use super::link::may;
use super::posting::level;
use super::rights::Admins;
use super::state::{spendable, unit};
use crate::amount::Unit;
use crate::explain::Failure;
use crate::output::Output;

/// An event, as it is printed.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line {
    Watching {
        device: String,
        balance: String,
        available: u64,
    },
    StateChanged {
        state: &'static str,
    },
    Connected,
    Synced {
        balance: String,
    },
    SyncFailed {
        why: String,
        permanent: bool,
    },
    AddressChanged {
        service: &'static str,
        url: String,
    },
    EntriesKept {
        entries: u64,
        balance: String,
    },
    Acked {
        seq: u64,
        level: &'static str,
    },
    Refused {
        seq: u64,
        why: String,
    },
    DevicesChanged {
        log_position: u64,
    },
    DeviceLinked {
        device: String,
        name: String,
        platform: String,
        admin: bool,
        /// Whether this device may revoke it.
        may_revoke: bool,
        /// Labels of other devices that may.
        admins: Vec<String>,
    },
    DeviceRevoked {
        device: String,
        name: String,
        reason: &'static str,
    },
    KeysChanged(Change),
    Forked {
        device: String,
    },
    LogForked {
        position: u64,
        file: PathBuf,
    },
    Replaced {
        old: String,
        new: String,
    },
    PathChanged {
        path: &'static str,
    },
    PeerConnected {
        device: String,
    },
    PeerLost {
        device: String,
        why: String,
    },
    Missed {
        events: u64,
    },
}

/// What changed of the identity's keys.
#[derive(Debug, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
enum Change {
    RootRotated,
    ForkSettled,
    RecoverySet,
    RecoveryAsked { position: u64, effective_ms: i64 },
    RecoveryVetoed,
    EnrolmentKeyAdded { name: String, uses: u32 },
    EnrolmentKeyRevoked { name: String },
}

/// A line with its words.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    #[serde(flatten)]
    line: Line,
    #[serde(skip)]
    words: String,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

pub(super) async fn run(agent: &Agent, mut events: Events, output: &Output) -> Result<(), Failure> {
    let unit = unit(agent);
    let status = agent.status();
    let shown = unit.show(status.balance.balance);
    output
        .print(&Told {
            words: format!(
                "\"{}\" of {} has {shown}; Ctrl-C ends this.",
                status.device_name, status.short_id
            ),
            line: Line::Watching {
                device: status.device.to_string(),
                balance: status.balance.balance.to_string(),
                available: spendable(&status.balance),
            },
        })
        .await?;
    while let Some(event) = events.next().await {
        output.print(&told(event, agent)).await?;
    }
    Ok(())
}

/// An event as the device's person is told it: what undoes it is named where it can be done.
pub(super) fn told(event: Event, agent: &Agent) -> Told {
    let unit = &unit(agent);
    let (line, words) = match event {
        Event::StateChanged { state } => {
            let state = state.as_str();
            (Line::StateChanged { state }, state.to_owned())
        }
        Event::Connected => (
            Line::Connected,
            "connected to the ledger service".to_owned(),
        ),
        Event::Synced { balance } => synced(balance, unit),
        Event::SyncFailed { why, permanent } => {
            let words = format!("not synced: {why}");
            (Line::SyncFailed { why, permanent }, words)
        }
        Event::AddressChanged { service, url } => {
            let words = format!("the {service} service is used at {url} now");
            (Line::AddressChanged { service, url }, words)
        }
        Event::EntriesKept { entries, balance } => entries_kept(entries, balance, unit),
        Event::Acked { point, level: at } => acked(point.seq, level(at)),
        Event::Refused { point, why } => refused(point.seq, why),
        Event::DevicesChanged { log_position } => {
            let words = format!("the devices changed (log position {log_position})");
            (Line::DevicesChanged { log_position }, words)
        }
        Event::DeviceLinked {
            device,
            name,
            platform,
            admin,
        } => {
            let may = Admins::but(agent, Some(device));
            linked(device.to_string(), (name, platform, admin), may)
        }
        Event::DeviceRevoked {
            device,
            name,
            reason,
        } => revoked(device.to_string(), name, reason_word(reason)),
        Event::KeysChanged { change } => keys_changed(change, agent),
        Event::Forked { device } => {
            let device = device.to_string();
            let words = format!("a copy of {device} wrote too: it repairs itself, or is revoked");
            (Line::Forked { device }, words)
        }
        Event::LogForked { position, file } => log_forked(position, file),
        Event::Replaced { old, new } => {
            let words = "this folder was an old copy, or has a twin: a new key took its place";
            let (old, new) = (old.to_string(), new.to_string());
            (Line::Replaced { old, new }, words.to_owned())
        }
        Event::PathChanged { path } => path_changed(path),
        Event::PeerConnected { device } => peer_connected(device.to_string()),
        Event::PeerLost { device, why } => peer_lost(device.to_string(), why),
        Event::Missed { events } => (
            Line::Missed { events },
            format!("{events} events were missed"),
        ),
    };
    Told { line, words }
}

fn acked(seq: u64, level: &'static str) -> (Line, String) {
    let words = format!("acked {level} up to entry {seq}");
    (Line::Acked { seq, level }, words)
}

fn refused(seq: u64, why: String) -> (Line, String) {
    let words = format!("the service refused entry {seq}: {why}");
    (Line::Refused { seq, why }, words)
}

fn revoked(device: String, name: String, reason: &'static str) -> (Line, String) {
    let words = format!("\"{}\" ({device}) was revoked: {reason}", shown(&name));
    let line = Line::DeviceRevoked {
        device,
        name,
        reason,
    };
    (line, words)
}

fn peer_connected(device: String) -> (Line, String) {
    let words = format!("linked directly with {device}");
    (Line::PeerConnected { device }, words)
}

fn peer_lost(device: String, why: String) -> (Line, String) {
    let words = format!("the direct link with {device} ended: {why}");
    (Line::PeerLost { device, why }, words)
}

fn path_changed(path: device_agent::Path) -> (Line, String) {
    let words = match path {
        device_agent::Path::Service => "entries go through the ledger service",
        device_agent::Path::Peers => "entries go from device to device (WebRTC)",
        device_agent::Path::Both => "entries go both ways until the ledger service has everything",
        device_agent::Path::None => "entries wait here: no service, and no other device",
    };
    let path = path.as_str();
    (Line::PathChanged { path }, words.to_owned())
}

fn synced(balance: i128, unit: &Unit) -> (Line, String) {
    let words = format!("synced: {}", unit.show(balance));
    let balance = balance.to_string();
    (Line::Synced { balance }, words)
}

fn entries_kept(entries: u64, balance: i128, unit: &Unit) -> (Line, String) {
    let words = format!("{entries} new from other devices: {}", unit.show(balance));
    let balance = balance.to_string();
    (Line::EntriesKept { entries, balance }, words)
}

/// The notice of a forked identity log, with what to do.
fn log_forked(position: u64, file: PathBuf) -> (Line, String) {
    let words = format!(
        "the service's identity log contradicts this device's at position {position}; the proof is \
         in {}: give it to whoever runs the service. Put the two together:  edge-ledger recovery settle",
        file.display()
    );
    (Line::LogForked { position, file }, words)
}

/// The notice of changed keys.
fn keys_changed(change: KeyChange, agent: &Agent) -> (Line, String) {
    let (change, words) = match change {
        KeyChange::RootRotated => (
            Change::RootRotated,
            "the root key was rotated: backups made before are outdated".to_owned(),
        ),
        KeyChange::ForkSettled => (
            Change::ForkSettled,
            "two branches of the identity log were put together: devices of both go on.  Not all \
             yours?  edge-ledger devices"
                .to_owned(),
        ),
        KeyChange::RecoverySet => {
            let is_here = agent.holds_root_key().is_ok();
            let place = if is_here {
                ""
            } else {
                "where the root keys are:  "
            };
            let words = format!(
                "a recovery key was set; an earlier one is worth nothing.  Not yours?  \
                 {place}edge-ledger rotate --compromised"
            );
            (Change::RecoverySet, words)
        }
        KeyChange::RecoveryAsked {
            position,
            effective_ms,
        } => {
            let words = format!(
                "a recovery was asked for: the identity gets another root key at {} UTC.  Not \
                 yours?  {}",
                utc(effective_ms),
                Admins::but(agent, None).type_there("recovery veto")
            );
            let change = Change::RecoveryAsked {
                position,
                effective_ms,
            };
            (change, words)
        }
        KeyChange::RecoveryVetoed => (Change::RecoveryVetoed, "the recovery was vetoed".to_owned()),
        KeyChange::EnrolmentKeyAdded { name, uses } => {
            let words = format!(
                "the enrolment key \"{}\" may add {uses} devices",
                shown(&name)
            );
            (Change::EnrolmentKeyAdded { name, uses }, words)
        }
        KeyChange::EnrolmentKeyRevoked { name } => {
            let words = format!("the enrolment key \"{}\" adds no more", shown(&name));
            (Change::EnrolmentKeyRevoked { name }, words)
        }
    };
    (Line::KeysChanged(change), words)
}

/// The notice of a new device, with what to type if it is a thief's.
fn linked(
    device: String,
    (name, platform, admin): (String, String, bool),
    who: Admins,
) -> (Line, String) {
    let undo = format!("devices revoke {device} --reason compromised");
    let words = format!(
        "\"{}\" ({}, {device}) was linked: it can {}.  Not yours?  {}",
        shown(&name),
        shown(&platform),
        may(admin),
        who.type_there(&undo)
    );
    let line = Line::DeviceLinked {
        device,
        name,
        platform,
        admin,
        may_revoke: who.here,
        admins: who.others,
    };
    (line, words)
}
