//! Signalling: the devices of one identity say that they are there, and pass offers and answers to
//! each other.
//!
//! Nothing is kept. What a device says is stamped with the device of its session, and handed to the
//! store's feed, which brings it to whichever process the others are at; there the `switchboard`
//! hands it to their streams. A stream ends with its session, when its device is ended, and when
//! another stream of it is opened.

mod answers;
mod ice;
mod stream;

use std::pin::Pin;
use std::sync::Arc;

use edge_ledger_chassis::status::store_refusal;
use edge_ledger_chassis::{Clock, Leaving, Tasks, random};
use edge_ledger_proto::signal as wire;
use edge_ledger_proto::signal::signal_service_server::SignalService;
use edge_ledger_store::{IdentityStore, SignalWord};
use futures::Stream;
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use crate::announcements::{Announcements, Topic};
use crate::authn::Authn;
use crate::log::Logs;
use crate::rates::Rates;
use crate::sessions::Session;
use crate::switchboard::Switchboard;
pub use ice::{IceConfig, TurnSecret};
use stream::SignalStream;

/// The signalling service behind its contract.
#[derive(Clone)]
pub(crate) struct Signals {
    pub(crate) authn: Arc<Authn>,
    pub(crate) logs: Arc<Logs>,
    pub(crate) store: Arc<dyn IdentityStore>,
    pub(crate) announcements: Announcements,
    pub(crate) switchboard: Switchboard,
    pub(crate) rates: Arc<Rates>,
    pub(crate) clock: Clock,
    pub(crate) tasks: Tasks,
    pub(crate) ice: Arc<IceConfig>,
}

#[tonic::async_trait]
impl SignalService for Signals {
    type SignalStream = Pin<Box<dyn Stream<Item = Result<wire::SignalResponse, Status>> + Send>>;

    async fn signal(
        &self,
        request: Request<Streaming<wire::SignalRequest>>,
    ) -> Result<Response<Self::SignalStream>, Status> {
        let (metadata, extensions, inbound) = request.into_parts();
        let session = self.device(&metadata).await?;
        let stream = self.open(session, Leaving::of(&extensions)).await?;
        let (outbox, answers) = answers::channel();
        self.tasks
            .spawn_for_client(async move { stream.serve(inbound, outbox).await });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn get_ice_servers(
        &self,
        request: Request<wire::GetIceServersRequest>,
    ) -> Result<Response<wire::GetIceServersResponse>, Status> {
        let session = self.device(request.metadata()).await?;
        let servers = self.ice.servers(&session.device, self.clock.wall_ms());
        Ok(Response::new(servers))
    }
}

impl Signals {
    /// The session of the active device that calls, which may not call too often.
    async fn device(&self, metadata: &MetadataMap) -> Result<Session, Status> {
        let session = self.authn.device(metadata).await?.session;
        self.rates.signals.admit(session.device)?;
        Ok(session)
    }

    /// Opens a stream: from here on it hears what others say, and older ones of its device give way.
    async fn open(
        &self,
        session: Session,
        leaving: CancellationToken,
    ) -> Result<SignalStream, Status> {
        let number = self.store.stream_number().await;
        let number = number.map_err(|error| store_refusal(&error))?;
        let place = (number, u64::from_be_bytes(random::bytes()));
        let topic = Topic::Log(session.identity);
        let stream = SignalStream {
            signals: self.clone(),
            // Before the log is read again, so that no end falls between.
            waiter: self.announcements.wait_for(topic),
            line: self.switchboard.line(&session, place),
            session,
            place,
            leaving,
        };
        stream.check().await?;
        stream.tell(None, SignalWord::Opened { place }).await;
        Ok(stream)
    }
}
