//! Sessions: what a device gets for a redeemed challenge.
//!
//! A token names its identity, so that any replica finds the session in the identity's place in
//! the store, and carries 32 random bytes. Only its SHA-256 is stored: whoever reads the store
//! holds no token, and looking for a hash takes no time that tells anything of the token.

use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use edge_ledger_chassis::{Clock, random};
use edge_ledger_core::ids::{DeviceId, IdentityId};
use edge_ledger_store::identity::StoredSession;
use edge_ledger_store::{IdentityStore, StoreError};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::limits::SESSION_LIFE_MS;

/// What tokens start with, so that a leaked one is recognised.
const PREFIX: &str = "el1.";
const TOKEN_BYTES: usize = 64;

/// The sessions in the store.
#[derive(Clone)]
pub(crate) struct Sessions {
    pub(crate) store: Arc<dyn IdentityStore>,
    pub(crate) clock: Clock,
}

/// A session that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Session {
    /// Whose.
    pub(crate) identity: IdentityId,
    /// The device that opened it.
    pub(crate) device: DeviceId,
    /// Service time at which it ends.
    pub(crate) expires_ms: i64,
}

impl Sessions {
    /// Opens a session and returns its token.
    pub(crate) async fn open(
        &self,
        identity: IdentityId,
        device: DeviceId,
    ) -> Result<Zeroizing<String>, StoreError> {
        let mut token = Zeroizing::new([0; TOKEN_BYTES]);
        let (of, secret) = token.split_at_mut(IdentityId::LEN);
        of.copy_from_slice(identity.as_bytes());
        secret.copy_from_slice(&random::bytes::<32>());
        let now_ms = self.clock.wall_ms();
        let session = StoredSession {
            device,
            expires_ms: now_ms.saturating_add(SESSION_LIFE_MS),
        };
        self.store
            .open_session(identity, hash(&token), session, now_ms)
            .await?;
        let text = BASE64URL_NOPAD.encode(&*token);
        Ok(Zeroizing::new(format!("{PREFIX}{text}")))
    }

    /// The session of a token, unless there is none or it ended.
    pub(crate) async fn find(&self, token: &str) -> Result<Option<Session>, StoreError> {
        let Some(token) = decode(token) else {
            return Ok(None);
        };
        let (of, _) = token.split_at(IdentityId::LEN);
        let Ok(identity) = IdentityId::try_from(of) else {
            return Ok(None);
        };
        let now_ms = self.clock.wall_ms();
        let stored = self.store.session(identity, hash(&token), now_ms).await?;
        Ok(stored.map(|stored| Session {
            identity,
            device: stored.device,
            expires_ms: stored.expires_ms,
        }))
    }
}

fn decode(token: &str) -> Option<Zeroizing<[u8; TOKEN_BYTES]>> {
    let text = token.strip_prefix(PREFIX)?;
    let bytes = Zeroizing::new(BASE64URL_NOPAD.decode(text.as_bytes()).ok()?);
    let mut token = Zeroizing::new([0; TOKEN_BYTES]);
    if bytes.len() != TOKEN_BYTES {
        return None;
    }
    token.copy_from_slice(&bytes);
    Some(token)
}

fn hash(token: &[u8; TOKEN_BYTES]) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use edge_ledger_store::Embedded;

    use super::*;

    fn sessions() -> (Sessions, edge_ledger_chassis::Hands) {
        let (clock, hands) = Clock::manual(1_000);
        let store = Arc::new(Embedded::in_memory());
        (Sessions { store, clock }, hands)
    }

    const WHO: (IdentityId, DeviceId) = (
        IdentityId::from_bytes([1; 32]),
        DeviceId::from_bytes([2; 16]),
    );

    #[tokio::test]
    async fn a_token_finds_its_session_until_it_ends() {
        let (sessions, hands) = sessions();
        let token = sessions.open(WHO.0, WHO.1).await.unwrap();
        let found = sessions.find(&token).await.unwrap().unwrap();
        assert_eq!((found.identity, found.device), WHO);
        hands.advance_ms(599_999);
        assert!(sessions.find(&token).await.unwrap().is_some());
        hands.advance_ms(1);
        assert!(sessions.find(&token).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn no_other_text_finds_it() {
        let (sessions, _) = sessions();
        let token = sessions.open(WHO.0, WHO.1).await.unwrap();
        let mut other = BASE64URL_NOPAD.decode(&token.as_bytes()[4..]).unwrap();
        other[0] ^= 1;
        let other = format!("el1.{}", BASE64URL_NOPAD.encode(&other));
        let long = format!("{}AA", *token);
        for text in ["", "el1.", &token[4..], &token[..20], &other, &long] {
            assert_eq!(sessions.find(text).await.unwrap(), None, "{text}");
        }
    }

    #[tokio::test]
    async fn the_store_holds_no_token() {
        let (sessions, _) = sessions();
        let token = sessions.open(WHO.0, WHO.1).await.unwrap();
        let token = decode(&token).unwrap();
        let (_, secret) = token.split_last_chunk::<32>().unwrap();
        let find = async |hash| sessions.store.session(WHO.0, hash, 1_000).await.unwrap();
        assert!(find(hash(&token)).await.is_some(), "what it holds is found");
        assert!(find(*secret).await.is_none(), "and is no part of it");
    }
}
