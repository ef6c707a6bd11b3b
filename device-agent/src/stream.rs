//! The gRPC link to the ledger service: one `Sync` stream, frames both ways.

use std::time::Duration;

use edge_ledger_core::sync::Frame;
use edge_ledger_proto::ledger as pb;
use edge_ledger_proto::ledger::ledger_service_client::LedgerServiceClient;
use edge_ledger_telemetry::context::TraceParent;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::error::AgentError;
use crate::health::connect_healthy;
use crate::identity_client::from_first_status;
use crate::limits::{CONNECT_WITHIN, OUTBOUND_FRAMES_MAX};
use crate::security::Secured;
use edge_ledger_core::limits::FRAME_BYTES_MAX;

/// An open stream, as two ends that can be waited for apart.
pub(crate) struct Stream {
    pub(crate) inbound: Streaming<pb::SyncResponse>,
    pub(crate) outbound: mpsc::Sender<pb::SyncRequest>,
}

/// Opens a stream; with `patience`, to a service that says within that time that it takes work.
pub(crate) async fn open(
    url: &str,
    patience: Option<Duration>,
    secured: &Secured,
) -> Result<Stream, AgentError> {
    let channel = connect_healthy("ledger", url, secured, patience).await?;
    let mut client = LedgerServiceClient::new(channel)
        .max_decoding_message_size(FRAME_BYTES_MAX)
        .max_encoding_message_size(FRAME_BYTES_MAX);
    let (outbound, requests) = mpsc::channel(OUTBOUND_FRAMES_MAX);
    let opening = client.sync(ReceiverStream::new(requests));
    let response = tokio::time::timeout(CONNECT_WITHIN, opening).await;
    let response = response.map_err(|_| AgentError::Unreachable {
        service: "ledger",
        url: url.to_owned(),
        why: "it does not answer".to_owned(),
    })?;
    match response {
        Ok(response) => Ok(Stream {
            inbound: response.into_inner(),
            outbound,
        }),
        Err(status) => Err(from_first_status("ledger", url, secured, &status).await),
    }
}

/// Reads the next frame; `None` at the end of the stream.
pub(crate) async fn next_frame(
    inbound: &mut Streaming<pb::SyncResponse>,
) -> Result<Option<Frame>, Status> {
    let Some(response) = inbound.message().await? else {
        return Ok(None);
    };
    let frame = response
        .frame
        .ok_or_else(|| Status::invalid_argument("a message without a frame"))?;
    Frame::try_from(frame)
        .map(Some)
        .map_err(|error| Status::invalid_argument(error.to_string()))
}

/// A frame to be sent, and the act that it belongs to.
pub(crate) struct Held {
    pub(crate) frame: Frame,
    act: Option<TraceParent>,
}

impl Held {
    /// Entries go out in a span of their own, which the service goes on from. What waited until there
    /// was a way belongs to the `last` act of the application.
    pub(crate) fn new(frame: Frame, last: &mut Option<TraceParent>) -> Self {
        let is_of_entries = matches!(&frame, Frame::Runs { .. });
        let act = is_of_entries.then(|| {
            let span = tracing::info_span!("send", otel.kind = "producer");
            let last = last.take();
            if let Some(last) = last.filter(|_| TraceParent::current().is_none()) {
                last.adopt(&span);
            }
            span.in_scope(TraceParent::current)
        });
        let act = act.flatten();
        Self { frame, act }
    }

    /// Wraps it for the wire.
    pub(crate) fn into_request(self) -> pb::SyncRequest {
        let act = self.act.as_ref().map(TraceParent::as_str);
        pb::SyncRequest {
            frame: Some(self.frame.into()),
            traceparent: act.unwrap_or_default().to_owned(),
        }
    }
}
