//! The identity service at all its addresses.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::addresses::Addresses;
use crate::clock::Clock;
use crate::endpoints::{Endpoint, Endpoints, Round, Turn, is_of_the_address};
use crate::error::AgentError;
use crate::event::{Event, EventLog};
use crate::health::connect_healthy;
use crate::identity_client::{Caller, Deployment, IdentityClient, IdentitySession};
use crate::security::Secured;

/// Where the identity service is found. Cheap to clone: what one call finds out, all know.
#[derive(Clone)]
pub(crate) struct IdentityServices(Arc<Shared>);

struct Shared {
    endpoints: Mutex<Endpoints>,
    secured: Secured,
    clock: Clock,
    events: EventLog,
}

impl IdentityServices {
    /// For a device that is being made.
    pub(crate) fn new(addresses: Addresses, secured: Secured) -> Self {
        Self::of_agent(addresses, secured, Clock::start(), EventLog::default())
    }

    /// For an agent, which tells when another address is used.
    pub(crate) fn of_agent(
        addresses: Addresses,
        secured: Secured,
        clock: Clock,
        events: EventLog,
    ) -> Self {
        Self(Arc::new(Shared {
            endpoints: Mutex::new(Endpoints::new(addresses)),
            secured,
            clock,
            events,
        }))
    }

    /// Asks the first that answers which deployment it serves, and stays with it.
    ///
    /// # Errors
    /// What the last one said, when none can be used; what one said that another would say too.
    pub(crate) async fn deployment(&self) -> Result<(IdentityClient, Deployment), AgentError> {
        let mut round = Round::default();
        loop {
            let (url, client) = self.client(&round).await;
            let answered = match client {
                Ok(mut client) => {
                    let told = Box::pin(client.deployment()).await;
                    told.map(|told| (client, told))
                }
                Err(error) => Err(error),
            };
            if let ControlFlow::Break(done) = self.ended(&mut round, &url, answered) {
                return done;
            }
        }
    }

    /// Opens a session at the first that answers.
    ///
    /// # Errors
    /// As [`deployment`](Self::deployment).
    pub(crate) async fn sign_in(&self, caller: &Caller) -> Result<IdentitySession, AgentError> {
        let mut round = Round::default();
        loop {
            let (url, client) = self.client(&round).await;
            let answered = match client {
                Ok(client) => Box::pin(client.authenticate(caller)).await,
                Err(error) => Err(error),
            };
            if let ControlFlow::Break(done) = self.ended(&mut round, &url, answered) {
                return done;
            }
        }
    }

    /// All addresses, to be shown.
    pub(crate) fn shown(&self) -> Vec<Endpoint> {
        self.lock().shown(self.0.clock.monotonic_ms())
    }

    /// Dials the address in use.
    async fn client(&self, round: &Round) -> (String, Result<IdentityClient, AgentError>) {
        let (url, patience) = {
            let endpoints = self.lock();
            (
                endpoints.url().to_owned(),
                round.patience(endpoints.count()),
            )
        };
        let secured = &self.0.secured;
        // Boxed, as are other steps: too large to be part of every call.
        let channel = Box::pin(connect_healthy("identity", &url, secured, patience)).await;
        let client = channel.map(|channel| IdentityClient::over(channel, &url, secured));
        (url, client)
    }

    /// Notes what came of an address, and says whether to go on to the next.
    fn ended<T>(
        &self,
        round: &mut Round,
        url: &str,
        answered: Result<T, AgentError>,
    ) -> ControlFlow<Result<T, AgentError>> {
        let now = self.0.clock.monotonic_ms();
        let mut endpoints = self.lock();
        let error = match answered {
            Ok(answer) => {
                if endpoints.answered(url, now) {
                    tracing::warn!(url, "the identity service is used at another address");
                    let (service, url) = ("identity", url.to_owned());
                    self.0.events.push(Event::AddressChanged { service, url });
                }
                return ControlFlow::Break(Ok(answer));
            }
            Err(error) => error,
        };
        if !is_of_the_address(&error) {
            if let AgentError::Refused(refusal) = &error {
                endpoints.refused(url, refusal.reason.clone(), now);
            }
            return ControlFlow::Break(Err(error));
        }
        endpoints.failed(url, error.why(), now);
        let count = endpoints.count();
        match round.failed(count, false, now) {
            Turn::Another => {
                tracing::info!(%error, "the identity service is tried at another address");
                ControlFlow::Continue(())
            }
            Turn::Wait { .. } => ControlFlow::Break(Err(error.of_several(count))),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Endpoints> {
        let endpoints = self.0.endpoints.lock();
        endpoints.unwrap_or_else(PoisonError::into_inner)
    }
}
