//! The sealed channel of a link session: XChaCha20-Poly1305 under a key per direction, messages
//! numbered, so the relay can neither read, change, repeat nor reorder them.

use bytes::Bytes;
use chacha20poly1305::aead::{Aead as _, KeyInit as _};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use edge_ledger_core::tags::Tag;
use edge_ledger_proto::identity as pb;
use edge_ledger_proto::identity::link_message::Message;
use prost::Message as _;

use super::pake::{SharedKey, Side};
use crate::error::AgentError;

const FROM_OPENER: &[u8] = b"opener";
const FROM_JOINER: &[u8] = b"joiner";

pub(super) struct Channel {
    sending: XChaCha20Poly1305,
    receiving: XChaCha20Poly1305,
    sent: u64,
    received: u64,
}

impl Channel {
    pub(super) fn new(key: &SharedKey, side: Side) -> Self {
        let (out, into) = match side {
            Side::Opener => (FROM_OPENER, FROM_JOINER),
            Side::Joiner => (FROM_JOINER, FROM_OPENER),
        };
        let cipher = |direction| {
            let key = Tag::LinkKey.hash_unbound(&[&**key, direction]);
            XChaCha20Poly1305::new(&Key::from(key))
        };
        Self {
            sending: cipher(out),
            receiving: cipher(into),
            sent: 0,
            received: 0,
        }
    }

    pub(super) fn seal(&mut self, message: Message) -> Result<Bytes, AgentError> {
        let message = pb::LinkMessage {
            message: Some(message),
        };
        let sealed = self
            .sending
            .encrypt(&nonce(self.sent), &*message.encode_to_vec());
        self.sent += 1;
        sealed
            .map(Bytes::from)
            .map_err(|_| AgentError::LinkEnded("a message cannot be sealed".to_owned()))
    }

    /// Opens the next message of the other side; its refusal is an error.
    pub(super) fn open(&mut self, sealed: &[u8]) -> Result<Message, AgentError> {
        let wrong = || AgentError::LinkEnded("the other side has another code".to_owned());
        let opened = self
            .receiving
            .decrypt(&nonce(self.received), sealed)
            .map_err(|_| wrong())?;
        self.received += 1;
        let opened = pb::LinkMessage::decode(&*opened).map_err(|_| wrong())?;
        match opened.message.ok_or_else(out_of_turn)? {
            Message::Refused(why) => Err(AgentError::LinkEnded(why)),
            message @ (Message::Offer(_)
            | Message::Application(_)
            | Message::Nonce(_)
            | Message::Reveal(_)
            | Message::Welcome(_)) => Ok(message),
        }
    }
}

pub(super) fn out_of_turn() -> AgentError {
    AgentError::LinkEnded("a message came out of turn".to_owned())
}

/// Each key seals messages 0, 1, 2 … once.
fn nonce(number: u64) -> XNonce {
    let mut nonce = [0; 24];
    nonce[16..].copy_from_slice(&number.to_be_bytes());
    XNonce::from(nonce)
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn welcome(log_position: u64) -> Message {
        Message::Welcome(pb::LinkWelcome { log_position })
    }

    fn ends() -> (Channel, Channel) {
        let key = Zeroizing::new([5; 32]);
        (
            Channel::new(&key, Side::Opener),
            Channel::new(&key, Side::Joiner),
        )
    }

    #[test]
    fn messages_open_in_order_and_once() {
        let (mut opener, mut joiner) = ends();
        let first = opener.seal(welcome(1)).unwrap();
        let second = opener.seal(welcome(2)).unwrap();
        assert!(joiner.open(&second).is_err());
        assert_eq!(joiner.open(&first).unwrap(), welcome(1));
        assert!(joiner.open(&first).is_err());
        assert_eq!(joiner.open(&second).unwrap(), welcome(2));
    }

    /// The page has them from another implementation of the cipher.
    #[test]
    fn messages_are_sealed_as_the_page_says() {
        let page = include_str!("../../../docs/protocol.md");
        let key = Zeroizing::new(std::array::from_fn(|at| at as u8));
        let mut opener = Channel::new(&key, Side::Opener);
        let mut joiner = Channel::new(&key, Side::Joiner);
        for n in 0..2 {
            let no = || Message::Refused("no".to_owned());
            let by_opener = hex::encode(opener.seal(no()).unwrap());
            let by_joiner = hex::encode(joiner.seal(no()).unwrap());
            let line =
                format!("sealed, n = {n} {by_opener} by the opener, {by_joiner} by the joiner\n");
            assert!(page.contains(&line), "{line}");
        }
    }

    #[test]
    fn another_key_a_changed_byte_and_an_own_message_are_refused() {
        let (mut opener, _) = ends();
        let sealed = opener.seal(welcome(1)).unwrap();
        let stranger = Zeroizing::new([6; 32]);
        let stranger = Channel::new(&stranger, Side::Joiner).open(&sealed);
        assert!(matches!(stranger, Err(AgentError::LinkEnded(_))));
        for at in 0..sealed.len() {
            let mut changed = sealed.to_vec();
            changed[at] ^= 1;
            assert!(ends().1.open(&changed).is_err(), "byte {at}");
        }
        assert!(opener.open(&sealed).is_err());
    }

    #[test]
    fn a_refusal_is_heard_as_one() {
        let (mut opener, mut joiner) = ends();
        let sealed = opener.seal(Message::Refused("full".to_owned())).unwrap();
        let heard = joiner.open(&sealed);
        assert!(matches!(heard, Err(AgentError::LinkEnded(why)) if why == "full"));
    }
}
