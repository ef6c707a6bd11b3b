//! A store whose operations are watched: a span and a time for each, whatever the store is.

use async_trait::async_trait;
use bytes::Bytes;
use edge_ledger_core::ids::{DeviceId, IdentityId};
use edge_ledger_core::ledger::admission::Admissible;
use edge_ledger_core::ledger::journals::Have;
use edge_ledger_core::ledger::{Heads, Level, Tip};
use edge_ledger_telemetry::store::{Operation, System, watched};
use tokio::sync::watch;

use crate::identity::{
    Adoption, LinkInbox, LinkOutcome, LinkSide, StatementAppend, StatementOutcome, StoredLog,
    StoredSession,
};
use crate::ledger::{AppendOutcome, Page};
use crate::redis::RedisStore;
use crate::{
    At, ChangeFeed, DeviceSignal, Embedded, Health, IdentityStore, LedgerStore, LogVersion, Origin,
    StoreError,
};

/// A store that is watched. Cheap to clone if the store is.
#[derive(Debug, Clone)]
pub struct Measured<S> {
    store: S,
    system: System,
}

impl Measured<RedisStore> {
    /// Watches a store on Redis.
    pub fn redis(store: RedisStore) -> Self {
        let system = System::Redis;
        Self { store, system }
    }
}

impl Measured<Embedded> {
    /// Watches an embedded store.
    pub fn embedded(store: Embedded) -> Self {
        let system = System::Redb;
        Self { store, system }
    }
}

impl<S> Measured<S> {
    async fn watch<T>(
        &self,
        name: &'static str,
        batch: usize,
        works: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let system = self.system;
        let operation = Operation {
            system,
            name,
            batch,
        };
        watched(operation, kind, works).await
    }
}

/// As metrics name it.
fn kind(error: &StoreError) -> &'static str {
    match error {
        StoreError::Unavailable(_) => "unavailable",
        StoreError::Full => "full",
        StoreError::Damaged(_) => "damaged",
        StoreError::Blocked => "blocked",
        StoreError::OverQuota => "over_quota",
    }
}

#[async_trait]
impl<S: IdentityStore> IdentityStore for Measured<S> {
    async fn log(
        &self,
        identity: IdentityId,
        after_position: u64,
    ) -> Result<Option<StoredLog>, StoreError> {
        let works = self.store.log(identity, after_position);
        self.watch("log", 1, works).await
    }

    async fn append_statement(
        &self,
        identity: IdentityId,
        append: StatementAppend,
    ) -> Result<StatementOutcome, StoreError> {
        let works = self.store.append_statement(identity, append);
        self.watch("append_statement", 1, works).await
    }

    async fn adopt(
        &self,
        identity: IdentityId,
        adoption: Adoption,
    ) -> Result<StatementOutcome, StoreError> {
        let batch = adoption.records.len();
        let works = self.store.adopt(identity, adoption);
        self.watch("adopt", batch, works).await
    }

    async fn redeem_challenge(
        &self,
        identity: IdentityId,
        nonce: [u8; 32],
        expires_ms: i64,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        let works = self
            .store
            .redeem_challenge(identity, nonce, expires_ms, now_ms);
        self.watch("redeem_challenge", 1, works).await
    }

    async fn open_session(
        &self,
        identity: IdentityId,
        token_hash: [u8; 32],
        session: StoredSession,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let works = self
            .store
            .open_session(identity, token_hash, session, now_ms);
        self.watch("open_session", 1, works).await
    }

    async fn session(
        &self,
        identity: IdentityId,
        token_hash: [u8; 32],
        now_ms: i64,
    ) -> Result<Option<StoredSession>, StoreError> {
        let works = self.store.session(identity, token_hash, now_ms);
        self.watch("session", 1, works).await
    }

    async fn open_link(
        &self,
        session: [u8; 32],
        expires_ms: i64,
        now_ms: i64,
    ) -> Result<LinkOutcome, StoreError> {
        let works = self.store.open_link(session, expires_ms, now_ms);
        self.watch("open_link", 1, works).await
    }

    async fn join_link(&self, session: [u8; 32], now_ms: i64) -> Result<LinkOutcome, StoreError> {
        let works = self.store.join_link(session, now_ms);
        self.watch("join_link", 1, works).await
    }

    async fn post_link(
        &self,
        session: [u8; 32],
        from: LinkSide,
        message: Bytes,
        now_ms: i64,
    ) -> Result<LinkOutcome, StoreError> {
        let works = self.store.post_link(session, from, message, now_ms);
        self.watch("post_link", 1, works).await
    }

    async fn link_inbox(
        &self,
        session: [u8; 32],
        side: LinkSide,
        after: usize,
        now_ms: i64,
    ) -> Result<Option<LinkInbox>, StoreError> {
        let works = self.store.link_inbox(session, side, after, now_ms);
        self.watch("link_inbox", 1, works).await
    }

    async fn close_link(&self, session: [u8; 32]) -> Result<(), StoreError> {
        let works = self.store.close_link(session);
        self.watch("close_link", 1, works).await
    }

    async fn stream_number(&self) -> Result<u64, StoreError> {
        let works = self.store.stream_number();
        self.watch("stream_number", 1, works).await
    }

    async fn tell_signal(&self, signal: DeviceSignal) {
        self.store.tell_signal(signal).await;
    }

    fn changes(&self) -> ChangeFeed {
        self.store.changes()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.store.health()
    }
}

#[async_trait]
impl<S: LedgerStore> LedgerStore for Measured<S> {
    async fn append(
        &self,
        identity: IdentityId,
        seen: LogVersion,
        origin: Origin,
        runs: Vec<Admissible>,
    ) -> Result<AppendOutcome, StoreError> {
        let batch = runs.len();
        let works = self.store.append(identity, seen, origin, runs);
        self.watch("append", batch, works).await
    }

    async fn heads(&self, identity: IdentityId) -> Result<At<Heads>, StoreError> {
        let works = self.store.heads(identity);
        self.watch("heads", 1, works).await
    }

    async fn missing(&self, identity: IdentityId, have: &Have) -> Result<At<Page>, StoreError> {
        let works = self.store.missing(identity, have);
        self.watch("missing", 1, works).await
    }

    async fn locate(
        &self,
        identity: IdentityId,
        heads: &Heads,
    ) -> Result<At<Vec<Tip>>, StoreError> {
        let works = self.store.locate(identity, heads);
        self.watch("locate", 1, works).await
    }

    async fn tell_opened(&self, identity: IdentityId, device: DeviceId, stream: Origin) {
        self.store.tell_opened(identity, device, stream).await;
    }

    fn level(&self) -> Level {
        self.store.level()
    }

    fn changes(&self) -> ChangeFeed {
        self.store.changes()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.store.health()
    }
}
