//! The service as a process of its own. It has no settings beside those of every service.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use edge_ledger_chassis::config::{Common, Reader, Setting};
use edge_ledger_chassis::run::{Parts, Service, StartError};
use edge_ledger_chassis::{KeysError, KeysFolder};
use edge_ledger_store::Measured;

use crate::server::{BindError, Config, Server};

impl Service for Server {
    const NAME: &'static str = "ledger-service";
    const ABOUT: &'static str = "Where ledgers meet: one stream per device, acks, fan-out";
    const LISTEN: &'static str = "127.0.0.1:7420";
    const SETTINGS: &'static [Setting] = &[];
    type Own = ();
    type Secrets = ();

    fn secrets(_: &KeysFolder) -> Result<(), Vec<KeysError>> {
        Ok(())
    }

    fn read(_: &mut Reader, _: &Common) {}

    async fn start(parts: Parts<()>, (): ()) -> Result<Self, StartError> {
        let bounds = parts.limits.bounds();
        let operators = edge_ledger_operator::Config::of_process(&parts, Self::NAME, bounds);
        let store = Arc::new(Measured::redis(parts.store));
        let config = Config {
            listen: parts.server.listen,
            audiences: parts.server.audiences,
            genesis: parts.genesis,
            signer: parts.signer,
            identities: store.clone(),
            ledgers: store,
            clock: parts.clock,
            limits: parts.limits,
            tls: parts.tls,
            reflection: parts.server.reflection,
        };
        let server = Self::bind(config).await;
        let server =
            server.map_err(|BindError { listen, source }| StartError::Listen { listen, source })?;
        match operators {
            Some(operators) => Ok(server.with_operators(operators).await?),
            None => Ok(server),
        }
    }

    fn local_addr(&self) -> SocketAddr {
        self.local_addr()
    }

    async fn shutdown(self, grace: Duration) -> bool {
        self.shutdown(grace).await
    }
}
