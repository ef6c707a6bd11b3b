//! What the session asks for, carried out.

use edge_ledger_core::identity::ServiceCertificate;
use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_core::ids::StoreEpoch;
use edge_ledger_core::ledger::journals::Have;
use edge_ledger_core::ledger::{Ack, Heads, Run, Tip};
use edge_ledger_core::sync::{Frame, GoAwayReason, Input, Outcome, Output, Standing};
use edge_ledger_store::LedgerStore as _;

use super::Engine;
use super::connection::{Ended, unreachable};
use super::feed::Via;
use crate::error::AgentError;
use crate::event::Event;
use crate::limits::HELD_FRAMES_MAX;
use crate::status::State;
use crate::stream::Held;

impl Engine {
    pub(super) async fn perform(&mut self, via: Via, output: Output) -> Result<Vec<Input>, Ended> {
        let answer = match output {
            Output::Send(frame) => return self.hold(via, frame),
            Output::Close(close) => return Err(Ended::Session(close)),
            Output::Judge {
                frame_id,
                runs,
                peer_ahead,
            } => self.judge(via, frame_id, &runs, peer_ahead).await,
            Output::Read(have) => self.read(&have).await,
            Output::Locate(heads) => self.locate(&heads).await,
            Output::ReadHeads => Ok(vec![Input::Heads(self.book.shown_heads())]),
            Output::ReadReceipts { after_position } => {
                let receipts = self.book.receipts_after(after_position).await;
                receipts.map(|receipts| vec![Input::Receipts(receipts)])
            }
            Output::Adopt(parts) => self.adopt(via, &parts).await,
            Output::Live { .. } => Ok(self.live(via).await),
            Output::Taken(taken) => Ok(self.taken(via, &taken).await),
            Output::Acked { acks, service } => return self.acks(via, &acks, &service).await,
            Output::Flushed { ping_id, equal } => Ok(self.flushed(ping_id, equal)),
            Output::PeerGoesAway { reason, .. } => {
                if let (GoAwayReason::Superseded, Some(connection)) = (reason, self.connection(via))
                {
                    // The status that ends the stream says the same, if it arrives.
                    connection.superseded = true;
                }
                Ok(Vec::new())
            }
            Output::Identify { identity, .. } => {
                let standing = self.standing().filter(|s| s.log.identity() == identity);
                Ok(vec![Input::Identified(standing)])
            }
        };
        answer.map_err(Ended::Error)
    }

    async fn judge(
        &mut self,
        via: Via,
        frame_id: u64,
        runs: &[Run],
        peer_ahead: bool,
    ) -> Result<Vec<Input>, AgentError> {
        let ingested = self.book.ingest(peer_ahead, runs).await?;
        self.kept(ingested.fresh.len(), &ingested.forked);
        if !ingested.fresh.is_empty() {
            self.announce_kept(via);
        }
        Ok(vec![Input::Judged {
            frame_id,
            outcomes: ingested.outcomes,
            kept: ingested.kept,
            log_wanted: ingested.log_wanted,
            heads_wanted: ingested.heads_wanted,
            acks: Vec::new(),
        }])
    }

    async fn read(&mut self, have: &Have) -> Result<Vec<Input>, AgentError> {
        let identity = self.book.log().identity();
        let have = self.book.not_wanted(have);
        let page = self.book.store.missing(identity, &have).await?.value;
        Ok(vec![Input::Page {
            runs: page.runs,
            more: page.more,
        }])
    }

    async fn locate(&mut self, heads: &Heads) -> Result<Vec<Input>, AgentError> {
        let identity = self.book.log().identity();
        let located = self.book.store.locate(identity, heads).await?;
        Ok(vec![Input::Located(located.value)])
    }

    async fn adopt(&mut self, via: Via, parts: &[ReceiptParts]) -> Result<Vec<Input>, AgentError> {
        if self.book.adopt(parts).await? {
            self.note_fork().await;
            self.publish();
            self.tell_devices();
            self.announce_log();
        }
        let judging = self.connection(via).is_some_and(|c| !c.session.is_open());
        // A peer that is being judged is judged again.
        let again = judging.then(|| Input::Identified(self.standing()));
        Ok(again.into_iter().collect())
    }

    /// What a peer is judged by. Only a service keeps identities in places.
    fn standing(&self) -> Option<Standing> {
        Some(Standing {
            log: self.book.log().clone(),
            heads: self.book.shown_heads(),
            store_epoch: StoreEpoch::from_bytes([0; 16]),
        })
    }

    fn hold(&mut self, via: Via, frame: Frame) -> Result<Vec<Input>, Ended> {
        let held = Held::new(frame, &mut self.last_act);
        let Some(connection) = self.connection(via) else {
            return Ok(Vec::new());
        };
        if connection.held.len() >= HELD_FRAMES_MAX {
            let why = "it takes no more frames".to_owned();
            return Err(Ended::Error(unreachable(self.ledgers.url(), why)));
        }
        connection.held.push_back(held);
        Ok(Vec::new())
    }

    async fn live(&mut self, via: Via) -> Vec<Input> {
        if let Via::Peer(device) = via {
            return self.peer_live(device);
        }
        self.paths.service_opened();
        self.comeback.succeeded();
        self.ledger_answered();
        self.forget_revoked().await;
        if self.book.outbox_first().is_some() {
            // What waited while it was refused is closed by the next tick.
            self.waiting_since_ms
                .get_or_insert_with(|| self.clock.monotonic_ms());
        }
        self.last_error = None;
        self.events.push(Event::Connected);
        self.enter(State::Online);
        let mut inputs = Vec::new();
        for waiter in &mut self.syncs {
            let ping_id = self.next_ping;
            self.next_ping += 1;
            waiter.ping_id = Some(ping_id);
            inputs.push(Input::Flush { ping_id });
        }
        inputs
    }

    async fn taken(&mut self, via: Via, taken: &[(Tip, Outcome)]) -> Vec<Input> {
        self.service_took |= via == Via::Service;
        for (tip, outcome) in taken {
            if let Outcome::Refused(refusal) = outcome {
                let why = format!("{refusal:?}");
                self.events.push(Event::Refused {
                    point: tip.point,
                    why,
                });
            }
        }
        // Boxed: what is closed now goes to the session at once.
        Box::pin(self.close_entries(false)).await;
        Vec::new()
    }

    async fn acks(
        &mut self,
        via: Via,
        acks: &[Ack],
        service: &ServiceCertificate,
    ) -> Result<Vec<Input>, Ended> {
        let device = self.book.device();
        for ack in acks.iter().filter(|ack| ack.body.device == device) {
            let (point, level) = (ack.body.point, ack.body.level);
            let better = self
                .acked
                .is_none_or(|(known, at)| point.seq > known.seq || (point == known && level > at));
            if !better {
                continue;
            }
            self.acked = Some((point, level));
            let saved = self.book.save_ack(ack, service).await;
            saved.map_err(Ended::Error)?;
            self.publish();
            self.events.push(Event::Acked { point, level });
        }
        self.answer_ack_waiters();
        self.relay(via, acks, service);
        Ok(Vec::new())
    }

    fn kept(&mut self, entries: usize, forked: &[edge_ledger_core::ids::DeviceId]) {
        self.publish();
        for device in forked {
            self.events.push(Event::Forked { device: *device });
        }
        if entries > 0 {
            let balance = self.book.fold().balance();
            self.events.push(Event::EntriesKept {
                entries: entries as u64,
                balance,
            });
        }
    }
}
