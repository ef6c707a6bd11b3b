//! `grpc.health.v1`: whether this process takes work. It does while its store can commit, until it
//! is told to stop. Anybody may ask.

use std::pin::Pin;

use edge_ledger_store::Health as StoreHealth;
use futures::{Stream, stream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::serve::Leaving;
use crate::status::{Reason, refusal};

/// Serves the health of a process: under the names of what it serves, which is one, and under the
/// empty name.
pub fn service(
    names: &'static [&'static str],
    store: watch::Receiver<StoreHealth>,
    stopping: CancellationToken,
) -> HealthServer<impl Health> {
    HealthServer::new(Probe {
        names,
        readiness: Readiness { store, stopping },
    })
}

/// Measures whether a store can commit, until it is stopped.
pub async fn measured(mut store: watch::Receiver<StoreHealth>, stopping: CancellationToken) {
    let ready = &edge_ledger_telemetry::meters().store_ready;
    loop {
        let commits = *store.borrow_and_update() == StoreHealth::Serving;
        ready.record(u64::from(commits), &[]);
        let changed = stopping.run_until_cancelled(store.changed());
        if !matches!(changed.await, Some(Ok(()))) {
            return;
        }
    }
}

struct Probe {
    names: &'static [&'static str],
    readiness: Readiness,
}

/// Whether a process takes work.
#[derive(Debug, Clone)]
pub(crate) struct Readiness {
    store: watch::Receiver<StoreHealth>,
    stopping: CancellationToken,
}

impl Readiness {
    pub(crate) fn new(store: watch::Receiver<StoreHealth>, stopping: CancellationToken) -> Self {
        Self { store, stopping }
    }

    /// Whether it takes work now.
    pub(crate) fn is_ready(&self) -> bool {
        let commits = *self.store.borrow() == StoreHealth::Serving;
        // A store that is gone takes nothing, whatever it said last.
        let is_there = self.store.has_changed().is_ok();
        commits && is_there && !self.stopping.is_cancelled()
    }

    fn now(&self) -> ServingStatus {
        if self.is_ready() {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        }
    }

    /// Waits until it may be another.
    async fn changed(&mut self) {
        tokio::select! {
            () = self.stopping.cancelled() => {}
            changed = self.store.changed() => if changed.is_err() {
                self.stopping.cancelled().await;
            },
        }
    }
}

impl Probe {
    fn knows(&self, name: &str) -> bool {
        name.is_empty() || self.names.contains(&name)
    }
}

type Watched = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Health for Probe {
    type WatchStream = Watched;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !self.knows(&request.get_ref().service) {
            return Err(refusal(
                Reason::UnknownService,
                "no service of that name is here",
            ));
        }
        Ok(Response::new(answer(self.readiness.now())))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Watched>, Status> {
        let known = self.knows(&request.get_ref().service);
        let watching = Watching {
            readiness: known.then(|| self.readiness.clone()),
            leaving: Leaving::of(request.extensions()),
            told: None,
        };
        let stream = stream::unfold(Some(watching), |watching| async {
            let mut watching = watching?;
            match watching.next().await {
                Ok(status) => Some((Ok(answer(status)), Some(watching))),
                Err(status) => Some((Err(status), None)),
            }
        });
        Ok(Response::new(Box::pin(stream)))
    }
}

struct Watching {
    /// None of a service that is not here.
    readiness: Option<Readiness>,
    leaving: CancellationToken,
    told: Option<ServingStatus>,
}

impl Watching {
    /// The next status that differs from the one before, or the end of the stream.
    async fn next(&mut self) -> Result<ServingStatus, Status> {
        loop {
            let now = self.readiness.as_ref().map(Readiness::now);
            let now = now.unwrap_or(ServingStatus::ServiceUnknown);
            if self.told.replace(now) != Some(now) {
                return Ok(now);
            }
            if self.leaving.is_cancelled() {
                return Err(refusal(Reason::Draining, "the service ends this stream"));
            }
            let changed = async {
                match &mut self.readiness {
                    Some(readiness) => readiness.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.leaving.cancelled() => {}
                () = changed => {}
            }
        }
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}
