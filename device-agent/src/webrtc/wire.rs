//! The `Rtc` with its sockets: datagrams in and out, and what the `Rtc` makes of them.

use edge_ledger_telemetry::meters::{direction, meters};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcError};
use tokio::time::Instant;

use super::relay::Handled;
use super::report::{CandidateKind, PathEnd};
use super::sockets::{Arrived, DATAGRAM_BYTES_MAX, Sockets};
use crate::limits::LINK_CANDIDATES_MAX;

/// The first bytes of DTLS, which only goes over the path that was chosen.
const DTLS: std::ops::RangeInclusive<u8> = 20..=63;

#[derive(Debug)]
pub(super) struct Wire {
    pub(super) rtc: Box<Rtc>,
    pub(super) sockets: Sockets,
    /// What the other end said where it is.
    pub(super) remotes: Vec<Candidate>,
    /// From where to where data goes.
    pub(super) path: Option<(SocketAddr, SocketAddr)>,
    /// From where checks came that are meant for this link.
    known: VecDeque<SocketAddr>,
    pub(super) bytes_sent: u64,
    pub(super) bytes_received: u64,
    pub(super) rtt: Option<Duration>,
    buffer: Vec<u8>,
    /// When the `Rtc` wants to be told of the time.
    timeout: Instant,
    /// When a relay does.
    relays_at: Option<Instant>,
}

impl Wire {
    pub(super) fn new(
        rtc: Box<Rtc>,
        sockets: Sockets,
        remotes: Vec<Candidate>,
        now: Instant,
    ) -> Self {
        Self {
            rtc,
            sockets,
            remotes,
            path: None,
            known: VecDeque::new(),
            bytes_sent: 0,
            bytes_received: 0,
            rtt: None,
            buffer: vec![0; DATAGRAM_BYTES_MAX],
            timeout: now,
            relays_at: None,
        }
    }

    /// Sends what is to be sent, and tells the next event; `None` when nothing is left to do
    /// before something else happens.
    pub(super) fn poll(&mut self, now: Instant) -> Result<Option<Event>, RtcError> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(at) => {
                    self.timeout = Instant::from_std(at);
                    return Ok(None);
                }
                Output::Event(Event::PeerStats(stats)) => {
                    let pair = stats.selected_candidate_pair;
                    self.rtt = pair.and_then(|pair| pair.current_round_trip_time);
                }
                Output::Event(event) => return Ok(Some(event)),
                Output::Transmit(datagram) => {
                    let (source, to) = (datagram.source, datagram.destination);
                    if is_dtls(&datagram.contents) {
                        self.path = Some((source, to));
                    }
                    let bytes = datagram.contents.len() as u64;
                    self.bytes_sent += bytes;
                    meters().peer_io.add(bytes, &direction("sent"));
                    self.sockets.send(source, to, &datagram.contents, now);
                }
            }
        }
    }

    /// Starts the clock of the `Rtc`: until then an end that answers waits to hear the first word,
    /// which no address translator would let in.
    pub(super) fn start(&mut self, now: Instant) -> Result<(), RtcError> {
        self.rtc.handle_input(Input::Timeout(now.into_std()))
    }

    /// Lets everybody do what is due.
    pub(super) fn turn(&mut self, now: Instant) -> Result<(), RtcError> {
        self.relays_at = self.sockets.turn_relays(now);
        if now >= self.timeout {
            self.rtc.handle_input(Input::Timeout(now.into_std()))?;
        }
        Ok(())
    }

    /// When the next turn is due.
    pub(super) fn next_turn(&self) -> Instant {
        self.relays_at
            .map_or(self.timeout, |at| at.min(self.timeout))
    }

    /// Reads the next datagram, to be [taken](Self::take).
    pub(super) async fn receive(&mut self) -> Arrived {
        self.sockets.receive(&mut self.buffer).await
    }

    /// Takes the datagram that was read; whether it belongs to this link.
    pub(super) fn take(&mut self, arrived: &Arrived, now: Instant) -> bool {
        let data = &self.buffer[..arrived.length];
        let (source, destination, inner);
        let data = match self.sockets.unwrap(arrived, data, now) {
            Handled::Done => return false,
            Handled::NotMine => {
                (source, destination) = (arrived.source, arrived.local);
                data
            }
            Handled::FromPeer(peer) => {
                (source, destination) = (peer.source, peer.relayed);
                inner = peer.data;
                &inner
            }
        };
        let Ok(contents) = data.try_into() else {
            return false;
        };
        let datagram = Receive {
            proto: Protocol::Udp,
            source,
            destination,
            contents,
        };
        let input = Input::Receive(now.into_std(), datagram);
        let is_dtls = is_dtls(data);
        if self.rtc.accepts(&input) {
            if !is_dtls {
                remember(&mut self.known, source);
            }
        } else if !is_dtls || !self.known.contains(&source) {
            return false;
        }
        self.bytes_received += data.len() as u64;
        meters()
            .peer_io
            .add(data.len() as u64, &direction("received"));
        // Anybody can send it, and who cannot know the keys shall not end the link.
        if let Err(error) = self.rtc.handle_input(input) {
            tracing::debug!(%source, %error, "a datagram cannot be read");
        }
        true
    }

    /// Says goodbye, as far as one datagram can do that.
    pub(super) fn close(&mut self, now: Instant) {
        if self.rtc.close().is_ok() {
            while let Ok(Some(_)) = self.poll(now) {}
        }
        self.sockets.close_relays(now);
    }

    /// Both ends of the path that data takes.
    pub(super) fn path_ends(&self) -> Option<(PathEnd, PathEnd)> {
        let (source, to) = self.path?;
        let local = PathEnd {
            kind: if self.sockets.is_relayed(source) {
                CandidateKind::Relayed
            } else {
                CandidateKind::Host
            },
            address: source,
        };
        let named = self.remotes.iter().find(|remote| remote.addr() == to);
        let remote = PathEnd {
            kind: named.map_or(CandidateKind::PeerReflexive, |named| named.kind().into()),
            address: to,
        };
        Some((local, remote))
    }
}

fn is_dtls(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| DTLS.contains(first))
}

/// Who sent a check with the right name is let in with its DTLS: the other end may choose a path a
/// moment before this one has seen it work, and what it says first would be missed.
fn remember(known: &mut VecDeque<SocketAddr>, source: SocketAddr) {
    if known.contains(&source) {
        return;
    }
    if known.len() == LINK_CANDIDATES_MAX {
        known.pop_front();
    }
    known.push_back(source);
}
