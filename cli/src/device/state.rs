//! `balance` and `status`: what there is, and how this device is.

use std::fmt;
use std::path::{Path, PathBuf};

use device_agent::{Agent, ForkedLog, Status};
use edge_ledger_core::limits::AMOUNT_MAX;
use edge_ledger_core::text::shown;
use serde::Serialize;

use super::posting::level;
use super::services::Services;
use super::synced::{Synced, sync};
use crate::amount::Unit;
use crate::explain::Failure;
use crate::output::Output;

/// The balance, as it is printed: totals as decimal strings of minor units.
#[derive(Debug, Serialize)]
struct Balance {
    balance: String,
    available: u64,
    credited: String,
    debited: String,
    refunded: String,
    /// Postings that are recorded but not signed yet.
    waiting: usize,
    unit: String,
    decimals: u32,
    upgrade_required: bool,
    #[serde(skip)]
    words: String,
}

impl Balance {
    fn new(balance: &device_agent::Balance, unit: &Unit) -> Self {
        let available = i128::from(balance.available);
        let mut words = unit.show(balance.balance);
        if balance.balance < 0 {
            words.push_str("  (debt)");
        } else if available != balance.balance {
            words.push_str(&format!("  ({} available)", unit.digits(available)));
        }
        Self {
            balance: balance.balance.to_string(),
            available: spendable(balance),
            credited: balance.credited.to_string(),
            debited: balance.debited.to_string(),
            refunded: balance.refunded.to_string(),
            waiting: balance.waiting,
            unit: unit.name().to_owned(),
            decimals: unit.decimals(),
            upgrade_required: balance.upgrade_required,
            words,
        }
    }
}

/// What the deployment of a device counts.
pub(super) fn unit(agent: &Agent) -> Unit {
    let (name, decimals) = agent.unit();
    Unit::new(name, decimals)
}

/// What one posting can spend, which a JSON number holds.
pub(super) fn spendable(balance: &device_agent::Balance) -> u64 {
    balance.available.min(AMOUNT_MAX)
}

#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    balance: Balance,
    #[serde(flatten)]
    synced: Synced,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.balance.words)
    }
}

pub(super) async fn balance(agent: &Agent, output: &Output) -> Result<(), Failure> {
    let synced = sync(agent).await?;
    let balance = agent.balance();
    let shown = Shown {
        balance: Balance::new(&balance, &unit(agent)),
        synced,
    };
    output.print(&shown).await?;
    if balance.upgrade_required {
        let note = "a newer version wrote entries that this one cannot read: upgrade it";
        output.note(note).await;
    }
    shown.synced.note(output).await;
    Ok(())
}

/// How the device is, as it is printed.
#[derive(Debug, Serialize)]
struct Report {
    state: &'static str,
    ledger_id: String,
    identity: String,
    short_id: String,
    device: String,
    device_name: String,
    devices_active: usize,
    log_position: u64,
    #[serde(flatten)]
    balance: Balance,
    tip: Option<Place>,
    acked: Option<Acked>,
    unacked_entries: u64,
    digest: String,
    synced_ms_ago: Option<u64>,
    heard_ms_ago: Option<u64>,
    stale: bool,
    rolled_back: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    forked_log: Option<Fork>,
    /// The same, of a fork that was settled since.
    #[serde(skip_serializing_if = "Option::is_none")]
    settled_fork: Option<Fork>,
    /// Whether it ended itself.
    left: bool,
    /// Whether a recovery made it that did not come to the other devices.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    recovery_unfinished: bool,
    last_error: Option<String>,
    /// Which way entries go: `service`, `webrtc`, `both` or `none`.
    path: &'static str,
    peers: Vec<PeerRow>,
    services: Services,
    home: PathBuf,
    #[serde(flatten)]
    synced: Synced,
    /// Why the service refuses this device.
    #[serde(skip_serializing_if = "Option::is_none")]
    sync_reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct Place {
    seq: u64,
    hash: String,
}

/// Evidence of a forked identity log.
#[derive(Debug, Serialize)]
struct Fork {
    position: u64,
    file: PathBuf,
}

impl From<ForkedLog> for Fork {
    fn from(forked: ForkedLog) -> Self {
        Self {
            position: forked.position,
            file: forked.file,
        }
    }
}

#[derive(Debug, Serialize)]
struct Acked {
    #[serde(flatten)]
    place: Place,
    level: &'static str,
}

/// A link to another device.
#[derive(Debug, Serialize)]
pub(super) struct PeerRow {
    device: String,
    name: String,
    /// Whether the two have let each other in.
    live: bool,
    /// Frames of entries that it has not answered.
    unanswered_frames: usize,
    local: Option<PathEnd>,
    remote: Option<PathEnd>,
    rtt_ms: Option<f64>,
    heard_ms_ago: u64,
    bytes_sent: u64,
    bytes_received: u64,
    ice_restarts: u64,
}

/// One end of the path of a link.
#[derive(Debug, Serialize)]
struct PathEnd {
    candidate: &'static str,
    address: String,
}

/// The links of a device.
pub(super) fn peer_rows(status: &Status) -> Vec<PeerRow> {
    let end = |end: device_agent::PathEnd| PathEnd {
        candidate: end.kind.as_str(),
        address: end.address.to_string(),
    };
    let row = |peer: &device_agent::PeerStatus| PeerRow {
        device: peer.device.to_string(),
        name: peer.name.clone(),
        live: peer.live,
        unanswered_frames: peer.unanswered_frames,
        local: peer.local.map(end),
        remote: peer.remote.map(end),
        rtt_ms: peer
            .rtt
            .map(|rtt| (rtt.as_secs_f64() * 100_000.0).round() / 100.0),
        heard_ms_ago: peer.heard_ms_ago,
        bytes_sent: peer.bytes_sent,
        bytes_received: peer.bytes_received,
        ice_restarts: peer.restarts,
    };
    status.peers.iter().map(row).collect()
}

impl fmt::Display for PeerRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", shown(&self.name))?;
        if !self.live {
            return write!(f, "  meeting");
        }
        if let (Some(local), Some(remote)) = (&self.local, &self.remote) {
            write!(
                f,
                "  {} to {} {}",
                local.candidate, remote.candidate, remote.address
            )?;
        }
        if let Some(rtt) = self.rtt_ms {
            write!(f, ", {rtt} ms")?;
        }
        write!(
            f,
            ", {} B out, {} B in",
            self.bytes_sent, self.bytes_received
        )?;
        if self.unanswered_frames > 0 {
            write!(f, ", {} frames behind", self.unanswered_frames)?;
        }
        Ok(())
    }
}

