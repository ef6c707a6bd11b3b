//! Devices of one identity that find each other on one network, without any service: mDNS under a
//! random name, and a connection over which they prove that they are of one identity and then tell
//! each other beacons and signals.
//!
//! What is said here opens nothing: signals are signed objects, and whoever takes one judges it by
//! the identity's log. A device that was revoked still knows the rendezvous, so it is heard and
//! hears; it gets no further.
//!
//! `seeking` (discovery → neighbours → dial) and `accepting` (doorway) lead to a `conversation`,
//! which starts with the `handshake`.

mod accepting;
mod conversation;
mod discovery;
mod doorway;
mod handshake;
mod neighbours;
mod reach;
mod sealed;
mod seeking;
mod wire;

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use edge_ledger_core::ids::DeviceId;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use self::conversation::Conversations;
use self::seeking::{Announced, Seeker};
use crate::limits::NEARBY_EVENTS_MAX;

/// Who looks for whom.
pub(crate) struct NearbyConfig {
    /// What devices of the identity know each other by: `edge_ledger_core::identity::rendezvous`.
    pub(crate) rendezvous: [u8; 32],
    /// This device, as its beacons name it.
    pub(crate) device: DeviceId,
    /// Only devices on this machine find each other.
    pub(crate) loopback_only: bool,
}

/// What a device of the identity said, or that it is gone. Connections are numbered from 1; two
/// devices may have two of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NearbyEvent {
    /// The latest beacon of a connection's other end. That it is this device is its word alone.
    Beacon {
        connection: u64,
        device: DeviceId,
        nonce: [u8; 32],
    },
    /// A signal, of nobody knows whom until it is judged.
    Signal { connection: u64, bytes: Bytes },
    /// The connection is closed.
    Gone { connection: u64 },
}

/// Why nobody can be found, or told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NearbyError {
    /// No port to be dialled at.
    #[error("no connection can be taken on the network")]
    Listen(#[source] io::Error),
    /// No thread for mDNS.
    #[error("nobody can be looked for on the network")]
    Discover(#[source] mdns_sd::Error),
    /// The connection is closed.
    #[error("the connection is closed")]
    Gone,
    /// Too many signals wait on the connection.
    #[error("too many signals wait on the connection")]
    Busy,
    /// A signal above its limit.
    #[error("the signal is too long")]
    TooLong,
}

/// This device on the network, until it is stopped or dropped.
pub(crate) struct Nearby {
    conversations: Arc<Conversations>,
    tasks: TaskTracker,
    stop: DropGuard,
}

impl Nearby {
    /// Announces this device on its networks and looks for others. Must be called in a runtime.
    ///
    /// Events that are not taken hold up who says them, and nobody else.
    ///
    /// # Errors
    /// [`NearbyError::Listen`], [`NearbyError::Discover`]. That there is no network, or that none
    /// lets mDNS through, is no error: there may be one later.
    pub(crate) fn start(
        config: NearbyConfig,
    ) -> Result<(Self, mpsc::Receiver<NearbyEvent>), NearbyError> {
        let NearbyConfig {
            rendezvous,
            device,
            loopback_only,
        } = config;
        let listener = accepting::listen(loopback_only).map_err(NearbyError::Listen)?;
        let port = listener.local_addr().map_err(NearbyError::Listen)?.port();
        let seeker = Seeker::start(Announced::at(port, loopback_only));
        let seeker = seeker.map_err(NearbyError::Discover)?;
        let (events, heard) = mpsc::channel(NEARBY_EVENTS_MAX);
        let conversations = Arc::new(Conversations::new(rendezvous, device, events));
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(accepting::accept(
            listener,
            loopback_only,
            conversations.clone(),
            stop.clone(),
        ));
        tasks.spawn(seeker.run(conversations.clone(), stop.clone()));
        tasks.close();
        let nearby = Self {
            conversations,
            tasks,
            stop: stop.drop_guard(),
        };
        Ok((nearby, heard))
    }

    /// Sends an encoded signal on one connection.
    ///
    /// # Errors
    /// [`NearbyError::Gone`], [`NearbyError::Busy`], [`NearbyError::TooLong`].
    pub(crate) fn send(&self, connection: u64, signal: Bytes) -> Result<(), NearbyError> {
        self.conversations.send(connection, signal)
    }

    /// Tells a new beacon on all connections, and on those to come. A connection on which none is
    /// told for 90 s is closed by the other end.
    pub(crate) fn beacon(&self, nonce: [u8; 32]) {
        self.conversations.beacon(nonce);
    }

    /// Takes leave of the network and closes all connections.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.tasks.wait().await;
    }
}

#[cfg(test)]
mod tests;
