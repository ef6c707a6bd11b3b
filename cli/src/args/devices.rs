//! What can be told about devices that are linked.

use clap::{Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

/// What can be done with devices.
#[derive(Debug, Clone, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Devices {
    /// List all devices that ever were linked
    List,
    /// Give a device another name
    Rename {
        /// Id, name, or enough of either
        device: String,
        /// The new name
        name: String,
    },
    /// Cut a device off, for ever
    ///
    /// What it had told the service until then stays; nothing after that counts.
    Revoke {
        /// Id, name, or enough of either
        device: String,
        /// Why, for the other people of this identity
        #[arg(long, value_enum, default_value_t = Reason::Retired)]
        reason: Reason,
    },
}

/// Why a device is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    /// It cannot be found
    Lost,
    /// Somebody else may hold its key
    Compromised,
    /// It is no longer used
    Retired,
}
