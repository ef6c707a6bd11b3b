//! Reading what somebody lacks, and what is known of what they have.
//!
//! The endings are read first, in one step with the log's version; every later read says which
//! version it saw. As long as that is the same, journals only grow, so that all of it is as it was
//! at the first read; when it is another one, everything is read anew.

use std::collections::BTreeSet;

use edge_ledger_core::identity::Point;
use edge_ledger_core::ids::{DeviceId, IdentityId};
use edge_ledger_core::ledger::journal::{Lacking, lacking, locator};
use edge_ledger_core::ledger::journals::Have;
use edge_ledger_core::ledger::page::{PageBuilder, Row};
use edge_ledger_core::ledger::{Heads, Tip};
use edge_ledger_core::limits::PAGE_BYTES_MAX;

use super::RedisStore;
use super::answer::{bytes, list, next};
use super::journal::{Journal, Ranges, sure};
use super::keys::Keys;
use super::layout::{self, damaged};
use super::survey::{read_call, version};
use crate::ledger::Page;
use crate::{At, LogVersion, StoreError};

/// Times that a read begins anew because the log changed meanwhile.
const ATTEMPTS_MAX: u32 = 16;

/// What is known while one answer is put together.
struct Sight<'a> {
    store: &'a RedisStore,
    identity: IdentityId,
    seen: LogVersion,
}

impl RedisStore {
    /// All tips of an identity.
    pub(super) async fn read_heads(&self, identity: IdentityId) -> Result<At<Heads>, StoreError> {
        let (version, endings) = self.all_endings(identity).await?;
        // They are acked to whoever says hello.
        self.fence().await?;
        let mut tips = Vec::new();
        for (device, ending) in endings {
            let points = layout::tips(&ending)?.into_iter();
            tips.extend(points.map(|(point, _)| Tip { device, point }));
        }
        let value = Heads::new(tips);
        Ok(At { version, value })
    }

    /// About one frame of what is lacking.
    pub(super) async fn read_missing(
        &self,
        identity: IdentityId,
        have: &Have,
    ) -> Result<At<Page>, StoreError> {
        let nothing = BTreeSet::new();
        for _ in 0..ATTEMPTS_MAX {
            let (seen, journals) = self.journals(identity).await?;
            let sight = Sight {
                store: self,
                identity,
                seen,
            };
            let have = |device: &DeviceId| have.get(device).unwrap_or(&nothing);
            let behind = journals.into_iter().filter(|(device, journal)| {
                let mut tips = journal.signed_tips().iter();
                !tips.all(|(tip, _)| have(device).contains(tip))
            });
            let mut behind: Vec<_> = behind.collect();
            let judge = |device: &DeviceId, journal: &Journal| sure(lacking(journal, have(device)));
            let Some(lacking) = sight.judge(&mut behind, judge).await? else {
                continue;
            };
            let lacking = behind
                .iter()
                .zip(lacking)
                .flat_map(|((device, journal), lacking)| {
                    let chains = chains(lacking, journal.top()).into_iter();
                    chains.map(|chain| (*device, chain))
                });
            let lacking = lacking.collect();
            drop(behind);
            if let Some(value) = sight.page(lacking).await? {
                return Ok(At {
                    version: seen,
                    value,
                });
            }
        }
        Err(moving())
    }

    /// Locators for journals of which `heads` has an unknown tip.
    pub(super) async fn read_locators(
        &self,
        identity: IdentityId,
        heads: &Heads,
    ) -> Result<At<Vec<Tip>>, StoreError> {
        for _ in 0..ATTEMPTS_MAX {
            let (seen, mut journals) = self.journals(identity).await?;
            let sight = Sight {
                store: self,
                identity,
                seen,
            };
            journals.retain(|(device, _)| !heads.of(device).is_empty());
            let judge = |device: &DeviceId, journal: &Journal| {
                // Each is asked for, so that all that is not in memory is wished for.
                let known = |tip: &&Point| journal.head(**tip).is_some();
                if heads.of(device).iter().filter(known).count() == heads.of(device).len() {
                    return Vec::new();
                }
                sure(locator(journal))
            };
            let Some(points) = sight.judge(&mut journals, judge).await? else {
                continue;
            };
            let of_journal = |((device, _), points): (&(DeviceId, Journal), Vec<Point>)| {
                let device = *device;
                points.into_iter().map(move |point| Tip { device, point })
            };
            return Ok(At {
                version: seen,
                value: journals.iter().zip(points).flat_map(of_journal).collect(),
            });
        }
        Err(moving())
    }

    /// All journals of an identity, of which only the tips are in memory.
    async fn journals(
        &self,
        identity: IdentityId,
    ) -> Result<(LogVersion, Vec<(DeviceId, Journal)>), StoreError> {
        let (version, endings) = self.all_endings(identity).await?;
        let journals = endings.into_iter().map(|(device, ending)| {
            let tips = layout::tips(&ending)?;
            Ok((device, Journal::ending_in(tips)))
        });
        Ok((version, journals.collect::<Result<_, StoreError>>()?))
    }
}

