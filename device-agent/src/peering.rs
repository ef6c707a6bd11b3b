//! Links to the other devices of the identity: who is there, who calls whom, and what becomes of it.
//!
//! One task hears of devices by *routes* (the identity service, the local network), exchanges
//! signed offers and answers over the route that a device was heard on, and hands links that opened
//! to the engine, which alone talks over them. An offer can also be carried by hand.
//!
//! Whoever has no link to a device that it hears of offers one. If two offers cross, that of the
//! device with the smaller id holds. A new link takes the place of an older one: an end that offers
//! has lost the older one, whatever the other end thinks.

mod attempt;
mod by_hand;
mod known;
mod signals;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use edge_ledger_core::identity::IdentityLog;
use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::keys::SecretKey;
use edge_ledger_core::signal::Seen;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::engine::Snapshot;
use crate::error::AgentError;
use crate::limits::{ATTEMPTS_MAX, LINKS_WAITING_MAX, PEERS_LOOK_EVERY, SLEPT_MS};
use crate::signalling::{SignalCommand, SignalEvent};
use crate::webrtc::{Addresses, LinkConfig, PeerLink, Restart};

use attempt::{AttemptError, Opened};
use known::{Known, Route};

pub(crate) use by_hand::PeerCode;
pub(crate) use known::PeerEnd;

/// A link that opened; its other end has the certificate that the device signed for.
pub(crate) struct NewLink {
    pub(crate) device: DeviceId,
    pub(crate) link: PeerLink,
}

/// A session over a link that ended.
pub(crate) struct PeerEnded {
    pub(crate) device: DeviceId,
    pub(crate) end: PeerEnd,
}

/// What an application asks for by hand.
pub(crate) enum ByHand {
    /// An offer for whichever device accepts it.
    Offer {
        reply: oneshot::Sender<Result<PeerCode, AgentError>>,
    },
    /// Answers an offer.
    Accept {
        code: PeerCode,
        reply: oneshot::Sender<Result<PeerCode, AgentError>>,
    },
    /// The answer to the offer that was made here.
    Complete {
        code: PeerCode,
        reply: oneshot::Sender<Result<DeviceId, AgentError>>,
    },
}

/// What the task starts with.
pub(crate) struct Start {
    pub(crate) key: watch::Receiver<Arc<SecretKey>>,
    pub(crate) snapshot: watch::Receiver<Snapshot>,
    pub(crate) clock: Clock,
    pub(crate) stop: CancellationToken,
    pub(crate) link: LinkConfig,
    /// Opened links, for the engine.
    pub(crate) links: mpsc::Sender<NewLink>,
    /// What became of them.
    pub(crate) ended: mpsc::Receiver<PeerEnded>,
    pub(crate) by_hand: mpsc::Receiver<ByHand>,
    pub(crate) events: mpsc::Receiver<(Route, SignalEvent)>,
    pub(crate) service: mpsc::Sender<SignalCommand>,
}
