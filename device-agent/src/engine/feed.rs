//! Inputs of the sessions, in order, and what they ask for.

use std::sync::Arc;

use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::ledger::VerifiedRun;
use edge_ledger_core::sync::Input;

use super::Engine;
use super::connection::{Connection, Ended};

/// Whom a session is with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via {
    /// The ledger service.
    Service,
    /// Another device of the identity.
    Peer(DeviceId),
}

impl Engine {
    /// Gives an input to one session, and carries out what that asks for. In the midst of another
    /// input it is only put behind it: every session hears of things in the order in which they
    /// happened.
    pub(super) async fn feed(&mut self, via: Via, input: Input) {
        self.inputs.push_back((via, input));
        self.pump().await;
    }

    /// This device made entries: all sessions hear of it.
    pub(super) async fn committed(&mut self, runs: Arc<[VerifiedRun]>) {
        for via in self.sessions() {
            self.inputs.push_back((via, Input::Committed(runs.clone())));
        }
        self.pump().await;
    }

    /// Entries of others were kept: all sessions hear of it but the one that brought them.
    pub(super) fn announce_kept(&mut self, brought_by: Via) {
        for via in self.sessions() {
            if via != brought_by {
                self.inputs.push_back((via, Input::Missed));
            }
        }
    }

    /// The log grew: all sessions hear of it before anything that was read under it.
    pub(super) fn announce_log(&mut self) {
        let log = self.book.log().clone();
        for via in self.sessions() {
            self.inputs
                .push_front((via, Input::LogChanged(log.clone())));
        }
    }

    /// Everybody there is a session with.
    pub(super) fn sessions(&self) -> Vec<Via> {
        let service = self.connection.as_ref().map(|_| Via::Service);
        let peers = self.peers.devices().map(Via::Peer);
        service.into_iter().chain(peers).collect()
    }

    pub(super) fn connection(&mut self, via: Via) -> Option<&mut Connection> {
        match via {
            Via::Service => self.connection.as_mut(),
            Via::Peer(device) => self.peers.connection(device),
        }
    }

    pub(super) async fn pump(&mut self) {
        if std::mem::replace(&mut self.pumping, true) {
            return;
        }
        while let Some((via, input)) = self.inputs.pop_front() {
            let now = self.clock.monotonic_ms();
            let Some(connection) = self.connection(via) else {
                continue;
            };
            let mut outputs = Vec::new();
            connection.session.handle(now, input, &mut outputs);
            for output in outputs {
                match self.perform(via, output).await {
                    Ok(more) => self
                        .inputs
                        .extend(more.into_iter().map(|input| (via, input))),
                    Err(ended) => {
                        // Boxed: ending may close entries, which feeds the other sessions.
                        Box::pin(self.ended(via, ended)).await;
                        break;
                    }
                }
            }
        }
        self.pumping = false;
        // Boxed: another path is told to the sessions.
        Box::pin(self.choose_path()).await;
    }

    pub(super) async fn ended(&mut self, via: Via, ended: Ended) {
        match via {
            Via::Service => self.disconnected(ended).await,
            Via::Peer(device) => self.peer_ended(device, ended),
        }
    }
}
