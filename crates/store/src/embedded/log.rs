//! Identity logs.
//!
//! Value of a log: version (1), log version (8), store epoch (16), number of statements (8), what
//! the operator says of the identity, checksum (8). Of a statement: version (1), service time (8), number of tips (8), per
//! tip device (16), `seq` (8), hash (32) and signature (64), the statement, checksum (8).

use bytes::Bytes;
use edge_ledger_core::identity::{Point, SignedTip};
use edge_ledger_core::ids::{DeviceId, EntryHash, IdentityId, StoreEpoch};
use edge_ledger_core::keys::Signature;
use redb::ReadableTable;

use super::fault::Fault;
use super::journal::{cut_journal, signed_tips};
use super::layout::{Reading, Writing};
use super::tables::{LOGS, STATEMENTS, Snapshot, StatementKey, Tables, statement_key};
use super::write::Decision;
use crate::identity::{
    Adoption, LogEnd, StatementAppend, StatementOutcome, StoredLog, StoredRecord,
};
use crate::operator::{Terms, TermsOutcome};
use crate::{Change, LogVersion};

const LOG: &str = "a log";
const STATEMENT: &str = "a statement";

/// What is known of a log beside its statements.
#[derive(Debug, Clone)]
struct LogState {
    version: LogVersion,
    epoch: StoreEpoch,
    position: u64,
    terms: Terms,
}

pub(super) fn append(
    tables: &mut Tables<'_>,
    identity: IdentityId,
    append: &StatementAppend,
) -> Result<Decision<StatementOutcome>, Fault> {
    let Some(state) = follow(tables, identity, &append.expected, 1, append.fresh_epoch)? else {
        return Ok(Decision::unchanged(StatementOutcome::Conflict));
    };
    let mut tips = Vec::new();
    for device in &append.ends {
        tips.extend(signed_tips(tables, identity, *device)?);
    }
    tips.sort_unstable();
    tips.dedup();
    let record = StoredRecord {
        statement: append.statement.clone(),
        service_time_ms: append.service_time_ms,
        tips,
    };
    set_state(tables, identity, &state)?;
    set_record(tables, identity, state.position, &record)?;
    Ok(appended(identity, vec![record]))
}

pub(super) fn adopt(
    tables: &mut Tables<'_>,
    identity: IdentityId,
    adoption: &Adoption,
) -> Result<Decision<StatementOutcome>, Fault> {
    let (fresh, more) = (adoption.fresh_epoch, adoption.records.len() as u64);
    let Some(state) = follow(tables, identity, &adoption.expected, more, fresh)? else {
        return Ok(Decision::unchanged(StatementOutcome::Conflict));
    };
    set_state(tables, identity, &state)?;
    for (position, record) in (adoption.expected.position + 1..).zip(&adoption.records) {
        set_record(tables, identity, position, record)?;
    }
    for (device, cut) in &adoption.cuts {
        cut_journal(tables, identity, *device, cut)?;
    }
    Ok(appended(identity, adoption.records.clone()))
}

/// Puts another end in the place of a log's: the records after a position, with what remains of
/// the journals.
pub(super) fn renew(
    tables: &mut Tables<'_>,
    identity: IdentityId,
    keep: u64,
    renewal: &Adoption,
) -> Result<Decision<StatementOutcome>, Fault> {
    let Some(state) = follow(tables, identity, &renewal.expected, 0, renewal.fresh_epoch)? else {
        return Ok(Decision::unchanged(StatementOutcome::Conflict));
    };
    for position in keep + 1..=state.position {
        tables
            .statements
            .remove(&statement_key(identity, position))?;
    }
    let position = keep + renewal.records.len() as u64;
    set_state(tables, identity, &LogState { position, ..state })?;
    for (position, record) in (keep + 1..).zip(&renewal.records) {
        set_record(tables, identity, position, record)?;
    }
    for (device, cut) in &renewal.cuts {
        cut_journal(tables, identity, *device, cut)?;
    }
    Ok(appended(identity, renewal.records.clone()))
}

fn appended(identity: IdentityId, records: Vec<StoredRecord>) -> Decision<StatementOutcome> {
    Decision::wrote(StatementOutcome::Appended(records)).announced(Change::Log { identity })
}

/// The log's state after it gained statements; `None` if it does not end as expected.
fn follow(
    tables: &Tables<'_>,
    identity: IdentityId,
    expected: &LogEnd,
    more: u64,
    fresh_epoch: StoreEpoch,
) -> Result<Option<LogState>, Fault> {
    let state = state(&tables.logs, identity)?.unwrap_or(LogState {
        version: LogVersion(0),
        epoch: fresh_epoch,
        position: 0,
        terms: Terms::default(),
    });
    if state.position != expected.position || last(tables, identity, &state)? != expected.last {
        return Ok(None);
    }
    Ok(Some(LogState {
        version: LogVersion(state.version.0 + 1),
        position: state.position + more,
        ..state
    }))
}

fn last(
    tables: &Tables<'_>,
    identity: IdentityId,
    state: &LogState,
) -> Result<Option<StoredRecord>, Fault> {
    if state.position == 0 {
        return Ok(None);
    }
    let key = statement_key(identity, state.position);
    let value = tables.statements.get(&key)?;
    let value = value.ok_or_else(|| Fault::damaged(LOG))?;
    decode_record(&key, value.value()).map(Some)
}

