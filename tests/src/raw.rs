//! A device that speaks the protocol frame by frame.

use std::time::Duration;

use anyhow::Context as _;
use edge_ledger_core::identity::LogHead;
use edge_ledger_core::ids::{Digest, IdentityId, LedgerId};
use edge_ledger_core::keys::SecretKey;
use edge_ledger_core::ledger::{Heads, Run};
use edge_ledger_core::sync::{AckParts, Frame, Greeting, Hello, HelloBody, Outcome, Welcome};
use edge_ledger_proto::ledger as pb;
use edge_ledger_proto::ledger::ledger_service_client::LedgerServiceClient;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

use crate::Identity;

/// The longest that a test waits for one frame before it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// One open `Sync` stream.
#[derive(Debug)]
pub struct RawStream {
    outbound: mpsc::Sender<pb::SyncRequest>,
    inbound: Streaming<pb::SyncResponse>,
    /// The service's greeting.
    pub greeting: Greeting,
    next_frame_id: u64,
}

impl RawStream {
    /// Opens a stream and reads the greeting.
    ///
    /// # Errors
    /// When the service cannot be reached, or says something else first.
    pub async fn open(url: &str) -> anyhow::Result<Self> {
        let channel = Endpoint::from_shared(url.to_owned())?.connect().await?;
        Self::open_on(channel).await
    }

