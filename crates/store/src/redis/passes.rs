//! Sessions and redeemed nonces.
//!
//! The server lets them go by its own clock, a minute after their end by the caller's: the two
//! clocks need not agree that far, and what the caller's says is looked at again at each read.

use edge_ledger_core::ids::{DeviceId, IdentityId};
use redis::Pipeline;

use super::RedisStore;
use super::answer::{next, optional};
use super::committer::Answer;
use super::keys::Keys;
use super::layout::damaged;
use super::script::{Call, Loaded, Script};
use crate::StoreError;
use crate::identity::StoredSession;

/// How much longer the server keeps what has ended.
const KEPT_AFTER_END_MS: i64 = 60_000;

/// For how long the server keeps what ends at a time.
pub(super) fn life_ms(expires_ms: i64, now_ms: i64) -> i64 {
    let left = expires_ms.saturating_sub(now_ms).max(0);
    // The server adds its own time to it.
    left.saturating_add(KEPT_AFTER_END_MS).min(i64::MAX / 4)
}

impl RedisStore {
    /// Redeems a nonce.
    pub(super) async fn redeem(
        &self,
        identity: IdentityId,
        nonce: [u8; 32],
        expires_ms: i64,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        if expires_ms < now_ms {
            return Ok(false);
        }
        let call = Call::new(Script::Redeem, [Keys::of(identity).nonce(nonce)])
            .arg(self.open.stamps.write())
            .number(life_ms(expires_ms, now_ms));
        self.write(call, |answer: Answer| match &*answer.said.word {
            b"done" => Ok((true, None)),
            b"taken" => Ok((false, None)),
            _ => answer.said.unknown(),
        })
        .await
    }

    /// Stores a session.
    pub(super) async fn store_session(
        &self,
        identity: IdentityId,
        token_hash: [u8; 32],
        session: StoredSession,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let value = [
            &session.expires_ms.to_be_bytes()[..],
            session.device.as_bytes(),
        ];
        let call = Call::new(
            Script::OpenSession,
            [Keys::of(identity).session(token_hash)],
        )
        .arg(self.open.stamps.write())
        .number(life_ms(session.expires_ms, now_ms))
        .arg(value.concat());
        self.write(call, |_| Ok(((), None))).await
    }

    /// Reads a session.
    pub(super) async fn read_session(
        &self,
        identity: IdentityId,
        token_hash: [u8; 32],
        now_ms: i64,
    ) -> Result<Option<StoredSession>, StoreError> {
        let key = Keys::of(identity).session(token_hash);
        let commands = |_: &Loaded| {
            let mut pipeline = Pipeline::new();
            pipeline.cmd("GET").arg(&key);
            pipeline
        };
        let mut answers = self.open.reader.ask(commands).await?.into_iter();
        let Some(value) = optional(next(&mut answers)?)? else {
            return Ok(None);
        };
        let fields = value.split_first_chunk::<8>();
        let (expires_ms, device) = fields.ok_or_else(|| damaged("a session"))?;
        let session = StoredSession {
            device: DeviceId::try_from(device).map_err(|_| damaged("a session"))?,
            expires_ms: i64::from_be_bytes(*expires_ms),
        };
        Ok(Some(session).filter(|session| session.expires_ms > now_ms))
    }
}
