//! `keys`: what can be typed.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// What can be done with the keys of a deployment.
#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Make the root, service and sealing keys of a new ledger; a second call says what is there
    ///
    /// What a ledger counts is fixed for ever when its keys are made. Nothing is ever overwritten.
    #[command(
        after_help = "Example:\n  edge-ledger keys init --dir /etc/edge-ledger/keys --unit EUR --decimals 2"
    )]
    Init(KeysInit),
    /// Make the service key that follows the latest one, certified by the root
    ///
    /// Services go over to it by themselves within seconds, and what older ones signed stays valid.
    /// The one before stays in the folder, for replicas that do not have the new one yet.
    #[command(
        after_help = "Example:\n  edge-ledger keys rotate --dir /etc/edge-ledger/keys --root /media/safe/root.key"
    )]
    Rotate(KeysRotate),
}

/// Options of `keys init`.
#[derive(Debug, Args)]
pub(crate) struct KeysInit {
    /// Folder of the keys; it is made if need be
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Name of one whole unit, 1 to 16 bytes [default: credit]
    #[arg(long, value_name = "UNIT")]
    pub(crate) unit: Option<String>,
    /// Decimal places of a unit, at most 18 [default: 0]
    #[arg(long, value_name = "N")]
    pub(crate) decimals: Option<u32>,
    /// Who may create credits [default: self-reported]
    #[arg(long, value_enum, value_name = "WHO")]
    pub(crate) credits: Option<CreditSource>,
    /// Most minor units of one self-reported credit [default: 2^53 - 1]
    #[arg(long, value_name = "N")]
    pub(crate) posting_cap: Option<u64>,
    /// Most self-reported minor units along one device's journal [default: 2^63 - 1]
    #[arg(long, value_name = "N")]
    pub(crate) journal_cap: Option<u64>,
}

/// Options of `keys rotate`.
#[derive(Debug, Args)]
pub(crate) struct KeysRotate {
    /// Folder of the keys
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// File of the root's key, where it is kept elsewhere [default: root.key in the folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) root: Option<PathBuf>,
}

/// Who may create credits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CreditSource {
    /// Every device credits itself, within the caps
    SelfReported,
    /// Every credit carries the proof of an issuer key
    Issued,
}
