//! Offers and answers that people carry from one device to the other, as text or QR code.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::signal::{Signal, SignalBody, SignalKind};
use tokio::sync::oneshot;

use super::Peering;
use crate::error::AgentError;
use crate::limits::{BY_HAND_WITHIN, PEER_CODE_CHARS_MAX};
use crate::webrtc::Offering;

const OFFER: &str = "elpo1.";
const ANSWER: &str = "elpa1.";

/// An offer or answer for another device of the identity, to be carried by hand within 10 minutes.
/// It is signed, and of no use to anybody else; it shows addresses of the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCode {
    kind: SignalKind,
    signal: Signal,
}

/// A text that is no [`PeerCode`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no code of `peer offer` or `peer accept`")]
pub struct PeerCodeError;

impl PeerCode {
    /// Whether it is the answer to an offer.
    pub fn is_answer(&self) -> bool {
        self.kind == SignalKind::Answer
    }
}

impl fmt::Display for PeerCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = match self.kind {
            SignalKind::Offer => OFFER,
            SignalKind::Answer => ANSWER,
        };
        let text = BASE64URL_NOPAD.encode(&self.signal.encode());
        write!(f, "{prefix}{text}")
    }
}

impl FromStr for PeerCode {
    type Err = PeerCodeError;

    fn from_str(text: &str) -> Result<Self, PeerCodeError> {
        if text.len() > PEER_CODE_CHARS_MAX {
            return Err(PeerCodeError);
        }
        // Mail programs and terminals break long lines.
        let text: String = text.split_whitespace().collect();
        let (kind, text) = match (text.strip_prefix(OFFER), text.strip_prefix(ANSWER)) {
            (Some(text), _) => (SignalKind::Offer, text),
            (_, Some(text)) => (SignalKind::Answer, text),
            _ => return Err(PeerCodeError),
        };
        let bytes = BASE64URL_NOPAD
            .decode(text.as_bytes())
            .map_err(|_| PeerCodeError)?;
        let signal = Signal::decode(&bytes).map_err(|_| PeerCodeError)?;
        Ok(Self { kind, signal })
    }
}

/// What an application asks for.
pub(crate) enum ByHand {
    /// An offer for whichever device accepts it.
    Offer {
        reply: oneshot::Sender<Result<PeerCode, AgentError>>,
    },
    /// Follows a code: the answer to an offer, or nothing more after an answer.
    Follow {
        code: PeerCode,
        reply: oneshot::Sender<Result<(DeviceId, Option<PeerCode>), AgentError>>,
    },
}

impl Peering {
    pub(super) async fn by_hand(&mut self, by_hand: ByHand) {
        match by_hand {
            ByHand::Offer { reply } => drop(reply.send(self.offer_by_hand().await)),
            ByHand::Follow { code, reply } => drop(reply.send(self.follow_by_hand(code).await)),
        }
    }

    async fn offer_by_hand(&mut self) -> Result<PeerCode, AgentError> {
        let started = Offering::start(self.link_config()).await;
        let (offering, local) = started.map_err(|error| AgentError::Peer(error.to_string()))?;
        let (kind, connection) = (SignalKind::Offer, rand::random());
        let offer = self.sign(kind, None, [0; 32], connection, local);
        self.wait_for_answer(None, offering, &offer, BY_HAND_WITHIN);
        let signal = offer.signal;
        Ok(PeerCode { kind, signal })
    }

    async fn follow_by_hand(
        &mut self,
        code: PeerCode,
    ) -> Result<(DeviceId, Option<PeerCode>), AgentError> {
        let refused = |error: &dyn fmt::Display| AgentError::Peer(error.to_string());
        let checked = code.signal.check(&self.log(), self.us());
        let body = checked.map_err(|error| refused(&error))?;
        let author = body.author.device_id();
        match body.kind {
            SignalKind::Answer => {
                self.answered(body).map_err(|error| refused(&error))?;
                Ok((author, None))
            }
            SignalKind::Offer if self.is_out_of_date(&body) => {
                Err(refused(&"the offer is out of date: ask for a new one"))
            }
            SignalKind::Offer => {
                let accepted = self.accept(&code.signal, body, BY_HAND_WITHIN).await;
                let answer = accepted.map_err(|error| refused(&error))?;
                let answer = answer.ok_or_else(|| {
                    refused(&"no link can be opened to that device now: see its state in `devices`")
                })?;
                let (kind, signal) = (SignalKind::Answer, answer.signal);
                Ok((author, Some(PeerCode { kind, signal })))
            }
        }
    }

    /// By both clocks, which may be apart by as much again.
    fn is_out_of_date(&self, offer: &SignalBody) -> bool {
        let apart = self.clock.wall_ms().abs_diff(offer.made_ms);
        u128::from(apart) > 2 * BY_HAND_WITHIN.as_millis()
    }
}
