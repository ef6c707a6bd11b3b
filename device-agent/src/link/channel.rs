//! The sealed channel of a link session: XChaCha20-Poly1305 under a key per direction, messages
//! numbered, so the relay can neither read, change, repeat nor reorder them.

use bytes::Bytes;
use chacha20poly1305::aead::{Aead as _, KeyInit as _};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use edge_ledger_proto::identity as pb;
use prost::Message as _;

use crate::error::AgentError;
use crate::link::code::LinkCode;

/// Which device this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Opener,
    Joiner,
}

const FROM_OPENER: &[u8] = b"opener";
const FROM_JOINER: &[u8] = b"joiner";

pub(super) struct Channel {
    sending: XChaCha20Poly1305,
    receiving: XChaCha20Poly1305,
    sent: u64,
    received: u64,
}

impl Channel {
    pub(super) fn new(code: &LinkCode, side: Side) -> Self {
        let (out, into) = match side {
            Side::Opener => (FROM_OPENER, FROM_JOINER),
            Side::Joiner => (FROM_JOINER, FROM_OPENER),
        };
        let cipher = |direction| XChaCha20Poly1305::new(&Key::from(code.key(direction)));
        Self {
            sending: cipher(out),
            receiving: cipher(into),
            sent: 0,
            received: 0,
        }
    }

    pub(super) fn seal(&mut self, message: &pb::LinkMessage) -> Result<Bytes, AgentError> {
        let sealed = self
            .sending
            .encrypt(&nonce(self.sent), &*message.encode_to_vec());
        self.sent += 1;
        sealed
            .map(Bytes::from)
            .map_err(|_| AgentError::LinkEnded("a message cannot be sealed".to_owned()))
    }

    pub(super) fn open(&mut self, sealed: &[u8]) -> Result<pb::LinkMessage, AgentError> {
        let wrong = || AgentError::LinkEnded("the other side has another code".to_owned());
        let opened = self
            .receiving
            .decrypt(&nonce(self.received), sealed)
            .map_err(|_| wrong())?;
        self.received += 1;
        pb::LinkMessage::decode(&*opened).map_err(|_| wrong())
    }
}

/// Each key seals messages 0, 1, 2 … once.
fn nonce(number: u64) -> XNonce {
    let mut nonce = [0; 24];
    nonce[16..].copy_from_slice(&number.to_be_bytes());
    XNonce::from(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> pb::LinkMessage {
        pb::LinkMessage {
            message: Some(pb::link_message::Message::Refused(text.to_owned())),
        }
    }

    #[test]
    fn messages_open_in_order_and_once() {
        let code = LinkCode::new([5; 20]);
        let (mut opener, mut joiner) = (
            Channel::new(&code, Side::Opener),
            Channel::new(&code, Side::Joiner),
        );
        let first = opener.seal(&message("a")).unwrap();
        let second = opener.seal(&message("b")).unwrap();
        assert!(joiner.open(&second).is_err());
        assert_eq!(joiner.open(&first).unwrap(), message("a"));
        assert!(joiner.open(&first).is_err());
        assert_eq!(joiner.open(&second).unwrap(), message("b"));
    }

    /// The page has them from another implementation of the cipher.
    #[test]
    fn messages_are_sealed_as_the_page_says() {
        let page = include_str!("../../../docs/protocol.md");
        let mut random = [0; 20];
        for (at, byte) in (0..).zip(&mut random) {
            *byte = at;
        }
        let code = LinkCode::new(random);
        assert!(page.contains(&format!("code          {code}\n")));
        let mut opener = Channel::new(&code, Side::Opener);
        let mut joiner = Channel::new(&code, Side::Joiner);
        for n in 0..2 {
            let by_opener = hex::encode(opener.seal(&message("no")).unwrap());
            let by_joiner = hex::encode(joiner.seal(&message("no")).unwrap());
            let line =
                format!("sealed, n = {n} {by_opener} by the opener, {by_joiner} by the joiner\n");
            assert!(page.contains(&line), "{line}");
        }
    }

    #[test]
    fn another_code_a_changed_byte_and_an_own_message_are_refused() {
        let code = LinkCode::new([5; 20]);
        let mut opener = Channel::new(&code, Side::Opener);
        let sealed = opener.seal(&message("a")).unwrap();
        assert!(
            Channel::new(&LinkCode::new([6; 20]), Side::Joiner)
                .open(&sealed)
                .is_err()
        );
        let mut changed = sealed.to_vec();
        changed[0] ^= 1;
        assert!(Channel::new(&code, Side::Joiner).open(&changed).is_err());
        assert!(opener.open(&sealed).is_err());
    }
}
