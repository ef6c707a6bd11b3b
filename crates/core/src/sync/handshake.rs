//! Greeting, hello and welcome: the service says who it is and as whom it was dialled; the device
//! proves its key for exactly this stream; the service answers that very hello.

use bytes::Bytes;
use prost::Message as _;

use crate::identity::service_key::ServiceSigner;
use crate::identity::{
    FormatError, Genesis, LogHead, ServiceCertificate, ServiceRole, decode_canonical,
};
use crate::ids::{Digest, IdentityId, LedgerId, LogHash, StoreEpoch};
use crate::keys::{KeyError, PublicKey, SecretKey, Signature};
use crate::limits::{AUDIENCE_BYTES_MAX, PROTOCOL_VERSION};
use crate::tags::Tag;
use crate::wire;

/// Why a handshake failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// Malformed.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A signature that does not fit: replayed, relayed or foreign.
    #[error("the proof does not fit")]
    Proof,
    /// The service was dialled under another name than it says.
    #[error("the service answers as {0}, not as it was dialled")]
    Audience(String),
    /// The service is of another deployment.
    #[error("the service belongs to another deployment")]
    Deployment,
    /// The peer speaks another version of the protocol.
    #[error("the peer speaks version {0} of the protocol")]
    Version(u32),
}

impl From<KeyError> for HandshakeError {
    fn from(_: KeyError) -> Self {
        Self::Proof
    }
}

/// The first message of a stream, by the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// Encoded body, verbatim.
    pub body: Bytes,
    /// Encoded body of the service key's certificate.
    pub certificate_body: Bytes,
    /// The root's signature of it.
    pub certificate_signature: Signature,
    /// The service key's signature of the body.
    pub signature: Signature,
}

/// What a greeting is made of.
#[derive(Debug, Clone)]
pub struct NewGreeting {
    /// 32 random bytes.
    pub nonce: [u8; 32],
    /// Host and port as the device dialled them.
    pub audience: String,
}

/// Signs a greeting.
pub fn greet(signer: &ServiceSigner, ledger_id: LedgerId, new: NewGreeting) -> Greeting {
    let body = Bytes::from(
        wire::GreetingBody {
            nonce: new.nonce.to_vec(),
            audience: new.audience,
            ledger_id: ledger_id.as_bytes().to_vec(),
            version: PROTOCOL_VERSION,
        }
        .encode_to_vec(),
    );
    let signature = signer.sign(&Tag::Greeting.hash(ledger_id, &[&body]));
    Greeting {
        certificate_body: signer.certificate().body().clone(),
        certificate_signature: *signer.certificate().signature(),
        signature,
        body,
    }
}

impl Greeting {
    /// Checks that a service of this deployment answers under the name that was dialled.
    ///
    /// # Errors
    /// [`HandshakeError`].
    pub fn check(
        &self,
        genesis: &Genesis,
        dialled: &str,
    ) -> Result<ServiceCertificate, HandshakeError> {
        let body: wire::GreetingBody = decode_canonical("a greeting", &self.body)?;
        if body.ledger_id != genesis.ledger_id().as_bytes() {
            return Err(HandshakeError::Deployment);
        }
        if body.version != PROTOCOL_VERSION {
            return Err(HandshakeError::Version(body.version));
        }
        if body.audience.len() > AUDIENCE_BYTES_MAX || body.nonce.len() != 32 {
            return Err(FormatError::Field("the nonce or audience of a greeting").into());
        }
        if body.audience != dialled {
            return Err(HandshakeError::Audience(body.audience));
        }
        let certificate = ServiceCertificate::verify(
            genesis,
            self.certificate_body.clone(),
            self.certificate_signature,
        )?;
        if certificate.role() != ServiceRole::Service {
            return Err(FormatError::Field("the role of a greeting's key").into());
        }
        let hash = Tag::Greeting.hash(genesis.ledger_id(), &[&self.body]);
        certificate.key().verify(&hash, &self.signature)?;
        Ok(certificate)
    }
}

/// The device's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Encoded body, verbatim.
    pub body: Bytes,
    /// The device's signature over greeting and body.
    pub proof: Signature,
}

/// What a device says of itself and of what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelloBody {
    /// The identity.
    pub identity: IdentityId,
    /// The device's key.
    pub key: PublicKey,
    /// Where its log ends.
    pub log: LogHead,
    /// Digest of its tips.
    pub digest: Digest,
    /// 32 random bytes of this stream, so that no welcome of another one fits.
    pub nonce: [u8; 32],
}

impl HelloBody {
    pub(super) fn encode(&self) -> Bytes {
        let body = wire::HelloBody {
            identity: self.identity.as_bytes().to_vec(),
            public_key: self.key.as_bytes().to_vec(),
            log_position: self.log.position,
            log_hash: self.log.hash.as_bytes().to_vec(),
            digest: self.digest.as_bytes().to_vec(),
            version: PROTOCOL_VERSION,
            nonce: self.nonce.to_vec(),
        };
        Bytes::from(body.encode_to_vec())
    }
}

