//! The committer: everything that is written goes through it, in groups.
//!
//! It takes all writes that wait, judges each inside one transaction, commits, and only then
//! replies and announces. The window is zero: a group is what came in while the group before it
//! was synced. A write that finds damaged data is left out, and the others are carried out
//! without it, from a clean transaction.

use std::sync::Arc;

use redb::{Database, Durability};
use tokio::sync::{broadcast, watch};

use super::engine::Engine;
use super::fault::Fault;
use super::tables::Tables;
use super::write::Queued;
use crate::{Change, Health, StoreError};

/// Writes that are committed together.
pub(super) type Group = Vec<Box<dyn Queued>>;

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
                    if wrote {
                        self.set_health(Health::Serving);
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
            tracing::warn!(%fault, "the store is full");
            self.set_health(Health::Full);
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

    fn set_health(&self, health: Health) {
        self.health
            .send_if_modified(|now| std::mem::replace(now, health) != health);
    }
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
