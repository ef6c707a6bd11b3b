//! The one task of a link: it owns the `Rtc` and its sockets.
//!
//! Each turn does exactly one thing to the `Rtc` and then polls it dry. While a frame waits for
//! the engine nothing is read: that is the back-pressure, which reaches the other end through
//! SCTP.

use std::collections::VecDeque;

use bytes::Bytes;
use edge_ledger_core::sync::Frame;
use edge_ledger_proto::ledger as pb;
use prost::Message as _;
use str0m::channel::{ChannelId, Reliability};
use str0m::{Candidate, Event};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::framing::{FramingError, Joiner, Message, Pieces};
use super::gather::Gathered;
use super::liveness::{self, Due, Liveness};
use super::outgoing::Outgoing;
use super::report::LinkReport;
use super::restart::{Restart, gathered};
use super::sockets::Arrived;
use super::wire::Wire;
use super::{CHANNEL_LABEL, LinkConfig, LinkError, PeerLink, Restarter};
use crate::limits::{LINK_FINISH_WITHIN, LINK_PING_EVERY};

/// Who waits for the link to open, and what they get then.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) reply: oneshot::Sender<Result<PeerLink, LinkError>>,
    pub(super) inbound: mpsc::Receiver<Result<Frame, LinkError>>,
    pub(super) outbound: mpsc::Sender<Frame>,
    pub(super) report: watch::Receiver<LinkReport>,
    pub(super) restarter: Restarter,
}

/// The driver's ends of a link's channels.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) inbound: mpsc::Sender<Result<Frame, LinkError>>,
    pub(super) outbound: mpsc::Receiver<Frame>,
    pub(super) report: watch::Sender<LinkReport>,
    pub(super) restart: mpsc::Receiver<()>,
}

#[derive(Debug)]
pub(super) struct Driver {
    pub(super) wire: Wire,
    pub(super) config: LinkConfig,
    /// The candidates of this end.
    pub(super) locals: Vec<Candidate>,
    ends: Ends,
    opening: Option<Opening>,
    open_until: Instant,
    /// Both fingerprints, ours first, when DTLS is done.
    pub(super) fingerprints: Option<([u8; 32], [u8; 32])>,
    channel: Option<ChannelId>,
    liveness: Liveness,
    joiner: Joiner,
    /// Frames that wait for the engine.
    arrived: VecDeque<Frame>,
    pub(super) outgoing: Outgoing,
    pub(super) restart: Restart,
    pub(super) restarts: u64,
    report_at: Instant,
    /// When the link is closed at the latest, once nothing more is given to it.
    finish_until: Option<Instant>,
}

/// What a turn begins with.
enum Turn {
    /// Somebody may be waiting for the time.
    Time,
    Arrived(Arrived),
    /// A frame went up.
    Delivered,
    /// A message may go out.
    Write,
    /// A frame to be sent; none when no more will come.
    Frame(Option<Frame>),
    Restart,
    Gathered(Result<Gathered, LinkError>),
    /// Nobody wants the link any more.
    Abandoned,
}

impl Driver {
    pub(super) fn new(
        config: &LinkConfig,
        wire: Wire,
        locals: Vec<Candidate>,
        ends: Ends,
        opening: Opening,
    ) -> Self {
        let now = Instant::now();
        Self {
            wire,
            config: config.clone(),
            locals,
            ends,
            opening: Some(opening),
            open_until: now + config.open_within,
            fingerprints: None,
            channel: None,
            liveness: Liveness::new(now, liveness::awake()),
            joiner: Joiner::default(),
            arrived: VecDeque::new(),
            outgoing: Outgoing::default(),
            restart: Restart::None,
            restarts: 0,
            report_at: now,
            finish_until: None,
        }
    }

    /// Drives the link to its end, which the other device is told of.
    pub(super) async fn run(mut self) {
        let ended = self.turns().await;
        self.wire.close(Instant::now());
        self.publish();
        if let Some(opening) = self.opening {
            let why = ended.err().unwrap_or(LinkError::Closed);
            // Who gave up is not told why.
            let _ = opening.reply.send(Err(why));
            return;
        }
        for frame in self.arrived {
            if self.ends.inbound.send(Ok(frame)).await.is_err() {
                return;
            }
        }
        if let Err(why) = ended {
            tracing::debug!(%why, "a link ended");
            // As above.
            let _ = self.ends.inbound.send(Err(why)).await;
        }
    }

