//! Greeting, hello and welcome between two devices: both greet, both say hello, both let in.
//!
//! The channel between them is encrypted, but its certificates vouch for nobody, and whoever relays
//! the offers could put in others. So each proof covers both certificates as its end of the channel
//! saw them: over a channel with somebody in between no hello fits.

use bytes::Bytes;
use prost::Message as _;

use crate::identity::{FormatError, LogHead, decode_canonical};
use crate::ids::{DeviceId, Digest, LedgerId};
use crate::keys::SecretKey;
use crate::limits::PROTOCOL_VERSION;
use crate::sync::handshake::{HandshakeError, Hello, HelloBody, check_hello};
use crate::tags::Tag;
use crate::wire;

/// SHA-256 of the certificates of both ends of a channel, as this end sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprints {
    /// This end's.
    pub ours: [u8; 32],
    /// The other end's.
    pub theirs: [u8; 32],
}

impl Fingerprints {
    fn seen_from_there(self) -> Self {
        Self {
            ours: self.theirs,
            theirs: self.ours,
        }
    }
}

/// The first message of either device. It is not signed: it brings the nonce for the other's proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerGreeting {
    /// Encoded body, verbatim.
    pub body: Bytes,
}

impl PeerGreeting {
    /// A greeting with 32 random bytes, of this channel alone.
    pub fn new(ledger_id: LedgerId, nonce: [u8; 32]) -> Self {
        let body = wire::PeerGreetingBody {
            nonce: nonce.to_vec(),
            ledger_id: ledger_id.as_bytes().to_vec(),
            version: PROTOCOL_VERSION,
        };
        let body = Bytes::from(body.encode_to_vec());
        Self { body }
    }

    /// Checks that the peer is of this deployment and speaks this version.
    ///
    /// # Errors
    /// [`HandshakeError`].
    pub fn check(&self, ledger_id: LedgerId) -> Result<(), HandshakeError> {
        let body: wire::PeerGreetingBody = decode_canonical("a greeting", &self.body)?;
        if body.ledger_id != ledger_id.as_bytes() {
            return Err(HandshakeError::Deployment);
        }
        if body.version != PROTOCOL_VERSION {
            return Err(HandshakeError::Version(body.version));
        }
        if body.nonce.len() != 32 {
            return Err(FormatError::Field("the nonce of a greeting").into());
        }
        Ok(())
    }
}

/// Both greetings of a channel, as one end sees them.
#[derive(Debug, Clone)]
pub struct Greetings {
    /// This end's.
    pub ours: PeerGreeting,
    /// The other end's.
    pub theirs: PeerGreeting,
}

/// Signs a hello that is good for one channel and nobody in between.
pub fn say_hello(
    ledger_id: LedgerId,
    key: &SecretKey,
    greetings: &Greetings,
    fingerprints: Fingerprints,
    hello: &HelloBody,
) -> Hello {
    let body = hello.encode();
    let hash = proof_hash(
        ledger_id,
        &greetings.theirs,
        &greetings.ours,
        fingerprints,
        &body,
    );
    let proof = key.sign(&hash);
    Hello { body, proof }
}

/// Checks a hello of the other end.
///
/// # Errors
/// [`HandshakeError`].
pub fn check_peer_hello(
    hello: &Hello,
    ledger_id: LedgerId,
    greetings: &Greetings,
    fingerprints: Fingerprints,
) -> Result<HelloBody, HandshakeError> {
    let (answered, own) = (&greetings.ours, &greetings.theirs);
    let there = fingerprints.seen_from_there();
    let hash = proof_hash(ledger_id, answered, own, there, &hello.body);
    check_hello(hello, &hash)
}

/// The hash that a device signs: the greeting that it answers, its own, both certificates as it sees
/// them, and its hello. Lengths are hashed too, so that no byte can move between the parts.
fn proof_hash(
    ledger_id: LedgerId,
    answered: &PeerGreeting,
    own: &PeerGreeting,
    fingerprints: Fingerprints,
    hello: &[u8],
) -> [u8; 32] {
    Tag::PeerHello.hash(
        ledger_id,
        &[
            &(answered.body.len() as u64).to_be_bytes(),
            &answered.body,
            &(own.body.len() as u64).to_be_bytes(),
            &own.body,
            &fingerprints.ours,
            &fingerprints.theirs,
            hello,
        ],
    )
}

/// What a device holds when it lets the other in. It is not signed: it comes over a channel whose
/// ends both hellos have proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerWelcome {
    /// Where its log ends.
    pub log: LogHead,
    /// Digest of its tips.
    pub digest: Digest,
}

/// Whom this end expects at the other, and what binds the hellos to the channel.
#[derive(Debug, Clone)]
pub struct PeerChannel {
    /// The device that signed for the other end.
    pub expected: DeviceId,
    /// The certificates.
    pub fingerprints: Fingerprints,
    /// 32 random bytes for the greeting.
    pub greeting_nonce: [u8; 32],
    /// 32 other random bytes for the hello.
    pub hello_nonce: [u8; 32],
}
