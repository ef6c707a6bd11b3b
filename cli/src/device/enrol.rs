//! `init` and `join`: how this machine gets a device. Either can be interrupted and run again.

use std::fmt;
use std::io::{IsTerminal as _, stderr, stdin};
use std::path::{Path, PathBuf};

use device_agent::backup::Backup;
use device_agent::{
    Addresses, AgentError, Confirmation, Enrolled, EnrolmentToken, Invitation, LedgerId, NewDevice,
    Trust, discover, is_loopback,
};
use edge_ledger_core::identity::certificate;
use edge_ledger_core::identity::pikey::short_id;
use edge_ledger_core::limits::NAME_BYTES_MAX;
use serde::Serialize;
use tokio::sync::oneshot;

use super::backup::file;
use crate::args::{Global, Init, Join, Password};
use crate::explain::{Failure, key_format};
use crate::folders;
use crate::output::{Output, warn};
use crate::signals::unless_interrupted;
use crate::typed::{identity_urls, ledger_urls, program, security};

/// Where an identity service is when nobody says where.
pub(super) const IDENTITY_URL: &str = "http://127.0.0.1:7410";

/// A device that was made.
#[derive(Debug, Serialize)]
struct Made {
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'static str>,
    identity: String,
    short_id: String,
    device: String,
    name: String,
    ledger_id: String,
    home: PathBuf,
    #[serde(flatten)]
    source: Option<Source>,
    #[serde(skip)]
    is_first: bool,
}

/// The backup of the JavaScript service whose PiKey is the root key.
#[derive(Debug, Serialize)]
struct Source {
    format: &'static str,
    /// Whether its password can be guessed fast.
    weak: bool,
}

pub(super) async fn init(options: Init, global: &Global, output: &Output) -> Result<(), Failure> {
    let given = options.ledger_id.as_deref().map(str::parse::<LedgerId>);
    let given = given.transpose().map_err(key_format)?;
    let new = new_device(options.name, global)?;
    let password = Password {
        password_file: options.password_file,
    };
    let opened = match &options.from_backup {
        Some(file) => Some(file::ask(file, &password, global, output)?),
        None => None,
    };
    let trust = match given {
        Some(ledger_id) => Trust::Ledger(ledger_id),
        None => first_sight(&new, global, output).await?,
    };
    let invite = options.invite.unwrap_or_default();
    let enrolled = match &opened {
        Some((keys, _)) => {
            let init = device_agent::init_from_backup(&new, keys, trust, &invite);
            Box::pin(unless_interrupted(init)).await?
        }
        None => {
            let init = device_agent::init_invited(&new, trust, &invite);
            unless_interrupted(init).await?
        }
    };
    warn_of_plaintext(new.identity_urls.iter());
    let source = opened.map(|(_, format)| Source {
        format: file::format_name(format),
        weak: format.is_weak(),
    });
    let made = Made::new(&enrolled, new, true);
    output.print(&Made { source, ..made }).await
}

pub(super) async fn join(options: Join, global: &Global, output: &Output) -> Result<(), Failure> {
    if let Some(file) = &options.token_file {
        return join_by_token(file, options.name, global, output).await;
    }
    let invitation: Invitation = options.invitation.unwrap_or_default().parse()?;
    if options.replace {
        return rejoin(&invitation, global, output).await;
    }
    let new = new_device(options.name, global)?;
    output.note(&format!("joins as \"{}\"", new.name)).await;
    let (shows, shown) = oneshot::channel();
    // Who has the code is trusted: the ledger id comes with the link, or sealed by the code.
    let joining = Box::pin(device_agent::join(
        &new,
        &invitation,
        Trust::FirstUse,
        |asks| {
            let _ = shows.send(asks.clone());
        },
    ));
    let enrolled = shown_while(joining, shown, output).await?;
    match &invitation.identity_url {
        Some(url) => warn_of_plaintext([url.as_str()]),
        None => warn_of_plaintext(new.identity_urls.iter()),
    }
    let made = Made::new(&enrolled, new, false);
    output.print(&made).await
}

