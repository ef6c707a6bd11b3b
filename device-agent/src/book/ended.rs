//! What is left of this device's own journal when it ends.

use std::collections::{BTreeMap, BTreeSet};

use edge_ledger_core::identity::statement::Signer;
use edge_ledger_core::identity::{Act, Cut, DeviceState, IdentityLog, Point};
use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::ledger::{EntryContent, Posting, VerifiedEntry};
use edge_ledger_store::kept::read_entries;

use super::Book;
use crate::error::AgentError;

impl Book {
    /// Before a log is taken over that puts another device in this one's place: puts every
    /// posting that their cut drops back into the outbox, where it waits for whoever goes on here.
    /// The same event key counts once, so one that is dropped here and kept elsewhere does no harm.
    pub(super) async fn save_what_is_cut(&mut self, grown: &IdentityLog) -> Result<(), AgentError> {
        if !self.is_active() {
            return Ok(());
        }
        let record = grown.device(&self.device);
        let replaced = record.filter(|r| matches!(r.state, DeviceState::Replaced { .. }));
        let Some(cut) = replaced.and_then(|record| record.cut.as_ref()) else {
            return Ok(());
        };
        let entries = read_entries(&self.store, self.log()).await?;
        let own: Vec<&VerifiedEntry> = entries
            .iter()
            .filter(|entry| entry.device() == self.device)
            .collect();
        let dropped: Vec<Posting> = outside(&own, cut)
            .into_iter()
            .flat_map(|entry| match entry.content() {
                EntryContent::V1 { postings, .. } => postings.clone(),
                EntryContent::Unreadable => Vec::new(),
            })
            .collect();
        if dropped.is_empty() {
            return Ok(());
        }
        self.record(dropped).await
    }
}

/// Whether a device ended its own lineage.
pub(crate) fn has_left(log: &IdentityLog, device: &DeviceId) -> bool {
    let Some(own) = log
        .device(device)
        .filter(|r| r.state == DeviceState::Revoked)
    else {
        return false;
    };
    let is_own = |other: &DeviceId| log.lineage(other) == Some(own.lineage);
    log.records_after(0).iter().any(|record| {
        let Act::Revoke { device, .. } = &record.statement.body().act else {
            return false;
        };
        let signer = record.statement.signers().next();
        is_own(device) && matches!(signer, Some(Signer::Device(key)) if is_own(&key.device_id()))
    })
}

/// The entries of one journal that are neither named by a cut nor below a named one.
fn outside<'a>(own: &[&'a VerifiedEntry], cut: &Cut) -> Vec<&'a VerifiedEntry> {
    let parents: BTreeMap<Point, Point> = own
        .iter()
        .map(|entry| (entry.point(), entry.parent()))
        .collect();
    let mut inside = BTreeSet::new();
    for named in cut.points() {
        let mut at = named;
        while let Some(parent) = parents.get(&at) {
            if !inside.insert(at) {
                break;
            }
            at = *parent;
        }
    }
    own.iter()
        .copied()
        .filter(|entry| !inside.contains(&entry.point()))
        .collect()
}
