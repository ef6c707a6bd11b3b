//! What a link tells about itself.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

/// How an address was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CandidateKind {
    /// An address of the machine itself.
    Host,
    /// What a STUN server saw of it.
    ServerReflexive,
    /// What the other end saw of it.
    PeerReflexive,
    /// An address on a TURN server.
    Relayed,
}

impl CandidateKind {
    /// Its name in the status and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::ServerReflexive => "srflx",
            Self::PeerReflexive => "prflx",
            Self::Relayed => "relay",
        }
    }
}

impl From<str0m::CandidateKind> for CandidateKind {
    fn from(kind: str0m::CandidateKind) -> Self {
        match kind {
            str0m::CandidateKind::Host => Self::Host,
            str0m::CandidateKind::ServerReflexive => Self::ServerReflexive,
            str0m::CandidateKind::PeerReflexive => Self::PeerReflexive,
            str0m::CandidateKind::Relayed => Self::Relayed,
        }
    }
}

/// One end of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathEnd {
    /// How its address was found.
    pub kind: CandidateKind,
    /// Its address.
    pub address: SocketAddr,
}

/// A link at one moment; renewed each second, and when the path changes.
#[derive(Debug, Clone)]
pub(crate) struct LinkReport {
    /// This device's end, once there is a path.
    pub(crate) local: Option<PathEnd>,
    /// The other device's end.
    pub(crate) remote: Option<PathEnd>,
    /// Bytes of datagrams that went out.
    pub(crate) bytes_sent: u64,
    /// Bytes of datagrams that came in.
    pub(crate) bytes_received: u64,
    /// When the last datagram came.
    pub(crate) heard_at: Instant,
    /// Time to the other end and back, as ICE measures it.
    pub(crate) rtt: Option<Duration>,
    /// How often ICE was restarted.
    pub(crate) restarts: u64,
}

impl LinkReport {
    pub(super) fn empty(now: Instant) -> Self {
        Self {
            local: None,
            remote: None,
            bytes_sent: 0,
            bytes_received: 0,
            heard_at: now,
            rtt: None,
            restarts: 0,
        }
    }
}
