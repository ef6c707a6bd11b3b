//! From what was typed to what is meant; what makes no sense is said as JSON where that was
//! asked for.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;
use device_agent::{ClientFiles, Security};
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
    for (option, url, example) in [
        (
            "--identity-url",
            &global.identity_url,
            "http://127.0.0.1:7410",
        ),
        ("--ledger-url", &global.ledger_url, "http://127.0.0.1:7420"),
    ] {
        if let Some(url) = url.as_deref().filter(|url| !is_address(url)) {
            let shown = without_secrets(url);
            let message = format!("{option} {shown:?} is no address of a service");
            return Err(Failure::usage("URL_FORMAT", message).next(format!(
                "it looks like {example}: a scheme, a host, and a port"
            )));
        }
    }
    Ok(())
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
