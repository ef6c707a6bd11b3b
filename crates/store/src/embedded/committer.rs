//! The committer: everything that is written goes through it, in groups.
//!
//! It takes all writes that wait, judges each inside one transaction, commits, and only then
//! replies and announces. The window is zero: a group is what came in while the group before it
//! was synced. A write that finds damaged data is left out, and the others are carried out
//! without it, from a clean transaction.
//!
//! A store that is full finds out by itself when there is room again, by writing something that
//! means nothing: whoever asks for its health may be what keeps all other writes away.

use std::sync::Arc;

use edge_ledger_core::limits::ENTRY_PAYLOAD_BYTES_MAX;
use redb::{Database, Durability};
use tokio::sync::{broadcast, oneshot, watch};

use super::engine::Engine;
use super::fault::Fault;
use super::tables::Tables;
use super::write::{Decision, Queued, Write};
use crate::{Change, Health, StoreError};

/// Writes that are committed together.
pub(super) type Group = Vec<Box<dyn Queued>>;

/// The name of what a probe writes, among the facts about the file.
pub(super) const PROBE: &str = "probe";
/// What a probe writes: there is room if there is room for the largest entry.
const PROBE_BYTES: usize = ENTRY_PAYLOAD_BYTES_MAX;

/// How far a group got.
#[derive(Debug, Clone, Copy)]
enum Phase {
    Beginning,
    Deciding(usize),
    Committing,
}

/// Carries out groups of writes.
pub(super) struct Committer {
    pub(super) engine: Arc<Engine>,
    pub(super) feed: broadcast::Sender<Change>,
    pub(super) health: watch::Sender<Health>,
}

impl Committer {
    /// Carries out a group, replies to each of it, and announces.
    pub(super) fn commit(&self, mut group: Group) {
        let mut reopened = false;
        while !group.is_empty() {
            if *self.health.borrow() == Health::Failed || self.engine.sync_failed() {
                self.set_health(Health::Failed);
                return fail_all(
                    group,
                    &StoreError::Unavailable("a commit failed".to_owned()),
                );
            }
            let (phase, fault) = match self.attempt(&mut group) {
                Ok(wrote) => {
                    if wrote && self.set_health(Health::Serving) {
                        tracing::info!("the store has room again");
                    }
                    group.into_iter().for_each(|write| write.settle(&self.feed));
                    return;
                }
                Err(failure) => failure,
            };
            match phase {
                Phase::Deciding(index) if fault.is_damage() => {
                    tracing::error!(%fault, "a write met damaged data");
                    group.remove(index).fail(fault.into());
                    reopened = false;
                }
                Phase::Beginning | Phase::Deciding(_) if fault.is_latched() && !reopened => {
                    reopened = true;
                    self.reopen();
                }
                Phase::Beginning | Phase::Deciding(_) | Phase::Committing => {
                    return self.fail(group, fault);
                }
            }
        }
    }

    /// Whether there was no room for the last write.
    pub(super) fn is_full(&self) -> bool {
        *self.health.borrow() == Health::Full
    }

    /// Finds out whether there is room again. Nothing is left of what that takes.
    pub(super) fn probe(&self) {
        self.commit(vec![unheard(|tables| {
            tables.globals.insert(PROBE, &[0; PROBE_BYTES][..])?;
            Ok(Decision::wrote(()))
        })]);
        if !self.is_full() {
            self.commit(vec![unheard(|tables| {
                tables.globals.remove(PROBE)?;
                Ok(Decision::wrote(()))
            })]);
        }
    }

    /// Says whether the group wrote anything, or what failed at which phase.
    fn attempt(&self, group: &mut Group) -> Result<bool, (Phase, Fault)> {
        let mut phase = Phase::Beginning;
        let result = self
            .engine
            .with(|database| attempt(database, group, &mut phase));
        result.map_err(|fault| (phase, fault))
    }

    fn fail(&self, group: Group, fault: Fault) {
        if fault.is_full() && !self.engine.sync_failed() {
            if self.set_health(Health::Full) {
                tracing::warn!(%fault, "the store is full");
            }
            self.reopen();
        } else {
            tracing::error!(%fault, "a commit failed: the store takes no more writes");
            self.set_health(Health::Failed);
        }
        fail_all(group, &fault.into());
    }

    fn reopen(&self) {
        if let Err(error) = self.engine.reopen(self.engine.openings()) {
            tracing::warn!(%error, "the store could not be opened again");
        }
    }

    /// Says whether that is news.
    fn set_health(&self, health: Health) -> bool {
        self.health
            .send_if_modified(|now| std::mem::replace(now, health) != health)
    }
}

/// A write whose reply nobody waits for.
fn unheard<F>(act: F) -> Box<dyn Queued>
where
    F: FnMut(&mut Tables<'_>) -> Result<Decision<()>, Fault> + Send + 'static,
{
    let (reply, _) = oneshot::channel();
    Box::new(Write::new(act, PROBE_BYTES, reply))
}

/// Judges all writes of a group in one transaction, and commits it if any of them wrote.
fn attempt(database: &Database, group: &mut Group, phase: &mut Phase) -> Result<bool, Fault> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    transaction.set_quick_repair(true);
    let mut wrote = false;
    let mut tables = Tables::open(&transaction)?;
    for (index, write) in group.iter_mut().enumerate() {
        *phase = Phase::Deciding(index);
        wrote |= write.decide(&mut tables)?;
    }
    drop(tables);
    *phase = Phase::Committing;
    if wrote {
        transaction.commit()?;
    }
    Ok(wrote)
}

fn fail_all(group: Group, error: &StoreError) {
    for write in group {
        write.fail(error.clone());
    }
}
