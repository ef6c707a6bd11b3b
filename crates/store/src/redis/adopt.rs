//! Taking over statements, with what their cuts leave of the journals.

use std::collections::BTreeMap;

use edge_ledger_core::identity::Cut;
use edge_ledger_core::ids::{DeviceId, IdentityId};
use edge_ledger_core::keys::Signature;
use edge_ledger_core::ledger::journal::{Retreat, retreat};

use super::RedisStore;
use super::change_set::ChangeSet;
use super::committer::Answer;
use super::journal::{Journal, sure};
use super::keys::Keys;
use super::layout::{self, Tipped, damaged, last};
use super::script::{Call, Script};
use super::survey::Ending;
use crate::identity::{Adoption, StatementOutcome};
use crate::{Change, LogVersion, StoreError};

/// Times that the cuts are decided anew because an append came between.
const ATTEMPTS_MAX: u32 = 64;

/// What became of one attempt.
enum Attempt {
    Outcome(StatementOutcome),
    /// The journals end elsewhere by now.
    Changed(Vec<Ending>),
}

/// What a cut does to one journal.
struct Left {
    tips: Vec<Tipped>,
    changes: ChangeSet,
    changed: bool,
}

impl RedisStore {
    /// Takes over statements.
    pub(super) async fn take_over(
        &self,
        identity: IdentityId,
        adoption: Adoption,
    ) -> Result<StatementOutcome, StoreError> {
        // Each device once, in order: the last cut of it.
        let cuts: BTreeMap<DeviceId, Cut> = adoption.cuts.iter().cloned().collect();
        let devices: Vec<_> = cuts.keys().copied().collect();
        let (mut version, mut endings) = self.endings(identity, &devices).await?;
        for _ in 0..ATTEMPTS_MAX {
            let Some(left) = self.leave(identity, version, &cuts, &endings).await? else {
                (version, endings) = self.endings(identity, &devices).await?;
                continue;
            };
            let call = self.adoption(identity, &adoption, &endings, &devices, left);
            let records = adoption.records.clone();
            let attempt = self.write(call, move |answer: Answer| match &*answer.said.word {
                b"done" => {
                    let outcome = StatementOutcome::Appended(records);
                    Ok((Attempt::Outcome(outcome), Some(Change::Log { identity })))
                }
                b"conflict" => Ok((Attempt::Outcome(StatementOutcome::Conflict), None)),
                b"changed" => {
                    let endings = answer.said.values.iter().map(|ending| ending.to_vec());
                    Ok((Attempt::Changed(endings.collect()), None))
                }
                _ => answer.said.unknown(),
            });
            match attempt.await? {
                Attempt::Outcome(outcome) => {
                    self.open.endings.forget(identity, &devices);
                    return Ok(outcome);
                }
                Attempt::Changed(now) => endings = now,
            }
        }
        Err(StoreError::Unavailable(
            "the journals do not stand still".to_owned(),
        ))
    }

    /// Decides what the cuts leave. `None` if the log changed.
    async fn leave(
        &self,
        identity: IdentityId,
        seen: LogVersion,
        cuts: &BTreeMap<DeviceId, Cut>,
        endings: &[Ending],
    ) -> Result<Option<Vec<Left>>, StoreError> {
        let mut left = Vec::with_capacity(cuts.len());
        for ((device, cut), ending) in cuts.iter().zip(endings) {
            let mut journal = Journal::ending_in(layout::tips(ending)?);
            loop {
                let retreat = sure(retreat(&journal, cut));
                let changes = changes(&journal, cut, &retreat);
                let wishes = journal.take_wishes();
                if wishes.is_empty() {
                    left.push(what_is_left(&journal, cut, retreat, changes)?);
                    break;
                }
                let wishes = vec![(*device, &mut journal, wishes)];
                if !self.grant_wishes(identity, seen, wishes).await? {
                    return Ok(None);
                }
            }
        }
        Ok(Some(left))
    }

    fn adoption(
        &self,
        identity: IdentityId,
        adoption: &Adoption,
        endings: &[Ending],
        devices: &[DeviceId],
        left: Vec<Left>,
    ) -> Call {
        let keys = Keys::of(identity);
        let entries = devices.iter().map(|device| keys.entries(*device));
        let all = [keys.log(), keys.statements(), keys.tips()];
        let mut call = self
            .log_call(Script::Adopt, &keys, all.into_iter().chain(entries))
            .number(adoption.expected.position)
            .arg(last(&adoption.expected))
            .arg(adoption.fresh_epoch.as_bytes())
            .number(adoption.records.len());
        for record in &adoption.records {
            call = call.arg(layout::record(record));
        }
        call = call.number(devices.len());
        for ((device, expected), left) in devices.iter().zip(endings).zip(&left) {
            let ending = match left.changed {
                true => layout::ending(self.open.stamps.write(), &left.tips),
                false => expected.clone(),
            };
            call = call.arg(device.as_bytes()).arg(&expected[..]).arg(ending);
        }
        left.into_iter()
            .fold(call, |call, left| left.changes.arguments(call))
    }
}

/// How the cells change: places that are emptied as a whole, and the others row by row.
fn changes(journal: &Journal, cut: &Cut, retreat: &Retreat) -> ChangeSet {
    let mut changes = ChangeSet::default();
    for tip in &retreat.tips {
        let unsigned = journal.head(*tip).is_some_and(|head| !head.signed);
        if let Some(signature) = cut.signature(tip).filter(|_| unsigned) {
            changes.signed.push((*tip, signature));
        }
    }
    if retreat.tips.is_empty() {
        // The whole journal goes.
        return changes;
    }
    let mut outside: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    for point in &retreat.outside {
        let hashes = outside.entry(point.seq).or_default();
        hashes.extend_from_slice(point.hash.as_bytes());
    }
    for (seq, hashes) in outside {
        if hashes.len() == 32 * journal.cell(seq).len() {
            changes.emptied.push(seq);
        } else {
            changes.dropped.push((seq, hashes));
        }
    }
    changes
}

fn what_is_left(
    journal: &Journal,
    cut: &Cut,
    retreat: Retreat,
    changes: ChangeSet,
) -> Result<Left, StoreError> {
    let signature = |point| -> Option<Signature> {
        let before = journal.signed_tips().iter();
        let mut before = before.filter(|(tip, _)| *tip == point);
        let before = before.next().map(|(_, signature)| *signature);
        before.or_else(|| cut.signature(&point))
    };
    let tips = retreat.tips.into_iter().map(|point| {
        let signature = signature(point).ok_or_else(|| damaged("a cut"))?;
        Ok((point, signature))
    });
    let tips = tips.collect::<Result<Vec<_>, StoreError>>()?;
    let changed = tips != journal.signed_tips() || !changes.is_empty();
    Ok(Left {
        tips,
        changes,
        changed,
    })
}