impl Hello {
    /// Signs a hello for one greeting.
    pub fn sign(
        ledger_id: LedgerId,
        greeting: &Greeting,
        key: &SecretKey,
        hello: &HelloBody,
    ) -> Self {
        let body = hello.encode();
        let proof = key.sign(&proof_hash(ledger_id, greeting, &body));
        Self { body, proof }
    }

    /// Checks the proof against the greeting of this stream.
    ///
    /// # Errors
    /// [`HandshakeError`].
    pub fn check(
        &self,
        ledger_id: LedgerId,
        greeting: &Greeting,
    ) -> Result<HelloBody, HandshakeError> {
        check_hello(self, &proof_hash(ledger_id, greeting, &self.body))
    }
}

/// Checks a hello whose proof signs this hash.
pub(super) fn check_hello(hello: &Hello, hash: &[u8; 32]) -> Result<HelloBody, HandshakeError> {
    let body: wire::HelloBody = decode_canonical("a hello", &hello.body)?;
    if body.version != PROTOCOL_VERSION {
        return Err(HandshakeError::Version(body.version));
    }
    let key = PublicKey::from_bytes(&body.public_key)
        .map_err(|e| FormatError::Key("the key of a hello", e))?;
    let field = |what| move |_| FormatError::Field(what);
    let said = HelloBody {
        identity: IdentityId::try_from(&body.identity[..])
            .map_err(field("the identity of a hello"))?,
        key,
        log: LogHead {
            position: body.log_position,
            hash: LogHash::try_from(&body.log_hash[..]).map_err(field("the log of a hello"))?,
        },
        digest: Digest::try_from(&body.digest[..]).map_err(field("the digest of a hello"))?,
        nonce: body.nonce[..]
            .try_into()
            .map_err(|_| FormatError::Field("the nonce of a hello"))?,
    };
    key.verify(hash, &hello.proof)?;
    Ok(said)
}

/// Both messages are covered: their lengths are hashed too, so that no byte can move between them.
fn proof_hash(ledger_id: LedgerId, greeting: &Greeting, hello: &[u8]) -> [u8; 32] {
    let greeting_len = (greeting.body.len() as u64).to_be_bytes();
    Tag::Hello.hash(
        ledger_id,
        &[
            &greeting_len,
            &greeting.body,
            greeting.signature.as_bytes(),
            hello,
        ],
    )
}

/// The service's answer to a hello, which opens the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// Encoded body, verbatim.
    pub body: Bytes,
    /// The service key's signature over the proof of the hello and the body.
    pub signature: Signature,
}

/// What the service holds, when the session opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WelcomeBody {
    /// Where its log ends.
    pub log: LogHead,
    /// Digest of its tips.
    pub digest: Digest,
    /// The identity's place in its store.
    pub store_epoch: StoreEpoch,
}

impl Welcome {
    /// Signs the answer to the hello with this proof.
    pub fn sign(
        signer: &ServiceSigner,
        ledger_id: LedgerId,
        proof: &Signature,
        welcome: &WelcomeBody,
    ) -> Self {
        let body = Bytes::from(
            wire::WelcomeBody {
                log_position: welcome.log.position,
                log_hash: welcome.log.hash.as_bytes().to_vec(),
                digest: welcome.digest.as_bytes().to_vec(),
                store_epoch: welcome.store_epoch.as_bytes().to_vec(),
            }
            .encode_to_vec(),
        );
        let signature = signer.sign(&Tag::Welcome.hash(ledger_id, &[proof.as_bytes(), &body]));
        Self { body, signature }
    }

    /// Checks that the service of the greeting answers the hello with this proof. A greeting can
    /// be recorded and shown again; an answer to a fresh hello cannot.
    ///
    /// # Errors
    /// [`HandshakeError`].
    pub fn check(
        &self,
        ledger_id: LedgerId,
        proof: &Signature,
        service: &PublicKey,
    ) -> Result<WelcomeBody, HandshakeError> {
        let hash = Tag::Welcome.hash(ledger_id, &[proof.as_bytes(), &self.body]);
        service.verify(&hash, &self.signature)?;
        let body: wire::WelcomeBody = decode_canonical("a welcome", &self.body)?;
        let field = |what| move |_| FormatError::Field(what);
        Ok(WelcomeBody {
            log: LogHead {
                position: body.log_position,
                hash: LogHash::try_from(&body.log_hash[..])
                    .map_err(field("the log of a welcome"))?,
            },
            digest: Digest::try_from(&body.digest[..]).map_err(field("the digest of a welcome"))?,
            store_epoch: StoreEpoch::try_from(&body.store_epoch[..])
                .map_err(field("the store epoch of a welcome"))?,
        })
    }
}
