//! The journals of an identity: appending to them, and reading what somebody lacks.

use std::collections::BTreeSet;

use async_trait::async_trait;
use edge_ledger_core::identity::Point;
use edge_ledger_core::ids::{DeviceId, IdentityId};
use edge_ledger_core::ledger::admission::Admissible;
use edge_ledger_core::ledger::journal::{Lacking, lacking, locator};
use edge_ledger_core::ledger::journals::Have;
use edge_ledger_core::ledger::page::PageBuilder;
use edge_ledger_core::ledger::{Extended, Heads, JournalView as _, Level, Tip, VerifiedRun};
use redb::ReadableTable as _;
use tokio::sync::watch;

use super::Embedded;
use super::fault::Fault;
use super::journal::{Journal, Room, append_run, decode_tips, places};
use super::log;
use super::tables::{
    ENTRIES, EntryKey, JournalKey, LOGS, Seen, Snapshot, TIPS, Tables, journal_device, journal_key,
};
use super::write::Decision;
use crate::ledger::{AppendOutcome, Page};
use crate::{At, Change, ChangeFeed, Health, LedgerStore, LogVersion, Origin, StoreError};

#[async_trait]
impl LedgerStore for Embedded {
    async fn append(
        &self,
        identity: IdentityId,
        seen: LogVersion,
        origin: Origin,
        runs: Vec<Admissible>,
    ) -> Result<AppendOutcome, StoreError> {
        let bytes = runs.iter().map(|run| run.run.payload_bytes()).sum();
        self.write(bytes, move |tables| {
            append(tables, identity, seen, origin, &runs)
        })
        .await
    }

    async fn heads(&self, identity: IdentityId) -> Result<At<Heads>, StoreError> {
        self.read(move |snapshot| {
            let tips = KeptJournals::of(snapshot, identity)?.all_tips()?;
            at(snapshot, identity, Heads::new(tips))
        })
        .await
    }

    async fn missing(&self, identity: IdentityId, have: &Have) -> Result<At<Page>, StoreError> {
        let have = have.clone();
        self.read(move |snapshot| {
            let page = KeptJournals::of(snapshot, identity)?.missing(&have)?;
            at(snapshot, identity, page)
        })
        .await
    }

    async fn locate(
        &self,
        identity: IdentityId,
        heads: &Heads,
    ) -> Result<At<Vec<Tip>>, StoreError> {
        let heads = heads.clone();
        self.read(move |snapshot| {
            let points = KeptJournals::of(snapshot, identity)?.locate(&heads)?;
            at(snapshot, identity, points)
        })
        .await
    }

    fn level(&self) -> Level {
        self.open.level
    }

    async fn tell_opened(&self, identity: IdentityId, device: DeviceId, stream: Origin) {
        // Nobody listening is nobody's loss.
        let _ = self.open.feed.send(Change::Opened {
            identity,
            device,
            stream: Some(stream),
            order: stream.0,
        });
    }

    fn changes(&self) -> ChangeFeed {
        self.open.feed.subscribe()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.open.health.clone()
    }
}

/// Appends runs in order if the log has the version that they were admitted under.
pub(super) fn append(
    tables: &mut Tables<'_>,
    identity: IdentityId,
    seen: LogVersion,
    origin: Origin,
    runs: &[Admissible],
) -> Result<Decision<AppendOutcome>, Fault> {
    let (version, terms) = log::standing(&tables.logs, identity)?;
    if version != seen {
        return Ok(Decision::unchanged(AppendOutcome::LogMoved));
    }
    if terms.block.is_some() {
        return Ok(Decision::unchanged(AppendOutcome::Blocked));
    }
    let mut room = room(tables, identity, terms.entries_max)?;
    let (mut outcomes, mut wrote) = (Vec::with_capacity(runs.len()), false);
    let mut fresh: Vec<VerifiedRun> = Vec::new();
    for admissible in runs {
        let Some((extended, wrote_run)) = append_run(tables, identity, admissible, &mut room)?
        else {
            break;
        };
        if matches!(extended, Extended::Kept { .. }) {
            fresh.push(admissible.run.clone());
        }
        wrote |= wrote_run;
        outcomes.push(extended);
    }
    let outcome = if outcomes.len() == runs.len() {
        AppendOutcome::Appended(outcomes)
    } else {
        AppendOutcome::OverQuota
    };
    if !wrote {
        return Ok(Decision::unchanged(outcome));
    }
    let decision = Decision::wrote(outcome);
    if fresh.is_empty() {
        return Ok(decision);
    }
    Ok(decision.announced(Change::Entries {
        identity,
        version: seen,
        origin,
        runs: fresh.into(),
    }))
}

