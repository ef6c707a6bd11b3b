//! Offers and answers by which two devices find a channel to each other.
//!
//! Whoever passes them on (the identity service, a network, a person) is not trusted with them: the
//! device that makes one signs it, for one other device, one attempt and one certificate. Here
//! nothing is decided but whether it is worth a channel: who the other device is, the session that
//! runs over the channel finds out for itself, before anything of the ledger is said.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use prost::Message as _;

use crate::identity::{DeviceState, FormatError, IdentityLog, decode_canonical};
use crate::ids::{DeviceId, IdentityId, LedgerId};
use crate::keys::{PublicKey, SecretKey, Signature};
use crate::limits::{
    SIGNAL_BY_HAND_MS_MAX, SIGNAL_BYTES_MAX, SIGNAL_SDP_BYTES_MAX, SIGNALS_SEEN_MAX,
};
use crate::tags::Tag;
use crate::wire;

/// The nonce of an offer that is carried by hand: nobody has said anything that it could answer.
const BY_HAND: [u8; 32] = [0; 32];

/// What a signal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalKind {
    /// Somebody wants a channel.
    Offer,
    /// The other device agrees.
    Answer,
}

/// What a signal says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalBody {
    /// Offer or answer.
    pub kind: SignalKind,
    /// The identity of both devices.
    pub identity: IdentityId,
    /// The key of the device that signs.
    pub author: PublicKey,
    /// The device that it is for; `None` in an offer that is carried by hand, for whoever takes it.
    pub to: Option<DeviceId>,
    /// Of an offer: what the other device said last, which makes it fresh; zeros when carried by
    /// hand. Of an answer: [`Signal::hash`] of the offer.
    pub nonce: [u8; 32],
    /// 16 random bytes of the attempt.
    pub connection: [u8; 16],
    /// SHA-256 of the certificate at the author's end of the channel.
    pub fingerprint: [u8; 32],
    /// The description of the author's end (RFC 8866), at most 12 KiB.
    pub sdp: String,
    /// The author's clock, in milliseconds since 1970: an offer that is carried by hand expires.
    pub made_ms: i64,
}

/// A signed offer or answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    body: Bytes,
    signature: Signature,
}

/// Why a signal is not followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignalError {
    /// Malformed, too long, or not signed by its author.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// Of another identity.
    #[error("the signal belongs to another identity")]
    Identity,
    /// For another device, or from this one.
    #[error("the signal is not for this device")]
    NotForUs,
    /// From a device that was revoked or replaced.
    #[error("the signal is of a device that was revoked or replaced")]
    Ended,
    /// The certificate that is signed for is not the one of the description.
    #[error("the certificate of the description is not the one that is signed for")]
    Fingerprint,
    /// An offer where an answer was due, or the other way round.
    #[error("this is not {0}")]
    Kind(&'static str),
    /// Of another attempt, or older than the last word of this device; seen before; expired.
    #[error("the signal is out of date")]
    Stale,
}

impl Signal {
    /// Signs an offer or an answer.
    pub fn sign(ledger_id: LedgerId, key: &SecretKey, signal: &SignalBody) -> Self {
        let kind = match signal.kind {
            SignalKind::Offer => wire::SignalKind::Offer,
            SignalKind::Answer => wire::SignalKind::Answer,
        };
        let body = wire::SignalBody {
            kind: kind.into(),
            identity: signal.identity.as_bytes().to_vec(),
            public_key: signal.author.as_bytes().to_vec(),
            to: signal.to.map_or_else(Vec::new, |to| to.as_bytes().to_vec()),
            nonce: signal.nonce.to_vec(),
            connection: signal.connection.to_vec(),
            fingerprint: signal.fingerprint.to_vec(),
            sdp: signal.sdp.clone(),
            made_ms: signal.made_ms,
        };
        let body = Bytes::from(body.encode_to_vec());
        let signature = key.sign(&Tag::Signal.hash(ledger_id, &[&body]));
        Self { body, signature }
    }

    /// The bytes that travel.
    pub fn encode(&self) -> Bytes {
        let signal = wire::Signal {
            body: self.body.clone(),
            signature: self.signature.as_bytes().to_vec(),
        };
        Bytes::from(signal.encode_to_vec())
    }