/// The version of a log: 0 for an identity that is not known.
pub(super) fn version(
    logs: &impl ReadableTable<&'static [u8; 32], &'static [u8]>,
    identity: IdentityId,
) -> Result<LogVersion, Fault> {
    Ok(state(logs, identity)?.map_or(LogVersion(0), |state| state.version))
}

/// The version of a log, and what the operator says of its identity.
pub(super) fn standing(
    logs: &impl ReadableTable<&'static [u8; 32], &'static [u8]>,
    identity: IdentityId,
) -> Result<(LogVersion, Terms), Fault> {
    let state = state(logs, identity)?;
    Ok(state.map_or_else(Default::default, |state| (state.version, state.terms)))
}

/// Puts terms in the place of others.
pub(super) fn set_terms(
    tables: &mut Tables<'_>,
    identity: IdentityId,
    expected: &Terms,
    terms: &Terms,
) -> Result<Decision<TermsOutcome>, Fault> {
    let Some(state) = state(&tables.logs, identity)? else {
        return Ok(Decision::unchanged(TermsOutcome::Unknown));
    };
    if state.terms != *expected {
        return Ok(Decision::unchanged(TermsOutcome::Conflict));
    }
    if state.terms == *terms {
        return Ok(Decision::unchanged(TermsOutcome::Set));
    }
    let state = LogState {
        version: LogVersion(state.version.0 + 1),
        terms: terms.clone(),
        ..state
    };
    set_state(tables, identity, &state)?;
    Ok(Decision::wrote(TermsOutcome::Set).announced(Change::Log { identity }))
}

/// The log after a position.
pub(super) fn read(
    snapshot: &Snapshot,
    identity: IdentityId,
    after_position: u64,
) -> Result<Option<StoredLog>, Fault> {
    let Some(state) = state(&snapshot.table(LOGS)?, identity)? else {
        return Ok(None);
    };
    let statements = snapshot.table(STATEMENTS)?;
    let from = after_position.saturating_add(1);
    let mut records = Vec::new();
    if from <= state.position {
        let first = statement_key(identity, from);
        let last = statement_key(identity, state.position);
        for row in statements.range::<&StatementKey>(&first..=&last)? {
            let (key, value) = row?;
            records.push(decode_record(key.value(), value.value())?);
        }
    }
    if records.len() as u64 != state.position.saturating_sub(after_position) {
        return Err(Fault::damaged(LOG));
    }
    Ok(Some(StoredLog {
        version: state.version,
        epoch: state.epoch,
        terms: state.terms,
        position: state.position,
        records,
    }))
}

fn state(
    logs: &impl ReadableTable<&'static [u8; 32], &'static [u8]>,
    identity: IdentityId,
) -> Result<Option<LogState>, Fault> {
    let key = identity.as_bytes();
    let Some(value) = logs.get(key)? else {
        return Ok(None);
    };
    let mut row = Reading::sealed(LOG, key, value.value())?;
    let state = LogState {
        version: LogVersion(row.u64()?),
        epoch: StoreEpoch::from_bytes(row.bytes()?),
        position: row.u64()?,
        terms: Terms::decode(row.rest()).ok_or_else(|| Fault::damaged(LOG))?,
    };
    Ok(Some(state))
}

fn set_state(tables: &mut Tables<'_>, identity: IdentityId, state: &LogState) -> Result<(), Fault> {
    let key = identity.as_bytes();
    let value = Writing::with_capacity(64)
        .field(&state.version.0.to_be_bytes())
        .field(state.epoch.as_bytes())
        .field(&state.position.to_be_bytes())
        .field(&state.terms.encode());
    tables.logs.insert(key, &*value.sealed(LOG, key))?;
    Ok(())
}

fn set_record(
    tables: &mut Tables<'_>,
    identity: IdentityId,
    position: u64,
    record: &StoredRecord,
) -> Result<(), Fault> {
    let key = statement_key(identity, position);
    let value = Writing::with_capacity(16 + 120 * record.tips.len() + record.statement.len())
        .field(&record.service_time_ms.to_be_bytes())
        .field(&(record.tips.len() as u64).to_be_bytes());
    let value = record.tips.iter().fold(value, |value, tip| {
        value
            .field(tip.device.as_bytes())
            .field(&tip.point.seq.to_be_bytes())
            .field(tip.point.hash.as_bytes())
            .field(tip.signature.as_bytes())
    });
    let value = value.field(&record.statement).sealed(STATEMENT, &key);
    tables.statements.insert(&key, &*value)?;
    Ok(())
}

fn decode_record(key: &StatementKey, value: &[u8]) -> Result<StoredRecord, Fault> {
    let mut row = Reading::sealed(STATEMENT, key, value)?;
    let service_time_ms = row.i64()?;
    let mut tips = Vec::new();
    for _ in 0..row.u64()? {
        tips.push(SignedTip {
            device: DeviceId::from_bytes(row.bytes()?),
            point: Point {
                seq: row.u64()?,
                hash: EntryHash::from_bytes(row.bytes()?),
            },
            signature: Signature::from_bytes(row.bytes()?),
        });
    }
    Ok(StoredRecord {
        statement: Bytes::copy_from_slice(row.rest()),
        service_time_ms,
        tips,
    })
}
