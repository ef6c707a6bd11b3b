//! What real processes tell of themselves: traces, logs and metrics, and what they never tell.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod admin_port;
mod collector;
mod dead_collector;
mod monitoring;
mod page;
mod secrets;
mod series;
mod site;
mod trace;
