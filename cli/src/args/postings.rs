//! What is typed to record postings, and to see them.

use clap::Args;
use serde::{Deserialize, Serialize};

/// Options of `earn` and `spend`.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub(crate) struct Posted {
    /// How much, such as 100, or 12.50 if the unit has decimals
    pub(crate) amount: String,
    /// Idempotency key: the same key counts once [default: a new UUIDv7]
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// A note for people, at most 128 bytes
    #[arg(long, default_value = "")]
    pub(crate) memo: String,
}

/// Options of `refund`.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub(crate) struct Refund {
    /// The debit's key, as `spend` and `history` print it
    pub(crate) key: String,
    /// How much of the debit is given back in all [default: all of it]
    pub(crate) total: Option<String>,
    /// A note for people, at most 128 bytes
    #[arg(long, default_value = "")]
    pub(crate) memo: String,
}

/// Options of `history`.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub(crate) struct History {
    /// Show at most so many, the latest
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
}
