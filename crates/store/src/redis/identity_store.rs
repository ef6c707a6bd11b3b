//! The identity service's seam, carried out by the rooms that know the keys.

use async_trait::async_trait;
use bytes::Bytes;
use edge_ledger_core::ids::IdentityId;
use tokio::sync::watch;

use super::RedisStore;
use crate::identity::{
    Adoption, LinkInbox, LinkOutcome, LinkSide, StatementAppend, StatementOutcome, StoredLog,
    StoredSession,
};
use crate::{ChangeFeed, DeviceSignal, Health, IdentityStore, StoreError};

#[async_trait]
impl IdentityStore for RedisStore {
    async fn log(
        &self,
        identity: IdentityId,
        after_position: u64,
    ) -> Result<Option<StoredLog>, StoreError> {
        self.read_log(identity, after_position).await
    }

    async fn append_statement(
        &self,
        identity: IdentityId,
        append: StatementAppend,
    ) -> Result<StatementOutcome, StoreError> {
        self.append_one(identity, append).await
    }

    async fn adopt(
        &self,
        identity: IdentityId,
        adoption: Adoption,
    ) -> Result<StatementOutcome, StoreError> {
        self.take_over(identity, adoption).await
    }

    async fn redeem_challenge(
        &self,
        identity: IdentityId,
        nonce: [u8; 32],
        expires_ms: i64,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        self.redeem(identity, nonce, expires_ms, now_ms).await
    }

    async fn open_session(
        &self,
        identity: IdentityId,
        token_hash: [u8; 32],
        session: StoredSession,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        self.store_session(identity, token_hash, session, now_ms)
            .await
    }

    async fn session(
        &self,
        identity: IdentityId,
        token_hash: [u8; 32],
        now_ms: i64,
    ) -> Result<Option<StoredSession>, StoreError> {
        self.read_session(identity, token_hash, now_ms).await
    }

    async fn open_link(
        &self,
        session: [u8; 32],
        expires_ms: i64,
        now_ms: i64,
    ) -> Result<LinkOutcome, StoreError> {
        self.open_link_session(session, expires_ms, now_ms).await
    }

    async fn join_link(&self, session: [u8; 32], now_ms: i64) -> Result<LinkOutcome, StoreError> {
        self.join_link_session(session, now_ms).await
    }

    async fn post_link(
        &self,
        session: [u8; 32],
        from: LinkSide,
        message: Bytes,
        now_ms: i64,
    ) -> Result<LinkOutcome, StoreError> {
        self.leave_message(session, from, message, now_ms).await
    }

    async fn link_inbox(
        &self,
        session: [u8; 32],
        side: LinkSide,
        after: usize,
        now_ms: i64,
    ) -> Result<Option<LinkInbox>, StoreError> {
        self.read_inbox(session, side, after, now_ms).await
    }

    async fn close_link(&self, session: [u8; 32]) -> Result<(), StoreError> {
        self.end_link(session).await
    }

    async fn stream_number(&self) -> Result<u64, StoreError> {
        let number = self.open.reader.time_us().await;
        number.ok_or_else(|| StoreError::Unavailable("it does not tell its time".to_owned()))
    }

    async fn tell_signal(&self, signal: DeviceSignal) {
        self.publish_signal(&signal).await;
    }

    fn changes(&self) -> ChangeFeed {
        self.open.feed.subscribe()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.open.health.clone()
    }
}
