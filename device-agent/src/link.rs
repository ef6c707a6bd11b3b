//! Linking: a linked device opens a session and shows its code, a new device joins with it. The
//! service relays sealed messages and learns neither code nor content; a person carries a number
//! from the new device to the linked one; both devices sign.

mod channel;
mod code;
mod handshake;
mod number;
mod pake;

use std::fmt;

use bytes::Bytes;
use edge_ledger_core::identity::certificate::Description;
use edge_ledger_core::identity::{Certificate, Genesis, IdentityLog};
use edge_ledger_core::ids::{IdentityId, LedgerId};
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
use channel::{Channel, out_of_turn};
pub use code::Invitation;
pub(crate) use code::LinkCode;
use handshake::{Joining, Opening};
pub(crate) use number::Number;

/// What a person must be told at a new device before it is let in.
#[derive(Clone)]
pub struct Confirmation {
    number: Number,
    /// The identity that the device asks to join.
    pub identity: IdentityId,
    /// The deployment.
    pub ledger_id: LedgerId,
}

impl Confirmation {
    /// Six digits in two groups, to be typed at the linked device.
    pub fn number(&self) -> String {
        self.number.to_string()
    }
}

impl fmt::Debug for Confirmation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Confirmation").finish_non_exhaustive()
    }
}

/// One end of a link session.
pub(crate) struct LinkStream {
    outbound: mpsc::Sender<pb::LinkRequest>,
    inbound: Streaming<pb::LinkResponse>,
    until: Instant,
}

/// A new device that waits at a linked one for a person.
pub(crate) struct Applicant {
    stream: LinkStream,
    channel: Channel,
    pub(crate) certificate: Certificate,
    pub(crate) number: Number,
}

