//! Reading for decisions: how journals end, and what is wished for of them.

use edge_ledger_core::ids::{DeviceId, IdentityId};
use redis::{Pipeline, Value};

use super::RedisStore;
use super::answer::{bytes, list, next, number, optional};
use super::journal::{Journal, Ranges};
use super::keys::Keys;
use super::layout::{damaged, heads};
use super::script::{Call, Loaded, Script};
use crate::{LogVersion, StoreError};

/// Bytes of cells that one call of the reading script looks at.
pub(super) const READ_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A journal's ending, as the store has it; nothing if the journal has no entry.
pub(super) type Ending = Vec<u8>;

impl RedisStore {
    /// The endings of some journals, and the log's version at that moment.
    pub(super) async fn endings(
        &self,
        identity: IdentityId,
        devices: &[DeviceId],
    ) -> Result<(LogVersion, Vec<Ending>), StoreError> {
        let call = endings_call(identity).arg("of");
        let call = devices
            .iter()
            .fold(call, |call, device| call.arg(device.as_bytes()));
        let mut answer = list(self.ask(&call).await?)?.into_iter();
        let version = version(next(&mut answer)?)?;
        let endings = list(next(&mut answer)?)?.into_iter().map(ending);
        Ok((version, endings.collect::<Result<_, _>>()?))
    }

    /// All endings, and the log's version at that moment.
    pub(super) async fn all_endings(
        &self,
        identity: IdentityId,
    ) -> Result<(LogVersion, Vec<(DeviceId, Ending)>), StoreError> {
        let call = endings_call(identity).arg("all");
        let mut answer = list(self.ask(&call).await?)?.into_iter();
        let version = version(next(&mut answer)?)?;
        let mut values = list(next(&mut answer)?)?.into_iter();
        let mut endings = Vec::with_capacity(values.len() / 2);
        while let Some(device) = values.next() {
            let device = DeviceId::try_from(&bytes(device)?[..]);
            let device = device.map_err(|_| damaged("the tips of an identity"))?;
            endings.push((device, ending(next(&mut values)?)?));
        }
        endings.sort_unstable_by_key(|(device, _)| *device);
        Ok((version, endings))
    }

    /// The answer to one call that reads.
    pub(super) async fn ask(&self, call: &Call) -> Result<Value, StoreError> {
        let commands = |loaded: &Loaded| {
            let mut pipeline = Pipeline::new();
            pipeline.add_command(call.command(loaded));
            pipeline
        };
        next(&mut self.open.reader.ask(commands).await?.into_iter())
    }

    /// Reads what is wished for of some journals, as far as it comes at once. Says `false` if the
    /// log has another version than the one that was seen.
    pub(super) async fn grant_wishes(
        &self,
        identity: IdentityId,
        seen: LogVersion,
        wishes: Vec<(DeviceId, &mut Journal, Ranges)>,
    ) -> Result<bool, StoreError> {
        let keys = Keys::of(identity);
        let call = |(device, _, ranges): &(DeviceId, _, Ranges)| {
            read_call(&keys, *device, "heads", READ_BYTES_MAX, ranges)
        };
        let calls: Vec<Call> = wishes.iter().map(call).collect();
        let commands = |loaded: &Loaded| {
            let mut pipeline = Pipeline::new();
            for call in &calls {
                pipeline.add_command(call.command(loaded));
            }
            pipeline
        };
        let answers = self.open.reader.ask(commands).await?;
        for ((_, journal, ranges), answer) in wishes.into_iter().zip(answers) {
            let mut values = list(answer)?.into_iter();
            if version(next(&mut values)?)? != seen {
                return Ok(false);
            }
            let places = ranges.into_iter().flat_map(|(from, to)| from..=to);
            for (seq, value) in places.zip(values) {
                journal.read(seq, heads(seq, &bytes(value)?)?);
            }
        }
        Ok(true)
    }
}

fn endings_call(identity: IdentityId) -> Call {
    let keys = Keys::of(identity);
    Call::new(Script::Endings, [keys.log(), keys.tips()])
}

/// A call that reads places of a journal.
pub(super) fn read_call(
    keys: &Keys,
    device: DeviceId,
    what: &str,
    bytes_max: usize,
    ranges: &Ranges,
) -> Call {
    let call = Call::new(Script::Read, [keys.log(), keys.entries(device)]);
    let call = call.arg(what).number(bytes_max);
    ranges
        .iter()
        .fold(call, |call, (from, to)| call.number(from).number(to))
}

/// The version of a log: 0 for one that is not known.
pub(super) fn version(value: Value) -> Result<LogVersion, StoreError> {
    match optional(value)? {
        Some(text) => number(&text).map(LogVersion),
        None => Ok(LogVersion(0)),
    }
}

fn ending(value: Value) -> Result<Ending, StoreError> {
    Ok(optional(value)?.map_or_else(Vec::new, |ending| ending.to_vec()))
}
