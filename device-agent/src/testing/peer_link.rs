//! The link between two devices by itself, without identities: for tests that put something else
//! at its other end.

use std::time::Duration;

use edge_ledger_core::sync::Frame;
use tokio_util::task::TaskTracker;

use crate::webrtc::{
    self, Connecting, IceServers, LinkConfig, LinkError, Offering, PeerLink, Reach,
};

/// Why there is no link, or none any more.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct LinkFailed(String);

impl From<LinkError> for LinkFailed {
    fn from(error: LinkError) -> Self {
        Self(error.to_string())
    }
}

/// A link that was offered.
#[derive(Debug)]
pub struct Offered(Offering);

/// A link that is being opened.
#[derive(Debug)]
pub struct Opening(Connecting);

/// An open link.
#[derive(Debug)]
pub struct Link(PeerLink);

fn config() -> LinkConfig {
    LinkConfig {
        servers: IceServers::default(),
        reach: Reach::LoopbackToo,
        open_within: crate::limits::LINK_OPEN_WITHIN,
        tasks: TaskTracker::new(),
    }
}

/// Offers a link; the description is for the other end.
///
/// # Errors
/// When no socket can be opened.
pub async fn offer() -> Result<(Offered, String), LinkFailed> {
    let (offering, description) = Offering::start(config()).await?;
    Ok((Offered(offering), description.sdp))
}

/// Answers an offer; the description is for the other end.
///
/// # Errors
/// When the offer cannot be used, or no socket can be opened.
pub async fn answer(offer: &str) -> Result<(Opening, String), LinkFailed> {
    let (connecting, description) = webrtc::answer(config(), offer).await?;
    Ok((Opening(connecting), description.sdp))
}

impl Offered {
    /// Takes the answer of the other end.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn answered(self, answer: &str) -> Result<Opening, LinkFailed> {
        Ok(Opening(self.0.accept_answer(answer)?))
    }
}

impl Opening {
    /// Waits until the link is open.
    ///
    /// # Errors
    /// When it does not open in time, or the other end is not who its description says.
    pub async fn opened(self) -> Result<Link, LinkFailed> {
        Ok(Link(self.0.opened().await?))
    }
}

impl Link {
    /// Fingerprints of both DTLS certificates, this end's first.
    pub fn fingerprints(&self) -> ([u8; 32], [u8; 32]) {
        (self.0.ours, self.0.theirs)
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// When the link is closed.
    pub async fn send(&self, frame: Frame) -> Result<(), LinkFailed> {
        let sent = self.0.outbound.send(frame).await;
        sent.map_err(|_| LinkError::Closed.into())
    }

    /// Waits for the next frame.
    ///
    /// # Errors
    /// When none comes any more.
    pub async fn next(&mut self) -> Result<Frame, LinkFailed> {
        let next = self.0.inbound.recv().await;
        Ok(next.unwrap_or(Err(LinkError::Closed))?)
    }

    /// Moves the link to new sockets.
    pub fn restart(&self) {
        self.0.restarter.restart();
    }

    /// The path that data takes; none before something went over it.
    pub fn path(&self) -> Option<Path> {
        let report = self.0.report.borrow().clone();
        let end = |end: webrtc::PathEnd| format!("{} {}", end.kind.as_str(), end.address);
        Some(Path {
            local: end(report.local?),
            remote: end(report.remote?),
            bytes_sent: report.bytes_sent,
            bytes_received: report.bytes_received,
            heard_ago: report.heard_at.elapsed(),
            round_trip: report.rtt,
            restarts: report.restarts,
        })
    }
}

/// The path of a link's data.
#[derive(Debug, Clone)]
pub struct Path {
    /// How this end's address was found, and the address.
    pub local: String,
    /// The same of the other end.
    pub remote: String,
    /// Bytes of datagrams that went out.
    pub bytes_sent: u64,
    /// Bytes of datagrams that came in.
    pub bytes_received: u64,
    /// Time since the last one came.
    pub heard_ago: Duration,
    /// Time to the other end and back.
    pub round_trip: Option<Duration>,
    /// How often the link moved to new sockets.
    pub restarts: u64,
}
