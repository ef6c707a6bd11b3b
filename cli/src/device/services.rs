//! The addresses of both services, as `status` shows them.

use std::fmt;

use device_agent::{Endpoint, Outcome};
use serde::Serialize;

/// All addresses, in the order in which they are tried.
#[derive(Debug, Serialize)]
pub(super) struct Services {
    identity: Vec<Address>,
    ledger: Vec<Address>,
}

/// One address, and what came of it when it was used last.
#[derive(Debug, Serialize)]
struct Address {
    url: String,
    /// Whether it is the one that the device uses, or goes to next.
    in_use: bool,
    /// `answered`, `refused`, `failed`; none: not tried since the device was opened.
    last: Option<&'static str>,
    why: Option<String>,
    last_ms_ago: Option<u64>,
}

impl Services {
    pub(super) fn new(identity: Vec<Endpoint>, ledger: Vec<Endpoint>) -> Self {
        let each = |endpoints: Vec<Endpoint>| endpoints.into_iter().map(Address::new).collect();
        Self {
            identity: each(identity),
            ledger: each(ledger),
        }
    }
}

impl Address {
    fn new(endpoint: Endpoint) -> Self {
        let (last, why) = match endpoint.outcome {
            None => (None, None),
            Some(Outcome::Answered) => (Some("answered"), None),
            Some(Outcome::Refused(why)) => (Some("refused"), Some(why)),
            Some(Outcome::Failed(why)) => (Some("failed"), Some(why)),
        };
        Self {
            url: endpoint.url,
            in_use: endpoint.in_use,
            last,
            why,
            last_ms_ago: endpoint.ms_ago,
        }
    }
}

/// A line each, after what is above.
impl fmt::Display for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut title = "services";
        for (service, addresses) in [("ledger", &self.ledger), ("identity", &self.identity)] {
            for address in addresses {
                write!(
                    f,
                    "\n  {title:<10} {service:<8}  {}  {address}",
                    address.url
                )?;
                title = "";
            }
        }
        Ok(())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.in_use && self.last == Some("answered") {
            return f.write_str("in use");
        }
        let next = if self.in_use { "next; " } else { "" };
        match (self.last, &self.why, self.last_ms_ago) {
            (Some(last), why, Some(ms)) => {
                write!(f, "{next}{last} {} s ago", ms / 1_000)?;
                why.as_ref().map_or(Ok(()), |why| write!(f, ": {why}"))
            }
            _ => write!(f, "{next}not tried yet"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_a_line_with_what_a_person_wants_to_know() {
        let endpoint = |url: &str, in_use, outcome: Option<Outcome>| Endpoint {
            url: url.to_owned(),
            in_use,
            ms_ago: outcome.as_ref().map(|_| 12_345),
            outcome,
        };
        let failed = Some(Outcome::Failed("connection refused".to_owned()));
        let services = Services::new(
            vec![endpoint("http://i", true, None)],
            vec![
                endpoint("http://a", false, failed.clone()),
                endpoint("http://b", true, Some(Outcome::Answered)),
                endpoint("http://c", false, None),
            ],
        );
        let expected = "
  services   ledger    http://a  failed 12 s ago: connection refused
             ledger    http://b  in use
             ledger    http://c  not tried yet
             identity  http://i  next; not tried yet";
        assert_eq!(services.to_string(), expected);
        let services = Services::new(Vec::new(), vec![endpoint("http://a", true, failed)]);
        let expected =
            "\n  services   ledger    http://a  next; failed 12 s ago: connection refused";
        assert_eq!(services.to_string(), expected);
    }
}
