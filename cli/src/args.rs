//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use edge_ledger_telemetry::version;

mod admin;
mod backups;
mod device;
mod devices;
mod joining;
mod peers;
mod postings;
#[cfg(test)]
mod reference;
mod roots;
mod services;

pub(crate) use admin::{Admin, AdminCommand, AdminIdentity, AdminKeys, Quota};
pub(crate) use backups::{Backups, Password};
pub(crate) use device::{DeviceCommand, UseCommand};
pub(crate) use devices::{Devices, Reason};
pub(crate) use joining::{EnrolTokens, Init, Join, Leave, Link};
pub(crate) use peers::Peers;
pub(crate) use postings::{History, Posted, Refund};
pub(crate) use roots::{Recover, Recoveries, Rotate};
pub(crate) use services::{
    CreditSource, Keys, KeysInit, KeysInvite, KeysOperatorToken, KeysRotate, Periods, Up,
};

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
#[command(name = "edge-ledger", version = version::LONG, about, after_help = EXIT_CODES)]
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
    Up(Box<Up>),
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
    /// Look into services that run, and act as their operator
    ///
    /// Where a service answers operators (`operator.listen`, or `up --operator-listen`), to whoever
    /// has the operator's token.
    #[command(
        after_help = "Examples:\n  edge-ledger admin --token-file FILE health\n  edge-ledger admin --token-file FILE identity show ID"
    )]
    Admin(Admin),
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
            | Self::Admin(_)
            | Self::Device(_)
            | Self::Completions { .. }
            | Self::Man { .. } => "off",
        }
    }
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
