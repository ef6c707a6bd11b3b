//! The route over the local network: taken while entries find no service, and given up when they do.

use edge_ledger_core::identity::rendezvous;
use tokio::sync::mpsc;

use super::{Peering, Route};
use crate::limits::NEARBY_AFTER_MS;
use crate::nearby::{Nearby, NearbyConfig, NearbyEvent};
use crate::signalling::SignalEvent;
use crate::status::Path;

/// The local network, while it is looked at.
#[derive(Default)]
pub(super) struct Local {
    open: Option<(Nearby, mpsc::Receiver<NearbyEvent>)>,
    /// What was said last.
    said: Option<[u8; 32]>,
    /// Since when there is no service.
    without_ms: Option<u64>,
}

impl Local {
    /// What is heard next; for ever nothing while it is not looked at.
    pub(super) async fn heard(&mut self) -> Option<NearbyEvent> {
        match &mut self.open {
            Some((_, events)) => events.recv().await,
            None => std::future::pending().await,
        }
    }

    pub(super) fn nearby(&self) -> Option<&Nearby> {
        self.open.as_ref().map(|(nearby, _)| nearby)
    }

    pub(super) async fn stop(&mut self) {
        if let Some((nearby, _)) = self.open.take() {
            nearby.stop().await;
        }
    }
}

impl Peering {
    /// Looks at the local network when there was no service for a while, and only then: nobody
    /// shall hear of this device who need not.
    pub(super) async fn look_nearby(&mut self, now_ms: u64) {
        let service = matches!(self.snapshot.borrow().status.path, Path::Service);
        if service || !self.is_active() {
            self.local.without_ms = None;
            if self.local.open.is_some() {
                self.local.stop().await;
                self.known.local_ended();
            }
            return;
        }
        let since_ms = *self.local.without_ms.get_or_insert(now_ms);
        let due = now_ms.saturating_sub(since_ms) >= NEARBY_AFTER_MS;
        if self.local.open.is_none() && due {
            self.start_nearby(now_ms);
        }
        let nonce = self.nonces.say();
        if let Some((nearby, _)) = &self.local.open
            && self.local.said.replace(nonce) != Some(nonce)
        {
            nearby.beacon(nonce);
        }
    }

    fn start_nearby(&mut self, now_ms: u64) {
        let Some(rendezvous) = rendezvous(&self.log()) else {
            return;
        };
        let config = NearbyConfig {
            rendezvous,
            device: self.us(),
            loopback_only: self.loopback_only,
        };
        match Nearby::start(config) {
            Ok(open) => (self.local.open, self.local.said) = (Some(open), None),
            Err(error) => {
                tracing::debug!(%error, "the local network cannot be looked at");
                self.local.without_ms = Some(now_ms);
            }
        }
    }

    /// Takes what was heard nearby as what is heard elsewhere.
    pub(super) async fn heard_nearby(&mut self, event: Option<NearbyEvent>) {
        let (connection, event) = match event {
            Some(NearbyEvent::Beacon {
                connection,
                device,
                nonce,
            }) => (connection, SignalEvent::Beacon { device, nonce }),
            Some(NearbyEvent::Signal { connection, bytes }) => {
                (connection, SignalEvent::Signal { bytes })
            }
            Some(NearbyEvent::Gone { connection }) => (connection, SignalEvent::Down),
            None => {
                self.local.open = None;
                self.known.local_ended();
                return;
            }
        };
        self.heard(Route::Nearby(connection), event).await;
    }
}