    async fn turns(&mut self) -> Result<(), LinkError> {
        let now = Instant::now();
        self.poll(now)?;
        self.wire.start(now)?;
        loop {
            let now = Instant::now();
            self.poll(now)?;
            if self.is_finished(now) {
                return Ok(());
            }
            self.watch(now)?;
            let turn = self.next_turn(now).await;
            let now = Instant::now();
            match turn {
                Turn::Time => self.wire.turn(now)?,
                Turn::Arrived(arrived) => {
                    if self.wire.take(&arrived, now) {
                        self.liveness.heard(now);
                    }
                }
                Turn::Delivered => {}
                Turn::Write => {
                    self.write(now)?;
                    continue;
                }
                Turn::Frame(Some(frame)) => self.outgoing.frame(cut(frame)?),
                Turn::Frame(None) => self.finish(now),
                Turn::Restart => self.begin_restart(),
                Turn::Gathered(gathered) => self.go_on_with_restart(gathered, now)?,
                Turn::Abandoned => {
                    self.arrived.clear();
                    self.ends.outbound.close();
                    if self.opening.is_some() {
                        return Ok(());
                    }
                }
            }
            self.outgoing.try_again();
        }
    }

    /// Polls the `Rtc` dry.
    pub(super) fn poll(&mut self, now: Instant) -> Result<(), LinkError> {
        let before = self.wire.path;
        while let Some(event) = self.wire.poll(now)? {
            self.event(event, now)?;
        }
        if !self.wire.rtc.is_alive() {
            return Err(LinkError::Closed);
        }
        if self.wire.path != before {
            self.publish();
        }
        Ok(())
    }

    fn event(&mut self, event: Event, now: Instant) -> Result<(), LinkError> {
        if let Event::Connected = event {
            self.fingerprints = Some(self.both_fingerprints()?);
        } else if let Event::ChannelOpen(id, label) = event {
            self.channel_opened(id, &label, now)?;
        } else if let Event::ChannelData(data) = event {
            if self.channel != Some(data.id) {
                return Err(LinkError::OtherChannel);
            }
            if !data.binary {
                return Err(FramingError::Text.into());
            }
            self.message(&data.data, now)?;
        } else if matches!(event, Event::Closed | Event::ChannelClose(_)) {
            return Err(LinkError::Closed);
        }
        Ok(())
    }

    fn both_fingerprints(&mut self) -> Result<([u8; 32], [u8; 32]), LinkError> {
        let dtls = self.wire.rtc.direct_api();
        let ours = super::fingerprint(dtls.local_dtls_fingerprint())?;
        let theirs = dtls.remote_dtls_fingerprint();
        Ok((
            ours,
            super::fingerprint(theirs.ok_or(LinkError::Fingerprint)?)?,
        ))
    }

    fn channel_opened(
        &mut self,
        id: ChannelId,
        label: &str,
        now: Instant,
    ) -> Result<(), LinkError> {
        let channel = self.wire.rtc.channel(id);
        let is_reliable = channel.is_some_and(|channel| {
            let config = channel.config();
            config.is_some_and(|c| c.ordered && c.reliability == Reliability::Reliable)
        });
        if self.channel.is_some() || label != CHANNEL_LABEL || !is_reliable {
            return Err(LinkError::OtherChannel);
        }
        let (ours, theirs) = self.fingerprints.ok_or(LinkError::Fingerprint)?;
        self.channel = Some(id);
        self.liveness = Liveness::new(now, liveness::awake());
        self.publish();
        if let Some(opening) = self.opening.take() {
            let link = PeerLink {
                ours,
                theirs,
                inbound: opening.inbound,
                outbound: opening.outbound,
                report: opening.report,
                restarter: opening.restarter,
            };
            // Who gave up has dropped the ends of the link, too: that ends it.
            let _ = opening.reply.send(Ok(link));
        }
        Ok(())
    }

    fn message(&mut self, message: &[u8], now: Instant) -> Result<(), LinkError> {
        match self.joiner.take(message)? {
            Some(Message::Frame(frame)) => {
                let frame = pb::Frame::decode(frame).map_err(LinkError::decode)?;
                self.arrived
                    .push_back(frame.try_into().map_err(LinkError::decode)?);
                Ok(())
            }
            Some(Message::Control(content)) => self.restart_message(&content, now),
            Some(Message::Ping) | None => Ok(()),
        }
    }

