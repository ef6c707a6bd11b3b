//! The receipts of the log's statements, which the device shows to whoever lost them.

use bytes::Bytes;
use edge_ledger_core::identity::IdentityLog;
use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_core::ids::StoreEpoch;
use edge_ledger_core::limits::FRAME_STATEMENTS_MAX;
use edge_ledger_proto::identity as pb;
use edge_ledger_store::identity::StatementOutcome;
use edge_ledger_store::log_view::{self, Following};
use edge_ledger_store::{Embedded, StoreError};
use prost::Message as _;

use super::Book;
use crate::error::AgentError;

impl Book {
    /// The receipted statements after a position, about one frame of them.
    pub(crate) async fn receipts_after(
        &self,
        position: u64,
    ) -> Result<Vec<ReceiptParts>, AgentError> {
        let mut parts = Vec::new();
        let last = self
            .log
            .head()
            .position
            .min(position.saturating_add(FRAME_STATEMENTS_MAX as u64));
        for position in position + 1..=last {
            let Some(bytes) = self.store.get(&receipt_key(position)).await? else {
                break;
            };
            let statement = pb::ReceiptedStatement::decode(bytes);
            let damaged = |why: String| StoreError::Damaged(why);
            let statement = statement.map_err(|e| damaged(e.to_string()))?;
            parts.push(ReceiptParts::try_from(statement).map_err(|e| damaged(e.to_string()))?);
        }
        Ok(parts)
    }

    /// All receipts that this device keeps of its log.
    pub(super) async fn all_receipts(&self) -> Result<Vec<ReceiptParts>, AgentError> {
        let mut own: Vec<ReceiptParts> = Vec::new();
        loop {
            let more = self.receipts_after(own.len() as u64).await?;
            if more.is_empty() {
                return Ok(own);
            }
            own.extend(more);
        }
    }
}

pub(super) fn receipt_key(position: u64) -> String {
    format!("receipt/{position:016x}")
}

/// Takes over statements that follow a log, with their receipts, which the device shows to
/// whoever lost them. Returns whether there were any.
pub(crate) async fn adopt_into(
    store: &Embedded,
    log: &IdentityLog,
    parts: &[ReceiptParts],
) -> Result<bool, AgentError> {
    adopt_following(store, log, &log_view::follow(log, parts)).await
}

pub(super) async fn adopt_following(
    store: &Embedded,
    log: &IdentityLog,
    following: &Following,
) -> Result<bool, AgentError> {
    // The receipts go first: a statement without one could not be shown after a crash.
    for receipted in &following.taken {
        let position = receipted.record().statement.body().position;
        let bytes = pb::ReceiptedStatement::from(receipted.parts()).encode_to_vec();
        store
            .put(&receipt_key(position), Bytes::from(bytes))
            .await?;
    }
    if following.taken.is_empty() {
        return Ok(false);
    }
    let fresh_epoch = StoreEpoch::from_bytes(rand::random());
    match log_view::adopt(store, log, following, fresh_epoch).await? {
        StatementOutcome::Appended(_) => Ok(true),
        StatementOutcome::Conflict => {
            Err(StoreError::Damaged("the log moved though nobody else writes it".to_owned()).into())
        }
    }
}
