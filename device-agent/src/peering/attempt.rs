//! One attempt to get a link: an offer that is answered, or an answer to somebody's offer.

use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::signal::SignalBody;
use edge_ledger_telemetry::meters::{self, meters};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::webrtc::{Connecting, LinkError, Offering, PeerLink};
use std::time::Duration;

/// Why no link came about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttemptError {
    /// The link itself.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// No answer came.
    #[error("the other device does not answer")]
    Unanswered,
    /// The certificate of the other end is not the one that was signed for.
    #[error("the other end of the link is not the device that signed for it")]
    Swapped,
}

/// A link that opened, with the device that signed for its other end.
pub(super) struct Opened {
    pub(super) device: DeviceId,
    pub(super) link: PeerLink,
}

/// Waits for the answer to an offer, and for the link.
pub(super) async fn offered(
    offering: Offering,
    answered: oneshot::Receiver<SignalBody>,
    within: Duration,
) -> Result<Opened, AttemptError> {
    measured(offer_answered(offering, answered, within).await)
}

async fn offer_answered(
    offering: Offering,
    answered: oneshot::Receiver<SignalBody>,
    within: Duration,
) -> Result<Opened, AttemptError> {
    let answer = timeout(within, answered).await.ok().and_then(Result::ok);
    let answer = answer.ok_or(AttemptError::Unanswered)?;
    let connecting = offering.accept_answer(&answer.sdp)?;
    link_opened(connecting, &answer).await
}

/// Waits for the link that an offer and its answer describe.
pub(super) async fn open(
    connecting: Connecting,
    theirs: &SignalBody,
) -> Result<Opened, AttemptError> {
    measured(link_opened(connecting, theirs).await)
}

fn measured(opened: Result<Opened, AttemptError>) -> Result<Opened, AttemptError> {
    let outcome = match &opened {
        // By which kind of address this device is reached.
        Ok(opened) => {
            let local = opened.link.report.borrow().local;
            local.map_or("opened", |end| end.kind.as_str())
        }
        Err(AttemptError::Link(_)) => "failed",
        Err(AttemptError::Unanswered) => "unanswered",
        Err(AttemptError::Swapped) => "swapped",
    };
    meters().peer_ice_outcome.add(1, &meters::outcome(outcome));
    opened
}

async fn link_opened(connecting: Connecting, theirs: &SignalBody) -> Result<Opened, AttemptError> {
    let link = connecting.opened().await?;
    if link.theirs != theirs.fingerprint {
        return Err(AttemptError::Swapped);
    }
    let device = theirs.author.device_id();
    Ok(Opened { device, link })
}
