//! Both services in this process, over one embedded store.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use edge_ledger_chassis::{Clock, Keys, Limits, OperatorToken, Tls};
use edge_ledger_core::ids::LedgerId;
use edge_ledger_operator::{About, BindError};
use edge_ledger_store::{Embedded, Measured};
use identity_service::Registration;

use crate::explain::Failure;

/// Where the services listen, and under which names they are dialled.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) identity_listen: SocketAddr,
    pub(crate) ledger_listen: SocketAddr,
    /// Host names beside the bound address.
    pub(crate) hosts: Vec<String>,
    /// The certificate of both; none: plain HTTP/2.
    pub(crate) tls: Option<Tls>,
    /// Who may register an identity.
    pub(crate) registration: Registration,
}

/// The pair. Dropped, it ends at once.
pub(crate) struct Pair {
    store: Embedded,
    keys: Keys,
    clock: Clock,
    hosts: Vec<String>,
    tls: Option<Tls>,
    identity: identity_service::Server,
    ledger: Option<ledger_service::Server>,
    ledger_addr: SocketAddr,
    operators: Option<edge_ledger_operator::Server>,
    limits: identity_service::Limits,
}

/// Where operators are answered, and what lets them in.
pub(crate) type Operators = (SocketAddr, OperatorToken);

impl Pair {
    /// Starts both.
    pub(crate) async fn start(store: Embedded, keys: Keys, site: Site) -> Result<Self, Failure> {
        let clock = Clock::system();
        let (hosts, tls) = (site.hosts, site.tls);
        let limits = identity_service::Limits {
            registration: site.registration,
            ..identity_service::Limits::default()
        };
        let at = At {
            listen: site.ledger_listen,
            hosts: &hosts,
            tls: tls.as_ref(),
        };
        let ledger = bind_ledger(&store, &keys, &clock, at).await?;
        let ledger_addr = ledger.local_addr();
        let config = identity_service::Config {
            listen: site.identity_listen,
            audiences: audiences(site.identity_listen, &hosts),
            ledger_urls: vec![url(ledger_addr, &hosts, tls.is_some())],
            identity_urls: Vec::new(),
            store: Arc::new(Measured::embedded(store.clone())),
            genesis: keys.genesis.clone(),
            signer: keys.signer.clone(),
            sealing: keys.sealing.clone(),
            clock: clock.clone(),
            limits: limits.clone(),
            tls: tls.clone(),
            ice: identity_service::IceConfig::default(),
            reflection: true,
        };
        let identity = identity_service::Server::bind(config).await;
        let identity = identity.map_err(|error| match error {
            identity_service::BindError::Listen { listen, source } => {
                cannot_listen("identity", listen, &source)
            }
            error @ identity_service::BindError::ServiceKey(_) => {
                Failure::refused("KEYS_FOREIGN", error.to_string())
            }
        })?;
        Ok(Self {
            store,
            keys,
            clock,
            hosts,
            tls,
            identity,
            ledger: Some(ledger),
            ledger_addr,
            operators: None,
            limits,
        })
    }

    /// Answers operators too.
    pub(crate) async fn with_operators(
        mut self,
        (listen, token): Operators,
    ) -> Result<Self, Failure> {
        let store = Arc::new(self.store.clone());
        let config = edge_ledger_operator::Config {
            listen,
            token,
            tls: self.tls.clone(),
            about: About {
                services: vec!["identity-service", "ledger-service"],
                store: "embedded",
                bounds: self.limits.bounds(),
            },
            genesis: self.keys.genesis.clone(),
            signer: self.keys.signer.clone(),
            rotates: true,
            identities: store.clone(),
            ledgers: store.clone(),
            terms: store,
            clock: self.clock.clone(),
        };
        let bound = edge_ledger_operator::Server::bind(config).await;
        let bound = bound.map_err(|error| {
            let BindError { listen, source } = error;
            cannot_listen("operator", listen, &source)
        })?;
        self.operators = Some(bound);
        Ok(self)
    }

    /// Where operators are answered, if they are.
    pub(crate) fn operator_url(&self) -> Option<String> {
        let operators = self.operators.as_ref()?;
        let address = operators.local_addr();
        Some(url(address, &self.hosts, self.tls.is_some()))
    }

    pub(crate) fn identity_url(&self) -> String {
        url(self.identity.local_addr(), &self.hosts, self.tls.is_some())
    }

    pub(crate) fn ledger_url(&self) -> String {
        url(self.ledger_addr, &self.hosts, self.tls.is_some())
    }

    pub(crate) fn ledger_id(&self) -> LedgerId {
        self.keys.genesis.ledger_id()
    }

    pub(crate) fn store(&self) -> &Embedded {
        &self.store
    }

