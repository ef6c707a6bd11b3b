//! Whether others can read along, and for how long the certificate of a service holds.

use device_agent::{AgentError, TlsProblem, is_loopback, probe};
use edge_ledger_chassis::{Clock, Validity};

use super::Check;
use crate::explain::of_tls;
use crate::limits::CERTIFICATE_SOON_DAYS;

/// Looks at the way to a service that was dialled already, maybe in vain.
pub(super) async fn look(check: &str, url: &str, failed: Option<&AgentError>) -> Check {
    let certificate = probe::certificate(url).await;
    let validity = certificate.and_then(|certificate| Validity::of(&certificate));
    match failed {
        Some(AgentError::Tls {
            service,
            url,
            problem,
        }) => without(check, (service, url), problem, validity),
        Some(AgentError::Unreachable { .. }) if is_tls(url) => {
            let says = format!("no connection with TLS could be made to {url}");
            Check::fail(check, says, "see what the greeting says below")
        }
        _ if is_tls(url) => holds(check, validity),
        _ if is_loopback(url) => Check::ok(check, "plaintext, which does not leave this machine"),
        _ => {
            let says = format!("{url} is plaintext: who is between can read and disturb it");
            Check::warn(check, says, "use it in a network that you trust only")
        }
    }
}

fn is_tls(url: &str) -> bool {
    url.starts_with("https://")
}

/// No connection came about.
fn without(
    check: &str,
    (service, url): (&str, &str),
    problem: &TlsProblem,
    validity: Option<Validity>,
) -> Check {
    let mut says = problem.to_string();
    if let (TlsProblem::OutOfDate, Some(validity)) = (problem, validity) {
        says.push_str(&format!(": it {validity}"));
    }
    let failure = of_tls(service, url, problem, says);
    let fix = failure.next.clone().unwrap_or_default();
    Check::fail(check, failure.message.clone(), fix)
}

/// A device takes the certificate: for how long?
fn holds(check: &str, validity: Option<Validity>) -> Check {
    let mut says = "a certificate that is trusted, valid and of this name".to_owned();
    // Who answered a moment ago may be gone.
    let Some(validity) = validity else {
        return Check::ok(check, says);
    };
    let (days, end) = (
        validity.days_left(Clock::system().wall_ms()),
        validity.end(),
    );
    says.push_str(&format!("; it ends in {days} days, at {end}"));
    if days >= CERTIFICATE_SOON_DAYS {
        return Check::ok(check, says);
    }
    let fix = "let who runs the service renew it: files that are replaced are read again within \
               seconds; if they were, its log says at level error what is wrong with them";
    Check::warn(check, says, fix)
}
