//! `watch`: what happens, as it happens.

use std::fmt;
use std::path::PathBuf;

use device_agent::{Agent, Event, Events, KeyChange};
use edge_ledger_core::text::shown;
use serde::Serialize;

use super::calendar::utc;
use super::link::may;
use super::posting::level;
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
    },
    DeviceRevoked {
        device: String,
        name: String,
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
    Missed {
        events: u64,
    },
}

/// What changed of the identity's keys.
#[derive(Debug, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
enum Change {
    RootRotated,
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
        output.print(&told(event, &unit)).await?;
    }
    Ok(())
}

pub(super) fn told(event: Event, unit: &Unit) -> Told {
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
        Event::Acked { point, level: at } => {
            let (seq, level) = (point.seq, level(at));
            (
                Line::Acked { seq, level },
                format!("acked {level} up to entry {seq}"),
            )
        }
        Event::Refused { point, why } => {
            let seq = point.seq;
            let words = format!("the service refused entry {seq}: {why}");
            (Line::Refused { seq, why }, words)
        }
        Event::DevicesChanged { log_position } => {
            let words = format!("the devices changed (log position {log_position})");
            (Line::DevicesChanged { log_position }, words)
        }
        Event::DeviceLinked {
            device,
            name,
            platform,
            admin,
        } => linked(device.to_string(), name, platform, admin),
        Event::DeviceRevoked { device, name } => {
            let device = device.to_string();
            let words = format!("\"{}\" ({device}) was revoked", shown(&name));
            (Line::DeviceRevoked { device, name }, words)
        }
        Event::KeysChanged { change } => keys_changed(change),
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
        Event::Missed { events } => (
            Line::Missed { events },
            format!("{events} events were missed"),
        ),
    };
    Told { line, words }
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
         in {}: give it to whoever runs the service, and record on as ever",
        file.display()
    );
    (Line::LogForked { position, file }, words)
}

/// The notice of changed keys.
fn keys_changed(change: KeyChange) -> (Line, String) {
    let (change, words) = match change {
        KeyChange::RootRotated => (
            Change::RootRotated,
            "the root key was rotated: backups made before are outdated".to_owned(),
        ),
        KeyChange::RecoverySet => (
            Change::RecoverySet,
            "a recovery key was set; an earlier one is worth nothing.  Not yours?  edge-ledger \
             rotate --compromised"
                .to_owned(),
        ),
        KeyChange::RecoveryAsked {
            position,
            effective_ms,
        } => {
            let words = format!(
                "a recovery was asked for: the identity gets another root key at {} UTC.  Not \
                 yours?  edge-ledger recovery veto",
                utc(effective_ms)
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
fn linked(device: String, name: String, platform: String, admin: bool) -> (Line, String) {
    let words = format!(
        "\"{}\" ({}, {device}) was linked: it can {}.  Not yours?  edge-ledger devices revoke \
         {device} --reason compromised",
        shown(&name),
        shown(&platform),
        may(admin)
    );
    let line = Line::DeviceLinked {
        device,
        name,
        platform,
        admin,
    };
    (line, words)
}
