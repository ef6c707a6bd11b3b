//! The frames of a session, as the domain sees them.

use bytes::Bytes;

use crate::identity::receipt::ReceiptParts;
use crate::identity::{Point, ServiceCertificate};
use crate::ids::{DeviceId, Digest, StoreEpoch};
use crate::keys::Signature;
use crate::ledger::admission::Refusal;
use crate::ledger::{Ack, Heads, Level, Run, Tip};
use crate::limits::{
    FRAME_ACKS_MAX, FRAME_RELAYED_ACKS_MAX, FRAME_RUNS_MAX, FRAME_STATEMENTS_MAX, HEADS_TIPS_MAX,
    LOCATOR_FRAME_POINTS_MAX,
};
use crate::sync::handshake::{Greeting, Hello, Welcome};
use crate::sync::peer_handshake::{PeerGreeting, PeerWelcome};

/// One message of a session.
#[derive(Debug, Clone)]
pub enum Frame {
    /// The service speaks first.
    Greeting(Greeting),
    /// The device answers.
    Hello(Hello),
    /// The service opens the session.
    Welcome(Welcome),
    /// All tips of the sender.
    Heads(Heads),
    /// Asks for statements.
    LogWanted {
        /// Positions after this one are wanted.
        after_position: u64,
    },
    /// Statements in order.
    Statements(Vec<ReceiptParts>),
    /// Entries.
    Runs {
        /// Number of the frame in its direction.
        frame_id: u64,
        /// 1 to 256 runs.
        runs: Vec<Run>,
    },
    /// Answers a `Runs` frame.
    Taken {
        /// The frame.
        frame_id: u64,
        /// One per run.
        outcomes: Vec<Outcome>,
    },
    /// Receipts for entries.
    Acks(Vec<AckParts>),
    /// Own points of journals whose tips the sender does not know.
    Locator(Vec<Tip>),
    /// Asks for a pong once everything that waits has been sent.
    Ping {
        /// Chosen by the sender.
        ping_id: u64,
        /// The sender's digest.
        digest: Digest,
    },
    /// Answers a ping.
    Pong {
        /// The ping.
        ping_id: u64,
        /// The sender's digest.
        digest: Digest,
    },
    /// The sender is about to end the stream.
    GoAway {
        /// Why.
        reason: GoAwayReason,
        /// How long to wait before coming back; 0 for the usual back-off.
        retry_after_ms: u64,
    },
    /// Both devices speak first.
    PeerGreeting(PeerGreeting),
    /// Each answers the other's greeting.
    PeerHello(Hello),
    /// Each lets the other in.
    PeerWelcome(PeerWelcome),
    /// Whether the sender wants entries of this peer: it has no service that takes its own.
    Flow {
        /// Whether it does.
        wanted: bool,
    },
    /// Receipts of the service that a device passes on.
    RelayedAcks(Vec<RelayedAck>),
}

impl Frame {
    /// The frame's name, for logs and errors.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Greeting(_) => "Greeting",
            Self::Hello(_) => "Hello",
            Self::Welcome(_) => "Welcome",
            Self::Heads(_) => "Heads",
            Self::LogWanted { .. } => "LogWanted",
            Self::Statements(_) => "Statements",
            Self::Runs { .. } => "Runs",
            Self::Taken { .. } => "Taken",
            Self::Acks(_) => "Acks",
            Self::Locator(_) => "Locator",
            Self::Ping { .. } => "Ping",
            Self::Pong { .. } => "Pong",
            Self::GoAway { .. } => "GoAway",
            Self::PeerGreeting(_) => "PeerGreeting",
            Self::PeerHello(_) => "PeerHello",
            Self::PeerWelcome(_) => "PeerWelcome",
            Self::Flow { .. } => "Flow",
            Self::RelayedAcks(_) => "RelayedAcks",
        }
    }

    /// Whether it holds more things than a frame may; its size is checked where it is decoded.
    pub(super) fn is_over_limit(&self) -> bool {
        match self {
            Self::Runs { runs, .. } => runs.len() > FRAME_RUNS_MAX,
            Self::Taken { outcomes, .. } => outcomes.len() > FRAME_RUNS_MAX,
            Self::Heads(heads) => heads.tips().count() > HEADS_TIPS_MAX,
            Self::Locator(points) => points.len() > LOCATOR_FRAME_POINTS_MAX,
            Self::Statements(parts) => parts.len() > FRAME_STATEMENTS_MAX,
            Self::Acks(acks) => acks.len() > FRAME_ACKS_MAX,
            Self::RelayedAcks(acks) => acks.len() > FRAME_RELAYED_ACKS_MAX,
            Self::Greeting(_)
            | Self::Hello(_)
            | Self::Welcome(_)
            | Self::LogWanted { .. }
            | Self::Ping { .. }
            | Self::Pong { .. }
            | Self::GoAway { .. }
            | Self::PeerGreeting(_)
            | Self::PeerHello(_)
            | Self::PeerWelcome(_)
            | Self::Flow { .. } => false,
        }
    }
}

/// What became of one run at the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All its entries are kept.
    Kept,
    /// It waits for something, or was dropped and will be asked for.
    Waiting,
    /// Nothing of it is kept.
    Refused(Refusal),
}

/// Why a stream is about to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoAwayReason {
    /// The process stops.
    Draining,
    /// Another stream of the same device took its place.
    Superseded,
    /// The device was revoked or replaced.
    DeviceRevoked,
}

/// An ack as it travels: without what both ends know (identity, log hash, store epoch).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AckParts {
    /// The journal's device.
    pub device: DeviceId,
    /// The acked entry.
    pub point: Point,
    /// Position of the log head under which it was given.
    pub log_position: u64,
    /// What it survives.
    pub level: Level,
    /// Service time, in milliseconds since 1970.
    pub service_time_ms: i64,
    /// Serial of the key that signed.
    pub key_serial: u64,
    /// The signature.
    pub signature: Signature,
}

impl From<&Ack> for AckParts {
    fn from(ack: &Ack) -> Self {
        Self {
            device: ack.body.device,
            point: ack.body.point,
            log_position: ack.body.log_position,
            level: ack.body.level,
            service_time_ms: ack.body.service_time_ms,
            key_serial: ack.body.key_serial,
            signature: ack.signature,
        }
    }
}

/// An ack as a peer passes it on: with what its receiver cannot know of the service that gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayedAck {
    /// The ack.
    pub ack: AckParts,
    /// The identity's place in that service's store.
    pub store_epoch: StoreEpoch,
    /// Encoded body of the service key's certificate.
    pub certificate_body: Bytes,
    /// The service root's signature of it.
    pub certificate_signature: Signature,
}

impl RelayedAck {
    /// What is passed on of an ack that was checked.
    pub fn new(ack: &Ack, service: &ServiceCertificate) -> Self {
        Self {
            ack: ack.into(),
            store_epoch: ack.body.store_epoch,
            certificate_body: service.body().clone(),
            certificate_signature: *service.signature(),
        }
    }
}
