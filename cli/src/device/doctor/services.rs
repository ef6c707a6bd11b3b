//! The services, as this machine can reach them.

use std::path::Path;

use device_agent::AgentError;
use device_agent::probe::{self, Home, Site, Way};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::{Check, tls};
use crate::args::Global;
use crate::device::enrol::IDENTITY_URL;
use crate::explain::Failure;
use crate::limits::{CLOCK_NEAR_MS, REACH_WITHIN};
use crate::typed::security;

const LEDGER_URL: &str = "http://127.0.0.1:7420";

pub(super) async fn checks(
    global: &Global,
    folder: &Path,
    home: Option<&Home>,
) -> Result<Vec<Check>, Failure> {
    let way = probe::way(folder, &security(global)?).map_err(AgentError::from)?;
    let typed = global.identity_url.clone();
    let url = typed.or_else(|| home.map(|home| home.identity_url.clone()));
    let url = url.unwrap_or_else(|| IDENTITY_URL.to_owned());
    let (mut checks, mut site) = (Vec::new(), None);
    match reach("identity_reach", &url).await {
        Ok(reached) => {
            let answer = probe::identity_service(&url, &way).await;
            checks.extend([
                reached,
                tls::look("identity_tls", &url, answer.as_ref().err()).await,
                identity(&answer, home),
            ]);
            checks.extend(health("identity", &url, &way, answer.as_ref().err()).await);
            site = answer.ok();
        }
        Err(unreached) => checks.push(unreached),
    }
    if let Some(site) = &site {
        checks.push(clock(site.clock_ahead_ms));
    }
    let typed = global.ledger_url.clone();
    let url = typed
        .or_else(|| home.map(|home| home.ledger_url.clone()))
        .or_else(|| site.as_ref().map(|site| site.ledger_url.clone()));
    let url = url.unwrap_or_else(|| LEDGER_URL.to_owned());
    let genesis = home.map(|home| &home.genesis);
    let genesis = genesis.or(site.as_ref().map(|site| &site.genesis));
    match (reach("ledger_reach", &url).await, genesis) {
        (Ok(reached), Some(genesis)) => {
            let answer = probe::ledger_service(&url, &way, genesis).await;
            let failed = answer.as_ref().err();
            let tls = tls::look("ledger_tls", &url, failed).await;
            checks.extend([reached, tls, ledger(&answer)]);
            checks.extend(health("ledger", &url, &way, failed).await);
        }
        (Ok(seen), None) | (Err(seen), _) => checks.push(seen),
    }
    Ok(checks)
}

/// Whether the name is known and somebody listens there; an error if not.
async fn reach(check: &str, url: &str) -> Result<Check, Check> {
    let fail = |says: String| {
        let fix = "start the service (`edge-ledger up` starts both), or correct the address: \
                   --identity-url, --ledger-url";
        Check::fail(check, says, fix)
    };
    let place = place(url).ok_or_else(|| fail(format!("{url} is no address")))?;
    let seconds = REACH_WITHIN.as_secs();
    let found = timeout(REACH_WITHIN, lookup_host(&place)).await;
    let found = found
        .map_err(|_| fail(format!("no address of {place} is found within {seconds} s")))?
        .map_err(|error| fail(format!("{place} has no address: {error}")))?;
    let found: Vec<_> = found.collect();
    let connected = timeout(REACH_WITHIN, TcpStream::connect(&found[..])).await;
    connected
        .map_err(|_| fail(format!("{place} does not answer within {seconds} s")))?
        .map_err(|error| fail(format!("{place}: {error}")))?;
    Ok(Check::ok(check, format!("{place} takes connections")))
}

/// Host and port of an address.
fn place(url: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    let port = uri.port_u16().or(match uri.scheme_str() {
        Some("https") => Some(443),
        Some("http") => Some(80),
        _ => None,
    });
    Some(format!("{}:{}", uri.host()?, port?))
}

/// Whether a service takes work; none if it cannot be asked, which was said then.
async fn health(
    service: &'static str,
    url: &str,
    way: &Way,
    failed: Option<&AgentError>,
) -> Option<Check> {
    if let Some(AgentError::Tls { .. }) = failed {
        return None;
    }
    let check = format!("{service}_health");
    Some(match probe::health(service, url, way).await {
        Ok(true) => Check::ok(&check, "it takes work: its store keeps what is written"),
        Ok(false) => {
            let says = "it says NOT_SERVING: its store takes no writes, or it is about to end";
            let fix = "whoever runs it has to look at its log and its store: docs/redis.md says what \
                       Redis must be, and what happens when it fails";
            Check::fail(&check, says, fix)
        }
        Err(error) => unanswered(&check, &error),
    })
}

fn identity(site: &Result<Site, AgentError>, home: Option<&Home>) -> Check {
    let check = "identity_greeting";
    let site = match site {
        Ok(site) => site,
        Err(error) => return unanswered(check, error),
    };
    match home.map(|home| home.genesis.ledger_id()) {
        Some(ledger_id) if ledger_id != site.ledger_id => {
            let says = format!(
                "it serves the ledger {}, and this device is of {ledger_id}",
                site.ledger_id
            );
            Check::fail(check, says, "correct the address with --identity-url")
        }
        whose => {
            let whose = whose.map_or("the ledger", |_| "the device's ledger");
            let (ledger_id, serial) = (site.ledger_id, site.key_serial);
            let says = format!("it serves {whose} {ledger_id}, with its key number {serial}");
            Check::ok(check, says)
        }
    }
}

fn ledger(answer: &Result<u64, AgentError>) -> Check {
    match answer {
        Ok(serial) => {
            let says = format!("its key, number {serial}, is certified for this ledger");
            Check::ok("ledger_greeting", says)
        }
        Err(error) => unanswered("ledger_greeting", error),
    }
}

fn unanswered(check: &str, error: &AgentError) -> Check {
    let fix = if matches!(error, AgentError::Untrusted(_)) {
        "correct the address: what answers there is of another ledger, or no service"
    } else {
        "see that the service runs, and that nothing between answers in its place"
    };
    Check::fail(check, error.to_string(), fix)
}

/// Clocks decide nothing, but people read them.
fn clock(ahead_ms: i64) -> Check {
    let seconds = ahead_ms.unsigned_abs().div_ceil(1_000);
    let says = match ahead_ms {
        0.. => format!("the service is about {seconds} s ahead of this machine"),
        _ => format!("the service is about {seconds} s behind this machine"),
    };
    if ahead_ms.unsigned_abs() <= CLOCK_NEAR_MS {
        return Check::ok("clock", says);
    }
    let fix = "set the clock, for example with `timedatectl set-ntp true`: it decides nothing, \
               but history shows its time";
    Check::warn("clock", says, fix)
}
