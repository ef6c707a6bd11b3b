//! Who may register an identity: anybody, whoever was invited, or nobody.

use std::sync::Arc;

use chacha20poly1305::XNonce;
use chacha20poly1305::aead::{Aead as _, Payload};
use data_encoding::BASE32_NOPAD;
use edge_ledger_chassis::status::store_refusal;
use edge_ledger_chassis::{Clock, Reason, Sealing, random, refusal};
use edge_ledger_core::ids::{IdentityId, LedgerId};
use edge_ledger_store::IdentityStore;
use tonic::Status;

use crate::challenge::cipher;
use crate::limits::INVITE_BYTES_MAX;

const NONCE_BYTES: usize = 24;
const ID_BYTES: usize = 32;
const PREFIX: &str = "el-invite-1-";
/// Keeps invites and challenges apart, which are sealed with one key.
const CONTEXT: &[u8] = b"edge-ledger/invite/v1\0";

/// Who may register an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Registration {
    /// Anybody, at the rate that an address has.
    #[default]
    Open,
    /// Whoever has an invite of the operator, which is good for one identity.
    Invite,
    /// Nobody: the identities that are there go on.
    Closed,
}

/// Makes invites and reads them. They are sealed with a key of the challenges, so every replica
/// reads those of any, and nothing is kept of one before it is used.
pub struct Invites {
    sealing: Sealing,
    ledger_id: LedgerId,
}

impl std::fmt::Debug for Invites {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Invites").finish_non_exhaustive()
    }
}

struct Invite {
    id: [u8; ID_BYTES],
    expires_ms: i64,
}

impl Invites {
    /// Those of a deployment.
    pub fn new(sealing: Sealing, ledger_id: LedgerId) -> Self {
        Self { sealing, ledger_id }
    }

    /// Makes one that is good until a time, in milliseconds since 1970: text of about 140 letters
    /// and digits, for one person's eyes.
    pub fn make(&self, expires_ms: i64) -> String {
        let id: [u8; ID_BYTES] = random::bytes();
        let nonce: [u8; NONCE_BYTES] = random::bytes();
        let said = [&id[..], &expires_ms.to_be_bytes()].concat();
        let payload = Payload {
            msg: &said,
            aad: &self.context(),
        };
        let sealed = cipher(self.sealing.current().sealing())
            .encrypt(&XNonce::from(nonce), payload)
            .expect("an invite is far below the cipher's limit");
        let text = BASE32_NOPAD.encode(&[&nonce[..], &sealed].concat());
        format!("{PREFIX}{}", text.to_ascii_lowercase())
    }

    fn open(&self, text: &str) -> Option<Invite> {
        if text.len() > INVITE_BYTES_MAX {
            return None;
        }
        let text = text.trim().strip_prefix(PREFIX)?.to_ascii_uppercase();
        let bytes = BASE32_NOPAD.decode(text.as_bytes()).ok()?;
        let (nonce, msg) = bytes.split_first_chunk::<NONCE_BYTES>()?;
        let aad = &self.context()[..];
        let open = |key| {
            let payload = Payload { msg, aad };
            cipher(key).decrypt(&XNonce::from(*nonce), payload).ok()
        };
        let said = self.sealing.current().opening().find_map(open)?;
        let (id, expires) = said.split_first_chunk::<ID_BYTES>()?;
        Some(Invite {
            id: *id,
            expires_ms: i64::from_be_bytes(expires.try_into().ok()?),
        })
    }

    fn context(&self) -> Vec<u8> {
        [CONTEXT, self.ledger_id.as_bytes()].concat()
    }
}

/// The door of the service for new identities.
pub(crate) struct Door {
    pub(crate) registration: Registration,
    pub(crate) invites: Invites,
    pub(crate) store: Arc<dyn IdentityStore>,
    pub(crate) clock: Clock,
}

impl Door {
    /// Lets one new identity in. An invite is used up by it, on all replicas.
    pub(crate) async fn admit(&self, invite: &str) -> Result<(), Status> {
        match self.registration {
            Registration::Open => Ok(()),
            Registration::Closed => {
                let what = "this service registers no identities";
                Err(refusal(Reason::RegistrationClosed, what))
            }
            Registration::Invite => self.redeem(invite).await,
        }
    }

    async fn redeem(&self, invite: &str) -> Result<(), Status> {
        let invalid = || refusal(Reason::InviteInvalid, "there is no such invite any more");
        let now_ms = self.clock.wall_ms();
        let invite = self.invites.open(invite).ok_or_else(invalid)?;
        if invite.expires_ms <= now_ms {
            return Err(invalid());
        }
        // It has a place of its own in the store, as if it were an identity.
        let place = IdentityId::from_bytes(invite.id);
        let redeemed = self
            .store
            .redeem_challenge(place, invite.id, invite.expires_ms, now_ms)
            .await;
        if redeemed.map_err(|error| store_refusal(&error))? {
            Ok(())
        } else {
            Err(invalid())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invites(key: u8, ledger: u8) -> Invites {
        let sealing = Sealing::from([key; 32]);
        Invites::new(sealing, LedgerId::from_bytes([ledger; 16]))
    }

    #[test]
    fn an_invite_is_read_by_its_deployment_alone() {
        let text = invites(1, 2).make(77);
        assert!(text.len() <= INVITE_BYTES_MAX);
        assert_eq!(invites(1, 2).open(&text).unwrap().expires_ms, 77);
        assert_eq!(
            invites(1, 2)
                .open(&format!(" {text}\n"))
                .unwrap()
                .expires_ms,
            77
        );
        assert!(invites(3, 2).open(&text).is_none(), "another key");
        assert!(invites(1, 3).open(&text).is_none(), "another deployment");
        for at in 0..text.len() {
            let other = if &text[at..=at] == "a" { "b" } else { "a" };
            let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            assert!(invites(1, 2).open(&changed).is_none(), "letter {at}");
            assert!(invites(1, 2).open(&text[..at]).is_none(), "length {at}");
        }
        assert_ne!(invites(1, 2).make(77), text);
    }
}
