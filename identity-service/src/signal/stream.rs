//! One device's stream, from opening to end.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use edge_ledger_chassis::status::{from_decode, refusal_retry};
use edge_ledger_chassis::{Reason, refusal};
use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::limits::SIGNAL_BYTES_MAX;
use edge_ledger_proto::signal as wire;
use edge_ledger_proto::signal::signal_request::Message as Said;
use edge_ledger_proto::signal::signal_response::Message as Heard;
use edge_ledger_store::{DeviceSignal, LogView, SignalWord, StreamPlace};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use super::Signals;
use super::answers::{Outbox, Room};
use crate::announcements::Waiter;
use crate::authn::{is_active, revoked, session_ended, unblocked};
use crate::limits::{SUPERSEDED_FOR, WATCH_EVERY};
use crate::sessions::Session;
use crate::switchboard::{Cut, Line};

/// One device's stream.
pub(super) struct SignalStream {
    pub(super) signals: Signals,
    pub(super) session: Session,
    pub(super) place: StreamPlace,
    pub(super) line: Line,
    pub(super) waiter: Waiter,
    pub(super) leaving: CancellationToken,
}

type Inbound = Streaming<wire::SignalRequest>;

/// Why a stream ends.
enum End {
    /// The device closed it, or is gone.
    Left,
    /// Another stream of the device is there.
    Superseded,
    Refused(Status),
}

impl From<Status> for End {
    fn from(status: Status) -> Self {
        Self::Refused(status)
    }
}

impl From<Cut> for End {
    fn from(cut: Cut) -> Self {
        match cut {
            Cut::Superseded => Self::Superseded,
            Cut::Slow => {
                let what = "the device does not read what others say";
                Self::Refused(refusal(Reason::SlowConsumer, what))
            }
        }
    }
}

impl SignalStream {
    /// Serves the device until its stream ends.
    pub(super) async fn serve(mut self, mut inbound: Inbound, outbox: Outbox) {
        let end = self.end(&mut inbound, &outbox).await;
        let superseded = matches!(end, End::Superseded);
        match end {
            End::Left => drop(outbox),
            End::Superseded => {
                let what = "another stream of this device was opened";
                let status = refusal_retry(Reason::Superseded, what, SUPERSEDED_FOR);
                outbox.close(status, inbound);
            }
            End::Refused(status) => outbox.close(status, inbound),
        }
        if !superseded {
            let place = self.place;
            self.tell(None, SignalWord::Left { place }).await;
        }
    }

    /// Waits for the end, whether or not the device reads and the store answers.
    async fn end(&mut self, inbound: &mut Inbound, outbox: &Outbox) -> End {
        let now_ms = self.signals.clock.wall_ms();
        let left_ms = self.session.expires_ms.saturating_sub(now_ms);
        let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or(0));
        let (leaving, cut) = (self.leaving.clone(), self.line.cut());
        tokio::select! {
            biased;
            cut = cut => cut.into(),
            () = leaving.cancelled() => {
                refusal(Reason::Draining, "the service ends this stream").into()
            }
            () = sleep(left) => session_ended().into(),
            end = self.converse(inbound, outbox) => end.unwrap_or_else(|status| status.into()),
        }
    }

    async fn converse(&mut self, inbound: &mut Inbound, outbox: &Outbox) -> Result<End, Status> {
        let mut look = interval_at(Instant::now() + WATCH_EVERY, WATCH_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut gone = pin!(outbox.closed());
        loop {
            tokio::select! {
                () = &mut gone => return Ok(End::Left),
                () = self.waiter.announced() => drop(self.check().await?),
                _ = look.tick() => drop(self.check().await?),
                said = inbound.message() => match said.map_err(from_decode)? {
                    Some(said) => self.said(said).await?,
                    None => return Ok(End::Left),
                },
                (room, heard) = next(&mut self.line, outbox) => room.send(response(heard)),
            }
        }
    }

    /// The identity's log, if the device may still signal under it.
    pub(super) async fn check(&self) -> Result<LogView, Status> {
        let Session {
            identity,
            device,
            expires_ms,
        } = &self.session;
        // The clock may have been set since the stream began.
        if self.signals.clock.wall_ms() >= *expires_ms {
            return Err(session_ended());
        }
        let view = self.signals.logs.read(*identity).await?;
        let view = view.ok_or_else(session_ended)?;
        unblocked(&view)?;
        if is_active(&view, device) {
            Ok(view)
        } else {
            Err(revoked())
        }
    }

    /// Passes on what the device says, if the log still has it: at whatever replica it was ended,
    /// nothing of it is passed on afterwards.
    async fn said(&self, said: wire::SignalRequest) -> Result<(), Status> {
        self.signals.rates.signals.admit(self.session.device)?;
        let (to, word) = read(said)?;
        let view = self.check().await?;
        // Whoever was ended meanwhile hears nothing, and the sender hears it from the log.
        if to.is_none_or(|to| is_active(&view, &to)) {
            self.tell(to, word).await;
        }
        Ok(())
    }

    pub(super) async fn tell(&self, to: Option<DeviceId>, word: SignalWord) {
        let signal = DeviceSignal {
            identity: self.session.identity,
            from: self.session.device,
            to,
            word,
        };
        self.signals.store.tell_signal(signal).await;
    }
}

/// The next word, once there is room for it: what comes before that waits in the line.
async fn next<'a>(line: &mut Line, outbox: &'a Outbox) -> (Room<'a>, Heard) {
    loop {
        let Some(room) = outbox.room().await else {
            // Which is noticed elsewhere.
            std::future::pending().await
        };
        if let Some(heard) = heard(line.heard().await) {
            return (room, heard);
        }
    }
}

fn read(said: wire::SignalRequest) -> Result<(Option<DeviceId>, SignalWord), Status> {
    match said.message {
        Some(Said::Beacon(beacon)) => {
            let nonce = beacon.nonce[..].try_into();
            let nonce = nonce.map_err(|_| refusal(Reason::BadMessage, "a nonce has 32 bytes"))?;
            Ok((None, SignalWord::Beacon { nonce }))
        }
        Some(Said::Signal(wire::OutgoingSignal { to, signal })) => {
            let to = DeviceId::try_from(&to[..]);
            let to = to.map_err(|_| refusal(Reason::KeyFormat, "a device has 16 bytes"))?;
            if signal.is_empty() {
                return Err(refusal(Reason::BadMessage, "a signal is empty"));
            }
            if signal.len() > SIGNAL_BYTES_MAX {
                let what = "a signal has at most 16 KiB";
                return Err(refusal(Reason::MessageTooLarge, what));
            }
            Ok((Some(to), SignalWord::Signal(signal)))
        }
        None => Err(refusal(Reason::BadMessage, "a message says nothing")),
    }
}

/// What a device is told of another one's word.
fn heard(signal: DeviceSignal) -> Option<Heard> {
    let device = Bytes::copy_from_slice(signal.from.as_bytes());
    Some(match signal.word {
        SignalWord::Beacon { nonce } => Heard::Beacon(wire::PeerBeacon {
            device,
            nonce: Bytes::copy_from_slice(&nonce),
        }),
        SignalWord::Signal(signal) => Heard::Signal(wire::IncomingSignal {
            from: device,
            signal,
        }),
        SignalWord::Left { .. } => Heard::Left(wire::Left { device }),
        // Between streams of one device.
        SignalWord::Opened { .. } => return None,
    })
}

fn response(heard: Heard) -> wire::SignalResponse {
    wire::SignalResponse {
        message: Some(heard),
    }
}
