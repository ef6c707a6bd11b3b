//! What operators can ask of services that run.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use edge_ledger_core::ids::IdentityId;
use edge_ledger_store::operator::QUOTA_MAX;

/// Options of `admin`.
#[derive(Debug, Args)]
pub(crate) struct Admin {
    /// Address of a service's operator listener
    #[arg(
        long,
        global = true,
        env = "EDGE_LEDGER_OPERATOR_ADDRESS",
        value_name = "URL",
        default_value = "http://127.0.0.1:7430"
    )]
    pub(crate) address: String,
    /// File of the operator's token, as `keys operator-token` makes it
    #[arg(
        long,
        global = true,
        env = "EDGE_LEDGER_OPERATOR_TOKEN_FILE",
        value_name = "FILE"
    )]
    pub(crate) token_file: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) act: AdminCommand,
}

/// The commands of operators.
#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Say how the process is: exits with 1 if it takes no work
    Health,
    /// Show the service keys, or make another one
    Keys {
        #[command(subcommand)]
        act: Option<AdminKeys>,
    },
    /// Show the bounds in effect
    Limits,
    /// Look at one identity, block it, or bound it
    #[command(subcommand)]
    Identity(AdminIdentity),
    /// Write everything that is kept of all identities to standard output, a JSON object per line
    ///
    /// The file can be imported into another store of the same deployment. The keys are not in it.
    Export {
        /// Only this identity, 64 hex digits
        #[arg(long, value_name = "ID")]
        identity: Option<IdentityId>,
    },
    /// Take in what `export` wrote, from standard input
    ///
    /// The whole file is checked first, and all of it is verified as if devices brought it. What is
    /// there already stays: the same file can be imported again.
    Import,
}

/// What can be done with the service keys.
#[derive(Debug, Subcommand)]
pub(crate) enum AdminKeys {
    /// Make the service key that follows the latest one, where the process may write its keys folder
    Rotate,
}

/// What can be done with one identity.
#[derive(Debug, Subcommand)]
pub(crate) enum AdminIdentity {
    /// Show its log, devices and journals, and what was said of it here
    Show {
        /// The identity, 64 hex digits
        id: IdentityId,
        /// Count the bytes of its entries too, for which all of them are read
        #[arg(long)]
        measure: bool,
    },
    /// Take nothing from it and tell it nothing, until it is unblocked; nothing of it is lost
    Block {
        /// The identity, 64 hex digits
        id: IdentityId,
        /// Why, for operators: 1 to 200 bytes
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Undo a block
    Unblock {
        /// The identity, 64 hex digits
        id: IdentityId,
    },
    /// Bound its entries
    Quota {
        /// The identity, 64 hex digits
        id: IdentityId,
        /// Most entries, or `default`: as many as it likes
        #[arg(long, value_name = "N", value_parser = quota)]
        entries: Quota,
    },
}

/// Most entries of an identity; none: as many as it likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota(pub(crate) Option<u64>);

fn quota(text: &str) -> Result<Quota, String> {
    if text == "default" {
        return Ok(Quota(None));
    }
    let most: Option<u64> = text.parse().ok();
    let most = most.filter(|most| *most <= QUOTA_MAX);
    most.map(|most| Quota(Some(most)))
        .ok_or_else(|| format!("a whole number, at most {QUOTA_MAX}, or `default`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_whole_numbers_or_none() {
        assert_eq!(quota("default"), Ok(Quota(None)));
        assert_eq!(quota("0"), Ok(Quota(Some(0))));
        assert_eq!(quota("9007199254740991"), Ok(Quota(Some(QUOTA_MAX))));
        for text in ["", "-1", "1.5", "9007199254740992", "all"] {
            assert!(quota(text).is_err(), "{text}");
        }
    }
}
