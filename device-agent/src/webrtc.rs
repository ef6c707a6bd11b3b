//! The link to another device: one WebRTC data channel, frames both ways.
//!
//! Two descriptions of sessions are all that has to be brought from one device to the other, in
//! whatever way, with everything in them: no candidate comes later. Whoever offers calls
//! [`Offering::start`], sends its description, and gives the answer to
//! [`Offering::accept_answer`]; the other one calls [`answer`]. Both then wait for
//! [`Connecting::opened`].
//!
//! A link says who is at the other end only by the fingerprints of both DTLS certificates. What
//! binds a device to them is a matter of the session that runs over it.
//!
//! Inside: `gather` (own addresses, STUN, TURN) → `sockets` and `relay` → `wire` (the `Rtc`) →
//! `driver` (the one task) with `framing`, `liveness` and `restart`.

mod driver;
mod framing;
mod gather;
mod liveness;
mod outgoing;
mod relay;
mod report;
mod restart;
mod sdp;
mod server_url;
mod sockets;
mod wire;

use std::time::Duration;

use edge_ledger_core::sync::Frame;
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::{Candidate, Rtc, RtcError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::limits::{
    LINK_INBOUND_FRAMES_MAX, LINK_MESSAGE_BYTES_MAX, LINK_PING_EVERY, LINK_UNSENT_BYTES_MAX,
    OUTBOUND_FRAMES_MAX,
};
use driver::{Driver, Ends, Opening};
use gather::{Gathered, gather};
use sdp::RemoteDescription;
use wire::Wire;

pub(crate) use framing::FramingError;
pub(crate) use report::LinkReport;
pub use report::{CandidateKind, PathEnd};

/// The label of the one data channel.
const CHANNEL_LABEL: &str = "edge-ledger";

/// Servers that help to find a path; none by default, and then none is asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct IceServers {
    /// `stun:host[:port]`.
    pub(crate) stun: Vec<String>,
    pub(crate) turn: Vec<TurnServer>,
}

impl IceServers {
    fn is_empty(&self) -> bool {
        self.stun.is_empty() && self.turn.is_empty()
    }
}

/// A TURN server, and the account on it.
#[derive(Clone)]
pub(crate) struct TurnServer {
    /// `turn:host[:port]`, over UDP.
    pub(crate) url: String,
    pub(crate) username: String,
    pub(crate) password: String,
}

impl std::fmt::Debug for TurnServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TurnServer")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// Which of its own addresses a link offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Reach {
    /// Those that lead to other machines; loopback when there are none.
    #[default]
    Host,
    /// Loopback as well.
    LoopbackToo,
}

/// How a link is made.
#[derive(Debug, Clone)]
pub(crate) struct LinkConfig {
    pub(crate) servers: IceServers,
    pub(crate) reach: Reach,
    /// Time for the link to open, from when this end has both descriptions.
    pub(crate) open_within: Duration,
    /// Where the link's task runs. It ends soon after the link was dropped.
    pub(crate) tasks: TaskTracker,
}

/// What the other device needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalDescription {
    pub(crate) sdp: String,
    /// Of this end's DTLS certificate, SHA-256.
    pub(crate) fingerprint: [u8; 32],
}

