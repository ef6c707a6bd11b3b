//! All postings of an identity, with what each does to the balance.

use std::collections::BTreeMap;

use edge_ledger_core::identity::IdentityLog;
use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::ledger::fold::fold_with;
use edge_ledger_core::ledger::posting::EventKey;
use edge_ledger_core::ledger::{Effect, EntryContent, Kind, VerifiedEntry};

use crate::status::HistoryItem;

/// The postings of entries, by the devices' clocks.
pub(crate) fn history(log: &IdentityLog, entries: &[VerifiedEntry]) -> Vec<HistoryItem> {
    let mut items = Vec::new();
    fold_with(log, entries, |entry, posting, effect| {
        let wall_ms = match entry.content() {
            EntryContent::V1 { wall_ms, .. } => *wall_ms,
            EntryContent::Unreadable => 0,
        };
        items.push(HistoryItem {
            device: entry.device(),
            device_name: log
                .device(&entry.device())
                .map_or_else(String::new, |d| d.name.clone()),
            seq: entry.point().seq,
            wall_ms,
            kind: posting.kind,
            event_key: posting.event_key.clone(),
            amount: posting.amount,
            memo: posting.memo.clone(),
            effect,
            outweighed: false,
        });
    });
    items.sort_by_key(|item| (item.wall_ms, item.device, item.seq));
    weigh(log, &mut items);
    items
}

/// What one maximum is taken over: a key, and for debits and refunds the lineage too.
type Scale = (Option<DeviceId>, EventKey, bool);

/// Marks what counts but does not weigh, since another posting under its key is larger, or as
/// large and shown before it.
fn weigh(log: &IdentityLog, items: &mut [HistoryItem]) {
    let mut heaviest: BTreeMap<Scale, usize> = BTreeMap::new();
    for at in 0..items.len() {
        let item = &items[at];
        if item.effect != Effect::Counted {
            continue;
        }
        let lineage = log.lineage(&item.device).unwrap_or(item.device);
        let lineage = (item.kind != Kind::Credit).then_some(lineage);
        let scale = (lineage, item.event_key.clone(), item.kind == Kind::Refund);
        let lighter = match heaviest.get(&scale) {
            Some(&other) if items[other].amount >= item.amount => at,
            Some(&other) => {
                heaviest.insert(scale, at);
                other
            }
            None => {
                heaviest.insert(scale, at);
                continue;
            }
        };
        items[lighter].outweighed = true;
    }
}
