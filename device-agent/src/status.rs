//! What the agent shows of itself.

use std::path::PathBuf;
use std::time::Duration;

use edge_ledger_core::identity::{DeviceState, Point, RevokeReason};
use edge_ledger_core::ids::{DeviceId, IdentityId, LedgerId};
use edge_ledger_core::ledger::posting::EventKey;
use edge_ledger_core::ledger::{Effect, Kind, Level};

use crate::devices::AddedBy;
use crate::endpoints::Endpoint;
use crate::error::Refusal;
use crate::webrtc::PathEnd;

/// What the agent is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It has not tried to reach a service yet.
    Starting,
    /// It syncs with the ledger service.
    Online,
    /// A service answers, but refuses this device: a person is needed. It goes on recording.
    Degraded,
    /// No service can be reached. It goes on recording.
    Offline,
    /// It is stopped.
    Stopped,
}

impl State {
    /// The state in lower case, as it is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Online => "online",
            Self::Degraded => "degraded",
            Self::Offline => "offline",
            Self::Stopped => "stopped",
        }
    }
}

/// Which way entries go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// Through the ledger service.
    Service,
    /// From device to device, as the ledger service cannot be reached.
    Peers,
    /// Both ways, until a ledger service that came back has everything.
    Both,
    /// None: they wait on this device.
    None,
}

impl Path {
    /// The path in lower case, as it is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Peers => "webrtc",
            Self::Both => "both",
            Self::None => "none",
        }
    }
}

/// A link to another device of the identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// The device.
    pub device: DeviceId,
    /// Its name.
    pub name: String,
    /// Whether the two have let each other in.
    pub live: bool,
    /// Frames of entries that it has not answered.
    pub unanswered_frames: usize,
    /// This end of the path that the link uses (RFC 8445), once one is found.
    pub local: Option<PathEnd>,
    /// The other end of it.
    pub remote: Option<PathEnd>,
    /// Time to the other device and back.
    pub rtt: Option<Duration>,
    /// Milliseconds since anything was heard from it.
    pub heard_ms_ago: u64,
    /// Bytes that were sent over the link.
    pub bytes_sent: u64,
    /// Bytes that came over it.
    pub bytes_received: u64,
    /// How often it went over to another path (ICE restarts).
    pub restarts: u64,
}

/// The balance of the identity as this device knows it, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Balance {
    /// Credits minus debits plus refunds; negative is debt.
    pub balance: i128,
    /// What can be spent here and now.
    pub available: u64,
    /// Sum of all credits that count.
    pub credited: i128,
    /// Sum of all debits.
    pub debited: i128,
    /// Sum of all refunds, each up to its debit.
    pub refunded: i128,
    /// Postings that are recorded but not in an entry yet.
    pub waiting: usize,
    /// Whether there are entries that this version cannot read.
    pub upgrade_required: bool,
}

/// Everything that the agent knows of itself at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// What it is doing.
    pub state: State,
    /// The deployment.
    pub ledger_id: LedgerId,
    /// The identity.
    pub identity: IdentityId,
    /// Its display form, never an authority.
    pub short_id: String,
    /// This device.
    pub device: DeviceId,
    /// Its name.
    pub device_name: String,
    /// Devices that may speak.
    pub devices_active: usize,
    /// Where the identity log ends.
    pub log_position: u64,
    /// The balance.
    pub balance: Balance,
    /// The end of this device's journal.
    pub tip: Option<Point>,
    /// How far the service keeps it, and at which level.
    pub acked: Option<(Point, Level)>,
    /// How long the oldest entry of this device has waited for an ack, in this run.
    pub oldest_unacked_ms: Option<u64>,
    /// Digest of all tips that this device keeps, as hex; equal on two devices that agree.
    pub digest: String,
    /// Milliseconds since the last complete sync of this run.
    pub synced_ms_ago: Option<u64>,
    /// Milliseconds since anything was heard from the service.
    pub heard_ms_ago: Option<u64>,
    /// Whether what is shown may be stale: nothing was heard for a minute.
    pub stale: bool,
    /// Whether this device was shown more of its own journal than it has: a restored or cloned
    /// home folder. It records nothing then.
    pub rolled_back: bool,
    /// Why the service refused this device for good. Remembered in the home folder, so that it is
    /// known offline too, until the service lets the device in again.
    pub revoked: Option<Refusal>,
    /// The evidence that this device holds of a forked identity log. Entries go on; no statement is
    /// signed but the recovery that settles it.
    pub forked_log: Option<ForkedLog>,
    /// The evidence of a forked identity log that a recovery has settled since.
    pub settled_fork: Option<ForkedLog>,
    /// Whether this device ended itself, and so has left the identity.
    pub left: bool,
    /// What went wrong last, until it goes right.
    pub last_error: Option<String>,
    /// Which way entries go now.
    pub path: Path,
    /// Links to other devices; they are kept open while the service is there, too.
    pub peers: Vec<PeerStatus>,
    /// The addresses of the identity service, the one in use among them, in their order.
    pub identity_endpoints: Vec<Endpoint>,
    /// Those of the ledger service, likewise.
    pub ledger_endpoints: Vec<Endpoint>,
}

