//! What is typed where a device comes in or leaves.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use edge_ledger_core::limits::{ENROLMENT_LIFE_MS_MAX, ENROLMENT_USES_MAX};
use serde::{Deserialize, Serialize};

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
    /// Make the identity of the PiKey in this backup of the JavaScript service
    #[arg(long, value_name = "FILE")]
    pub(crate) from_backup: Option<PathBuf>,
    /// A file with the backup's password in its first line, or - for standard input [default: it is typed]
    #[arg(long, value_name = "FILE", requires = "from_backup")]
    pub(crate) password_file: Option<PathBuf>,
}

/// Options of `link`.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub(crate) struct Link {
    /// Let the new device link, rename and revoke devices too
    #[arg(long)]
    pub(crate) admin: bool,
}

/// Options of `join`.
#[derive(Debug, Args)]
pub(crate) struct Join {
    /// The code or the link
    #[arg(value_name = "CODE|LINK", required_unless_present = "token_file")]
    pub(crate) invitation: Option<String>,
    /// Join without a person, with the token in a file, or - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["invitation", "replace"])]
    pub(crate) token_file: Option<PathBuf>,
    /// Name of this device [default: this machine's name]
    #[arg(long, conflicts_with = "replace")]
    pub(crate) name: Option<String>,
    /// Go on in the folder of a device whose place a copy of it has taken
    #[arg(long)]
    pub(crate) replace: bool,
}

/// Options of `leave`.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub(crate) struct Leave {
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// Leave although the service lacks what was recorded here: it is lost then
    #[arg(long)]
    pub(crate) force: bool,
}

/// What can be done with enrolment tokens.
#[derive(Debug, Clone, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EnrolTokens {
    /// Write a token into a new file, and let it add devices
    ///
    /// The file is a secret: who has it can add devices until it ends.
    Create {
        /// How many devices can join with it, 1 to 64
        #[arg(long, value_name = "N", default_value_t = 1,
              value_parser = clap::value_parser!(u32).range(1..=i64::from(ENROLMENT_USES_MAX)))]
        uses: u32,
        /// How long they can, such as 30m, 24h or 7d, at most 366d
        #[arg(long, value_name = "TIME", default_value = "24h", value_parser = life)]
        expires: Duration,
        /// Name of the token, for people
        #[arg(long, default_value = "machines")]
        name: String,
        /// The file: it must not be there yet; - for standard output
        #[arg(long, value_name = "FILE", default_value = "enrolment.token")]
        out: String,
    },
    /// List all tokens that ever were made
    List,
    /// End a token; the devices that joined with it stay
    Revoke {
        /// Its name or id, or the beginning of the id
        token: String,
    },
}

/// How long a token lives.
fn life(typed: &str) -> Result<Duration, String> {
    let life = humantime::parse_duration(typed).map_err(|error| error.to_string())?;
    let most = Duration::from_millis(ENROLMENT_LIFE_MS_MAX);
    if life.is_zero() || life > most {
        return Err("a token lives for at most 366d, and not for nothing".to_owned());
    }
    Ok(life)
}

#[cfg(test)]
mod tests {
    use super::life;

    #[test]
    fn times_have_a_unit_and_a_bound() {
        for (typed, expected_s) in [
            ("1s", 1),
            ("30m", 1_800),
            ("24h", 86_400),
            ("366d", 31_622_400),
        ] {
            assert_eq!(
                life(typed).map(|life| life.as_secs()),
                Ok(expected_s),
                "{typed}"
            );
        }
        let long = "9".repeat(30) + "d";
        for typed in ["", "h", "24", "0h", "-1h", "367d", "π", "1π", &long] {
            assert!(life(typed).is_err(), "{typed}");
        }
    }
}