/// Why there is no link, or none any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// No socket can be opened.
    #[error("no address of this machine can be used: {0}")]
    Socket(#[from] std::io::Error),
    /// This machine is on no network.
    #[error("this machine has no address")]
    NoAddress,
    /// A description that cannot be used.
    #[error("the description of the session: {0}")]
    Description(String),
    /// No path was found, or nobody came.
    #[error("the link did not open in time")]
    NotOpened,
    /// The other end closed it.
    #[error("the other device closed the link")]
    Closed,
    /// Nothing was heard of the other end for too long.
    #[error("nothing is heard of the other device")]
    Silent,
    /// The other end's certificate is not told by a SHA-256 fingerprint.
    #[error("the other device shows no usable fingerprint")]
    Fingerprint,
    /// A data channel that is not the one agreed upon, or a second one.
    #[error("the other device opened another channel")]
    OtherChannel,
    /// A message that is none.
    #[error(transparent)]
    Framing(#[from] FramingError),
    /// Bytes that are no frame.
    #[error("not a frame: {0}")]
    Frame(String),
    /// WebRTC failed.
    #[error(transparent)]
    Rtc(#[from] RtcError),
}

impl LinkError {
    fn decode(error: impl std::fmt::Display) -> Self {
        Self::Frame(error.to_string())
    }
}

fn described(why: impl std::fmt::Display) -> LinkError {
    LinkError::Description(why.to_string())
}

fn fingerprint(of: &str0m::config::Fingerprint) -> Result<[u8; 32], LinkError> {
    let bytes = of.bytes.as_slice().try_into();
    match bytes {
        Ok(bytes) if of.hash_func == "sha-256" => Ok(bytes),
        _ => Err(LinkError::Fingerprint),
    }
}

/// A link that was offered and waits for the answer.
#[derive(Debug)]
pub(crate) struct Offering {
    config: LinkConfig,
    rtc: Box<Rtc>,
    gathered: Gathered,
    pending: SdpPendingOffer,
}

impl Offering {
    /// Opens sockets and describes them.
    pub(crate) async fn start(config: LinkConfig) -> Result<(Self, LocalDescription), LinkError> {
        let (mut rtc, gathered) = prepare(&config).await?;
        let mut change = rtc.sdp_api();
        change.add_channel(CHANNEL_LABEL.to_owned());
        let (offer, pending) = change.apply().ok_or_else(|| described("there is none"))?;
        let description = describe(&mut rtc, offer.to_sdp_string())?;
        let offering = Self {
            config,
            rtc,
            gathered,
            pending,
        };
        Ok((offering, description))
    }

    /// Takes the other end's answer and begins to connect.
    pub(crate) fn accept_answer(mut self, sdp: &str) -> Result<Connecting, LinkError> {
        let answer = RemoteDescription::read(sdp)?;
        let parsed = SdpAnswer::from_sdp_string(&answer.text).map_err(described)?;
        self.rtc.sdp_api().accept_answer(self.pending, parsed)?;
        Ok(connect(
            self.config,
            self.rtc,
            self.gathered,
            answer.candidates,
        ))
    }
}

/// Answers an offer, and begins to connect.
pub(crate) async fn answer(
    config: LinkConfig,
    offer_sdp: &str,
) -> Result<(Connecting, LocalDescription), LinkError> {
    let offer = RemoteDescription::read(offer_sdp)?;
    let parsed = SdpOffer::from_sdp_string(&offer.text).map_err(described)?;
    let (mut rtc, gathered) = prepare(&config).await?;
    let answer = rtc.sdp_api().accept_offer(parsed)?;
    let description = describe(&mut rtc, answer.to_sdp_string())?;
    let connecting = connect(config, rtc, gathered, offer.candidates);
    Ok((connecting, description))
}

async fn prepare(config: &LinkConfig) -> Result<(Box<Rtc>, Gathered), LinkError> {
    let gathered = gather(&config.servers, config.reach).await?;
    let rtc = Rtc::builder()
        .clear_codecs()
        .set_stats_interval(Some(LINK_PING_EVERY))
        .set_sctp_max_buffered_amount(LINK_UNSENT_BYTES_MAX)
        .set_sctp_max_message_size(LINK_MESSAGE_BYTES_MAX as u32)
        .build(Instant::now().into_std());
    let mut rtc = Box::new(rtc);
    for candidate in &gathered.candidates {
        rtc.add_local_candidate(candidate.clone());
    }
    Ok((rtc, gathered))
}

fn describe(rtc: &mut Rtc, sdp: String) -> Result<LocalDescription, LinkError> {
    let fingerprint = fingerprint(rtc.direct_api().local_dtls_fingerprint())?;
    Ok(LocalDescription { sdp, fingerprint })
}

fn connect(
    config: LinkConfig,
    rtc: Box<Rtc>,
    gathered: Gathered,
    remotes: Vec<Candidate>,
) -> Connecting {
    let now = Instant::now();
    let (inbound_up, inbound) = mpsc::channel(LINK_INBOUND_FRAMES_MAX);
    let (outbound, outbound_down) = mpsc::channel(OUTBOUND_FRAMES_MAX);
    let (restart, restarts) = mpsc::channel(1);
    let (report_up, report) = watch::channel(LinkReport::empty(now));
    let (reply, opened) = oneshot::channel();
    let ends = Ends {
        inbound: inbound_up,
        outbound: outbound_down,
        report: report_up,
        restart: restarts,
    };
    let opening = Opening {
        reply,
        inbound,
        outbound,
        report,
        restarter: Restarter(restart),
    };
    let wire = Wire::new(rtc, gathered.sockets, remotes, now);
    let driver = Driver::new(&config, wire, gathered.candidates, ends, opening);
    config.tasks.spawn(driver.run());
    Connecting { opened }
}

/// A link both ends of which know each other's description.
#[derive(Debug)]
pub(crate) struct Connecting {
    opened: oneshot::Receiver<Result<PeerLink, LinkError>>,
}

impl Connecting {
    /// Waits until the data channel is open; the time for that is bounded.
    pub(crate) async fn opened(self) -> Result<PeerLink, LinkError> {
        self.opened.await.unwrap_or(Err(LinkError::Closed))
    }
}

/// An open link. When the sender of frames is dropped, the link is closed as soon as everything
/// has gone out; when the receiver is, at once what was sent.
#[derive(Debug)]
pub(crate) struct PeerLink {
    /// The fingerprint of this end's DTLS certificate.
    pub(crate) ours: [u8; 32],
    /// The fingerprint of the other end's, which showed that it has the key.
    pub(crate) theirs: [u8; 32],
    /// Frames of the other device; at the end, why there are no more.
    pub(crate) inbound: mpsc::Receiver<Result<Frame, LinkError>>,
    /// Frames for the other device.
    pub(crate) outbound: mpsc::Sender<Frame>,
    pub(crate) report: watch::Receiver<LinkReport>,
    /// Moves the link to the addresses that this machine has now.
    pub(crate) restarter: Restarter,
}

/// Restarts ICE on a living link.
#[derive(Debug, Clone)]
pub(crate) struct Restarter(mpsc::Sender<()>);

impl Restarter {
    /// Opens new sockets and moves the link there, over the link itself. Nothing is lost on the
    /// way; if the old path is dead already, the link ends as any dead link does.
    pub(crate) fn restart(&self) {
        // One that waits is as good as two, and a link that ended needs none.
        let _ = self.0.try_send(());
    }
}

#[cfg(test)]
mod tests;
