//! What the root key and the recovery key can be told.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

use super::services::period;

/// Options of `rotate`.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub(crate) struct Rotate {
    /// Somebody else may hold the root keys: rotate past both, and end the recovery key too
    #[arg(long)]
    pub(crate) compromised: bool,
}

/// What can be done about recovery.
#[derive(Debug, Clone, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Recoveries {
    /// Make a recovery key, and show its 24 words, once
    ///
    /// On the device that holds the root keys. An earlier recovery key is worth nothing then.
    Set {
        /// How long its recoveries wait, if longer than the ledger says, at most 30d
        #[arg(long = "veto-time", value_name = "TIME", value_parser = period)]
        veto_time: Option<Duration>,
    },
    /// Show whether a recovery key is set, and whether a recovery waits
    Status,
    /// Stop the recovery that waits
    Veto,
    /// Put two branches of the identity log together, when the service gave out two
    ///
    /// On a device that holds the branch that the service does not have, with the root keys there, or
    /// with the words of the recovery key. Revocations of both branches hold, and devices of both go on.
    Settle {
        /// Sign with the recovery key, and type its 24 words
        #[arg(long, conflicts_with = "words_file")]
        words: bool,
        /// Sign with the recovery key: a file with its 24 words
        #[arg(long, value_name = "FILE", value_parser = absolute)]
        words_file: Option<PathBuf>,
    },
}

/// A file by its whole path: an agent that reads it may stand elsewhere.
fn absolute(path: &str) -> std::io::Result<PathBuf> {
    std::path::absolute(path)
}

/// Options of `recover`.
#[derive(Debug, Args)]
pub(crate) struct Recover {
    /// The identity, 64 hex digits, as `recovery set` printed it [default: the one that was begun here]
    #[arg(long, value_name = "ID")]
    pub(crate) identity: Option<String>,
    /// A file with the 24 words, or - for standard input [default: they are typed]
    #[arg(long, value_name = "FILE")]
    pub(crate) words_file: Option<PathBuf>,
    /// The deployment to trust, 32 hex digits, as `recovery set` printed it
    #[arg(long, value_name = "ID")]
    pub(crate) ledger_id: Option<String>,
    /// Name of this device [default: this machine's name]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Revoke all other devices as lost, and end their tokens, before this one is linked
    #[arg(long)]
    pub(crate) revoke_others: bool,
}