/// What room a quota leaves.
fn room(
    tables: &Tables<'_>,
    identity: IdentityId,
    entries_max: Option<u64>,
) -> Result<Room, Fault> {
    let Some(most) = entries_max else {
        return Ok(None);
    };
    let (first, last) = journals_of(identity);
    let mut used = 0_u64;
    for row in tables.tips.range::<&JournalKey>(&first..=&last)? {
        let (key, value) = row?;
        used = used.saturating_add(places(&decode_tips(key.value(), value.value())?));
    }
    Ok(Some(most.saturating_sub(used)))
}

/// The first and the last key that a journal of an identity can have.
fn journals_of(identity: IdentityId) -> (JournalKey, JournalKey) {
    let key = |byte| journal_key(identity, DeviceId::from_bytes([byte; DeviceId::LEN]));
    (key(0), key(0xff))
}

fn at<T>(snapshot: &Snapshot, identity: IdentityId, value: T) -> Result<At<T>, Fault> {
    let version = log::version(&snapshot.table(LOGS)?, identity)?;
    Ok(At { version, value })
}

/// All journals of an identity in one snapshot.
struct KeptJournals {
    entries: Seen<&'static EntryKey>,
    tips: Seen<&'static JournalKey>,
    identity: IdentityId,
}

impl KeptJournals {
    fn of(snapshot: &Snapshot, identity: IdentityId) -> Result<Self, Fault> {
        Ok(Self {
            entries: snapshot.table(ENTRIES)?,
            tips: snapshot.table(TIPS)?,
            identity,
        })
    }

    fn journal(
        &self,
        device: DeviceId,
    ) -> Journal<'_, Seen<&'static EntryKey>, Seen<&'static JournalKey>> {
        Journal {
            entries: &self.entries,
            tips: &self.tips,
            identity: self.identity,
            device,
        }
    }

    /// The tips of every journal, by device.
    fn all_tips(&self) -> Result<Vec<Tip>, Fault> {
        let (first, last) = journals_of(self.identity);
        let mut tips = Vec::new();
        for row in self.tips.range::<&JournalKey>(&first..=&last)? {
            let (key, value) = row?;
            let device = journal_device(key.value());
            let points = decode_tips(key.value(), value.value())?;
            tips.extend(points.into_iter().map(|point| Tip { device, point }));
        }
        Ok(tips)
    }

    fn devices(&self) -> Result<BTreeSet<DeviceId>, Fault> {
        Ok(self.all_tips()?.into_iter().map(|tip| tip.device).collect())
    }

    fn missing(&self, have: &Have) -> Result<Page, Fault> {
        let nothing = BTreeSet::new();
        let mut page = PageBuilder::default();
        for device in self.devices()? {
            let have = have.get(&device).unwrap_or(&nothing);
            if !self.fill(&mut page, device, have)? {
                return Ok(Page {
                    runs: page.finish(),
                    more: true,
                });
            }
        }
        Ok(Page {
            runs: page.finish(),
            more: false,
        })
    }

    /// Puts what is lacking of one journal on a page. Says `false` when the page is full; reads
    /// no further than that.
    fn fill(
        &self,
        page: &mut PageBuilder,
        device: DeviceId,
        have: &BTreeSet<Point>,
    ) -> Result<bool, Fault> {
        let journal = self.journal(device);
        match lacking(&journal, have)? {
            Lacking::Nothing | Lacking::Unknown => {}
            Lacking::After { seq } => {
                for row in journal.rows_from(seq.saturating_add(1))? {
                    if !page.push(row?) {
                        return Ok(false);
                    }
                }
            }
            Lacking::Chains(chains) => {
                for point in chains.into_iter().flatten() {
                    let row = journal.row(point)?;
                    if !page.push(row.ok_or_else(|| Fault::damaged("a journal"))?) {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    fn locate(&self, heads: &Heads) -> Result<Vec<Tip>, Fault> {
        let mut unknown = BTreeSet::new();
        for tip in heads.tips() {
            if self.journal(tip.device).parent(tip.point)?.is_none() {
                unknown.insert(tip.device);
            }
        }
        let mut points = Vec::new();
        for device in unknown {
            let located = locator(&self.journal(device))?;
            points.extend(located.into_iter().map(|point| Tip { device, point }));
        }
        Ok(points)
    }
}
