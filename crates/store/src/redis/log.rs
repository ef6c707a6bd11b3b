//! Identity logs: reading them, and appending one statement.

use edge_ledger_core::ids::{IdentityId, StoreEpoch};

use super::RedisStore;
use super::answer::{bytes, list, next, number, optional};
use super::committer::Answer;
use super::feed::Hint;
use super::keys::Keys;
use super::layout::{damaged, last, stored_record};
use super::script::{Call, Script};
use crate::identity::{StatementAppend, StatementOutcome, StoredLog};
use crate::operator::Terms;
use crate::{Change, LogVersion, StoreError};

const LOG: &str = "a log";

impl RedisStore {
    /// The log after a position, of one moment.
    pub(super) async fn read_log(
        &self,
        identity: IdentityId,
        after_position: u64,
    ) -> Result<Option<StoredLog>, StoreError> {
        let keys = Keys::of(identity);
        // No log is that long.
        let from = i64::try_from(after_position).unwrap_or(i64::MAX);
        let call = Call::new(Script::Log, [keys.log(), keys.statements()]).number(from);
        let mut answers = list(self.ask(&call).await?)?.into_iter();
        let mut facts = list(next(&mut answers)?)?.into_iter();
        let Some(version) = optional(next(&mut facts)?)? else {
            return Ok(None);
        };
        let epoch = StoreEpoch::try_from(&bytes(next(&mut facts)?)?[..]);
        let position: u64 = number(&bytes(next(&mut facts)?)?)?;
        let terms = optional(next(&mut facts)?)?.unwrap_or_default();
        let terms = Terms::decode(&terms).ok_or_else(|| damaged(LOG))?;
        let records = list(next(&mut answers)?)?.into_iter();
        let records: Vec<_> = records
            .map(|record| stored_record(&bytes(record)?))
            .collect::<Result<_, _>>()?;
        if records.len() as u64 != position.saturating_sub(after_position) {
            return Err(damaged(LOG));
        }
        let version = LogVersion(number(&version)?);
        self.fence_log(identity, version).await?;
        Ok(Some(StoredLog {
            version,
            epoch: epoch.map_err(|_| damaged(LOG))?,
            terms,
            position,
            records,
        }))
    }

    /// Appends one statement.
    pub(super) async fn append_one(
        &self,
        identity: IdentityId,
        append: StatementAppend,
    ) -> Result<StatementOutcome, StoreError> {
        let keys = Keys::of(identity);
        // The tips are recorded in the order of their devices.
        let mut ends = append.ends;
        ends.sort_unstable();
        ends.dedup();
        let all = [keys.log(), keys.statements(), keys.tips()];
        let call = self
            .log_call(Script::Statement, &keys, all)
            .number(append.expected.position)
            .arg(last(&append.expected))
            .arg(append.fresh_epoch.as_bytes())
            .arg(append.service_time_ms.to_be_bytes())
            .arg(append.statement);
        let call = ends
            .iter()
            .fold(call, |call, device| call.arg(device.as_bytes()));
        self.write(call, move |answer: Answer| {
            let record = answer.said.values.first();
            match (&*answer.said.word, record) {
                (b"done", Some(record)) => {
                    let outcome = StatementOutcome::Appended(vec![stored_record(record)?]);
                    Ok((outcome, Some(Change::Log { identity })))
                }
                (b"conflict", _) => Ok((StatementOutcome::Conflict, None)),
                _ => answer.said.unknown(),
            }
        })
        .await
    }

    /// Begins a call that changes a log.
    pub(super) fn log_call(
        &self,
        script: Script,
        keys: &Keys,
        all: impl IntoIterator<Item = String>,
    ) -> Call {
        Call::new(script, all)
            .arg(self.open.stamps.write())
            .arg(keys.channel())
            .arg(Hint::Log.message(self.open.stamps.origin()))
    }
}
