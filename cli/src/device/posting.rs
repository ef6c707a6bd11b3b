//! `earn`, `spend` and `refund`: recorded here at once, told to the service as soon as it listens.

use std::fmt;

use device_agent::{
    Agent, AgentError, Details, DeviceId, Effect, EventKey, HistoryItem, Kind, Level, Recorded,
    within,
};
use serde::Serialize;

use super::state::{spendable, unit};
use super::synced::{Synced, sync};
use crate::amount::{Typed, Unit};
use crate::args::{Posted, Refund};
use crate::explain::{Failure, key_format};
use crate::limits::SYNC_WITHIN;
use crate::output::Output;

/// Refuses an `earn` or `spend` that makes no sense.
pub(super) fn check(options: &Posted) -> Result<(), Failure> {
    options.amount.parse::<Typed>()?;
    options.key.as_deref().map(event_key).transpose()?;
    Ok(())
}

/// Refuses a `refund` that makes no sense.
pub(super) fn check_refund(options: &Refund) -> Result<(), Failure> {
    event_key(&options.key)?;
    options
        .total
        .as_deref()
        .map(str::parse::<Typed>)
        .transpose()?;
    Ok(())
}

pub(super) async fn earn(options: Posted, agent: &Agent, output: &Output) -> Result<(), Failure> {
    post(Kind::Credit, options, agent, output).await
}

pub(super) async fn spend(options: Posted, agent: &Agent, output: &Output) -> Result<(), Failure> {
    post(Kind::Debit, options, agent, output).await
}

async fn post(kind: Kind, options: Posted, agent: &Agent, output: &Output) -> Result<(), Failure> {
    let details = Details {
        event_key: options.key.as_deref().map(event_key).transpose()?,
        memo: options.memo,
        ..Details::default()
    };
    let unit = unit(agent);
    let amount = unit.minor(&options.amount.parse()?)?;
    let (before, recorded) = match kind {
        // A credit depends on nothing that others did: it is on disk before anything else.
        Kind::Credit => {
            let recorded = agent.earn(amount, details).await;
            (sync(agent).await, recorded)
        }
        // A spend first hears what others spent.
        Kind::Debit | Kind::Refund => {
            let before = sync(agent).await?;
            (Ok(before), agent.spend(amount, details).await)
        }
    };
    let recorded = recorded.map_err(|error| in_units(error, &unit))?;
    let waiting = agent.balance().waiting;
    let before =
        before.map_err(|failure| though_recorded(failure, &recorded.event_key, waiting))?;
    let act = Act {
        kind,
        amount,
        recorded,
        before,
    };
    tell(agent, act, unit, output).await
}

pub(super) async fn refund(options: Refund, agent: &Agent, output: &Output) -> Result<(), Failure> {
    let key = event_key(&options.key)?;
    let unit = unit(agent);
    let typed: Option<Typed> = options.total.as_deref().map(str::parse).transpose()?;
    let total = typed.map(|typed| unit.minor(&typed)).transpose()?;
    let before = sync(agent).await?;
    let total = match total {
        Some(total) => total,
        None => own_debit(agent, &key).await?,
    };
    let recorded = agent.refund(key, total, options.memo).await;
    let act = Act {
        kind: Kind::Refund,
        amount: total,
        recorded: recorded.map_err(|error| in_units(error, &unit))?,
        before,
    };
    tell(agent, act, unit, output).await
}

/// Reads a key as it is printed: `0x` begins hex.
fn event_key(text: &str) -> Result<EventKey, Failure> {
    if let Some(Err(error)) = text.strip_prefix("0x").map(hex::decode) {
        return Err(key_format(format!(
            "the event key {text} is not hex: {error}"
        )));
    }
    text.parse()
        .map_err(|error| key_format(format!("the event key: {error}")))
}

/// What this device spent under a key.
async fn own_debit(agent: &Agent, key: &EventKey) -> Result<u64, Failure> {
    let this = agent.status().device;
    let debit = |item: &HistoryItem| {
        item.kind == Kind::Debit && item.device == this && item.event_key == *key
    };
    let history = agent.history().await?;
    let amounts = history
        .iter()
        .filter(|item| debit(item))
        .map(|item| item.amount);
    Ok(amounts.max().ok_or(AgentError::NothingToRefund)?)
}

/// A failure that came after the act was on disk: who repeats it must know.
fn though_recorded(failure: Failure, key: &EventKey, waiting: usize) -> Failure {
    let mut failure = failure
        .with("recorded", true)
        .with("event_key", key.to_string())
        .with("waiting", waiting);
    let message = &failure.message;
    let waits = if waiting > 0 {
        format!(", where {waiting} postings wait unsigned")
    } else {
        String::new()
    };
    failure.message = format!(
        "{message}; it is recorded on this device all the same, under the key {key}{waits}: the \
         same --key counts once"
    );
    failure
}

/// Amounts in words as people type them.
fn in_units(error: AgentError, unit: &Unit) -> Failure {
    let words = if let AgentError::NoFunds { available, asked } = &error {
        let (available, asked) = (unit.show(*available), unit.show(*asked));
        Some(format!("{available} available, {asked} asked for"))
    } else if let AgentError::RefundTotal {
        debit,
        refunded,
        asked,
    } = &error
    {
        let (debit, refunded) = (unit.show(*debit), unit.show(*refunded));
        let asked = unit.show(*asked);
        Some(format!(
            "{debit} were spent under this key and {refunded} given back: \
             a refund names the new total, and {asked} is not between"
        ))
    } else {
        None
    };
    let mut failure = Failure::from(error);
    if let Some(words) = words {
        failure.message = words;
    }
    failure
}