/// Joins without a person, with the token in a file.
async fn join_by_token(
    file: &Path,
    name: Option<String>,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    let token = if file == Path::new("-") {
        EnrolmentToken::read_stdin()
    } else {
        EnrolmentToken::read(file)
    };
    let token = token.map_err(AgentError::from)?;
    let mut new = new_device(name, global)?;
    if global.identity_url.is_empty() {
        new.identity_urls.clone_from(token.identity_urls());
    }
    let enrolled = unless_interrupted(device_agent::join_by_token(&new, &token)).await?;
    // A device that was in the log already has the name of its first try.
    new.name.clone_from(&enrolled.name);
    output.print(&Made::new(&enrolled, new, false)).await
}

/// Joins in the folder of a device that is there already.
async fn rejoin(invitation: &Invitation, global: &Global, output: &Output) -> Result<(), Failure> {
    let home = folders::home(global.home.as_deref())?;
    let security = security(global)?;
    let (shows, shown) = oneshot::channel();
    let joining = Box::pin(device_agent::rejoin(&home, invitation, &security, |asks| {
        let _ = shows.send(asks.clone());
    }));
    let enrolled = shown_while(joining, shown, output).await?;
    output
        .print(&Made {
            event: Some("joined"),
            identity: enrolled.identity.to_string(),
            short_id: short_id(&enrolled.identity),
            device: enrolled.device.to_string(),
            name: enrolled.name,
            ledger_id: enrolled.ledger_id.to_string(),
            home,
            source: None,
            is_first: false,
        })
        .await
}

/// Joins, and meanwhile shows the number that a person must type at the other device.
async fn shown_while(
    joining: impl Future<Output = Result<Enrolled, AgentError>>,
    shown: oneshot::Receiver<Confirmation>,
    output: &Output,
) -> Result<Enrolled, Failure> {
    let show = async {
        match shown.await {
            Ok(asks) => output.print(&Number::new(&asks)).await,
            // It ended before there was a number.
            Err(_) => Ok(()),
        }
    };
    let joining = async {
        let (enrolled, shown) = tokio::join!(joining, show);
        let enrolled = enrolled?;
        shown.map(|()| enrolled)
    };
    unless_interrupted(joining).await
}

/// The number that proves the new device to the linked one.
#[derive(Debug, Serialize)]
struct Number {
    event: &'static str,
    number: String,
    identity: String,
    short_id: String,
    ledger_id: String,
}

impl Number {
    fn new(asks: &Confirmation) -> Self {
        Self {
            event: "number",
            number: asks.number(),
            identity: asks.identity.to_string(),
            short_id: short_id(&asks.identity),
            ledger_id: asks.ledger_id.to_string(),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            number, short_id, ..
        } = self;
        writeln!(
            f,
            "Asks to join {short_id}. On the device that shows the code, type\n"
        )?;
        writeln!(f, "  {number}\n")?;
        write!(f, "Waits until that is done there.")
    }
}

pub(super) fn new_device(name: Option<String>, global: &Global) -> Result<NewDevice, Failure> {
    Ok(NewDevice {
        home: folders::home(global.home.as_deref())?,
        identity_urls: identity_urls(global)?.unwrap_or_else(|| IDENTITY_URL.into()),
        ledger_urls: ledger_urls(global)?,
        security: security(global)?,
        name: match name {
            Some(name) => {
                check_name(&name)?;
                name
            }
            None => own_name(),
        },
    })
}

/// The identity service that was given, else the one that a backup names.
pub(super) fn service_of(global: &Global, backup: &Backup) -> Result<Addresses, Failure> {
    let given = identity_urls(global)?.or_else(|| backup.identity_urls().cloned());
    Ok(given.unwrap_or_else(|| IDENTITY_URL.into()))
}