/// Opens a session as a linked device. Returns it with the seconds that it lives.
pub(crate) async fn open(
    session: &mut IdentitySession,
    code: &LinkCode,
) -> Result<(LinkStream, u32), AgentError> {
    let first = link_request::Message::Open(pb::OpenLink {
        session: Bytes::copy_from_slice(&code.session()),
    });
    let (outbound, requests) = stream(first).await?;
    let request = session.signed_in(Request::new(requests))?;
    let response = session.client().rpc().link(request).await;
    let inbound = response
        .map_err(|status| session.client().refused(&status))?
        .into_inner();
    let until = Instant::now() + LINK_WITHIN;
    let mut link = LinkStream {
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
    invitation: &Invitation,
) -> Result<LinkStream, AgentError> {
    let first = link_request::Message::Join(pb::JoinLink {
        session: Bytes::copy_from_slice(&invitation.nameplate.session()),
    });
    let (outbound, requests) = stream(first).await?;
    let response = client.rpc().link(Request::new(requests)).await;
    let inbound = response
        .map_err(|status| client.refused(&status))?
        .into_inner();
    let until = Instant::now() + LINK_WITHIN;
    let mut link = LinkStream {
        outbound,
        inbound,
        until,
    };
    link.joined().await?;
    Ok(link)
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
    async fn joined(&mut self) -> Result<(), AgentError> {
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

    async fn say(&mut self, message: Bytes) -> Result<(), AgentError> {
        let request = pb::LinkRequest {
            message: Some(link_request::Message::Relay(message)),
        };
        let ended = |_| AgentError::LinkEnded("the stream closed".to_owned());
        self.outbound.send(request).await.map_err(ended)
    }

    async fn hear(&mut self) -> Result<Bytes, AgentError> {
        match self.next().await? {
            link_response::Message::Relay(message) => Ok(message),
            link_response::Message::Opened(_) | link_response::Message::Joined(_) => {
                Err(out_of_turn())
            }
        }
    }

    /// The linked device's half up to the person's word: waits for a new device, offers the
    /// identity, and hears who wants to join.
    pub(crate) async fn applicant(
        mut self,
        code: &LinkCode,
        log: &IdentityLog,
        nonce: [u8; 32],
    ) -> Result<Applicant, AgentError> {
        self.joined().await?;
        let opening = Opening {
            code: code.clone(),
            offer: pb::LinkOffer {
                identity: Bytes::copy_from_slice(log.identity().as_bytes()),
                genesis: log.genesis().bytes().clone(),
            },
            nonce,
        };
        let (offered, said) = opening.start(&self.hear().await?)?;
        for message in said {
            self.say(message).await?;
        }
        let (committed, told) = offered.application(&self.hear().await?)?;
        self.say(told).await?;
        let asked = committed.reveal(&self.hear().await?)?;
        let signature = Signature::try_from(&asked.certificate.signature[..])
            .map_err(|e| AgentError::Untrusted(e.to_string()))?;
        Ok(Applicant {
            stream: self,
            channel: asked.channel,
            certificate: Certificate::verify(log.ledger_id(), asked.certificate.body, signature)?,
            number: asked.number,
        })
    }

    /// The new device's half: hears what it joins, says who it is, shows the number, and waits
    /// until it is in the log.
    pub(crate) async fn ask(
        mut self,
        invitation: &Invitation,
        key: &SecretKey,
        nonce: [u8; 32],
        describe: impl FnOnce(IdentityId) -> Description,
        trust: impl FnOnce(&Genesis) -> Result<(), AgentError>,
        show: impl FnOnce(&Confirmation),
    ) -> Result<(Genesis, IdentityId), AgentError> {
        let (joining, start) = Joining::start(invitation.nameplate, &invitation.secret);
        self.say(start).await?;
        let (start, offer) = (self.hear().await?, self.hear().await?);
        let informed = joining.offer(&start, &offer)?;
        let genesis = Genesis::decode(informed.offer().genesis.clone())?;
        trust(&genesis)?;
        let identity = IdentityId::try_from(&informed.offer().identity[..])
            .map_err(|e| AgentError::Untrusted(e.to_string()))?;
        let certificate = Certificate::sign(genesis.ledger_id(), key, &describe(identity))?;
        let certificate = pb::Certificate {
            body: certificate.body().clone(),
            signature: Bytes::copy_from_slice(certificate.signature().as_bytes()),
        };
        let (applied, application) = informed.apply(certificate, nonce)?;
        self.say(application).await?;
        let (waiting, reveal) = applied.nonce(&self.hear().await?)?;
        self.say(reveal).await?;
        show(&Confirmation {
            number: waiting.number,
            identity,
            ledger_id: genesis.ledger_id(),
        });
        waiting.welcome(&self.hear().await?)?;
        Ok((genesis, identity))
    }

    /// Closes this end, and waits until the relay has closed the other, so that nothing that was
    /// said is cut off.
    async fn close(self) {
        let Self {
            outbound,
            mut inbound,
            until,
        } = self;
        drop(outbound);
        let drain = async { while let Ok(Some(_)) = inbound.message().await {} };
        let _ = timeout_at(until, drain).await;
    }
}

impl Applicant {
    /// Waits until the session ends without a decision, and returns why: the new device left, or
    /// the time is over.
    pub(crate) async fn gone(&mut self) -> AgentError {
        match self.stream.hear().await {
            Ok(_) => out_of_turn(),
            Err(error) => error,
        }
    }

    /// Tells it that it is in the log.
    pub(crate) async fn welcome(mut self, log_position: u64) -> Result<(), AgentError> {
        let welcome = Message::Welcome(pb::LinkWelcome { log_position });
        let sealed = self.channel.seal(welcome)?;
        self.stream.say(sealed).await?;
        self.stream.close().await;
        Ok(())
    }

    /// Tells it why not.
    pub(crate) async fn refuse(mut self, why: &str) {
        let refused = Message::Refused(why.chars().take(120).collect());
        let Ok(sealed) = self.channel.seal(refused) else {
            return;
        };
        if self.stream.say(sealed).await.is_ok() {
            self.stream.close().await;
        }
    }
}
