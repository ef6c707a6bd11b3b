//! `history`: what was earned, spent and refunded, by the devices' clocks.

use std::fmt;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use device_agent::{Agent, Effect, HistoryItem};
use edge_ledger_core::ledger::fold::Void;
use edge_ledger_core::text::shown;
use serde::Serialize;

use super::calendar::utc;
use super::posting::word;
use super::state::unit;
use super::synced::{Synced, sync};
use crate::amount::Unit;
use crate::args::History;
use crate::explain::Failure;
use crate::output::Output;

#[derive(Debug, Serialize)]
struct Shown {
    items: Vec<Item>,
    /// How many there are in all.
    total: usize,
    #[serde(flatten)]
    synced: Synced,
    #[serde(skip)]
    unit: Unit,
}

#[derive(Debug, Serialize)]
struct Item {
    kind: &'static str,
    amount: u64,
    event_key: String,
    memo: String,
    device: String,
    device_name: String,
    seq: u64,
    wall_ms: i64,
    /// Whether it weighs in the balance; else one of the next two says why not.
    counted: bool,
    /// Whether a larger posting under the same key weighs instead.
    outweighed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    void: Option<&'static str>,
}

pub(super) async fn run(options: History, agent: &Agent, output: &Output) -> Result<(), Failure> {
    let synced = sync(agent).await?;
    let history = agent.history().await?;
    let total = history.len();
    let latest = history
        .into_iter()
        .skip(total.saturating_sub(options.limit));
    let shown = Shown {
        items: latest.map(Item::from).collect(),
        total,
        synced,
        unit: unit(agent),
    };
    output.print(&shown).await?;
    if shown.items.len() < total {
        let note = format!("{total} in all; show more with --limit N");
        output.note(&note).await;
    }
    shown.synced.note(output).await;
    Ok(())
}

impl From<HistoryItem> for Item {
    fn from(item: HistoryItem) -> Self {
        let void = match item.effect {
            Effect::Counted => None,
            Effect::Void(void) => Some(void_word(void)),
        };
        Self {
            kind: word(item.kind),
            amount: item.amount,
            event_key: item.event_key.to_string(),
            memo: item.memo,
            device: item.device.to_string(),
            device_name: item.device_name,
            seq: item.seq,
            wall_ms: item.wall_ms,
            counted: void.is_none() && !item.outweighed,
            outweighed: item.outweighed,
            void,
        }
    }
}

/// Why a posting does not count, for programs.
pub(super) fn void_word(void: Void) -> &'static str {
    match void {
        Void::PostingCap => "POSTING_CAP",
        Void::JournalCap => "JOURNAL_CAP",
        Void::TotalRange => "TOTAL_RANGE",
        Void::Unproven => "UNPROVEN",
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.total == 0 {
            return write!(f, "Nothing yet.");
        }
        let mut table = Table::new();
        table.load_preset(NOTHING);
        table.set_header(["when (UTC)", "what", "amount", "device", "memo", "key"]);
        for item in &self.items {
            let sign = if item.kind == "debit" { "-" } else { "+" };
            let weight = match item.void {
                Some(void) => format!(" ({void})"),
                None if item.outweighed => " (outweighed)".to_owned(),
                None => String::new(),
            };
            table.add_row([
                utc(item.wall_ms),
                format!("{}{weight}", item.kind),
                format!("{sign}{}", self.unit.digits(item.amount.into())),
                item.device_name.clone(),
                shown(&item.memo),
                item.event_key.clone(),
            ]);
        }
        if let Some(column) = table.column_mut(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        write!(f, "{}", table.trim_fmt())
    }
}