    /// Takes bytes that travelled. Nothing is checked but their form.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        if bytes.len() > SIGNAL_BYTES_MAX {
            return Err(FormatError::Field("the length of a signal"));
        }
        let signal: wire::Signal = decode_canonical("a signal", bytes)?;
        let signature = fixed(&signal.signature, "the signature of a signal")?;
        Ok(Self {
            body: signal.body,
            signature: Signature::from_bytes(signature),
        })
    }

    /// What an answer to this offer names.
    pub fn hash(&self, ledger_id: LedgerId) -> [u8; 32] {
        Tag::Offer.hash(ledger_id, &[&self.body, self.signature.as_bytes()])
    }

    /// Checks that a device of this identity, which the log has not ended, signed this for `us` and
    /// for the certificate that the description names. Whether it is what is awaited, and fresh, is
    /// a second question: [`SignalBody::is_offer_to`] and its like. A device that the log does not
    /// have yet may call: the session asks for the log.
    ///
    /// # Errors
    /// [`SignalError`].
    pub fn check(&self, log: &IdentityLog, us: DeviceId) -> Result<SignalBody, SignalError> {
        let body = self.verified(log.ledger_id())?;
        let author = body.author.device_id();
        if body.identity != log.identity() {
            return Err(SignalError::Identity);
        }
        if body.to.is_some_and(|to| to != us) || author == us {
            return Err(SignalError::NotForUs);
        }
        let record = log.device(&author);
        if record.is_some_and(|record| record.state != DeviceState::Active) {
            return Err(SignalError::Ended);
        }
        if !names_only(&body.sdp, &body.fingerprint) {
            return Err(SignalError::Fingerprint);
        }
        Ok(body)
    }

    fn verified(&self, ledger_id: LedgerId) -> Result<SignalBody, FormatError> {
        let body: wire::SignalBody = decode_canonical("a signal", &self.body)?;
        let author = PublicKey::from_bytes(&body.public_key)
            .map_err(|e| FormatError::Key("the key of a signal", e))?;
        let hash = Tag::Signal.hash(ledger_id, &[&self.body]);
        author
            .verify(&hash, &self.signature)
            .map_err(|e| FormatError::Key("the signature of a signal", e))?;
        let field = |what| FormatError::Field(what);
        let kind = match wire::SignalKind::try_from(body.kind) {
            Ok(wire::SignalKind::Offer) => SignalKind::Offer,
            Ok(wire::SignalKind::Answer) => SignalKind::Answer,
            Ok(wire::SignalKind::Unspecified) | Err(_) => {
                return Err(field("the kind of a signal"));
            }
        };
        if body.sdp.len() > SIGNAL_SDP_BYTES_MAX {
            return Err(field("the description of a signal"));
        }
        let nonce = fixed(&body.nonce, "the nonce of a signal")?;
        let to = match &body.to[..] {
            [] if kind == SignalKind::Offer && nonce == BY_HAND => None,
            to => Some(DeviceId::try_from(to).map_err(|_| field("the receiver of a signal"))?),
        };
        Ok(SignalBody {
            kind,
            identity: IdentityId::try_from(&body.identity[..])
                .map_err(|_| field("the identity of a signal"))?,
            author,
            to,
            nonce,
            connection: fixed(&body.connection, "the connection of a signal")?,
            fingerprint: fixed(&body.fingerprint, "the fingerprint of a signal")?,
            sdp: body.sdp,
            made_ms: body.made_ms,
        })
    }
}

fn fixed<const N: usize>(bytes: &[u8], what: &'static str) -> Result<[u8; N], FormatError> {
    bytes.try_into().map_err(|_| FormatError::Field(what))
}

impl SignalBody {
    /// Checks that this is an offer that answers what this device said last: `nonces` are those of
    /// its words that are still good.
    ///
    /// # Errors
    /// [`SignalError::Kind`], [`SignalError::Stale`].
    pub fn is_offer_to(&self, nonces: &[[u8; 32]]) -> Result<(), SignalError> {
        self.is_an_offer()?;
        if self.nonce == BY_HAND || !nonces.contains(&self.nonce) {
            return Err(SignalError::Stale);
        }
        Ok(())
    }

    /// Checks that this is an offer that was carried by hand, made not long before or after `now_ms`
    /// by this device's clock.
    ///
    /// # Errors
    /// [`SignalError::Kind`], [`SignalError::Stale`].
    pub fn is_offer_by_hand(&self, now_ms: i64) -> Result<(), SignalError> {
        self.is_an_offer()?;
        let age_ms = now_ms.saturating_sub(self.made_ms).saturating_abs();
        if self.nonce != BY_HAND || age_ms > SIGNAL_BY_HAND_MS_MAX {
            return Err(SignalError::Stale);
        }
        Ok(())
    }

    /// Checks that this is the answer to an offer of this device, with its [`Signal::hash`].
    ///
    /// # Errors
    /// [`SignalError::Kind`], [`SignalError::Stale`], and [`SignalError::NotForUs`] if it is of
    /// another device than the offer was for.
    pub fn is_answer_to(&self, offer: &Self, hash: &[u8; 32]) -> Result<(), SignalError> {
        if self.kind != SignalKind::Answer {
            return Err(SignalError::Kind("an answer"));
        }
        if self.nonce != *hash || self.connection != offer.connection {
            return Err(SignalError::Stale);
        }
        if offer.to.is_some_and(|to| to != self.author.device_id()) {
            return Err(SignalError::NotForUs);
        }
        Ok(())
    }

    fn is_an_offer(&self) -> Result<(), SignalError> {
        match self.kind {
            SignalKind::Offer => Ok(()),
            SignalKind::Answer => Err(SignalError::Kind("an offer")),
        }
    }
}

/// Whether a description names this certificate, and no other (RFC 8122).
fn names_only(sdp: &str, fingerprint: &[u8; 32]) -> bool {
    let mut named = sdp
        .lines()
        .filter_map(|line| line.trim_end().strip_prefix("a=fingerprint:"))
        .peekable();
    let is_signed = |line: &str| {
        let Some((function, hex)) = line.split_once(' ') else {
            return false;
        };
        let bytes: Option<Vec<u8>> = hex.split(':').map(hex_byte).collect();
        function.eq_ignore_ascii_case("sha-256") && bytes.is_some_and(|b| b == fingerprint)
    };
    named.peek().is_some() && named.all(is_signed)
}

/// Two digits; the parser of the standard library would take a sign too.
fn hex_byte(digits: &str) -> Option<u8> {
    let mut byte = [0];
    hex::decode_to_slice(digits, &mut byte).ok()?;
    Some(byte[0])
}

/// Attempts that were seen, so that none is followed twice: the last 1,024.
#[derive(Debug, Default)]
pub struct Seen {
    order: VecDeque<[u8; 16]>,
    known: BTreeSet<[u8; 16]>,
}

impl Seen {
    /// Notes an attempt; says whether it is new.
    pub fn is_new(&mut self, connection: [u8; 16]) -> bool {
        if !self.known.insert(connection) {
            return false;
        }
        self.order.push_back(connection);
        if self.order.len() > SIGNALS_SEEN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}
