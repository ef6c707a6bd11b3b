//! What can be typed.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use edge_ledger_telemetry::version;

use super::Service;

/// As `--help` tells it.
const AFTER_HELP: &str = "\
Settings come from defaults, from the file, and from the environment as
EDGE_LEDGER__SECTION__KEY, each above the one before. `config print` shows them all.

Exit codes:
  0    drained after SIGTERM or Ctrl-C
  1    not started: what failed is said, and what to set
  2    typed wrongly
  3    something was not done after the grace, and was ended
  130  a second signal, or one before it served";

/// What was typed.
#[derive(Debug, Parser)]
#[command(version = version::LONG, after_help = AFTER_HELP)]
struct Typed {
    /// The configuration file (TOML)
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or Ctrl-C; this is what happens without a command
    Serve,
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Say everything that is wrong with the configuration, and with what it names here: the keys,
    /// the certificate, the file of the store's address, the address to listen on
    Check {
        /// Look at the settings alone, not at what they name: for the configuration of another machine
        #[arg(long)]
        settings_only: bool,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Print what is in effect, and where each value comes from; secrets are hidden
    Print {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// How far a configuration is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// No further than the settings.
    AtSettings,
    /// Also at what they name on this machine.
    AtMachine,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Serve,
    Check { json: bool, look: Look },
    Print { json: bool },
}

/// What was meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Args {
    pub(super) config: Option<PathBuf>,
    pub(super) act: Act,
}

/// Reads the arguments, or says what is wrong with them, and with which code the process ends.
pub(super) fn read<S: Service>(args: impl IntoIterator<Item = OsString>) -> Result<Args, ExitCode> {
    let command = Typed::command().name(S::NAME).about(S::ABOUT);
    let matches = command.try_get_matches_from(args);
    let typed = matches.and_then(|matches| Typed::from_arg_matches(&matches));
    let typed = typed.map_err(|error| {
        // A closed pipe is nothing to fail at.
        let _ = error.print();
        ExitCode::from(if error.use_stderr() { 2 } else { 0 })
    })?;
    let act = match typed.command {
        None | Some(Command::Serve) => Act::Serve,
        Some(Command::Config(ConfigCommand::Check {
            settings_only,
            json,
        })) => {
            let look = if settings_only {
                Look::AtSettings
            } else {
                Look::AtMachine
            };
            Act::Check { json, look }
        }
        Some(Command::Config(ConfigCommand::Print { json })) => Act::Print { json },
    };
    Ok(Args {
        config: typed.config,
        act,
    })
}
