//! Appending runs: decided here on what is in memory, carried out by one script if nothing that
//! was decided under has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use edge_ledger_core::ids::{DeviceId, IdentityId};
use edge_ledger_core::ledger::admission::Admissible;
use edge_ledger_core::ledger::journal::extend;
use edge_ledger_core::ledger::{Extended, VerifiedRun};

use super::RedisStore;
use super::change_set::ChangeSet;
use super::committer::Answer;
use super::feed::Hint;
use super::journal::{Journal, sure};
use super::keys::Keys;
use super::layout::{self, RowHead};
use super::script::{Call, Script};
use super::stamp::Stamp;
use super::survey::Ending;
use crate::ledger::AppendOutcome;
use crate::{Change, LogVersion, Origin, StoreError};

/// Times that an append is decided anew because another one came between.
const ATTEMPTS_MAX: u32 = 64;

/// Runs that somebody wants to append.
pub(super) struct Appending {
    pub(super) identity: IdentityId,
    pub(super) seen: LogVersion,
    pub(super) origin: Origin,
    pub(super) runs: Vec<Admissible>,
}

/// What was decided about one journal.
#[derive(Default)]
struct Decided {
    journal: Journal,
    changes: ChangeSet,
}

/// What became of one attempt.
enum Attempt {
    Done,
    Moved,
    /// The operator does not let the identity have them.
    Refused(AppendOutcome),
    Changed {
        endings: Vec<Ending>,
        /// Whether it was carried out all the same is not known.
        unsure: bool,
    },
}

impl RedisStore {
    /// Appends runs.
    pub(super) async fn append_runs(
        &self,
        appending: Appending,
    ) -> Result<AppendOutcome, StoreError> {
        let Appending { identity, seen, .. } = appending;
        let devices: BTreeSet<_> = appending.runs.iter().map(|run| run.run.device()).collect();
        let devices: Vec<_> = devices.into_iter().collect();
        let mut guess = self.open.endings.of(identity, &devices);
        // What an attempt of unknown fate would have kept.
        let mut unsure: Option<Vec<Extended>> = None;
        for _ in 0..ATTEMPTS_MAX {
            let guessed = guess.is_some();
            let endings = match guess.take() {
                Some(endings) => endings,
                None => {
                    let (version, endings) = self.endings(identity, &devices).await?;
                    if version != seen {
                        return Ok(self.moved(&appending, unsure.is_some()));
                    }
                    endings
                }
            };
            let decision = self.decide(&appending, &devices, &endings).await?;
            let Some((outcomes, decided)) = decision else {
                return Ok(self.moved(&appending, unsure.is_some()));
            };
            if decided.values().all(|decided| decided.changes.is_empty()) {
                if guessed {
                    continue;
                }
                // What is kept is acked again.
                self.fence().await?;
                return Ok(self.kept_before(&appending, outcomes, unsure));
            }
            let outcomes = with_unsure(outcomes, unsure.as_deref());
            match self
                .carry_out(&appending, &endings, decided, &outcomes)
                .await?
            {
                Attempt::Done => return Ok(AppendOutcome::Appended(outcomes)),
                Attempt::Moved => {
                    self.open.endings.forget(identity, &devices);
                    return Ok(self.moved(&appending, unsure.is_some()));
                }
                Attempt::Refused(refused) => {
                    self.tell_unsure(&appending, unsure.is_some());
                    return Ok(refused);
                }
                Attempt::Changed {
                    endings,
                    unsure: now,
                } => {
                    guess = Some(endings);
                    if now {
                        unsure = Some(outcomes);
                    }
                }
            }
        }
        Err(StoreError::Unavailable(
            "the journals do not stand still".to_owned(),
        ))
    }

