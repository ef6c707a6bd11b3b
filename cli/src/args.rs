//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use serde::{Deserialize, Serialize};

mod joining;
mod roots;
mod services;

pub(crate) use joining::{EnrolTokens, Join, Leave};
pub(crate) use roots::{Recover, Recoveries, Rotate};
pub(crate) use services::{CreditSource, Keys, KeysInit, KeysInvite, KeysRotate, Periods, Up};

/// Exit codes, as `--help` tells them.
const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    refused or failed, for a reason that was printed
  2    typed wrongly
  75   a service that is needed cannot be reached, or the device is in use: try again
  130  interrupted

With --json an error is one object on standard output:
  {\"error\": {\"reason\": \"no_funds\", \"message\": \"…\", \"next\": \"…\"}}

First steps:
  edge-ledger demo                 see it work, and leave nothing behind
  edge-ledger up                   run both services on this machine
  edge-ledger init                 make an identity, with this device as its first
  edge-ledger earn 100             and then: balance, spend, history, link
  edge-ledger doctor               say what is wrong, and how to mend it";

/// One identity, many devices, one balance.
#[derive(Debug, Parser)]
#[command(name = "edge-ledger", version, about, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What all commands take.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The device's folder [default: edge-ledger/device in your data folder]
    #[arg(long, global = true, env = "EDGE_LEDGER_HOME", value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// Address of the identity service; several with commas, or one by one [default: http://127.0.0.1:7410, or where this device was made]
    #[arg(
        long,
        global = true,
        env = "EDGE_LEDGER_IDENTITY_URL",
        value_name = "URL",
        value_delimiter = ','
    )]
    pub(crate) identity_url: Vec<String>,
    /// Address of the ledger service, likewise [default: http://127.0.0.1:7420, or what the identity service says]
    #[arg(
        long,
        global = true,
        env = "EDGE_LEDGER_LEDGER_URL",
        value_name = "URL",
        value_delimiter = ','
    )]
    pub(crate) ledger_url: Vec<String>,
    /// PEM file of the authority that signed the services' certificates; the device keeps it
    #[arg(long, global = true, env = "EDGE_LEDGER_TLS_CA", value_name = "FILE")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// PEM file of this device's certificate, for services that let in nobody without one; the
    /// device keeps it
    #[arg(
        long,
        global = true,
        env = "EDGE_LEDGER_TLS_CLIENT_CERT",
        value_name = "FILE"
    )]
    pub(crate) tls_client_cert: Option<PathBuf>,
    /// PEM file of that certificate's private key; the device keeps it
    #[arg(
        long,
        global = true,
        env = "EDGE_LEDGER_TLS_CLIENT_KEY",
        value_name = "FILE"
    )]
    pub(crate) tls_client_key: Option<PathBuf>,
    /// Go without TLS beyond this machine: dial `http://`, which the device remembers; with `up`, listen
    #[arg(long, global = true, env = "EDGE_LEDGER_ACCEPT_PLAINTEXT")]
    pub(crate) accept_plaintext: bool,
    /// Print JSON: one object, or one per line where it goes on
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Never ask anything
    #[arg(long, global = true)]
    pub(crate) no_input: bool,
    /// Tell more on standard error; twice for all (RUST_LOG picks exactly)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run both services on this machine, until Ctrl-C
    ///
    /// Prints one line once they serve. Losing the data folder is repaired by the devices; losing
    /// the keys folder ends the ledger, so back it up.
    #[command(after_help = "Example:\n  edge-ledger up --data /srv/ledger --keys /srv/ledger-keys")]
    Up(Up),
    /// Show it all with two devices in a temporary folder
    ///
    /// Starts both services and two devices, links them, earns, spends, takes the ledger service
    /// away and brings it back. Exits with 0 only if every step held.
    #[command(after_help = "Example:\n  edge-ledger demo --json")]
    Demo,
    /// Make and look at the keys of services that run apart, and make new service keys
    ///
    /// `up` makes its own at the first start; see docs/two-services.md for who needs which file.
    #[command(subcommand)]
    Keys(Keys),
    #[command(flatten)]
    Device(DeviceCommand),
    /// Print what a shell needs to complete commands and options
    #[command(
        after_help = "Example:\n  edge-ledger completions bash > ~/.local/share/bash-completion/completions/edge-ledger"
    )]
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Write the manual pages, one per command, into a folder
    #[command(after_help = "Example:\n  edge-ledger man --dir ~/.local/share/man/man1")]
    Man {
        /// The folder; it is made if need be
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
    },
}

