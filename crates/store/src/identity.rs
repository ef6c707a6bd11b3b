//! The seam that the identity service writes through.

use async_trait::async_trait;
use bytes::Bytes;
use edge_ledger_core::identity::{Cut, IdentityLog, SignedTip};
use edge_ledger_core::ids::{DeviceId, IdentityId, StoreEpoch};
use tokio::sync::watch;

use crate::operator::Terms;
use crate::{ChangeFeed, DeviceSignal, Health, LogVersion, StoreError};

/// One place of an identity log as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// The encoded statement, verbatim.
    pub statement: Bytes,
    /// Service time of the append, in milliseconds since 1970.
    pub service_time_ms: i64,
    /// Tips that were kept at that moment of the devices that it ends, by device, place and hash.
    pub tips: Vec<SignedTip>,
}

/// An identity's log, or the part of it after a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLog {
    /// Counts the changes.
    pub version: LogVersion,
    /// The identity's place in the store.
    pub epoch: StoreEpoch,
    /// What the operator says of the identity.
    pub terms: Terms,
    /// Number of statements of the whole log.
    pub position: u64,
    /// The records, in order.
    pub records: Vec<StoredRecord>,
}

/// Where a log ends, as a store compares it. A statement names the hash of all that was recorded
/// before it, so logs with the same last record are the same log; and no store has to know a hash
/// that depends on what its own atomic step records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogEnd {
    /// Number of statements.
    pub position: u64,
    /// The last one, if there is one.
    pub last: Option<StoredRecord>,
}

impl LogEnd {
    /// The end of an empty log.
    pub const EMPTY: Self = Self {
        position: 0,
        last: None,
    };

    /// Where a log ends.
    pub fn of(log: &IdentityLog) -> Self {
        let position = log.head().position;
        let last = log.records_after(position.saturating_sub(1)).last();
        Self {
            position,
            last: last.map(StoredRecord::from),
        }
    }
}

/// One statement to be appended.
#[derive(Debug, Clone)]
pub struct StatementAppend {
    /// Where the log ended that it was checked against.
    pub expected: LogEnd,
    /// The encoded statement.
    pub statement: Bytes,
    /// Service time, in milliseconds since 1970.
    pub service_time_ms: i64,
    /// The devices whose kept tips are recorded beside it, in the same step.
    pub ends: Vec<DeviceId>,
    /// The store epoch, if this opens the log.
    pub fresh_epoch: StoreEpoch,
}

/// Receipted statements to be taken over from somebody who holds more of the log.
#[derive(Debug, Clone)]
pub struct Adoption {
    /// Where the log ends that they follow.
    pub expected: LogEnd,
    /// The records with what their receipts say, in order.
    pub records: Vec<StoredRecord>,
    /// What remains of the journals of devices that are ended afterwards: all else is dropped. A
    /// named entry that becomes a tip gets the cut's signature if it has none.
    pub cuts: Vec<(DeviceId, Cut)>,
    /// The store epoch, if this opens the log.
    pub fresh_epoch: StoreEpoch,
}

/// What became of an append or adoption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatementOutcome {
    /// It was carried out, with what was recorded.
    Appended(Vec<StoredRecord>),
    /// The log ends elsewhere: read it again.
    Conflict,
}

/// A session as it is stored, under the hash of its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredSession {
    /// The device that opened it.
    pub device: DeviceId,
    /// Service time at which it ends, in milliseconds since 1970.
    pub expires_ms: i64,
}

/// The two ends of a link session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkSide {
    /// The linked device, which opened it.
    Opener,
    /// The new device, which joined it.
    Joiner,
}

/// What there is of a link session for one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkInbox {
    /// Whether the new device is there.
    pub joined: bool,
    /// Messages of the other side, after those that were asked for.
    pub messages: Vec<Bytes>,
}

/// What became of a call on a link session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkOutcome {
    /// It was carried out.
    Done,
    /// There is no such session, or it ended.
    Gone,
    /// It was opened, or joined, before; or it holds as many messages as it may.
    Taken,
}

/// Most messages of one side of a link session.
pub const LINK_MESSAGES_MAX: usize = 16;

/// What the identity service reads and writes. Times are arguments: a store has no clock.
#[async_trait]
pub trait IdentityStore: Send + Sync {
    /// The log after a position; `None` for an unknown identity.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn log(
        &self,
        identity: IdentityId,
        after_position: u64,
    ) -> Result<Option<StoredLog>, StoreError>;

    /// Appends one statement if the log still ends as expected; in the same step records time and
    /// tips, and raises the log's version.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn append_statement(
        &self,
        identity: IdentityId,
        append: StatementAppend,
    ) -> Result<StatementOutcome, StoreError>;

    /// Takes over receipted statements if the log still ends as expected; in the same step drops
    /// the entries outside the cuts, and raises the log's version.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn adopt(
        &self,
        identity: IdentityId,
        adoption: Adoption,
    ) -> Result<StatementOutcome, StoreError>;

    /// Redeems a nonce: `true` once, `false` ever after, and `false` after its expiry whether it
    /// was redeemed or not. A store may forget it then, so whoever checks the challenge refuses it
    /// by its time too.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn redeem_challenge(
        &self,
        identity: IdentityId,
        nonce: [u8; 32],
        expires_ms: i64,
        now_ms: i64,
    ) -> Result<bool, StoreError>;

    /// Stores a session under the hash of its token, in the place of one that is there.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn open_session(
        &self,
        identity: IdentityId,
        token_hash: [u8; 32],
        session: StoredSession,
        now_ms: i64,
    ) -> Result<(), StoreError>;

    /// The session of a token's hash, unless it ended.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn session(
        &self,
        identity: IdentityId,
        token_hash: [u8; 32],
        now_ms: i64,
    ) -> Result<Option<StoredSession>, StoreError>;

    /// Opens a link session: [`LinkOutcome::Taken`] if its name is in use.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn open_link(
        &self,
        session: [u8; 32],
        expires_ms: i64,
        now_ms: i64,
    ) -> Result<LinkOutcome, StoreError>;

    /// Joins a link session, which works once.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn join_link(&self, session: [u8; 32], now_ms: i64) -> Result<LinkOutcome, StoreError>;

    /// Leaves a message for the other side. One that equals the side's last one is that one, sent
    /// again because the answer was lost: it is not left twice.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn post_link(
        &self,
        session: [u8; 32],
        from: LinkSide,
        message: Bytes,
        now_ms: i64,
    ) -> Result<LinkOutcome, StoreError>;

    /// The messages for one side after the first `after` ones; `None` when the session ended.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn link_inbox(
        &self,
        session: [u8; 32],
        side: LinkSide,
        after: usize,
        now_ms: i64,
    ) -> Result<Option<LinkInbox>, StoreError>;

    /// Ends a link session, if there is one.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn close_link(&self, session: [u8; 32]) -> Result<(), StoreError>;

    /// A number for a stream that is opened now. It is greater than those of all that were opened
    /// before, at whatever process, as far as the store's clock goes.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn stream_number(&self) -> Result<u64, StoreError>;

    /// Passes on what a device says, once to each who follows the changes, here and in other
    /// processes: [`Change::Signal`](crate::Change::Signal). All hear what is told of one identity in
    /// one order. What cannot be passed on is lost, and said again by whoever needs it to be heard.
    async fn tell_signal(&self, signal: DeviceSignal);

    /// What is committed from now on.
    fn changes(&self) -> ChangeFeed;

    /// Whether it can commit, and every change of that.
    fn health(&self) -> watch::Receiver<Health>;
}
