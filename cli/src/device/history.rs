//! `history`: what was earned, spent and refunded, by the devices' clocks.

use std::fmt;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use device_agent::{Agent, Effect, HistoryItem};
use edge_ledger_core::ledger::fold::Void;
use edge_ledger_core::text::shown;
use serde::Serialize;

use super::calendar::utc;
use super::open::{Synced, sync, unit, with_agent};
use super::posting::word;
use crate::amount::Unit;
use crate::args::{Global, History};
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
    counted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    void: Option<&'static str>,
}

pub(super) async fn run(options: History, global: &Global, output: &Output) -> Result<(), Failure> {
    with_agent(global, async |agent| {
        show(agent, options.limit, output).await
    })
    .await
}

async fn show(agent: &Agent, limit: usize, output: &Output) -> Result<(), Failure> {
    let synced = sync(agent).await?;
    let history = agent.history().await?;
    let total = history.len();
    let latest = history.into_iter().skip(total.saturating_sub(limit));
    let shown = Shown {
        items: latest.map(Item::from).collect(),
        total,
        synced,
        unit: unit(agent),
    };
    output.print(&shown)?;
    if shown.items.len() < total {
        output.note(&format!("{total} in all; show more with --limit N"));
    }
    shown.synced.note(output);
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
            counted: void.is_none(),
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
            let void = item.void.map_or(String::new(), |void| format!(" ({void})"));
            table.add_row([
                utc(item.wall_ms),
                format!("{}{void}", item.kind),
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
