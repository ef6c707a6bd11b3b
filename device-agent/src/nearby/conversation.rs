//! One connection: first both ends prove themselves, then each tells its beacons and signals.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use edge_ledger_core::ids::DeviceId;
use edge_ledger_proto::signal as pb;
use edge_ledger_proto::signal::nearby_message::Message;
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncWrite, split};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::handshake::{Role, prove};
use super::sealed::{Opener, Sealer};
use super::wire::{read_message, write_message};
use super::{NearbyError, NearbyEvent};
use crate::limits::{
    NEARBY_BURST, NEARBY_CONNECTIONS_MAX, NEARBY_IDLE, NEARBY_MESSAGE_BYTES_MAX,
    NEARBY_MESSAGE_EVERY, NEARBY_OUTGOING_MAX, NEARBY_PROVE_WITHIN, NEARBY_SIGNAL_BYTES_MAX,
    NEARBY_WRITE_WITHIN,
};

/// What all connections have in common.
pub(super) struct Conversations {
    rendezvous: [u8; 32],
    device: DeviceId,
    beacon: watch::Sender<Option<[u8; 32]>>,
    events: mpsc::Sender<NearbyEvent>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    /// How many were proved so far.
    numbered: u64,
    outgoing: BTreeMap<u64, mpsc::Sender<Bytes>>,
}

/// A proved connection's place among them, as long as it is held.
struct Place<'a> {
    among: &'a Conversations,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.among.lock().outgoing.remove(&self.number);
    }
}

impl Conversations {
    pub(super) fn new(
        rendezvous: [u8; 32],
        device: DeviceId,
        events: mpsc::Sender<NearbyEvent>,
    ) -> Self {
        Self {
            rendezvous,
            device,
            beacon: watch::Sender::new(None),
            events,
            open: Mutex::default(),
        }
    }

    /// Tells a beacon on all connections, and on those to come.
    pub(super) fn beacon(&self, nonce: [u8; 32]) {
        self.beacon.send_replace(Some(nonce));
    }

    /// Sends a signal on one connection.
    pub(super) fn send(&self, connection: u64, signal: Bytes) -> Result<(), NearbyError> {
        if signal.len() > NEARBY_SIGNAL_BYTES_MAX {
            return Err(NearbyError::TooLong);
        }
        let open = self.lock();
        let outgoing = open.outgoing.get(&connection).ok_or(NearbyError::Gone)?;
        outgoing.try_send(signal).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => NearbyError::Busy,
            mpsc::error::TrySendError::Closed(_) => NearbyError::Gone,
        })
    }

    /// Carries on one connection from its first byte to its end. `proved` is called in between. Says
    /// whether anything came of it.
    pub(super) async fn carry_on<S>(&self, mut stream: S, role: Role, proved: impl FnOnce()) -> bool
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let proving = prove(&mut stream, role, &self.rendezvous);
        let Ok(Ok((sealer, opener))) = timeout(NEARBY_PROVE_WITHIN, proving).await else {
            tracing::trace!(?role, "a connection on the network was not proved");
            return false;
        };
        proved();
        let Some((place, outgoing)) = self.enter() else {
            tracing::debug!("too many connections on the network");
            return false;
        };
        let connection = place.number;
        tracing::debug!(connection, ?role, "a device of the identity is near");
        let (reader, writer) = split(stream);
        tokio::select! {
            () = self.listen(connection, reader, opener) => {}
            () = self.speak(writer, sealer, outgoing) => {}
        }
        drop(place);
        let _ = self.events.send(NearbyEvent::Gone { connection }).await;
        true
    }

    /// Reads until the other end is gone, silent for too long, or says what cannot be understood.
    /// Who says too much, or more than is taken here, waits.
    async fn listen<R>(&self, connection: u64, mut reader: R, mut opener: Opener)
    where
        R: AsyncRead + Unpin,
    {
        let mut pace = Pace::new();
        loop {
            let reading = read_message(&mut reader, NEARBY_MESSAGE_BYTES_MAX);
            let Ok(Ok(sealed)) = timeout(NEARBY_IDLE, reading).await else {
                return;
            };
            let Some(event) = opener.open(&sealed).and_then(|m| read(connection, m)) else {
                return;
            };
            if self.events.send(event).await.is_err() {
                return;
            }
            pace.keep().await;
        }
    }

    /// Writes the beacons and signals of this end, until the other does not take them.
    async fn speak<W>(&self, mut writer: W, mut sealer: Sealer, mut outgoing: mpsc::Receiver<Bytes>)
    where
        W: AsyncWrite + Unpin,
    {
        let mut beacon = self.beacon.subscribe();
        beacon.mark_changed();
        loop {
            let message = tokio::select! {
                Ok(()) = beacon.changed() => {
                    let Some(nonce) = *beacon.borrow_and_update() else { continue };
                    Message::Beacon(pb::NearbyBeacon {
                        device: Bytes::copy_from_slice(self.device.as_bytes()),
                        nonce: Bytes::copy_from_slice(&nonce),
                    })
                }
                Some(signal) = outgoing.recv() => Message::Signal(signal),
                else => return,
            };
            let message = pb::NearbyMessage {
                message: Some(message),
            };
            let Some(sealed) = sealer.seal(&message.encode_to_vec()) else {
                return;
            };
            let writing = write_message(&mut writer, &sealed);
            let Ok(Ok(())) = timeout(NEARBY_WRITE_WITHIN, writing).await else {
                return;
            };
        }
    }

    fn enter(&self) -> Option<(Place<'_>, mpsc::Receiver<Bytes>)> {
        let mut open = self.lock();
        if open.outgoing.len() >= NEARBY_CONNECTIONS_MAX {
            return None;
        }
        open.numbered += 1;
        let number = open.numbered;
        let (sender, outgoing) = mpsc::channel(NEARBY_OUTGOING_MAX);
        open.outgoing.insert(number, sender);
        let place = Place {
            among: self,
            number,
        };
        Some((place, outgoing))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an opened message says; `None` if it is none.
fn read(connection: u64, message: Bytes) -> Option<NearbyEvent> {
    match pb::NearbyMessage::decode(message).ok()?.message? {
        Message::Beacon(beacon) => Some(NearbyEvent::Beacon {
            connection,
            device: DeviceId::try_from(&beacon.device[..]).ok()?,
            nonce: beacon.nonce[..].try_into().ok()?,
        }),
        Message::Signal(bytes) => Some(NearbyEvent::Signal { connection, bytes }),
    }
}

/// Keeps one connection to its rate: after a burst, a message must wait for its time.
struct Pace {
    /// When all that was read would have been read at the even rate.
    even: Instant,
}

impl Pace {
    fn new() -> Self {
        Self {
            even: Instant::now(),
        }
    }

    async fn keep(&mut self) {
        self.even = self.even.max(Instant::now()) + NEARBY_MESSAGE_EVERY;
        sleep_until(self.even - NEARBY_MESSAGE_EVERY * NEARBY_BURST).await;
    }
}

#[cfg(test)]
mod tests;
