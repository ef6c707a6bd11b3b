//! The key of a link session, from its code: SPAKE2 over edwards25519, as magic-wormhole has used it
//! since 2015 (Abdalla and Pointcheval, "Simple Password-Based Encrypted Key Exchange Protocols",
//! 2005). Whoever has another secret ends with another key, and neither it nor the relay learns
//! anything to go on guessing with.

use bytes::Bytes;
use edge_ledger_proto::identity as pb;
use edge_ledger_proto::identity::LinkForm;
use prost::Message as _;
use spake2::{Ed25519Group, Identity, Password, Spake2};
use zeroize::Zeroizing;

use super::code::Secret;
use crate::error::AgentError;

/// Which device this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The linked device, which opened the session.
    Opener,
    /// The new device, which joins it.
    Joiner,
}

/// What both sides know if they had the same secret.
pub(super) type SharedKey = Zeroizing<[u8; 32]>;

/// One side's half, until the other's has come.
pub(super) struct Half {
    spake: Spake2<Ed25519Group>,
    form: LinkForm,
}

impl Half {
    /// Starts, and returns the message for the other side.
    pub(super) fn start(side: Side, session: &[u8; 32], secret: &Secret) -> (Self, Bytes) {
        let identity = |name: &[u8]| Identity::new(&[name, session].concat());
        let opener = identity(b"edge-ledger/link/v1 opener");
        let joiner = identity(b"edge-ledger/link/v1 joiner");
        let password = Password::new(&*secret.password());
        let (spake, pake) = match side {
            Side::Opener => Spake2::<Ed25519Group>::start_a(&password, &opener, &joiner),
            Side::Joiner => Spake2::<Ed25519Group>::start_b(&password, &opener, &joiner),
        };
        let form = secret.form();
        let message = pb::LinkStart {
            form: form.into(),
            pake: pake.into(),
        };
        (Self { spake, form }, message.encode_to_vec().into())
    }

    /// Comes to the key.
    pub(super) fn finish(self, theirs: &pb::LinkStart) -> Result<SharedKey, AgentError> {
        let wrong = || AgentError::LinkEnded("the other side speaks otherwise".to_owned());
        if theirs.form() != self.form {
            return Err(wrong());
        }
        let key = self.spake.finish(&theirs.pake).map_err(|_| wrong())?;
        let key = Zeroizing::new(key);
        <[u8; 32]>::try_from(&key[..])
            .map(Zeroizing::new)
            .map_err(|_| wrong())
    }
}

/// Reads the first message of the other side.
pub(super) fn read(start: &[u8]) -> Result<pb::LinkStart, AgentError> {
    let wrong = |_| AgentError::LinkEnded("the other side speaks otherwise".to_owned());
    pb::LinkStart::decode(start).map_err(wrong)
}