/// Evidence of a forked identity log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForkedLog {
    /// The position that was given twice.
    pub position: u64,
    /// The file that proves it.
    pub file: PathBuf,
}

impl Status {
    /// Entries of this device that no ack covers.
    pub fn unacked_entries(&self) -> u64 {
        let tip = self.tip.map_or(0, |p| p.seq);
        tip.saturating_sub(self.acked.map_or(0, |(point, _)| point.seq))
    }
}

/// One device of the identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// The device.
    pub device: DeviceId,
    /// Its name.
    pub name: String,
    /// Its platform.
    pub platform: String,
    /// Whether it may sign statements about others, once its probation is over.
    pub admin: bool,
    /// Service time until which it has no admin rights, in milliseconds since 1970. `None` for a
    /// device that a root key added.
    pub probation_ends_ms: Option<i64>,
    /// Where it stands.
    pub state: DeviceState,
    /// Why it was revoked, if so: of several reasons the one that says most.
    pub revoked_for: Option<RevokeReason>,
    /// Log position that added it.
    pub added_at: u64,
    /// Service time at which it was added, in milliseconds since 1970. `None` where that stands in
    /// a branch of the log that was not taken over yet.
    pub added_ms: Option<i64>,
    /// Who signed it in.
    pub added_by: AddedBy,
    /// Whether root keys can lie in its folder, which its revocation does not end: the root key
    /// brought it in, and was not recovered since, nor rotated twice since it was revoked.
    pub may_hold_root_keys: bool,
    /// The time of its newest entry that is kept here, by its own clock, in milliseconds since
    /// 1970: for display only. Nobody tells whether a device is online.
    pub last_entry_ms: Option<i64>,
    /// Service time at which it last signed a statement, in milliseconds since 1970.
    pub last_statement_ms: Option<i64>,
    /// Whether it is this one.
    pub this: bool,
}

impl DeviceInfo {
    /// Until when it is an admin without admin rights, in milliseconds since 1970, if it is one at
    /// a service time.
    pub fn probation_at(&self, now_ms: i64) -> Option<i64> {
        let ends_ms = self.probation_ends_ms.filter(|ends_ms| now_ms < *ends_ms);
        ends_ms.filter(|_| self.admin && self.state == DeviceState::Active)
    }
}

/// One posting of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryItem {
    /// The device that signed it.
    pub device: DeviceId,
    /// The device's name.
    pub device_name: String,
    /// Place of its entry in the device's journal.
    pub seq: u64,
    /// The device's clock, in milliseconds since 1970: for display only.
    pub wall_ms: i64,
    /// What it does.
    pub kind: Kind,
    /// Its idempotency key.
    pub event_key: EventKey,
    /// Minor units.
    pub amount: u64,
    /// For people.
    pub memo: String,
    /// Whether it counts.
    pub effect: Effect,
    /// Whether it counts but does not weigh: of all postings of a kind under one key the largest
    /// does alone.
    pub outweighed: bool,
}
