//! Links: the relay between a linked device, which opens a session, and a new one, which joins.
//!
//! The relay knows the hash of a public nameplate and sealed bytes; it never sees a secret. Both
//! ends may be at different replicas: what they say goes through the store, and its change feed
//! wakes the other end. A session is joined once and lives for 120 seconds.

mod end;

use std::sync::Arc;

use edge_ledger_chassis::status::{from_decode, store_refusal};
use edge_ledger_chassis::{Clock, Reason, Tasks, refusal};
use edge_ledger_proto::identity as wire;
use edge_ledger_proto::identity::link_request::Message;
use edge_ledger_store::IdentityStore;
use edge_ledger_store::identity::{LinkOutcome, LinkSide};
use edge_ledger_telemetry::meters::{self, meters};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request, Status, Streaming};

use crate::announcements::Announcements;
use crate::authn::Authn;
use crate::limits::{LINK_LAST_WORD, LINK_LIFE, LINK_OUTBOUND_MAX, Limits};
use crate::rates::Rates;
use end::{End, Outbound};

/// The link sessions in the store.
#[derive(Clone)]
pub(crate) struct Links {
    pub(crate) store: Arc<dyn IdentityStore>,
    pub(crate) authn: Arc<Authn>,
    pub(crate) announcements: Announcements,
    pub(crate) clock: Clock,
    pub(crate) tasks: Tasks,
    pub(crate) limits: Limits,
    pub(crate) rates: Arc<Rates>,
}

/// Who calls.
struct Calling {
    metadata: MetadataMap,
    extensions: Extensions,
}

/// What a device hears.
pub(crate) type Answers = ReceiverStream<Result<wire::LinkResponse, Status>>;

/// How an end of a link session ends, beside by a refusal.
const DONE: &str = "DONE";
const BROKEN: &str = "BROKEN";

/// There is a series for each common end from the start.
pub(crate) fn measured_from_the_start() {
    let refusals = [Reason::LinkExpired, Reason::LinkTaken, Reason::RateLimited];
    let refusals = refusals.iter().map(|reason| reason.as_str());
    for outcome in refusals.chain([DONE, BROKEN]) {
        meters().link_outcome.add(0, &meters::outcome(outcome));
    }
}

impl Links {
    /// Serves one end of a link.
    pub(crate) fn relay(&self, request: Request<Streaming<wire::LinkRequest>>) -> Answers {
        let (metadata, extensions, inbound) = request.into_parts();
        let calling = Calling {
            metadata,
            extensions,
        };
        let (outbound, answers) = mpsc::channel(LINK_OUTBOUND_MAX);
        let links = self.clone();
        self.tasks
            .spawn(async move { links.serve(calling, inbound, outbound).await });
        ReceiverStream::new(answers)
    }

    async fn serve(
        &self,
        calling: Calling,
        mut inbound: Streaming<wire::LinkRequest>,
        outbound: Outbound,
    ) {
        let stopping = self.tasks.stopping();
        let mut end = None;
        let ended = tokio::select! {
            ended = self.run(&calling, &mut inbound, &outbound, &mut end) => ended,
            () = outbound.closed() => Ok(()),
            () = stopping.cancelled() => Err(refusal(Reason::Draining, "this process stops")),
        };
        if let Some(end) = end {
            end.leave(self).await;
        }
        let outcome = match &ended {
            Ok(()) => DONE,
            Err(status) => Reason::of(status).map_or(BROKEN, Reason::as_str),
        };
        meters().link_outcome.add(1, &meters::outcome(outcome));
        if let Err(status) = ended {
            self.tasks.spawn_for_client(async move {
                // A device that does not read has left; its stream ends without a word.
                let _ = timeout(LINK_LAST_WORD, outbound.send(Err(status))).await;
                drop(inbound);
            });
        }
    }

    /// Runs an end until it is done. What must be undone afterwards is left in `end`.
    async fn run(
        &self,
        calling: &Calling,
        inbound: &mut Streaming<wire::LinkRequest>,
        outbound: &Outbound,
        end: &mut Option<End>,
    ) -> Result<(), Status> {
        let first = timeout(self.limits.link_first_message, inbound.message()).await;
        let first = first
            .map_err(|_| refusal(Reason::LinkExpired, "no link was opened or joined in time"))?
            .map_err(from_decode)?
            .and_then(|request| request.message);
        let end = end.insert(match first {
            Some(Message::Open(open)) => {
                self.authn.unblocked_caller(&calling.metadata).await?;
                self.open(name(&open.session)?).await?
            }
            Some(Message::Join(join)) => {
                self.rates.joins.admit(&calling.extensions)?;
                self.join(name(&join.session)?).await?
            }
            Some(Message::Relay(_)) | None => {
                return Err(refusal(Reason::BadMessage, "open or join comes first"));
            }
        });
        end.greet(self, outbound).await;
        match timeout(self.life(), end.relay(self, inbound, outbound)).await {
            Ok(ended) => ended,
            Err(_) => Err(end::expired()),
        }
    }

    async fn open(&self, session: [u8; 32]) -> Result<End, Status> {
        let now_ms = self.clock.wall_ms();
        let life_ms = i64::try_from(self.life().as_millis()).unwrap_or(i64::MAX);
        let expires_ms = now_ms.saturating_add(life_ms);
        let opened = self.store.open_link(session, expires_ms, now_ms).await;
        match opened.map_err(|error| store_refusal(&error))? {
            LinkOutcome::Done => {
                let waiter = self.wait_for(session);
                Ok(End::new(session, LinkSide::Opener, expires_ms, waiter))
            }
            LinkOutcome::Taken | LinkOutcome::Gone => {
                Err(refusal(Reason::LinkTaken, "another link has this code"))
            }
        }
    }

    async fn join(&self, session: [u8; 32]) -> Result<End, Status> {
        let now_ms = self.clock.wall_ms();
        let joined = self.store.join_link(session, now_ms).await;
        match joined.map_err(|error| store_refusal(&error))? {
            LinkOutcome::Done => {
                let waiter = self.wait_for(session);
                // Only the opener knows when the session ends; the store does too.
                Ok(End::new(session, LinkSide::Joiner, i64::MAX, waiter))
            }
            LinkOutcome::Gone => Err(end::gone()),
            LinkOutcome::Taken => Err(refusal(Reason::LinkTaken, "a device has joined already")),
        }
    }

    fn wait_for(&self, session: [u8; 32]) -> crate::announcements::Waiter {
        self.announcements
            .wait_for(crate::announcements::Topic::Link(session))
    }

    fn life(&self) -> std::time::Duration {
        self.limits.link_life.min(LINK_LIFE)
    }
}

fn name(bytes: &[u8]) -> Result<[u8; 32], Status> {
    let what = "a link session is named by 32 bytes";
    bytes
        .try_into()
        .map_err(|_| refusal(Reason::KeyFormat, what))
}