    /// Opens a stream on a connection that may have others.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_on(channel: Channel) -> anyhow::Result<Self> {
        let mut client = LedgerServiceClient::new(channel).max_decoding_message_size(2 << 20);
        let (outbound, requests) = mpsc::channel(64);
        let inbound = client
            .sync(ReceiverStream::new(requests))
            .await?
            .into_inner();
        Self::greeted(outbound, inbound).await
    }

    async fn greeted(
        outbound: mpsc::Sender<pb::SyncRequest>,
        mut inbound: Streaming<pb::SyncResponse>,
    ) -> anyhow::Result<Self> {
        let response = timeout(PATIENCE, inbound.message())
            .await??
            .context("no greeting")?;
        match Frame::try_from(response.frame.context("no frame")?)? {
            Frame::Greeting(greeting) => Ok(Self {
                outbound,
                inbound,
                greeting,
                next_frame_id: 1,
            }),
            other => anyhow::bail!("{} came first", other.name()),
        }
    }

    /// Opens a stream and says hello as a device of an identity that holds these heads.
    ///
    /// # Errors
    /// When the device is not welcomed.
    pub async fn hello(
        url: &str,
        identity: &Identity,
        device: usize,
        heads: &Heads,
    ) -> anyhow::Result<Self> {
        let mut stream = Self::open(url).await?;
        stream.say_hello(identity, device, heads).await?;
        Ok(stream)
    }

    /// Says hello as a device of an identity that holds these heads.
    ///
    /// # Errors
    /// When the device is not welcomed.
    pub async fn say_hello(
        &mut self,
        identity: &Identity,
        device: usize,
        heads: &Heads,
    ) -> anyhow::Result<()> {
        let key = &identity.devices[device].key;
        let hello = self.sign_hello(identity, key, heads);
        self.send(Frame::Hello(hello)).await?;
        self.welcome().await?;
        Ok(())
    }

    /// A hello for this stream's greeting.
    pub fn sign_hello(&self, identity: &Identity, key: &SecretKey, heads: &Heads) -> Hello {
        let log = &identity.log;
        let digest = heads.digest(log);
        self.sign_hello_of(log.ledger_id(), log.identity(), log.head(), key, digest)
    }

    /// A hello with everything chosen.
    pub fn sign_hello_of(
        &self,
        ledger_id: LedgerId,
        identity: IdentityId,
        log: LogHead,
        key: &SecretKey,
        digest: Digest,
    ) -> Hello {
        let body = HelloBody {
            identity,
            key: key.public_key(),
            log,
            digest,
            nonce: rand::random(),
        };
        Hello::sign(ledger_id, &self.greeting, key, &body)
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// When the stream is closed.
    pub async fn send(&self, frame: Frame) -> anyhow::Result<()> {
        self.send_raw(pb::SyncRequest {
            frame: Some(frame.into()),
            ..pb::SyncRequest::default()
        })
        .await
    }

    /// Sends any message.
    ///
    /// # Errors
    /// When the stream is closed.
    pub async fn send_raw(&self, request: pb::SyncRequest) -> anyhow::Result<()> {
        self.outbound
            .send(request)
            .await
            .context("the stream is closed")
    }

    /// Reads the next frame, or the status that ended the stream.
    ///
    /// # Errors
    /// When nothing comes, or the stream ended without a status.
    pub async fn next(&mut self) -> anyhow::Result<Result<Frame, tonic::Status>> {
        match timeout(PATIENCE, self.inbound.message())
            .await
            .context("nothing came")?
        {
            Ok(Some(response)) => Ok(Ok(Frame::try_from(response.frame.context("no frame")?)?)),
            Ok(None) => anyhow::bail!("the stream ended OK"),
            Err(status) => Ok(Err(status)),
        }
    }

    /// Reads until the stream ends with a status.
    ///
    /// # Errors
    /// When it does not.
    pub async fn end(&mut self) -> anyhow::Result<tonic::Status> {
        loop {
            if let Err(status) = self.next().await? {
                return Ok(status);
            }
        }
    }

    /// Reads until the stream ends with a status, however long nothing comes.
    ///
    /// # Errors
    /// When it ends without one.
    pub async fn closed(&mut self) -> anyhow::Result<tonic::Status> {
        loop {
            match self.inbound.message().await {
                Ok(Some(_)) => {}
                Ok(None) => anyhow::bail!("the stream ended OK"),
                Err(status) => return Ok(status),
            }
        }
    }

    /// Reads up to the first frame that `pick` takes.
    ///
    /// # Errors
    /// When the stream ends before.
    pub async fn until<T>(
        &mut self,
        mut pick: impl FnMut(Frame) -> Option<T>,
    ) -> anyhow::Result<T> {
        loop {
            match self.next().await? {
                Ok(frame) => {
                    if let Some(picked) = pick(frame) {
                        return Ok(picked);
                    }
                }
                Err(status) => anyhow::bail!("the stream ended: {status}"),
            }
        }
    }

    /// Reads up to the welcome.
    ///
    /// # Errors
    /// When the stream ends before.
    pub async fn welcome(&mut self) -> anyhow::Result<Welcome> {
        self.until(|frame| match frame {
            Frame::Welcome(welcome) => Some(welcome),
            _ => None,
        })
        .await
    }

    /// Pushes runs in one frame, without waiting; returns the frame's number.
    ///
    /// # Errors
    /// When the stream is closed.
    pub async fn push(&mut self, runs: Vec<Run>) -> anyhow::Result<u64> {
        let frame_id = self.next_frame_id;
        self.next_frame_id += 1;
        self.send(Frame::Runs { frame_id, runs }).await?;
        Ok(frame_id)
    }

    /// Pushes runs and reads what became of them.
    ///
    /// # Errors
    /// When the stream ends instead.
    pub async fn push_taken(&mut self, runs: Vec<Run>) -> anyhow::Result<Vec<Outcome>> {
        let sent = self.push(runs).await?;
        self.until(|frame| match frame {
            Frame::Taken { frame_id, outcomes } if frame_id == sent => Some(outcomes),
            _ => None,
        })
        .await
    }

    /// Reads up to the next acks.
    ///
    /// # Errors
    /// When the stream ends before.
    pub async fn acks(&mut self) -> anyhow::Result<Vec<AckParts>> {
        self.until(|frame| match frame {
            Frame::Acks(acks) => Some(acks),
            _ => None,
        })
        .await
    }
}
