//! `peer`.

use clap::Subcommand;
use serde::{Deserialize, Serialize};

/// Direct links to other devices.
#[derive(Debug, Clone, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Peers {
    /// List the links, and which way entries go
    List,
    /// Offer a link to a device that cannot be found otherwise, by a code that is carried by hand
    ///
    /// For when no service can be reached, and the devices are not on one network. Waits for the
    /// answer that `peer accept` shows on the other device.
    Offer,
    /// Accept an offer of another device, and show the answer to be carried back
    Accept {
        /// What `peer offer` printed
        code: String,
    },
}
