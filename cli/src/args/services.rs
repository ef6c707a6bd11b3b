//! What the services, and their keys, can be told.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use edge_ledger_chassis::TlsFiles;
use edge_ledger_core::limits::VETO_MS_MAX;
use identity_service::Registration;

/// Options of `up`.
#[derive(Debug, Args)]
pub(crate) struct Up {
    /// Folder of the data [default: edge-ledger/server in your data folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Folder of the keys [default: beside the data folder, with -keys after its name]
    #[arg(long, value_name = "DIR")]
    pub(crate) keys: Option<PathBuf>,
    /// Where the identity service listens; port 0 for any
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7410")]
    pub(crate) identity_listen: SocketAddr,
    /// Where the ledger service listens; port 0 for any
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7420")]
    pub(crate) ledger_listen: SocketAddr,
    /// Where probes and metrics are asked for, in plain HTTP: /livez, /readyz, /metrics, /version
    #[arg(long, value_name = "ADDR")]
    pub(crate) admin_listen: Option<SocketAddr>,
    /// Host name under which devices dial the services, beyond loopback; the first is told to them
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Vec<String>,
    /// PEM file of the services' certificate, with those between it and its authority: serve TLS
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// PEM file of the certificate's private key
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// PEM file of authorities of which every device must show a certificate
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_client_ca: Option<PathBuf>,
    /// Name, one of which a device's certificate must have, as a URI to the letter; more than once
    /// if need be
    #[arg(long, value_name = "URI", requires = "tls_client_ca", value_parser = client_name)]
    pub(crate) tls_client_name: Vec<String>,
    /// Who may register an identity
    #[arg(long, value_enum, value_name = "WHO", default_value_t = Registers::Open)]
    pub(crate) registration: Registers,
    /// Answer operators (`edge-ledger admin`) at this address; port 0 for any
    #[arg(long, value_name = "ADDR")]
    pub(crate) operator_listen: Option<SocketAddr>,
    /// File of the token that lets operators in [default: operator.token in the keys folder, made if need be]
    #[arg(long, value_name = "FILE", requires = "operator_listen")]
    pub(crate) operator_token_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) periods: Periods,
}

fn client_name(text: &str) -> Result<String, String> {
    if TlsFiles::is_client_name(text) {
        Ok(text.to_owned())
    } else {
        Err("it is a whole URI, such as spiffe://cluster.example/kiosk".to_owned())
    }
}

/// Who may register an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Registers {
    /// Anybody
    Open,
    /// Whoever has an invite that `edge-ledger keys invite` made
    Invite,
    /// Nobody: the identities that are there go on
    Closed,
}

impl From<Registers> for Registration {
    fn from(who: Registers) -> Self {
        match who {
            Registers::Open => Self::Open,
            Registers::Invite => Self::Invite,
            Registers::Closed => Self::Closed,
        }
    }
}

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
    /// Make the service key that follows the latest one, certified by the root; or the sealing key
    ///
    /// Services go over to it by themselves within seconds, and what older ones signed stays valid.
    /// The one before stays in the folder, for replicas that do not have the new one yet.
    #[command(
        after_help = "Examples:\n  edge-ledger keys rotate --dir /etc/edge-ledger/keys --root /media/safe/root.key\n  edge-ledger keys rotate --dir /etc/edge-ledger/keys --sealing"
    )]
    Rotate(KeysRotate),
    /// Make an invite, with which one identity can be registered where that is wanted
    ///
    /// A service wants it whose `identity.registration` is `invite`, and `up --registration invite`.
    /// Give it to one person.
    #[command(
        after_help = "Example:\n  edge-ledger keys invite --dir /etc/edge-ledger/keys --expires 7d"
    )]
    Invite(KeysInvite),
    /// Make the token that lets operators in, in a new file
    ///
    /// It is the same at all services whose `operator.token_file` is that file.
    #[command(
        after_help = "Example:\n  edge-ledger keys operator-token --out /etc/edge-ledger/operator.token"
    )]
    OperatorToken(KeysOperatorToken),
}

/// Options of `keys operator-token`.
#[derive(Debug, Args)]
pub(crate) struct KeysOperatorToken {
    /// The file; one that is there is never overwritten
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
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
    #[command(flatten)]
    pub(crate) periods: Periods,
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
    /// Make a sealing key instead, which needs no root
    #[arg(long, conflicts_with = "root")]
    pub(crate) sealing: bool,
}

/// Options of `keys invite`.
#[derive(Debug, Args)]
pub(crate) struct KeysInvite {
    /// Folder of the keys, of which the sealing keys and the genesis are read
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// How long it can be used, at most 30 days
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = invite_life)]
    pub(crate) expires: Duration,
}

fn invite_life(text: &str) -> Result<Duration, String> {
    let life = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let longest = Duration::from_secs(30 * 24 * 3600);
    if life.is_zero() || life > longest {
        return Err("from 1s to 30d".to_owned());
    }
    Ok(life)
}

/// Who may create credits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CreditSource {
    /// Every device credits itself, within the caps
    SelfReported,
    /// Every credit carries the proof of an issuer key
    Issued,
}

/// Times that are fixed for ever when the keys of a ledger are made.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Periods {
    /// How long a linked device may not link, rename or revoke others, at most 30d [default: 24h]
    #[arg(long, value_name = "TIME", value_parser = period)]
    pub(crate) probation: Option<Duration>,
    /// How long a recovery waits, and can be vetoed, at most 30d [default: 72h]
    #[arg(long, value_name = "TIME", value_parser = period)]
    pub(crate) veto: Option<Duration>,
}

/// A time in whole milliseconds, within the limit of both periods.
pub(super) fn period(text: &str) -> Result<Duration, String> {
    let period = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let is_whole = period.subsec_nanos().is_multiple_of(1_000_000);
    if period <= Duration::from_millis(VETO_MS_MAX) && is_whole {
        Ok(period)
    } else {
        Err("it has at most 30 days, in whole milliseconds".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_have_limits() {
        for (text, ms) in [
            ("0s", 0),
            ("1ms", 1),
            ("2h 30m", 9_000_000),
            ("30d", VETO_MS_MAX),
        ] {
            assert_eq!(period(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "5", "31d", "30d 1ms", "1us", "-1s", "soon"] {
            assert!(period(text).is_err(), "{text}");
        }
    }
}