    /// Runs the rules on the journals until they have read what they need. `None` if the log moved.
    async fn decide(
        &self,
        appending: &Appending,
        devices: &[DeviceId],
        endings: &[Ending],
    ) -> Result<Option<(Vec<Extended>, BTreeMap<DeviceId, Decided>)>, StoreError> {
        let mut read = BTreeMap::new();
        for (device, ending) in devices.iter().zip(endings) {
            read.insert(*device, Journal::ending_in(layout::tips(ending)?));
        }
        loop {
            let (outcomes, decided) = judge(&appending.runs, &mut read);
            let wishes: Vec<_> = read
                .iter_mut()
                .map(|(device, journal)| (*device, journal.take_wishes()))
                .filter(|(_, ranges)| !ranges.is_empty())
                .collect();
            if wishes.is_empty() {
                return Ok(Some((outcomes, decided)));
            }
            let mut ranges: BTreeMap<_, _> = wishes.into_iter().collect();
            let wishes = read
                .iter_mut()
                .filter_map(|(device, journal)| Some((*device, journal, ranges.remove(device)?)))
                .collect();
            if !self
                .grant_wishes(appending.identity, appending.seen, wishes)
                .await?
            {
                return Ok(None);
            }
        }
    }

    async fn carry_out(
        &self,
        appending: &Appending,
        endings: &[Ending],
        decided: BTreeMap<DeviceId, Decided>,
        outcomes: &[Extended],
    ) -> Result<Attempt, StoreError> {
        let (identity, stamp) = (appending.identity, self.open.stamps.write());
        let fresh = fresh(&appending.runs, outcomes);
        let change = (!fresh.is_empty()).then(|| Change::Entries {
            identity,
            version: appending.seen,
            origin: appending.origin,
            runs: fresh.into(),
        });
        let (new_endings, call) = self.call(
            appending,
            endings,
            decided,
            stamp,
            change.as_ref().map(|_| Hint::Entries),
        );
        let store = Arc::clone(&self.open);
        self.write(call, move |answer: Answer| match &*answer.said.word {
            b"done" => {
                for (device, ending) in new_endings {
                    store.endings.learn(identity, device, ending);
                }
                Ok((Attempt::Done, change))
            }
            b"moved" => Ok((Attempt::Moved, None)),
            b"blocked" => Ok((Attempt::Refused(AppendOutcome::Blocked), None)),
            b"over" => Ok((Attempt::Refused(AppendOutcome::OverQuota), None)),
            b"changed" => {
                let endings = answer.said.values.iter().map(|ending| ending.to_vec());
                let endings = endings.collect();
                let unsure = answer.again;
                Ok((Attempt::Changed { endings, unsure }, None))
            }
            _ => answer.said.unknown(),
        })
        .await
    }

    fn call(
        &self,
        appending: &Appending,
        endings: &[Ending],
        decided: BTreeMap<DeviceId, Decided>,
        stamp: Stamp,
        hint: Option<Hint>,
    ) -> (Vec<(DeviceId, Ending)>, Call) {
        let keys = Keys::of(appending.identity);
        let entries = decided.keys().map(|device| keys.entries(*device));
        let all = [keys.log(), keys.tips()].into_iter().chain(entries);
        let mut call = Call::new(Script::Append, all)
            .arg(stamp)
            .arg(keys.channel())
            .arg(hint.map_or_else(Vec::new, |hint| hint.message(self.open.stamps.origin())))
            .number(appending.seen.0)
            .number(decided.len());
        let mut new_endings = Vec::with_capacity(decided.len());
        for ((device, decided), expected) in decided.iter().zip(endings) {
            let ending = if decided.changes.is_empty() {
                expected.clone()
            } else {
                layout::ending(stamp, decided.journal.signed_tips())
            };
            call = call
                .arg(device.as_bytes())
                .arg(&expected[..])
                .arg(&ending[..]);
            new_endings.push((*device, ending));
        }
        for decided in decided.into_values() {
            call = decided.changes.arguments(call);
        }
        (new_endings, call)
    }

    /// Nothing had to be written.
    fn kept_before(
        &self,
        appending: &Appending,
        outcomes: Vec<Extended>,
        unsure: Option<Vec<Extended>>,
    ) -> AppendOutcome {
        let Some(unsure) = unsure else {
            return AppendOutcome::Appended(outcomes);
        };
        // The attempt of unknown fate was carried out, and somebody went on from there.
        let outcomes = with_unsure(outcomes, Some(&unsure));
        let fresh = fresh(&appending.runs, &outcomes);
        if !fresh.is_empty() {
            let _ = self.open.feed.send(Change::Entries {
                identity: appending.identity,
                version: appending.seen,
                origin: appending.origin,
                runs: fresh.into(),
            });
        }
        AppendOutcome::Appended(outcomes)
    }

