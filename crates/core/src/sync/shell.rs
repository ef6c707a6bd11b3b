//! What a session and the shell around it say to each other.

use std::sync::Arc;

use crate::identity::receipt::ReceiptParts;
use crate::identity::service_key::ServiceSigner;
use crate::identity::{IdentityLog, Point, ServiceCertificate};
use crate::ids::{DeviceId, IdentityId, LedgerId, StoreEpoch};
use crate::keys::SecretKey;
use crate::ledger::journals::Have;
use crate::ledger::{Ack, Heads, KeptRun, Run, Tip, VerifiedRun};
use crate::sync::frame::{Frame, GoAwayReason, Outcome};
use crate::sync::handshake::{Greeting, HandshakeError};
use crate::sync::peer_handshake::PeerChannel;

/// What happened outside, for the session to know.
#[derive(Debug)]
pub enum Input {
    /// The stream is open.
    Opened,
    /// A frame arrived.
    Frame(Frame),
    /// Answers [`Output::Identify`], and [`Output::Adopt`] while the handshake is under way.
    Identified(Option<Standing>),
    /// The identity's log changed, here.
    LogChanged(Arc<IdentityLog>),
    /// Answers [`Output::Judge`]; in any order, the peer is answered in the order of its frames.
    Judged {
        /// The frame.
        frame_id: u64,
        /// One per run.
        outcomes: Vec<Outcome>,
        /// The ends of those that are kept, each with the parent of the run.
        kept: Vec<(Tip, Point)>,
        /// Whether a run's device is not in our log, and the peer's log is longer.
        log_wanted: bool,
        /// Whether a run waits for a parent that the peer has to send.
        heads_wanted: bool,
        /// Receipts for what was kept, to be sent after the answer; on the service's side only.
        acks: Vec<Ack>,
    },
    /// Entries were committed by somebody else.
    Committed(Arc<[VerifiedRun]>),
    /// Announcements were missed: the store must be read.
    Missed,
    /// Answers [`Output::Read`].
    Page {
        /// The runs.
        runs: Vec<KeptRun>,
        /// Whether there are more.
        more: bool,
    },
    /// Answers [`Output::Locate`].
    Located(Vec<Tip>),
    /// Answers [`Output::ReadHeads`], in the order of asking.
    Heads(Heads),
    /// Answers [`Output::ReadReceipts`]: at most 64, nothing if there are none.
    Receipts(Vec<ReceiptParts>),
    /// Receipts for entries that were kept before, to be sent; on the service's side only.
    Acks(Vec<Ack>),
    /// Receipts of the service to be passed on to a peer, each with the key that signed it; only
    /// between [`Output::Live`] and [`Output::Close`].
    RelayAcks(Vec<(Ack, ServiceCertificate)>),
    /// Whether this device wants entries of a peer: it has no service that takes its own. At any
    /// time; it does not until it is said.
    Flow {
        /// Whether it does.
        wanted: bool,
    },
    /// Somebody wants to know when both ends have told each other everything; only between
    /// [`Output::Live`] and [`Output::Close`].
    Flush {
        /// Comes back in [`Output::Flushed`].
        ping_id: u64,
    },
    /// Time passed: at least once a second while the session lives.
    Tick,
    /// The session shall end. It takes nothing more from the peer and asks for nothing, answers the
    /// frames of entries that it has taken, with their acks, says farewell and closes itself.
    GoAway(GoAwayReason),
}

