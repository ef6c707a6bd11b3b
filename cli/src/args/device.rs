//! The commands of a device.

use clap::Subcommand;
use serde::{Deserialize, Serialize};

use super::backups::Backups;
use super::devices::Devices;
use super::joining::{EnrolTokens, Init, Join, Leave, Link};
use super::peers::Peers;
use super::postings::{History, Posted, Refund};
use super::roots::{Recover, Recoveries, Rotate};

/// The commands of a device.
#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    /// Make an identity, with this device as its first
    ///
    /// Without --ledger-id the service is trusted at first sight: a person confirms its ledger id,
    /// or it runs on this very machine.
    #[command(
        after_help = "Example:\n  edge-ledger init --name kitchen --ledger-id 0123456789abcdef0123456789abcdef\n  edge-ledger init --from-backup pikey.backup"
    )]
    Init(Init),
    /// Join an identity with the code or link that a linked device shows, or with a token
    #[command(
        after_help = "Example:\n  edge-ledger join 000G-40G2-GC1M --name kiosk\n  edge-ledger join --token-file enrolment.token"
    )]
    Join(Join),
    /// Keep the identity's root keys in a file, and make a device out of one
    #[command(
        after_help = "Example:\n  edge-ledger backup create ana.backup\n  edge-ledger --home NEW_DIR backup restore ana.backup"
    )]
    Backup {
        #[command(subcommand)]
        act: Backups,
    },
    /// Bring an identity back with the words of its recovery key
    ///
    /// The first run asks for it; when the veto time is over, a second one makes this machine a
    /// new device, an admin that holds the root keys.
    #[command(
        after_help = "Example:\n  edge-ledger --home NEW_DIR recover --identity ID\n  edge-ledger --home NEW_DIR recover --revoke-others"
    )]
    Recover(Recover),
    /// Keep the device running and synced, until Ctrl-C
    ///
    /// Meanwhile the other commands of this device go through it. Prints one line once it is up,
    /// and then what a person should know.
    #[command(after_help = "Example:\n  edge-ledger agent --json")]
    Agent,
    /// Say what is wrong with device and services, and how to mend it
    ///
    /// Exits with 1 if something fails; what is only a warning does not count.
    #[command(after_help = "Example:\n  edge-ledger doctor")]
    Doctor,
    #[command(flatten)]
    Use(UseCommand),
}

/// The commands that use a device: by themselves, or through its running agent.
#[derive(Debug, Clone, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UseCommand {
    /// Show a code with which a new device joins this identity
    #[command(after_help = "Example:\n  edge-ledger link\n  edge-ledger link --admin --json")]
    Link(Link),
    /// List, rename or revoke devices; lists without a further word
    #[command(
        after_help = "Example:\n  edge-ledger devices\n  edge-ledger devices revoke kiosk --reason lost"
    )]
    Devices {
        #[command(subcommand)]
        act: Option<Devices>,
    },
    /// Put the next root key in the root key's place; backups made before are outdated then
    #[command(after_help = "Example:\n  edge-ledger rotate\n  edge-ledger rotate --compromised")]
    Rotate(Rotate),
    /// Set, look at or stop the recovery of the identity by 24 words
    #[command(
        after_help = "Example:\n  edge-ledger recovery set\n  edge-ledger recovery status\n  edge-ledger recovery veto"
    )]
    Recovery {
        #[command(subcommand)]
        act: Recoveries,
    },
    /// Let machines join without a person: make, list or end tokens; lists without a further word
    #[command(
        after_help = "Example:\n  edge-ledger enrol-token create --uses 5 --expires 24h --out kiosks.token"
    )]
    EnrolToken {
        #[command(subcommand)]
        act: Option<EnrolTokens>,
    },
    /// End this device itself: it is no longer used
    ///
    /// What it had told the service stays. The folder stays too, and can be deleted.
    #[command(after_help = "Example:\n  edge-ledger leave")]
    Leave(Leave),
    /// Credit the identity
    #[command(
        after_help = "Example:\n  edge-ledger earn 100 --memo \"first shift\" --key shift-2041"
    )]
    Earn(Posted),
    /// Debit the identity, if enough is available
    #[command(after_help = "Example:\n  edge-ledger spend 30 --memo coffee")]
    Spend(Posted),
    /// Give back an own debit, or a part of it
    ///
    /// Amounts add up to a total: after `refund KEY 10`, `refund KEY 25` gives back 15 more.
    #[command(
        after_help = "Example:\n  edge-ledger refund order-7\n  edge-ledger refund order-7 10"
    )]
    Refund(Refund),
    /// Show the balance
    #[command(after_help = "Example:\n  edge-ledger balance --json")]
    Balance,
    /// Show what was earned, spent and refunded, the latest last
    #[command(after_help = "Example:\n  edge-ledger history --limit 100")]
    History(History),
    /// Print what happens, until Ctrl-C
    #[command(after_help = "Example:\n  edge-ledger watch --json")]
    Watch,
    /// Direct links to the other devices: list them, or make one by hand; lists without a further word
    #[command(after_help = "Example:\n  edge-ledger peer\n  edge-ledger peer offer")]
    Peer {
        #[command(subcommand)]
        act: Option<Peers>,
    },
    /// Show how this device is
    #[command(after_help = "Example:\n  edge-ledger status")]
    Status,
}
