//! The sealed halves of a proved connection: XChaCha20-Poly1305 under a key per direction, messages
//! numbered. Who only listens on the network sees neither devices nor signals, and who sits in
//! between can but break it off.

use bytes::Bytes;
use chacha20poly1305::aead::{Aead as _, KeyInit as _};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};

/// What this end sends.
pub(super) struct Sealer {
    cipher: XChaCha20Poly1305,
    sent: u64,
}

/// What this end receives.
pub(super) struct Opener {
    cipher: XChaCha20Poly1305,
    received: u64,
}

impl Sealer {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self {
            cipher: XChaCha20Poly1305::new(&Key::from(*key)),
            sent: 0,
        }
    }

    /// Seals the next message; `None` if it cannot be.
    pub(super) fn seal(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        let sealed = self.cipher.encrypt(&nonce(self.sent), message).ok()?;
        self.sent += 1;
        Some(sealed)
    }
}

impl Opener {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self {
            cipher: XChaCha20Poly1305::new(&Key::from(*key)),
            received: 0,
        }
    }

    /// Opens the next message; `None` if it is not the other end's next one.
    pub(super) fn open(&mut self, sealed: &[u8]) -> Option<Bytes> {
        let opened = self.cipher.decrypt(&nonce(self.received), sealed).ok()?;
        self.received += 1;
        Some(Bytes::from(opened))
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

    #[test]
    fn messages_open_in_order_once_and_unchanged() {
        let mut sealer = Sealer::new(&[5; 32]);
        let mut opener = Opener::new(&[5; 32]);
        let first = sealer.seal(b"one").expect("sealed");
        let second = sealer.seal(b"two").expect("sealed");
        assert_eq!(opener.open(&second), None);
        assert_eq!(Opener::new(&[6; 32]).open(&first), None);
        for at in 0..first.len() {
            let mut changed = first.clone();
            changed[at] ^= 1;
            assert_eq!(opener.open(&changed), None, "byte {at}");
        }
        assert_eq!(opener.open(&first).as_deref(), Some(&b"one"[..]));
        assert_eq!(opener.open(&first), None);
        assert_eq!(opener.open(&second).as_deref(), Some(&b"two"[..]));
    }
}