impl Sight<'_> {
    /// Judges each journal, reading what that asks for. `None` if the log changed.
    async fn judge<T>(
        &self,
        journals: &mut [(DeviceId, Journal)],
        judge: impl Fn(&DeviceId, &Journal) -> T,
    ) -> Result<Option<Vec<T>>, StoreError> {
        let mut judged: Vec<Option<T>> = journals.iter().map(|_| None).collect();
        loop {
            let mut wishes = Vec::new();
            for ((device, journal), judged) in journals.iter_mut().zip(&mut judged) {
                if judged.is_some() {
                    continue;
                }
                let answer = judge(device, journal);
                let ranges = journal.take_wishes();
                if ranges.is_empty() {
                    *judged = Some(answer);
                } else {
                    wishes.push((*device, journal, ranges));
                }
            }
            if wishes.is_empty() {
                return Ok(judged.into_iter().collect());
            }
            let granted = self.store.grant_wishes(self.identity, self.seen, wishes);
            if !granted.await? {
                return Ok(None);
            }
        }
    }

    /// Puts together a page. `None` if the log changed.
    async fn page(&self, lacking: Vec<(DeviceId, Chain)>) -> Result<Option<Page>, StoreError> {
        let mut page = PageBuilder::default();
        for (device, chain) in lacking {
            match self.fill(&mut page, device, &chain).await? {
                Filled::All => {}
                Filled::Page => {
                    let runs = page.finish();
                    return Ok(Some(Page { runs, more: true }));
                }
                Filled::Moved => return Ok(None),
            }
        }
        let runs = page.finish();
        Ok(Some(Page { runs, more: false }))
    }

    /// Puts the entries of a chain on a page; reads about one page at a time.
    async fn fill(
        &self,
        page: &mut PageBuilder,
        device: DeviceId,
        chain: &Chain,
    ) -> Result<Filled, StoreError> {
        let (mut from, to) = chain.places();
        while from <= to {
            let Some(cells) = self.cells(device, (from, to)).await? else {
                return Ok(Filled::Moved);
            };
            if cells.is_empty() {
                return Err(damaged("a journal"));
            }
            for (seq, rows) in (from..).zip(cells) {
                let row = chain.choose(seq, rows);
                if !page.push(row.ok_or_else(|| damaged("a journal"))?) {
                    return Ok(Filled::Page);
                }
                from = seq + 1;
            }
        }
        Ok(Filled::All)
    }

    /// The rows at some places, or at the first of them. `None` if the log changed.
    async fn cells(
        &self,
        device: DeviceId,
        range: (u64, u64),
    ) -> Result<Option<Vec<Vec<Row>>>, StoreError> {
        let (keys, ranges): (_, Ranges) = (Keys::of(self.identity), vec![range]);
        let call = read_call(&keys, device, "cells", PAGE_BYTES_MAX, &ranges);
        let mut values = list(self.store.ask(&call).await?)?.into_iter();
        if version(next(&mut values)?)? != self.seen {
            return Ok(None);
        }
        let cells = (range.0..)
            .zip(values)
            .map(|(seq, value)| layout::cell(device, seq, &bytes(value)?));
        cells.collect::<Result<_, _>>().map(Some)
    }
}

/// Entries that follow each other.
enum Chain {
    /// Those of a journal with one branch, from one place to another.
    After(u64, u64),
    /// These.
    Of(Vec<Point>),
}

/// What is lacking of a journal, as chains.
fn chains(lacking: Lacking, top: u64) -> Vec<Chain> {
    match lacking {
        Lacking::Nothing | Lacking::Unknown => Vec::new(),
        Lacking::After { seq } => vec![Chain::After(seq.saturating_add(1), top)],
        Lacking::Chains(chains) => chains.into_iter().map(Chain::Of).collect(),
    }
}

impl Chain {
    fn places(&self) -> (u64, u64) {
        match self {
            Self::After(from, to) => (*from, *to),
            Self::Of(points) => match (points.first(), points.last()) {
                (Some(first), Some(last)) => (first.seq, last.seq),
                (None, _) | (_, None) => (1, 0),
            },
        }
    }

    /// The row of this chain among those of a place.
    fn choose(&self, seq: u64, mut rows: Vec<Row>) -> Option<Row> {
        let place = match self {
            Self::After(..) => (rows.len() == 1).then_some(0)?,
            Self::Of(points) => {
                let index = usize::try_from(seq - points.first()?.seq).ok()?;
                let point = points.get(index)?;
                rows.iter().position(|row| row.point == *point)?
            }
        };
        Some(rows.swap_remove(place))
    }
}

/// How far a page got.
enum Filled {
    /// All entries are on it.
    All,
    /// It is full.
    Page,
    /// The log changed.
    Moved,
}

fn moving() -> StoreError {
    StoreError::Unavailable("the identity log does not stand still".to_owned())
}
