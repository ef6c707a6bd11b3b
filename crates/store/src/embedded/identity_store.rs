//! The identity service's seam, carried out by the rooms that know the tables.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use bytes::Bytes;
use edge_ledger_core::ids::IdentityId;
use tokio::sync::watch;

use super::{Embedded, links, log, passes};
use crate::identity::{
    Adoption, LinkInbox, LinkOutcome, LinkSide, StatementAppend, StatementOutcome, StoredLog,
    StoredSession,
};
use crate::{Change, ChangeFeed, DeviceSignal, Health, IdentityStore, StoreError};

/// Bytes that a write of a session, a nonce or a link is counted with.
const SMALL_BYTES: usize = 256;

#[async_trait]
impl IdentityStore for Embedded {
    async fn log(
        &self,
        identity: IdentityId,
        after_position: u64,
    ) -> Result<Option<StoredLog>, StoreError> {
        self.read(move |snapshot| log::read(snapshot, identity, after_position))
            .await
    }

    async fn append_statement(
        &self,
        identity: IdentityId,
        append: StatementAppend,
    ) -> Result<StatementOutcome, StoreError> {
        self.write(append.statement.len(), move |tables| {
            log::append(tables, identity, &append)
        })
        .await
    }

    async fn adopt(
        &self,
        identity: IdentityId,
        adoption: Adoption,
    ) -> Result<StatementOutcome, StoreError> {
        let bytes = adoption
            .records
            .iter()
            .map(|record| record.statement.len())
            .sum();
        self.write(bytes, move |tables| log::adopt(tables, identity, &adoption))
            .await
    }

    async fn redeem_challenge(
        &self,
        identity: IdentityId,
        nonce: [u8; 32],
        expires_ms: i64,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        self.write(SMALL_BYTES, move |tables| {
            passes::redeem(tables, identity, &nonce, expires_ms, now_ms)
        })
        .await
    }

    async fn open_session(
        &self,
        identity: IdentityId,
        token_hash: [u8; 32],
        session: StoredSession,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        self.write(SMALL_BYTES, move |tables| {
            passes::open_session(tables, identity, &token_hash, session, now_ms)
        })
        .await
    }

    async fn session(
        &self,
        identity: IdentityId,
        token_hash: [u8; 32],
        now_ms: i64,
    ) -> Result<Option<StoredSession>, StoreError> {
        self.read(move |snapshot| passes::session(snapshot, identity, &token_hash, now_ms))
            .await
    }

    async fn open_link(
        &self,
        session: [u8; 32],
        expires_ms: i64,
        now_ms: i64,
    ) -> Result<LinkOutcome, StoreError> {
        self.write(SMALL_BYTES, move |tables| {
            links::open(tables, &session, expires_ms, now_ms)
        })
        .await
    }

    async fn join_link(&self, session: [u8; 32], now_ms: i64) -> Result<LinkOutcome, StoreError> {
        self.write(SMALL_BYTES, move |tables| {
            links::join(tables, &session, now_ms)
        })
        .await
    }

    async fn post_link(
        &self,
        session: [u8; 32],
        from: LinkSide,
        message: Bytes,
        now_ms: i64,
    ) -> Result<LinkOutcome, StoreError> {
        self.write(message.len(), move |tables| {
            links::post(tables, &session, from, &message, now_ms)
        })
        .await
    }

    async fn link_inbox(
        &self,
        session: [u8; 32],
        side: LinkSide,
        after: usize,
        now_ms: i64,
    ) -> Result<Option<LinkInbox>, StoreError> {
        self.read(move |snapshot| links::inbox(snapshot, &session, side, after, now_ms))
            .await
    }

    async fn close_link(&self, session: [u8; 32]) -> Result<(), StoreError> {
        self.write(SMALL_BYTES, move |tables| links::close(tables, &session))
            .await
    }

    async fn stream_number(&self) -> Result<u64, StoreError> {
        // One process has the file: no stream outlives it.
        Ok(self.open.streams.fetch_add(1, Ordering::Relaxed))
    }

    async fn tell_signal(&self, signal: DeviceSignal) {
        if signal.fits() {
            // Nobody listening is nobody's loss.
            let _ = self.open.feed.send(Change::Signal(signal));
        }
    }

    fn changes(&self) -> ChangeFeed {
        self.open.feed.subscribe()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.open.health.clone()
    }
}