/// What the shell shall do.
#[derive(Debug)]
pub enum Output {
    /// Send a frame.
    Send(Frame),
    /// Look up who says hello; answered by [`Input::Identified`].
    Identify {
        /// The identity.
        identity: IdentityId,
        /// The device, whose key was proved.
        device: DeviceId,
    },
    /// Check and take over statements that follow the log; answered by [`Input::Identified`]
    /// during the handshake, by [`Input::LogChanged`] later, if anything changed.
    Adopt(Vec<ReceiptParts>),
    /// Admit and append runs; answered by [`Input::Judged`].
    Judge {
        /// The frame.
        frame_id: u64,
        /// The runs.
        runs: Vec<Run>,
        /// Whether the peer's log is longer than ours.
        peer_ahead: bool,
    },
    /// Read what is lacking where this is there; answered by [`Input::Page`].
    Read(Have),
    /// Look for tips that are unknown here; answered by [`Input::Located`].
    Locate(Heads),
    /// Read all tips; answered by [`Input::Heads`].
    ReadHeads,
    /// Read receipted statements; answered by [`Input::Receipts`].
    ReadReceipts {
        /// Positions after this one.
        after_position: u64,
    },
    /// What became of runs that were sent: the last point of each. Those whose answer was lost
    /// count as waiting; if the peer has not got them, they are sent again.
    Taken(Vec<(Tip, Outcome)>),
    /// Receipts arrived and were checked.
    Acked {
        /// The acks.
        acks: Vec<Ack>,
        /// The key that signed them.
        service: ServiceCertificate,
    },
    /// Handshake done: frames of entries flow from here on.
    Live {
        /// The identity's place in the service's store; of no meaning between devices.
        store_epoch: StoreEpoch,
    },
    /// Answers [`Input::Flush`]: everything that either side had when it was asked was sent to
    /// the other and answered.
    Flushed {
        /// The flush.
        ping_id: u64,
        /// Whether nothing that was sent is unanswered, and both digests are equal. If not, ask
        /// again: something new is on the way, or a difference is being mended.
        equal: bool,
    },
    /// The peer is about to end the stream. The reason is its word alone: what a device is, its log
    /// says.
    PeerGoesAway {
        /// Why.
        reason: GoAwayReason,
        /// When to come back; 0 for the usual back-off.
        retry_after_ms: u64,
    },
    /// End the stream for this reason, after sending what is left.
    Close(Close),
}

/// Why a session ended itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Close {
    /// The first frame was not the one that had to be.
    #[error("{0} was expected first")]
    Expected(&'static str),
    /// A frame that makes no sense here.
    #[error("the frame is malformed or out of place: {0}")]
    BadMessage(&'static str),
    /// The handshake failed.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// Not a device of a known identity.
    #[error("not a device of this identity")]
    Forbidden,
    /// The device was revoked or replaced.
    #[error("the device was revoked or replaced")]
    DeviceRevoked,
    /// The device's own journal is forked.
    #[error("the device's journal is forked")]
    Forked,
    /// Two different logs for one identity.
    #[error("the identity log here is another one")]
    LogForked,
    /// Too many refused runs.
    #[error("too many invalid runs")]
    Misbehaved,
    /// A frame of entries was not answered for too long.
    #[error("the peer does not answer")]
    Stalled,
    /// The session was told to end.
    #[error("the session ends: {0:?}")]
    GoAway(GoAwayReason),
}

/// What this end knows of who says hello.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The identity's log.
    pub log: Arc<IdentityLog>,
    /// All tips.
    pub heads: Heads,
    /// The identity's place in the service's store; between devices it is not looked at.
    pub store_epoch: StoreEpoch,
}

/// Which end this is.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "holds a secret key")]
pub enum WhoWeAre {
    /// The service, with the greeting that it opens the stream with.
    Service {
        /// The deployment.
        ledger_id: LedgerId,
        /// Signed for this stream.
        greeting: Greeting,
        /// Signs the answer to the hello.
        signer: Arc<ServiceSigner>,
    },
    /// A device.
    Device {
        /// Its key.
        key: Arc<SecretKey>,
        /// Its log.
        log: Arc<IdentityLog>,
        /// Its tips.
        heads: Heads,
        /// The service's host and port, as they are dialled.
        dialled: String,
        /// 32 random bytes, of this stream alone.
        nonce: [u8; 32],
    },
    /// A device, with another device of its identity at the other end.
    Peer {
        /// Its key.
        key: Arc<SecretKey>,
        /// Its log.
        log: Arc<IdentityLog>,
        /// Its tips.
        heads: Heads,
        /// The other end.
        channel: PeerChannel,
    },
}

/// Outputs in order.
pub type Outputs = Vec<Output>;