    /// Takes the ledger service away; the identity service stays.
    pub(crate) async fn stop_ledger(&mut self, grace: Duration) {
        if let Some(ledger) = self.ledger.take() {
            ledger.shutdown(grace).await;
        }
    }

    /// Starts the ledger service again, where it was.
    pub(crate) async fn start_ledger(&mut self) -> Result<(), Failure> {
        let at = At {
            listen: self.ledger_addr,
            hosts: &self.hosts,
            tls: self.tls.as_ref(),
        };
        self.ledger = Some(bind_ledger(&self.store, &self.keys, &self.clock, at).await?);
        Ok(())
    }

    /// Stops both: they answer what is owed within the grace.
    pub(crate) async fn shutdown(self, grace: Duration) {
        let ledger = async {
            match self.ledger {
                Some(ledger) => ledger.shutdown(grace).await,
                None => true,
            }
        };
        let operators = async {
            match self.operators {
                Some(operators) => operators.shutdown(grace).await,
                None => true,
            }
        };
        tokio::join!(self.identity.shutdown(grace), ledger, operators);
    }
}

/// Where a service is, and as whom it is dialled.
struct At<'a> {
    listen: SocketAddr,
    hosts: &'a [String],
    tls: Option<&'a Tls>,
}

async fn bind_ledger(
    store: &Embedded,
    keys: &Keys,
    clock: &Clock,
    at: At<'_>,
) -> Result<ledger_service::Server, Failure> {
    let measured = Arc::new(Measured::embedded(store.clone()));
    let config = ledger_service::Config {
        listen: at.listen,
        audiences: audiences(at.listen, at.hosts),
        genesis: keys.genesis.clone(),
        signer: keys.signer.clone(),
        identities: measured.clone(),
        ledgers: measured,
        clock: clock.clone(),
        limits: Limits::default(),
        tls: at.tls.cloned(),
        reflection: true,
    };
    let bound = ledger_service::Server::bind(config).await;
    bound.map_err(|error| cannot_listen("ledger", error.listen, &error.source))
}

fn cannot_listen(service: &str, listen: SocketAddr, error: &std::io::Error) -> Failure {
    let message = format!("the {service} service cannot listen on {listen}: {error}");
    let option = format!("--{service}-listen {}:0", host(listen));
    let is_taken = error.kind() == ErrorKind::AddrInUse;
    let reason = if is_taken {
        "PORT_IN_USE"
    } else {
        "CANNOT_LISTEN"
    };
    let failure = Failure::refused(reason, message);
    failure.next(format!(
        "end what listens there, or let it take any port with {option}"
    ))
}

fn host(addr: SocketAddr) -> String {
    match addr {
        SocketAddr::V4(addr) => addr.ip().to_string(),
        SocketAddr::V6(addr) => format!("[{}]", addr.ip()),
    }
}

/// The address as devices dial it.
fn url(addr: SocketAddr, hosts: &[String], has_tls: bool) -> String {
    let scheme = if has_tls { "https" } else { "http" };
    match hosts.first() {
        Some(host) if !addr.ip().is_loopback() => {
            format!("{scheme}://{host}:{}", addr.port())
        }
        _ => format!("{scheme}://{addr}"),
    }
}

/// The names beyond those of loopback, which a service that is bound to it knows by itself.
fn audiences(listen: SocketAddr, hosts: &[String]) -> Vec<String> {
    if listen.ip().is_loopback() {
        return Vec::new();
    }
    let port = listen.port();
    let own = (!listen.ip().is_unspecified()).then(|| host(listen));
    let local = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned);
    // Who listens everywhere listens on loopback too.
    let local = local.into_iter().filter(|_| own.is_none());
    let names = hosts.iter().cloned().chain(own.clone()).chain(local);
    names.map(|name| format!("{name}:{port}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn services_are_dialled_by_their_names_beyond_loopback() {
        let hosts = vec!["ledger.example".to_owned()];
        assert_eq!(
            url(addr("127.0.0.1:7"), &hosts, false),
            "http://127.0.0.1:7"
        );
        assert_eq!(url(addr("[::1]:7"), &[], false), "http://[::1]:7");
        assert_eq!(url(addr("10.0.0.7:7"), &[], false), "http://10.0.0.7:7");
        assert_eq!(
            url(addr("0.0.0.0:7"), &hosts, false),
            "http://ledger.example:7"
        );
        assert!(audiences(addr("127.0.0.1:7"), &hosts).is_empty());
        assert_eq!(
            audiences(addr("10.0.0.7:7"), &hosts),
            ["ledger.example:7", "10.0.0.7:7"]
        );
        assert_eq!(
            audiences(addr("0.0.0.0:7"), &hosts),
            ["ledger.example:7", "localhost:7", "127.0.0.1:7", "[::1]:7"]
        );
    }
}
