//! From what was typed to what is meant; what makes no sense is said as JSON where that was
//! asked for.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;
use device_agent::{Addresses, ClientFiles, Security};
use edge_ledger_chassis::config::without_secrets;

use crate::args::{Cli, Global};
use crate::explain::Failure;
use crate::output::Output;

/// How this program is called: by its name, or through cargo in a checkout.
pub(crate) fn program() -> &'static str {
    match std::env::var_os("CARGO") {
        Some(_) => "cargo run --",
        None => "edge-ledger",
    }
}

/// Reads the arguments, or says what is wrong with them, and with which code the process ends.
pub(crate) fn read(args: Vec<OsString>) -> Result<Cli, ExitCode> {
    let wants_json = args.iter().any(|arg| arg == "--json");
    Cli::try_parse_from(args).map_err(|error| {
        let is_wrong = error.use_stderr();
        if is_wrong && wants_json {
            return Output::new(true, false, false).end(Err(explain(&error)));
        }
        // A closed pipe is nothing to fail at.
        let _ = error.print();
        ExitCode::from(if is_wrong { 2 } else { 0 })
    })
}

/// Refuses addresses that nobody could dial, before anybody waits for an answer.
pub(crate) fn check_addresses(global: &Global) -> Result<(), Failure> {
    identity_urls(global)?;
    ledger_urls(global)?;
    Ok(())
}

/// Where the identity service is, if that was typed.
pub(crate) fn identity_urls(global: &Global) -> Result<Option<Addresses>, Failure> {
    let urls = &global.identity_url;
    addresses("--identity-url", urls, "http://127.0.0.1:7410")
}

/// Where the ledger service is, if that was typed.
pub(crate) fn ledger_urls(global: &Global) -> Result<Option<Addresses>, Failure> {
    let urls = &global.ledger_url;
    addresses("--ledger-url", urls, "http://127.0.0.1:7420")
}

fn addresses(option: &str, urls: &[String], example: &str) -> Result<Option<Addresses>, Failure> {
    if urls.is_empty() {
        return Ok(None);
    }
    if let Some(url) = urls.iter().find(|url| !is_address(url)) {
        // A comma may have cut a password into two.
        let all = urls.join(",");
        let shown = match without_secrets(&all) {
            whole if whole == all => url,
            hidden => &hidden.clone(),
        };
        let message = format!("{option} {shown:?} is no address of a service");
        return Err(Failure::usage("URL_FORMAT", message).next(format!(
            "it looks like {example}: a scheme, a host, and a port; several with commas between"
        )));
    }
    Addresses::new(urls.iter().cloned())
        .map(Some)
        .map_err(|error| {
            let message = format!("{option}: {error}, and {} were typed", urls.len());
            Failure::usage("USAGE", message).next("leave some away")
        })
}

/// How the device's connections are to be secured.
pub(crate) fn security(global: &Global) -> Result<Security, Failure> {
    let client = match (&global.tls_client_cert, &global.tls_client_key) {
        (Some(certificate), Some(key)) => Some(ClientFiles {
            certificate: certificate.clone(),
            key: key.clone(),
        }),
        (None, None) => None,
        (_, key) => {
            let missing = if key.is_none() { "key" } else { "cert" };
            let message = "--tls-client-cert and --tls-client-key go together";
            let next = format!("give --tls-client-{missing} FILE too");
            return Err(Failure::usage("USAGE", message).next(next));
        }
    };
    Ok(Security {
        ca: global.tls_ca.clone(),
        client,
        accept_plaintext: global.accept_plaintext,
    })
}

/// Refuses what is no address.
pub(crate) fn check_url(option: &str, url: &str, example: &str) -> Result<(), Failure> {
    addresses(option, &[url.to_owned()], example).map(drop)
}

fn is_address(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else {
        return false;
    };
    let Some(authority) = uri.authority().filter(|a| !a.host().is_empty()) else {
        return false;
    };
    let port = authority.as_str().strip_prefix(authority.host());
    let is_port = |port: &str| {
        let digits = port.strip_prefix(':');
        port.is_empty() || digits.is_some_and(|digits| digits.parse::<u16>().is_ok())
    };
    matches!(uri.scheme_str(), Some("http" | "https"))
        && port.is_some_and(is_port)
        && matches!(uri.path(), "" | "/")
        && uri.query().is_none()
        // Which the parser leaves out.
        && !url.contains('#')
}

fn explain(error: &clap::Error) -> Failure {
    let text = error.to_string();
    let is_bare = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    let first = text.lines().next().unwrap_or_default();
    let message = if is_bare {
        "a command is missing"
    } else {
        first
    };
    let message = message.strip_prefix("error: ").unwrap_or(message);
    Failure::usage("USAGE", message).next("edge-ledger --help")
}
