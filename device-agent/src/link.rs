//! Linking: a linked device opens a session and shows its code, a new device joins with it. The
//! service relays sealed messages and learns neither code nor content; both devices sign.

mod channel;
mod code;

use bytes::Bytes;
use edge_ledger_core::identity::certificate::Description;
use edge_ledger_core::identity::{Certificate, Genesis, IdentityLog};
use edge_ledger_core::ids::IdentityId;
use edge_ledger_core::keys::{SecretKey, Signature};
use edge_ledger_proto::identity as pb;
use edge_ledger_proto::identity::link_message::Message;
use edge_ledger_proto::identity::{link_request, link_response};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status, Streaming};
use tonic_types::StatusExt as _;

use crate::error::{AgentError, Refusal};
use crate::identity_client::{IdentityClient, IdentitySession};
use crate::limits::LINK_WITHIN;
use channel::{Channel, Side};
pub use code::{Invitation, LinkCode};

/// One end of a link session.
pub(crate) struct LinkStream {
    channel: Channel,
    outbound: mpsc::Sender<pb::LinkRequest>,
    inbound: Streaming<pb::LinkResponse>,
    until: Instant,
}

/// Opens a session as a linked device. Returns it with the seconds that it lives.
pub(crate) async fn open(
    session: &mut IdentitySession,
    code: &LinkCode,
) -> Result<(LinkStream, u32), AgentError> {
    let first = link_request::Message::Open(pb::OpenLink {
        session: name(code),
    });
    let (outbound, requests) = stream(first).await?;
    let request = session.signed_in(Request::new(requests))?;
    let response = session.client().rpc().link(request).await;
    let inbound = response
        .map_err(|status| session.client().refused(&status))?
        .into_inner();
    let until = Instant::now() + LINK_WITHIN;
    let mut link = LinkStream {
        channel: Channel::new(code, Side::Opener),
        outbound,
        inbound,
        until,
    };
    match link.next().await? {
        link_response::Message::Opened(opened) => Ok((link, opened.expires_in_s)),
        link_response::Message::Joined(_) | link_response::Message::Relay(_) => Err(out_of_turn()),
    }
}

/// Joins a session as a new device.
pub(crate) async fn join(
    client: &mut IdentityClient,
    code: &LinkCode,
) -> Result<LinkStream, AgentError> {
    let first = link_request::Message::Join(pb::JoinLink {
        session: name(code),
    });
    let (outbound, requests) = stream(first).await?;
    let response = client.rpc().link(Request::new(requests)).await;
    let inbound = response
        .map_err(|status| client.refused(&status))?
        .into_inner();
    let until = Instant::now() + LINK_WITHIN;
    let mut link = LinkStream {
        channel: Channel::new(code, Side::Joiner),
        outbound,
        inbound,
        until,
    };
    link.joined().await?;
    Ok(link)
}

fn name(code: &LinkCode) -> Bytes {
    Bytes::copy_from_slice(&code.session())
}

async fn stream(
    first: link_request::Message,
) -> Result<
    (
        mpsc::Sender<pb::LinkRequest>,
        ReceiverStream<pb::LinkRequest>,
    ),
    AgentError,
> {
    let (outbound, requests) = mpsc::channel(4);
    let ended = |_| AgentError::LinkEnded("the stream closed".to_owned());
    outbound
        .send(pb::LinkRequest {
            message: Some(first),
        })
        .await
        .map_err(ended)?;
    Ok((outbound, ReceiverStream::new(requests)))
}

fn out_of_turn() -> AgentError {
    AgentError::LinkEnded("a message came out of turn".to_owned())
}

/// What the relay says when it ends a session: a reason, or that it can go on no longer.
fn refused(status: &Status) -> AgentError {
    let reason = status.get_details_error_info().map(|info| info.reason);
    let message = status.message().to_owned();
    match reason.filter(|_| status.code() != Code::Unavailable) {
        Some(reason) => AgentError::Refused(Refusal { reason, message }),
        None => AgentError::LinkEnded(message),
    }
}

impl LinkStream {
    /// Waits until the other device is there.
    pub(crate) async fn joined(&mut self) -> Result<(), AgentError> {
        match self.next().await? {
            link_response::Message::Joined(_) => Ok(()),
            link_response::Message::Opened(_) | link_response::Message::Relay(_) => {
                Err(out_of_turn())
            }
        }
    }