pub(super) async fn status(agent: &Agent, home: &Path, output: &Output) -> Result<(), Failure> {
    // A device that is refused is a state like any other here.
    let (synced, reason) = match sync(agent).await {
        Ok(synced) => (synced, None),
        Err(failure) => {
            let failure = failure.into_explanation();
            (Synced::no(failure.message), Some(failure.reason))
        }
    };
    let report = Report::new(agent, home.to_owned(), synced, reason);
    output.print(&report).await
}

/// What is said of a recovery that was interrupted after it had made the device.
pub(super) const UNFINISHED: &str = "others can still speak until `edge-ledger recover \
                                     --revoke-others` has ended, or `recover`, to let them";

/// Whether a recovery made the device in a folder, and did not come to the other devices.
pub(super) fn recovery_unfinished(home: &Path) -> bool {
    device_agent::recovery_begun(home)
        .ok()
        .flatten()
        .is_some_and(|begun| begun.linked)
}

impl Report {
    fn new(agent: &Agent, home: PathBuf, synced: Synced, reason: Option<String>) -> Self {
        let status: Status = agent.status();
        let peers = peer_rows(&status);
        let place = |point: device_agent::Point| Place {
            seq: point.seq,
            hash: point.hash.to_string(),
        };
        Self {
            state: status.state.as_str(),
            ledger_id: status.ledger_id.to_string(),
            identity: status.identity.to_string(),
            device: status.device.to_string(),
            devices_active: status.devices_active,
            log_position: status.log_position,
            balance: Balance::new(&status.balance, &unit(agent)),
            tip: status.tip.map(place),
            acked: status.acked.map(|(point, at)| Acked {
                place: place(point),
                level: level(at),
            }),
            unacked_entries: status.unacked_entries(),
            synced_ms_ago: status.synced_ms_ago,
            heard_ms_ago: status.heard_ms_ago,
            stale: status.stale,
            rolled_back: status.rolled_back,
            forked_log: status.forked_log.map(Fork::from),
            settled_fork: status.settled_fork.map(Fork::from),
            left: status.left,
            recovery_unfinished: recovery_unfinished(&home),
            short_id: status.short_id,
            device_name: status.device_name,
            digest: status.digest,
            path: status.path.as_str(),
            peers,
            last_error: status.last_error,
            services: Services::new(status.identity_endpoints, status.ledger_endpoints),
            home,
            synced,
            sync_reason: reason,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}  {}", self.state, self.balance.words)?;
        let others = self.devices_active.saturating_sub(1);
        writeln!(
            f,
            "  identity   {}  ({others} other active devices)",
            self.short_id
        )?;
        writeln!(f, "  device     {}  {}", self.device_name, self.device)?;
        writeln!(f, "  ledger     {}", self.ledger_id)?;
        writeln!(f, "  folder     {}", self.home.display())?;
        writeln!(f, "  path       {}", self.path)?;
        for peer in &self.peers {
            writeln!(f, "  peer       {peer}")?;
        }
        let entries = self.tip.as_ref().map_or(0, |tip| tip.seq);
        let (unacked, waiting) = (self.unacked_entries, self.balance.waiting);
        write!(
            f,
            "  journal    {entries} entries, {unacked} not acked, {waiting} postings waiting"
        )?;
        if let Some(acked) = &self.acked {
            write!(f, "; acked {} up to {}", acked.level, acked.place.seq)?;
        }
        if self.rolled_back {
            write!(
                f,
                "\n  this folder is an old copy of the device: it gets a new key when the service answers"
            )?;
        }
        if let Some(forked) = &self.forked_log {
            write!(
                f,
                "\n  forked     the service's identity log is another one from position {} on: \
                 `edge-ledger recovery settle`",
                forked.position
            )?;
        }
        write!(f, "{}", self.services)?;
        if self.recovery_unfinished {
            write!(f, "\n  recovered  {UNFINISHED}")?;
        }
        match (&self.sync_reason, &self.last_error) {
            (Some(reason), Some(error)) => write!(f, "\n  refused    {reason}: {error}"),
            (None, Some(error)) => write!(f, "\n  not synced {error}"),
            (_, None) => Ok(()),
        }
    }
}
