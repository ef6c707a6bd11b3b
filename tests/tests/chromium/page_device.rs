//! The device of an identity that a page is: it speaks signalling on the page's behalf, and signs
//! what the page says. The page carries bytes, and knows no key.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use edge_ledger_core::identity::IdentityLog;
use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::keys::SecretKey;
use edge_ledger_core::signal::{Signal, SignalBody, SignalKind};
use edge_ledger_proto::signal as pb;
use edge_ledger_proto::signal::signal_request::Message as Said;
use edge_ledger_proto::signal::signal_response::Message as Heard;
use edge_ledger_proto::signal::signal_service_client::SignalServiceClient;
use edge_ledger_store::log_view::read_log;
use edge_ledger_tests::{Caller, Pair};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Endpoint;

/// Whoever says nothing for this long will not say it any more.
const PATIENCE: Duration = Duration::from_secs(60);
/// Messages on the way to the service.
const MESSAGES_MAX: usize = 8;

/// A device with its stream of signals.
pub(super) struct PageDevice {
    pub(super) key: SecretKey,
    pub(super) log: Arc<IdentityLog>,
    said: mpsc::Sender<pb::SignalRequest>,
    heard: Streaming<pb::SignalResponse>,
}

/// What the other device said, and what it meant.
pub(super) struct Called {
    pub(super) signal: Signal,
    pub(super) body: SignalBody,
}

impl PageDevice {
    /// Signs in as a device that was linked under this name, and runs nowhere else.
    pub(super) async fn sign_in(pair: &Pair, name: &str) -> anyhow::Result<Self> {
        let key = tokio::fs::read_to_string(pair.home(name).join("device.key")).await?;
        let mut seed = [0; 32];
        hex::decode_to_slice(key.trim(), &mut seed)?;
        let key = SecretKey::from_seed(seed);
        let home = tokio::fs::read(pair.home(name).join("home.json")).await?;
        let home: serde_json::Value = serde_json::from_slice(&home)?;
        let identity = home["identity"].as_str().context("no identity")?.parse()?;
        let deployment = &pair.deployment;
        let log = read_log(&deployment.store, &deployment.genesis, identity, None).await?;
        let log = log.context("no log")?.log;

        let channel = Endpoint::from_shared(pair.identity_url.clone())?
            .connect()
            .await?;
        let session = Caller::open_as(channel.clone(), &log, &key).await?;
        let (said, requests) = mpsc::channel(MESSAGES_MAX);
        let request = session.signed_in(ReceiverStream::new(requests))?;
        let heard = SignalServiceClient::new(channel).signal(request).await?;
        Ok(Self {
            key,
            log,
            said,
            heard: heard.into_inner(),
        })
    }

    pub(super) fn id(&self) -> DeviceId {
        self.key.public_key().device_id()
    }

    async fn say(&self, message: Said) -> anyhow::Result<()> {
        let message = Some(message);
        Ok(self.said.send(pb::SignalRequest { message }).await?)
    }

    async fn hear(&mut self) -> anyhow::Result<Heard> {
        let heard = timeout(PATIENCE, self.heard.message()).await;
        let heard = heard.context("nothing is heard")??.context("the end")?;
        heard.message.context("an empty message")
    }

    /// Waits until a device says that it is there; returns what a call of it has to name.
    pub(super) async fn hears_of(&mut self, device: DeviceId) -> anyhow::Result<[u8; 32]> {
        loop {
            if let Heard::Beacon(beacon) = self.hear().await? {
                ensure!(beacon.device[..] == *device.as_bytes(), "somebody else");
                return Ok(beacon.nonce[..].try_into()?);
            }
        }
    }

    /// Says that it is there; returns what a call of it has to name.
    pub(super) async fn is_there(&self) -> anyhow::Result<[u8; 32]> {
        let nonce: [u8; 32] = rand::random();
        let beacon = pb::Beacon {
            nonce: Bytes::copy_from_slice(&nonce),
        };
        self.say(Said::Beacon(beacon)).await?;
        Ok(nonce)
    }

    /// Waits for an offer or an answer, and takes it if it is in order.
    pub(super) async fn called(&mut self) -> anyhow::Result<Called> {
        loop {
            match self.hear().await? {
                Heard::Beacon(_) => {}
                Heard::Signal(heard) => {
                    let signal = Signal::decode(&heard.signal)?;
                    let body = signal.check(&self.log, self.id())?;
                    ensure!(
                        heard.from[..] == *body.author.device_id().as_bytes(),
                        "another one passed it on"
                    );
                    return Ok(Called { signal, body });
                }
                Heard::Left(_) => bail!("the other device left"),
            }
        }
    }

    /// Offers the page's end of a link to a device.
    pub(super) async fn offer(
        &self,
        to: DeviceId,
        nonce: [u8; 32],
        sdp: String,
    ) -> anyhow::Result<Called> {
        let called = self.sign(SignalKind::Offer, to, nonce, rand::random(), sdp)?;
        self.send(to, &called.signal).await?;
        Ok(called)
    }

    /// Answers an offer with the page's end of the link.
    pub(super) async fn answer(&self, offer: &Called, sdp: String) -> anyhow::Result<Called> {
        let to = offer.body.author.device_id();
        let nonce = offer.signal.hash(self.log.ledger_id());
        let called = self.sign(SignalKind::Answer, to, nonce, offer.body.connection, sdp)?;
        self.send(to, &called.signal).await?;
        Ok(called)
    }

    fn sign(
        &self,
        kind: SignalKind,
        to: DeviceId,
        nonce: [u8; 32],
        connection: [u8; 16],
        sdp: String,
    ) -> anyhow::Result<Called> {
        let body = SignalBody {
            kind,
            identity: self.log.identity(),
            author: self.key.public_key(),
            to: Some(to),
            nonce,
            connection,
            fingerprint: fingerprint(&sdp)?,
            sdp,
            made_ms: 0,
        };
        let signal = Signal::sign(self.log.ledger_id(), &self.key, &body);
        Ok(Called { signal, body })
    }

    async fn send(&self, to: DeviceId, signal: &Signal) -> anyhow::Result<()> {
        self.say(Said::Signal(pb::OutgoingSignal {
            to: Bytes::copy_from_slice(to.as_bytes()),
            signal: signal.encode(),
        }))
        .await
    }
}

/// SHA-256 of the certificate that a description names.
fn fingerprint(sdp: &str) -> anyhow::Result<[u8; 32]> {
    let named = |line: &str| {
        Some(
            line.strip_prefix("a=fingerprint:sha-256 ")?
                .replace(':', ""),
        )
    };
    let named = sdp.lines().find_map(named).context("no fingerprint")?;
    let mut fingerprint = [0; 32];
    hex::decode_to_slice(named.trim_end(), &mut fingerprint)?;
    Ok(fingerprint)
}
