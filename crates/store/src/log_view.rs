//! An identity's log as a store had it at one moment, replayed and checked.

use std::sync::Arc;

use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_core::identity::{Genesis, IdentityLog, ReceiptedStatement, Statement, StatementRecord};
use edge_ledger_core::ids::{IdentityId, StoreEpoch};

use crate::identity::{Adoption, StatementOutcome, StoredRecord};
use crate::{IdentityStore, LogVersion, StoreError};

/// A log, the version that it had, and the identity's place in the store.
#[derive(Debug, Clone)]
pub struct LogView {
    /// The log.
    pub log: Arc<IdentityLog>,
    /// Its version in the store.
    pub version: LogVersion,
    /// The identity's place in the store.
    pub epoch: StoreEpoch,
}

impl From<&StatementRecord> for StoredRecord {
    fn from(record: &StatementRecord) -> Self {
        Self {
            statement: record.statement.bytes().clone(),
            service_time_ms: record.service_time_ms,
            tips: record.tips.clone(),
        }
    }
}

/// Reads an identity's log, replaying only what it gained since `known`. `None` for an identity
/// that the store does not know.
///
/// # Errors
/// [`StoreError`]; [`StoreError::Damaged`] when what is stored is no log.
pub async fn read_log(
    store: &dyn IdentityStore,
    genesis: &Genesis,
    identity: IdentityId,
    known: Option<&LogView>,
) -> Result<Option<LogView>, StoreError> {
    let after = known.map_or(0, |view| view.log.head().position);
    let Some(stored) = store.log(identity, after).await? else { return Ok(None) };
    let damaged = |what: &dyn std::fmt::Display| StoreError::Damaged(what.to_string());
    let log = match known {
        Some(view) if stored.records.is_empty() => view.log.clone(),
        _ => {
            let mut log = known.map_or_else(
                || IdentityLog::empty(genesis.clone(), identity),
                |view| (*view.log).clone(),
            );
            for record in stored.records {
                let statement =
                    Statement::decode(genesis.ledger_id(), record.statement).map_err(|e| damaged(&e))?;
                let (service_time_ms, tips) = (record.service_time_ms, record.tips);
                log.apply(StatementRecord { statement, service_time_ms, tips }).map_err(|e| damaged(&e))?;
            }
            Arc::new(log)
        }
    };
    Ok(Some(LogView { log, version: stored.version, epoch: stored.epoch }))
}

/// Takes over receipted statements that follow the log; what has no valid receipt, or does not
/// follow, is left. Returns the statements that were taken over: none says that nothing changed.
/// [`StatementOutcome::Conflict`] asks to read the log and try again.
///
/// # Errors
/// [`StoreError`].
pub async fn adopt(
    store: &dyn IdentityStore,
    log: &IdentityLog,
    parts: &[ReceiptParts],
    fresh_epoch: StoreEpoch,
) -> Result<(StatementOutcome, Vec<ReceiptedStatement>), StoreError> {
    let expected = log.head();
    let mut grown = log.clone();
    let taken = follow(&mut grown, parts);
    if taken.is_empty() {
        return Ok((StatementOutcome::Appended(Vec::new()), taken));
    }
    let adoption = Adoption {
        expected,
        records: taken.iter().map(|receipted| receipted.record().into()).collect(),
        head: grown.head(),
        cuts: grown.devices().filter_map(|(id, device)| Some((*id, device.cut.clone()?))).collect(),
        fresh_epoch,
    };
    Ok((store.adopt(log.identity(), adoption).await?, taken))
}

/// The statements, of those that have valid receipts, that a log takes one after the other.
fn follow(log: &mut IdentityLog, parts: &[ReceiptParts]) -> Vec<ReceiptedStatement> {
    let genesis = log.genesis().clone();
    let mut taken = Vec::new();
    for parts in parts {
        let head = log.head();
        let receipted = ReceiptedStatement::verify(&genesis, log.identity(), head.hash, parts.clone());
        let Ok(receipted) = receipted else { continue };
        if log.apply(receipted.record().clone()).is_ok() {
            taken.push(receipted);
        }
    }
    taken
}