    /// Looks at the time, and at what is due.
    fn watch(&mut self, now: Instant) -> Result<(), LinkError> {
        self.restart_turn(now);
        if self.channel.is_none() {
            return if now < self.open_until {
                Ok(())
            } else {
                Err(LinkError::NotOpened)
            };
        }
        let listening = self.arrived.is_empty();
        match self.liveness.turn(now, liveness::awake(), listening) {
            Due::Nothing => {}
            Due::Ping if self.outgoing.is_empty() => self.outgoing.ping(),
            Due::Ping => {}
            Due::Dead => return Err(LinkError::Silent),
        }
        if now >= self.report_at {
            self.publish();
            self.report_at = now + LINK_PING_EVERY;
        }
        Ok(())
    }

    async fn next_turn(&mut self, now: Instant) -> Turn {
        let regular = if self.channel.is_some() {
            self.liveness.next_turn(now)
        } else {
            self.open_until
        };
        let wake_at = regular.min(self.wire.next_turn());
        let wake_at = self.finish_until.map_or(wake_at, |at| at.min(wake_at));
        let may_write = self.channel.is_some() && self.outgoing.offer().is_some();
        let wants_frame =
            self.channel.is_some() && self.outgoing.is_empty() && self.finish_until.is_none();
        let has_arrived = !self.arrived.is_empty();
        let may_restart = self.channel.is_some() && self.restart.is_over();
        let abandoned = self.ends.outbound.is_closed() && self.opening.is_none();
        tokio::select! {
            permit = self.ends.inbound.reserve(), if has_arrived => {
                match permit {
                    Ok(permit) => if let Some(frame) = self.arrived.pop_front() {
                        permit.send(Ok(frame));
                    },
                    Err(_) => self.arrived.clear(),
                }
                Turn::Delivered
            }
            arrived = self.wire.receive(), if !has_arrived => Turn::Arrived(arrived),
            () = std::future::ready(()), if may_write => Turn::Write,
            frame = self.ends.outbound.recv(), if wants_frame => Turn::Frame(frame),
            Some(()) = self.ends.restart.recv(), if may_restart => Turn::Restart,
            gathered = gathered(&mut self.restart) => Turn::Gathered(gathered),
            () = given_up(&mut self.opening, &self.ends.inbound), if !abandoned => Turn::Abandoned,
            () = sleep_until(wake_at) => Turn::Time,
        }
    }

    fn write(&mut self, now: Instant) -> Result<(), LinkError> {
        let (Some(id), Some(message)) = (self.channel, self.outgoing.offer()) else {
            return Ok(());
        };
        let mut channel = self.wire.rtc.channel(id).ok_or(LinkError::Closed)?;
        if channel.write(true, message)? {
            self.outgoing.taken();
            self.liveness.sent(now);
        } else {
            self.outgoing.was_refused();
        }
        Ok(())
    }

    fn finish(&mut self, now: Instant) {
        self.finish_until = Some(now + LINK_FINISH_WITHIN);
    }

    /// Whether everything that was given to the link has arrived, or it waited long enough.
    fn is_finished(&mut self, now: Instant) -> bool {
        let Some(until) = self.finish_until else {
            return false;
        };
        let channel = self.channel.and_then(|id| self.wire.rtc.channel(id));
        let unsent = channel.map_or(0, |mut channel| channel.buffered_amount());
        now >= until || (self.outgoing.is_empty() && unsent == 0)
    }

    pub(super) fn publish(&mut self) {
        let ends = self.wire.path_ends();
        self.ends.report.send_replace(LinkReport {
            local: ends.map(|(local, _)| local),
            remote: ends.map(|(_, remote)| remote),
            bytes_sent: self.wire.bytes_sent,
            bytes_received: self.wire.bytes_received,
            heard_at: self.liveness.heard_at(),
            rtt: self.wire.rtt,
            restarts: self.restarts,
        });
    }
}

fn cut(frame: Frame) -> Result<Pieces, LinkError> {
    let frame = Bytes::from(pb::Frame::from(frame).encode_to_vec());
    Ok(Pieces::of(frame)?)
}

/// Waits until nobody waits for the link, or reads from it.
async fn given_up(opening: &mut Option<Opening>, inbound: &mpsc::Sender<Result<Frame, LinkError>>) {
    match opening {
        Some(opening) => opening.reply.closed().await,
        None => inbound.closed().await,
    }
}
