//! The services, as this machine can reach them.

use std::path::Path;

use device_agent::probe::{self, Home, Site, Way};
use device_agent::{Addresses, AgentError, Genesis};
use futures::future::join_all;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::{Check, Verdict, tls};
use crate::args::Global;
use crate::device::enrol::IDENTITY_URL;
use crate::explain::Failure;
use crate::limits::{CLOCK_NEAR_MS, REACH_WITHIN};
use crate::typed::{identity_urls, ledger_urls, security};

const LEDGER_URL: &str = "http://127.0.0.1:7420";

pub(super) async fn checks(
    global: &Global,
    folder: &Path,
    home: Option<&Home>,
) -> Result<Vec<Check>, Failure> {
    let way = probe::way(folder, &security(global)?).map_err(AgentError::from)?;
    let urls = identity_urls(global)?.or_else(|| home.map(|home| home.identity_urls.clone()));
    let urls = urls.unwrap_or_else(|| IDENTITY_URL.into());
    let looks = urls.iter().map(|url| at_identity(url, &way, home));
    let looks: Vec<(Vec<Check>, Option<Site>)> = join_all(looks).await;
    let (seen, sites): (Vec<_>, Vec<_>) = looks.into_iter().unzip();
    let mut checks = of_all(&urls, seen);
    let site = sites.into_iter().flatten().next();
    if let Some(site) = &site {
        checks.push(clock(site.clock_ahead_ms));
    }
    let urls = ledger_urls(global)?
        .or_else(|| home.map(|home| home.ledger_urls.clone()))
        .or_else(|| site.as_ref().and_then(|site| site.ledger_urls.clone()));
    let urls = urls.unwrap_or_else(|| LEDGER_URL.into());
    let genesis = home.map(|home| &home.genesis);
    let genesis = genesis.or(site.as_ref().map(|site| &site.genesis));
    let looks = urls.iter().map(|url| at_ledger(url, &way, genesis));
    let seen = join_all(looks).await;
    checks.extend(of_all(&urls, seen));
    Ok(checks)
}

/// What was seen at all addresses of a service. Where one of several works, a device needs no other.
fn of_all(urls: &Addresses, seen: Vec<Vec<Check>>) -> Vec<Check> {
    if urls.len() == 1 {
        return seen.concat();
    }
    let fails = |check: &Check| check.verdict == Verdict::Fail;
    let works = seen.iter().any(|checks| !checks.iter().any(fails));
    let mut all = Vec::new();
    for (url, checks) in urls.iter().zip(seen) {
        all.extend(checks.into_iter().map(|check| Check {
            address: Some(url.to_owned()),
            verdict: match check.verdict {
                Verdict::Fail if works => Verdict::Warn,
                Verdict::Ok | Verdict::Warn | Verdict::Fail => check.verdict,
            },
            ..check
        }));
    }
    all
}

async fn at_identity(url: &str, way: &Way, home: Option<&Home>) -> (Vec<Check>, Option<Site>) {
    let reached = match reach("identity_reach", url).await {
        Ok(reached) => reached,
        Err(unreached) => return (vec![unreached], None),
    };
    let answer = probe::identity_service(url, way).await;
    let failed = answer.as_ref().err();
    let tls = tls::look("identity_tls", url, failed).await;
    let mut checks = vec![reached, tls, identity(&answer, home)];
    checks.extend(health("identity", url, way, failed).await);
    (checks, answer.ok())
}

async fn at_ledger(url: &str, way: &Way, genesis: Option<&Genesis>) -> Vec<Check> {
    let (reached, genesis) = match (reach("ledger_reach", url).await, genesis) {
        (Ok(reached), Some(genesis)) => (reached, genesis),
        (Ok(seen), None) | (Err(seen), _) => return vec![seen],
    };
    let answer = probe::ledger_service(url, way, genesis).await;
    let failed = answer.as_ref().err();
    let tls = tls::look("ledger_tls", url, failed).await;
    let mut checks = vec![reached, tls, ledger(&answer)];
    checks.extend(health("ledger", url, way, failed).await);
    checks
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