/// Refuses what cannot be the name of a device.
pub(super) fn check_name(name: &str) -> Result<(), Failure> {
    certificate::check_name(name).map_err(|_| {
        let message = "a device's name has 1 to 64 bytes, and no control or invisible characters";
        Failure::usage("NAME_FORMAT", message)
    })
}

fn own_name() -> String {
    let host = gethostname::gethostname();
    let mut name = String::new();
    for of in host.to_string_lossy().chars() {
        if name.len() + of.len_utf8() <= NAME_BYTES_MAX {
            name.push(of);
        }
    }
    match check_name(&name) {
        Ok(()) => name,
        Err(_) => "device".to_owned(),
    }
}

/// Whether to trust a service that is seen for the first time.
pub(super) async fn first_sight(
    new: &NewDevice,
    global: &Global,
    output: &Output,
) -> Result<Trust, Failure> {
    let asks =
        !global.no_input && !output.is_json() && stdin().is_terminal() && stderr().is_terminal();
    if !asks && new.identity_urls.iter().all(is_loopback) {
        return Ok(Trust::FirstUse);
    }
    let ledger_id = discover(&new.identity_urls, &new.security).await?;
    let url = &new.identity_urls;
    if asks {
        let question = format!("{url} serves the ledger {ledger_id}.\nTrust it?");
        if output.confirm(&question) {
            return Ok(Trust::Ledger(ledger_id));
        }
        return Err(
            Failure::refused("UNTRUSTED", "the ledger was not confirmed")
                .next("compare the ledger id with what `edge-ledger up` printed there"),
        );
    }
    let message = format!("{url} is not this machine, and nobody is here to confirm its ledger id");
    Err(Failure::refused("UNTRUSTED", message)
        .with("ledger_id", ledger_id.to_string())
        .next(format!(
            "if `edge-ledger up` printed this id there, type: \
             edge-ledger init --identity-url {url} --ledger-id {ledger_id}"
        )))
}

/// Says what it means that an address is dialled without TLS.
fn warn_of_plaintext<'a>(urls: impl IntoIterator<Item = &'a str>) {
    let in_the_open = |url: &&str| url.starts_with("http:") && !is_loopback(url);
    for url in urls.into_iter().filter(in_the_open) {
        warn(&format!(
            "{url} is plaintext: who is between can read and disturb what devices and services say"
        ));
    }
}

impl Made {
    fn new(enrolled: &Enrolled, new: NewDevice, is_first: bool) -> Self {
        Self {
            // After the number, this is the last of two lines.
            event: (!is_first).then_some("joined"),
            identity: enrolled.identity.to_string(),
            short_id: short_id(&enrolled.identity),
            device: enrolled.device.to_string(),
            name: new.name,
            ledger_id: enrolled.ledger_id.to_string(),
            home: absolute(&new.home),
            source: None,
            is_first,
        }
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            short_id,
            name,
            device,
            ledger_id,
            ..
        } = self;
        if self.is_first {
            writeln!(
                f,
                "Made the identity {short_id}, with \"{name}\" as its first device."
            )?;
        } else {
            writeln!(f, "Joined {short_id} as \"{name}\".")?;
        }
        if let Some(source) = &self.source {
            writeln!(
                f,
                "Its root key is the PiKey of the backup ({}).",
                source.format
            )?;
            if source.weak {
                writeln!(f, "{}", file::WEAK)?;
            }
        }
        writeln!(f, "  device     {device}")?;
        writeln!(f, "  ledger id  {ledger_id}")?;
        writeln!(f, "  folder     {}", self.home.display())?;
        let (program, next) = (
            program(),
            if self.is_first { "earn 100" } else { "balance" },
        );
        write!(f, "Next:  {program} {next}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_before_anything_is_made() {
        assert!(check_name("kitchen π").is_ok());
        for name in ["", " ", "a\nb", &"x".repeat(65)] {
            assert_eq!(check_name(name).unwrap_err().reason, "NAME_FORMAT");
        }
        assert!(check_name(&own_name()).is_ok());
    }
}