/// An act that is durable on this device.
struct Act {
    kind: Kind,
    amount: u64,
    recorded: Recorded,
    before: Synced,
}

/// An act, as it is printed.
#[derive(Debug, Serialize)]
struct Done {
    kind: &'static str,
    event_key: String,
    amount: u64,
    /// Whether an earlier call with this key had done it.
    repeated: bool,
    /// What it survives, by the service's word.
    ack: Option<&'static str>,
    balance: String,
    available: u64,
    #[serde(flatten)]
    synced: Synced,
    #[serde(skip)]
    unit: Unit,
    #[serde(skip)]
    total: i128,
}

async fn tell(agent: &Agent, act: Act, unit: Unit, output: &Output) -> Result<(), Failure> {
    let (synced, ack) = if act.before.is_synced() {
        after(agent).await
    } else {
        (act.before, None)
    };
    if act.kind == Kind::Credit {
        check_counted(agent, &act.recorded).await?;
    }
    let status = agent.status();
    let done = Done {
        kind: word(act.kind),
        event_key: act.recorded.event_key.to_string(),
        amount: act.amount,
        repeated: act.recorded.repeated,
        ack: ack.map(level),
        balance: status.balance.balance.to_string(),
        available: spendable(&status.balance),
        synced,
        unit,
        total: status.balance.balance,
    };
    output.print(&done).await?;
    done.synced.note(output).await;
    if status.rolled_back {
        let note = "this folder is an old copy of a device: what it records waits for a new key";
        output.note(note).await;
    }
    Ok(())
}

/// Tells the service, and waits for its word, within the time of one command.
async fn after(agent: &Agent) -> (Synced, Option<Level>) {
    let acked = within(SYNC_WITHIN, agent.wait_acked(Level::Volatile));
    let (synced, acked) = tokio::join!(sync(agent), acked);
    // It is recorded whatever the service says about it.
    let synced = synced.unwrap_or_else(|failure| Synced::no(failure.message.clone()));
    let level = agent.status().acked.map(|(_, level)| level);
    (synced, acked.ok().and(level))
}

/// A credit that the deployment's policy voids is refused in words, although it is kept.
async fn check_counted(agent: &Agent, recorded: &Recorded) -> Result<(), Failure> {
    let this: DeviceId = agent.status().device;
    let history = agent.history().await?;
    let own = |item: &&HistoryItem| {
        item.kind == Kind::Credit && item.device == this && item.event_key == recorded.event_key
    };
    let Some(Effect::Void(void)) = history.iter().rfind(own).map(|item| item.effect) else {
        return Ok(());
    };
    Err(
        Failure::refused("VOID", "the credit is kept, but does not count")
            .with("void", super::history::void_word(void))
            .with("recorded", true)
            .with("event_key", recorded.event_key.to_string())
            .next("edge-ledger history; what credits count is fixed by the deployment"),
    )
}

pub(super) fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Credit => "credit",
        Kind::Debit => "debit",
        Kind::Refund => "refund",
    }
}

pub(super) fn level(level: Level) -> &'static str {
    match level {
        Level::Volatile => "volatile",
        Level::Durable => "durable",
        Level::Replicated => "replicated",
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            unit,
            amount,
            event_key,
            ..
        } = self;
        let amount = unit.show(*amount);
        match self.kind {
            "credit" => write!(f, "Earned {amount}")?,
            "debit" => write!(f, "Spent {amount}")?,
            _ => write!(f, "Refunded {amount} in all")?,
        }
        let again = if self.repeated {
            " (before, under the same key)"
        } else {
            ""
        };
        writeln!(f, "{again}. Balance {}.", unit.show(self.total))?;
        let kept = match self.ack {
            Some("durable") => "kept by the service on disk",
            Some("replicated") => "kept by the service on several machines",
            Some(_) => "known to the service, in memory",
            None => "kept on this device",
        };
        write!(f, "  key {event_key}, {kept}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_after_the_act_says_that_it_is_recorded() {
        let key = event_key("order-7").unwrap();
        let failure = Failure::refused("DEVICE_REVOKED", "it was revoked").next("ask");
        let failure = though_recorded(failure, &key, 1);
        assert_eq!(failure.details["recorded"], true);
        assert_eq!(failure.details["event_key"], "order-7");
        assert_eq!(failure.reason, "DEVICE_REVOKED");
        let message = &failure.message;
        assert!(message.starts_with("it was revoked; ") && message.contains("order-7"));
        assert_eq!(failure.next.as_deref(), Some("ask"));
    }

    #[test]
    fn keys_are_read_as_they_are_printed() {
        for text in ["order-7", "0x00ff", "0x0190a1b2", "π"] {
            let key = event_key(text).unwrap();
            assert_eq!(event_key(&key.to_string()).unwrap(), key);
        }
        let long = "x".repeat(129);
        for text in ["0xzz", "0x123", "0x", "", long.as_str()] {
            assert_eq!(event_key(text).unwrap_err().reason, "KEY_FORMAT", "{text}");
        }
    }
}
