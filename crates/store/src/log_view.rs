//! An identity's log as a store had it at one moment, replayed and checked.

use std::sync::Arc;

use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_core::identity::{
    Cut, DeviceRecord, Genesis, IdentityLog, ReceiptedStatement, Statement, StatementRecord,
};
use edge_ledger_core::ids::{DeviceId, IdentityId, StoreEpoch};

use crate::identity::{Adoption, LogEnd, StatementOutcome, StoredRecord};
use crate::operator::Terms;
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
    /// What the operator says of the identity.
    pub terms: Terms,
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
    let read = read_after(store, genesis, identity, known).await;
    match read {
        // A store that went back, or elsewhere, does not continue what is known of it.
        Err(StoreError::Damaged(_)) if known.is_some() => {
            read_after(store, genesis, identity, None).await
        }
        read => read,
    }
}

async fn read_after(
    store: &dyn IdentityStore,
    genesis: &Genesis,
    identity: IdentityId,
    known: Option<&LogView>,
) -> Result<Option<LogView>, StoreError> {
    let after = known.map_or(0, |view| view.log.head().position);
    let Some(stored) = store.log(identity, after).await? else {
        return Ok(None);
    };
    let damaged = |what: &dyn std::fmt::Display| StoreError::Damaged(what.to_string());
    if stored.position < after {
        return Err(damaged(&"the log is shorter than it was"));
    }
    let log = match known {
        Some(view) if stored.records.is_empty() => view.log.clone(),
        _ => {
            let mut log = known.map_or_else(
                || IdentityLog::empty(genesis.clone(), identity),
                |view| (*view.log).clone(),
            );
            for record in stored.records {
                let statement = Statement::decode(genesis.ledger_id(), record.statement)
                    .map_err(|e| damaged(&e))?;
                let (service_time_ms, tips) = (record.service_time_ms, record.tips);
                log.apply(StatementRecord {
                    statement,
                    service_time_ms,
                    tips,
                })
                .map_err(|e| damaged(&e))?;
            }
            Arc::new(log)
        }
    };
    Ok(Some(LogView {
        log,
        version: stored.version,
        epoch: stored.epoch,
        terms: stored.terms,
    }))
}

/// Receipted statements that a log takes one after the other; what has no valid receipt, or does
/// not follow, is left.
#[derive(Debug, Clone)]
pub struct Following {
    /// The log with them.
    pub grown: IdentityLog,
    /// The statements.
    pub taken: Vec<ReceiptedStatement>,
}

/// Finds the statements that follow a log.
pub fn follow(log: &IdentityLog, parts: &[ReceiptParts]) -> Following {
    let genesis = log.genesis().clone();
    let mut grown = log.clone();
    let mut taken = Vec::new();
    for parts in parts {
        let head = grown.head();
        let receipted =
            ReceiptedStatement::verify(&genesis, grown.identity(), head.hash, parts.clone());
        let Ok(receipted) = receipted else { continue };
        if grown.apply(receipted.record().clone()).is_ok() {
            taken.push(receipted);
        }
    }
    Following { grown, taken }
}

/// What a log leaves of the journals of devices that were ended.
pub fn cuts(log: &IdentityLog) -> Vec<(DeviceId, Cut)> {
    let ended = |(id, device): (&DeviceId, &DeviceRecord)| Some((*id, device.cut.clone()?));
    log.devices().filter_map(ended).collect()
}

/// Takes over the statements that follow a log. [`StatementOutcome::Conflict`] asks to read the
/// log and to find them anew.
///
/// # Errors
/// [`StoreError`].
pub async fn adopt(
    store: &dyn IdentityStore,
    log: &IdentityLog,
    following: &Following,
    fresh_epoch: StoreEpoch,
) -> Result<StatementOutcome, StoreError> {
    let adoption = Adoption {
        expected: LogEnd::of(log),
        records: following
            .taken
            .iter()
            .map(|receipted| receipted.record().into())
            .collect(),
        cuts: cuts(&following.grown),
        fresh_epoch,
    };
    store.adopt(log.identity(), adoption).await
}