    fn moved(&self, appending: &Appending, unsure: bool) -> AppendOutcome {
        self.tell_unsure(appending, unsure);
        AppendOutcome::LogMoved
    }

    /// What an attempt of unknown fate may have kept is announced by nobody else.
    fn tell_unsure(&self, appending: &Appending, unsure: bool) {
        if unsure {
            let identity = appending.identity;
            let _ = self.open.feed.send(Change::Elsewhere { identity });
        }
    }
}

/// Judges each run after the ones before it.
fn judge(
    runs: &[Admissible],
    read: &mut BTreeMap<DeviceId, Journal>,
) -> (Vec<Extended>, BTreeMap<DeviceId, Decided>) {
    let mut decided: BTreeMap<DeviceId, Decided> = BTreeMap::new();
    let mut outcomes = Vec::with_capacity(runs.len());
    for (device, journal) in read.iter_mut() {
        journal.begin_anew();
        decided.entry(*device).or_default();
    }
    for admissible in runs {
        let run = &admissible.run;
        let (Some(journal), Some(of)) =
            (read.get_mut(&run.device()), decided.get_mut(&run.device()))
        else {
            continue;
        };
        let before = journal.signed_tips().to_vec();
        if !before.iter().any(|(tip, _)| *tip == run.parent()) {
            // The search for what is kept of it reads these one after the other.
            run.entries()
                .iter()
                .for_each(|entry| journal.wish(entry.point().seq));
        }
        let extended = sure(extend(journal, run, admissible.in_cut));
        apply(journal, &mut of.changes, run, &extended);
        outcomes.push(extended);
    }
    for (device, decided) in &mut decided {
        if let Some(journal) = read.get(device) {
            decided.journal = Journal::ending_in(journal.signed_tips().to_vec());
        }
    }
    (outcomes, decided)
}

fn apply(journal: &mut Journal, changes: &mut ChangeSet, run: &VerifiedRun, extended: &Extended) {
    match extended {
        Extended::Kept { from, tips } => {
            let last = run.last();
            for entry in &run.entries()[*from..] {
                let seq = entry.point().seq;
                let signature = (entry.point() == last).then(|| run.signature());
                let row = layout::row(entry, signature);
                if seq <= journal.top() || changes.cells.contains_key(&seq) {
                    changes.rows.push((seq, row));
                } else {
                    changes.cells.insert(seq, row);
                }
                journal.add(RowHead::of(entry, signature.is_some()));
            }
            journal.end_in(tips, (last, run.signature()));
        }
        Extended::Duplicate => {
            let unsigned = journal.head(run.last()).filter(|head| !head.signed);
            if let Some(head) = unsigned.copied() {
                changes.signed.push((head.point, run.signature()));
                journal.add(RowHead {
                    signed: true,
                    ..head
                });
            }
        }
        Extended::Waiting { .. } | Extended::TooManyTips => {}
    }
}

/// The runs of which something is new.
fn fresh(runs: &[Admissible], outcomes: &[Extended]) -> Vec<VerifiedRun> {
    let kept = runs
        .iter()
        .zip(outcomes)
        .filter(|(_, extended)| matches!(extended, Extended::Kept { .. }));
    kept.map(|(admissible, _)| admissible.run.clone()).collect()
}

/// What an attempt of unknown fate kept is new to whoever asked for it, though it is kept by now.
fn with_unsure(outcomes: Vec<Extended>, unsure: Option<&[Extended]>) -> Vec<Extended> {
    let Some(unsure) = unsure else {
        return outcomes;
    };
    let kept = |(now, then): (Extended, &Extended)| match (&now, then) {
        (Extended::Duplicate, Extended::Kept { .. }) => then.clone(),
        _ => now,
    };
    outcomes.into_iter().zip(unsure).map(kept).collect()
}