impl Command {
    /// The level at which it logs. A device that is offline, or services that are taken away, are
    /// no news to whoever did it; somebody reads the log of what runs for weeks.
    pub(crate) fn logs(&self) -> &'static str {
        match self {
            Self::Up(_) | Self::Device(DeviceCommand::Agent) => "warn",
            Self::Demo
            | Self::Keys(_)
            | Self::Device(_)
            | Self::Completions { .. }
            | Self::Man { .. } => "off",
        }
    }
}

/// The commands of a device.
#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    /// Make an identity, with this device as its first
    ///
    /// Without --ledger-id the service is trusted at first sight: a person confirms its ledger id,
    /// or it runs on this very machine.
    #[command(
        after_help = "Example:\n  edge-ledger init --name kitchen --ledger-id 0123456789abcdef0123456789abcdef"
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
    /// Show how this device is
    #[command(after_help = "Example:\n  edge-ledger status")]
    Status,
}

/// Options of `init`.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The deployment to trust, 32 hex digits, as `up` prints it
    #[arg(long, value_name = "ID")]
    pub(crate) ledger_id: Option<String>,
    /// Name of this device [default: this machine's name]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The operator's invite, where the service wants one
    #[arg(long, value_name = "TEXT")]
    pub(crate) invite: Option<String>,
}

/// Options of `link`.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub(crate) struct Link {
    /// Let the new device link, rename and revoke devices too
    #[arg(long)]
    pub(crate) admin: bool,
}

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

/// What can be done with backups.
#[derive(Debug, Subcommand)]
pub(crate) enum Backups {
    /// Write the root keys into a new file, sealed under a password
    ///
    /// Only the device that made the identity, or was restored from a backup, has them.
    Create {
        /// The file: it must not be there yet
        file: PathBuf,
        /// Hold the file against the identity's log, and take the root keys off this device
        #[arg(long)]
        remove: bool,
        #[command(flatten)]
        password: Password,
    },
    /// Open a backup and hold it against the identity's log, without installing it
    Verify {
        /// The file, of this program or of the JavaScript service
        file: PathBuf,
        #[command(flatten)]
        password: Password,
    },
    /// Make a new device of the identity out of a backup
    ///
    /// It becomes an admin. Devices that were lost stay linked until they are revoked.
    Restore {
        /// The file, of this program or of the JavaScript service
        file: PathBuf,
        /// Name of this device [default: this machine's name]
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        password: Password,
    },
}

/// Where the password of a backup comes from.
#[derive(Debug, Args)]
pub(crate) struct Password {
    /// A file with the password in its first line, or - for standard input [default: it is typed]
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    const PAGE: &str = include_str!("../../docs/cli.md");

    #[test]
    fn the_arguments_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_page_tells_every_command_and_option() {
        let mut cli = Cli::command();
        cli.build();
        for command in cli.get_subcommands().filter(|c| c.get_name() != "help") {
            let name = command.get_name();
            let heads = PAGE.lines().filter(|line| line.starts_with("### "));
            let is_told = |head: &str| head.contains(&format!("`{name}`"));
            assert!(heads.into_iter().any(is_told), "no part on {name}");
            let deeper = command
                .get_subcommands()
                .flat_map(clap::Command::get_arguments);
            for option in command.get_arguments().chain(deeper) {
                let Some(long) = option
                    .get_long()
                    .filter(|l| !["help", "version"].contains(l))
                else {
                    continue;
                };
                // `-v` is told by its letter.
                let told = option
                    .get_short()
                    .map_or(format!("--{long}"), |c| format!("`-{c}`"));
                assert!(PAGE.contains(&told), "{name}: nothing on --{long}");
            }
        }
    }

    #[test]
    fn the_page_tells_no_command_that_is_not_there() {
        let cli = Cli::command();
        for head in PAGE.lines().filter_map(|line| line.strip_prefix("### ")) {
            for name in head.split(", ") {
                let name = name.trim_matches('`');
                assert!(cli.find_subcommand(name).is_some(), "{name}");
            }
        }
    }
}