    async fn next(&mut self) -> Result<link_response::Message, AgentError> {
        let message = timeout_at(self.until, self.inbound.message()).await;
        let message =
            message.map_err(|_| AgentError::LinkEnded("nobody came in time".to_owned()))?;
        match message {
            Ok(Some(response)) => response.message.ok_or_else(out_of_turn),
            Ok(None) => Err(AgentError::LinkEnded("the other device left".to_owned())),
            Err(status) => Err(refused(&status)),
        }
    }

    async fn say(&mut self, message: Message) -> Result<(), AgentError> {
        let sealed = self.channel.seal(&pb::LinkMessage {
            message: Some(message),
        })?;
        let request = pb::LinkRequest {
            message: Some(link_request::Message::Relay(sealed)),
        };
        let ended = |_| AgentError::LinkEnded("the stream closed".to_owned());
        self.outbound.send(request).await.map_err(ended)
    }

    async fn hear(&mut self) -> Result<Message, AgentError> {
        match self.next().await? {
            link_response::Message::Relay(sealed) => {
                match self
                    .channel
                    .open(&sealed)?
                    .message
                    .ok_or_else(out_of_turn)?
                {
                    Message::Refused(why) => Err(AgentError::LinkEnded(why)),
                    message @ (Message::Offer(_)
                    | Message::Certificate(_)
                    | Message::Welcome(_)) => Ok(message),
                }
            }
            link_response::Message::Opened(_) | link_response::Message::Joined(_) => {
                Err(out_of_turn())
            }
        }
    }

    /// The linked device's half up to the request: offers the identity, and hears who wants to join.
    pub(crate) async fn offer(&mut self, log: &IdentityLog) -> Result<Certificate, AgentError> {
        self.joined().await?;
        let offer = pb::LinkOffer {
            identity: Bytes::copy_from_slice(log.identity().as_bytes()),
            genesis: log.genesis().bytes().clone(),
        };
        self.say(Message::Offer(offer)).await?;
        match self.hear().await? {
            Message::Certificate(certificate) => {
                let signature = Signature::try_from(&certificate.signature[..])
                    .map_err(|e| AgentError::Untrusted(e.to_string()))?;
                Ok(Certificate::verify(
                    log.ledger_id(),
                    certificate.body,
                    signature,
                )?)
            }
            Message::Offer(_) | Message::Welcome(_) | Message::Refused(_) => Err(out_of_turn()),
        }
    }

    /// The end of the linked device's half.
    pub(crate) async fn welcome(mut self, log_position: u64) -> Result<(), AgentError> {
        self.say(Message::Welcome(pb::LinkWelcome { log_position }))
            .await?;
        self.close().await;
        Ok(())
    }

    /// Tells the other device why not.
    pub(crate) async fn refuse(mut self, why: &str) {
        if self
            .say(Message::Refused(why.chars().take(120).collect()))
            .await
            .is_ok()
        {
            self.close().await;
        }
    }

    /// Closes this end, and waits until the relay has closed the other, so that nothing that was
    /// said is cut off.
    async fn close(self) {
        let Self {
            outbound,
            mut inbound,
            until,
            ..
        } = self;
        drop(outbound);
        let drain = async { while let Ok(Some(_)) = inbound.message().await {} };
        let _ = timeout_at(until, drain).await;
    }

    /// The new device's half: hears what it joins, says who it is, and waits until it is in the
    /// log.
    pub(crate) async fn ask(
        mut self,
        key: &SecretKey,
        describe: impl FnOnce(IdentityId) -> Description,
        trust: impl FnOnce(&Genesis) -> Result<(), AgentError>,
    ) -> Result<(Genesis, IdentityId), AgentError> {
        let Message::Offer(offer) = self.hear().await? else {
            return Err(out_of_turn());
        };
        let genesis = Genesis::decode(offer.genesis)?;
        trust(&genesis)?;
        let identity = IdentityId::try_from(&offer.identity[..])
            .map_err(|e| AgentError::Untrusted(e.to_string()))?;
        let certificate = Certificate::sign(genesis.ledger_id(), key, &describe(identity))?;
        let message = pb::Certificate {
            body: certificate.body().clone(),
            signature: Bytes::copy_from_slice(certificate.signature().as_bytes()),
        };
        self.say(Message::Certificate(message)).await?;
        let Message::Welcome(_) = self.hear().await? else {
            return Err(out_of_turn());
        };
        Ok((genesis, identity))
    }
}
