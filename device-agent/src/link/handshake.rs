//! What the two devices of a link session tell each other, in order, without any I/O: each step
//! takes the other's message and gives the next. A step that fails ends the session; there is no
//! way back into an earlier one, so a code is good for one guess.
//!
//! ```text
//! joiner                                 opener
//!   start (SPAKE2)             ──►
//!                              ◄──       start (SPAKE2), offer
//!   application: certificate, commitment ──►
//!                              ◄──       nonce
//!   reveal: nonce              ──►                 both know the number
//!                              ◄──       welcome, once a person has typed it here
//! ```

use bytes::Bytes;
use edge_ledger_proto::identity as pb;
use edge_ledger_proto::identity::link_message::Message;
use subtle::ConstantTimeEq as _;

use super::channel::{Channel, out_of_turn};
use super::code::{LinkCode, Nameplate, Secret};
use super::number::{Number, Transcript};
use super::pake::{self, Half, SharedKey, Side};
use crate::error::AgentError;

/// Random bytes of one device that the number depends on.
pub(crate) type Nonce = [u8; 32];

/// The linked device, before the new one has spoken.
pub(crate) struct Opening {
    pub(crate) code: LinkCode,
    pub(crate) offer: pb::LinkOffer,
    pub(crate) nonce: Nonce,
}

/// The linked device, which has made its offer.
pub(crate) struct Offered {
    channel: Channel,
    key: SharedKey,
    offer: pb::LinkOffer,
    nonce: Nonce,
}

/// The linked device, which has told its nonce.
pub(crate) struct Committed {
    channel: Channel,
    transcript: Transcript,
    certificate: pb::Certificate,
    commitment: Bytes,
    nonce: Nonce,
}

/// The linked device, at which a person must decide.
pub(crate) struct Asked {
    /// What remains to be said goes through it.
    pub(crate) channel: Channel,
    /// Who asks.
    pub(crate) certificate: pb::Certificate,
    /// What the person must type.
    pub(crate) number: Number,
}

impl Opening {
    /// Hears the new device's start, and returns the own start and the offer.
    pub(crate) fn start(self, theirs: &[u8]) -> Result<(Offered, [Bytes; 2]), AgentError> {
        let theirs = pake::read(theirs)?;
        let secret = self.code.secret(theirs.form()).ok_or_else(out_of_turn)?;
        let session = self.code.nameplate.session();
        let (half, start) = Half::start(Side::Opener, &session, &secret);
        let key = half.finish(&theirs)?;
        let mut channel = Channel::new(&key, Side::Opener);
        let offer = channel.seal(Message::Offer(self.offer.clone()))?;
        let offered = Offered {
            channel,
            key,
            offer: self.offer,
            nonce: self.nonce,
        };
        Ok((offered, [start, offer]))
    }
}

impl Offered {
    /// Hears who asks, and returns the nonce to be told.
    pub(crate) fn application(mut self, sealed: &[u8]) -> Result<(Committed, Bytes), AgentError> {
        let Message::Application(application) = self.channel.open(sealed)? else {
            return Err(out_of_turn());
        };
        let certificate = application.certificate.ok_or_else(out_of_turn)?;
        let told = Message::Nonce(Bytes::copy_from_slice(&self.nonce));
        let told = self.channel.seal(told)?;
        let committed = Committed {
            transcript: Transcript::new(&self.key, &self.offer, &certificate),
            channel: self.channel,
            certificate,
            commitment: application.commitment,
            nonce: self.nonce,
        };
        Ok((committed, told))
    }
}

impl Committed {
    /// Hears the other nonce, which must be the one that the new device was committed to.
    pub(crate) fn reveal(mut self, sealed: &[u8]) -> Result<Asked, AgentError> {
        let Message::Reveal(theirs) = self.channel.open(sealed)? else {
            return Err(out_of_turn());
        };
        let theirs = nonce(&theirs)?;
        let commitment = self.transcript.commitment(&theirs);
        if !bool::from(commitment.ct_eq(&self.commitment)) {
            let what = "the new device did not keep to its part of the number";
            return Err(AgentError::Untrusted(what.to_owned()));
        }
        Ok(Asked {
            number: Number::of(&self.transcript, &theirs, &self.nonce),
            channel: self.channel,
            certificate: self.certificate,
        })
    }
}

/// The new device, which has spoken first.
pub(crate) struct Joining {
    half: Half,
}

/// The new device, which knows what it joins.
pub(crate) struct Informed {
    channel: Channel,
    key: SharedKey,
    offer: pb::LinkOffer,
}

/// The new device, which has said who it is.
pub(crate) struct Applied {
    channel: Channel,
    transcript: Transcript,
    nonce: Nonce,
}

/// The new device, for which a person must decide at the other.
pub(crate) struct Waiting {
    channel: Channel,
    /// What the person must be shown.
    pub(crate) number: Number,
}

impl Joining {
    /// Starts, and returns what to say.
    pub(crate) fn start(nameplate: Nameplate, secret: &Secret) -> (Self, Bytes) {
        let (half, start) = Half::start(Side::Joiner, &nameplate.session(), secret);
        (Self { half }, start)
    }

    /// Hears the linked device's start and offer.
    pub(crate) fn offer(self, start: &[u8], sealed: &[u8]) -> Result<Informed, AgentError> {
        let key = self.half.finish(&pake::read(start)?)?;
        let mut channel = Channel::new(&key, Side::Joiner);
        let Message::Offer(offer) = channel.open(sealed)? else {
            return Err(out_of_turn());
        };
        Ok(Informed {
            channel,
            key,
            offer,
        })
    }
}

impl Informed {
    /// What it joins.
    pub(crate) fn offer(&self) -> &pb::LinkOffer {
        &self.offer
    }

    /// Says who it is.
    pub(crate) fn apply(
        mut self,
        certificate: pb::Certificate,
        nonce: Nonce,
    ) -> Result<(Applied, Bytes), AgentError> {
        let transcript = Transcript::new(&self.key, &self.offer, &certificate);
        let commitment = Bytes::copy_from_slice(&transcript.commitment(&nonce));
        let application = pb::LinkApplication {
            certificate: Some(certificate),
            commitment,
        };
        let said = self.channel.seal(Message::Application(application))?;
        let applied = Applied {
            channel: self.channel,
            transcript,
            nonce,
        };
        Ok((applied, said))
    }
}

impl Applied {
    /// Hears the other nonce, and reveals its own.
    pub(crate) fn nonce(mut self, sealed: &[u8]) -> Result<(Waiting, Bytes), AgentError> {
        let Message::Nonce(theirs) = self.channel.open(sealed)? else {
            return Err(out_of_turn());
        };
        let number = Number::of(&self.transcript, &self.nonce, &nonce(&theirs)?);
        let reveal = Message::Reveal(Bytes::copy_from_slice(&self.nonce));
        let reveal = self.channel.seal(reveal)?;
        let waiting = Waiting {
            channel: self.channel,
            number,
        };
        Ok((waiting, reveal))
    }
}

impl Waiting {
    /// Hears that it was let in.
    pub(crate) fn welcome(mut self, sealed: &[u8]) -> Result<(), AgentError> {
        match self.channel.open(sealed)? {
            Message::Welcome(_) => Ok(()),
            Message::Offer(_)
            | Message::Application(_)
            | Message::Nonce(_)
            | Message::Reveal(_)
            | Message::Refused(_) => Err(out_of_turn()),
        }
    }
}

fn nonce(bytes: &[u8]) -> Result<Nonce, AgentError> {
    bytes.try_into().map_err(|_| out_of_turn())
}

#[cfg(test)]
mod tests;
