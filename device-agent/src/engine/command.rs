//! What the application asks for.

use edge_ledger_core::identity::Branch;
use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_core::ledger::posting::EventKey;
use edge_ledger_core::ledger::{Kind, Level, Posting};
use edge_ledger_core::sync::Input;
use edge_ledger_telemetry::context;
use tokio::sync::oneshot;
use tracing::{Instrument as _, Span};

use super::feed::Via;
use super::{AckWaiter, Engine, SyncWaiter};
use crate::error::AgentError;
use crate::status::HistoryItem;

/// Flushes after which a sync counts as done though others go on writing.
const SYNC_ROUNDS_MAX: u32 = 32;

/// A posting that is durable on this device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Its idempotency key: give it again to try again.
    pub event_key: EventKey,
    /// Whether it was recorded before, by an earlier call with the same key.
    pub repeated: bool,
}

/// The spans in which the postings of a batch were asked for.
#[derive(Default)]
struct Acts(Vec<Span>);

impl Acts {
    fn add(&mut self, span: Span) {
        self.0.push(span);
    }

    /// A span for the batch, below the first and linked to the others.
    fn take_span(&mut self, postings: usize) -> Span {
        let mut acts = std::mem::take(&mut self.0).into_iter();
        let first = acts.next().unwrap_or_else(Span::none);
        let span = tracing::info_span!(parent: &first, "record", postings);
        for other in acts {
            context::link(&span, &other);
        }
        span
    }
}

type Reply<T> = oneshot::Sender<Result<T, AgentError>>;

pub(crate) enum Command {
    Record {
        posting: Posting,
        /// In which the application asks.
        span: Span,
        reply: Reply<Recorded>,
    },
    Sync {
        reply: Reply<()>,
    },
    WaitAcked {
        level: Level,
        reply: Reply<()>,
    },
    Adopt {
        parts: Vec<ReceiptParts>,
        reply: Reply<()>,
    },
    /// The service's log, from its beginning.
    TakeOver {
        parts: Vec<ReceiptParts>,
        reply: Reply<Vec<Branch>>,
    },
    History {
        reply: Reply<Vec<HistoryItem>>,
    },
    Beat {
        reply: Reply<()>,
    },
}

impl Engine {
    /// Handles everything that waits: postings that came together become one entry.
    pub(super) async fn commands(&mut self, commands: &mut Vec<Command>) {
        let mut batch: Vec<(Posting, Reply<Recorded>)> = Vec::new();
        let mut acts = Acts::default();
        for command in commands.drain(..) {
            match command {
                Command::Record {
                    posting,
                    span,
                    reply,
                } => {
                    let together: Vec<&Posting> =
                        batch.iter().map(|(posting, _)| posting).collect();
                    match self.check(&posting, &together) {
                        Ok(None) => {
                            acts.add(span);
                            batch.push((posting, reply));
                        }
                        Ok(Some(repeated)) => drop(reply.send(Ok(repeated))),
                        Err(error) => drop(reply.send(Err(error))),
                    }
                }
                Command::Sync { reply } => {
                    self.record(&mut batch, &mut acts).await;
                    self.sync(reply).await;
                }
                Command::WaitAcked { level, reply } => {
                    self.record(&mut batch, &mut acts).await;
                    let seq = self.book.tip().map_or(0, |point| point.seq);
                    let outbox_up_to = self.book.outbox_last();
                    self.ack_waiters.push(AckWaiter {
                        level,
                        outbox_up_to,
                        seq,
                        reply,
                    });
                    self.answer_ack_waiters();
                }
                Command::Adopt { parts, reply } => {
                    let adopted = self.book.adopt(&parts).await;
                    if matches!(adopted, Ok(true)) {
                        self.note_fork().await;
                        self.publish();
                        self.tell_devices();
                        self.announce_log();
                        self.pump().await;
                        self.remember_leaving().await;
                    }
                    self.publish();
                    let _ = reply.send(adopted.map(|_| ()));
                }
                Command::TakeOver { parts, reply } => {
                    let taken_over = self.take_over_log(&parts).await;
                    let _ = reply.send(taken_over.map(|_| self.book.branches().to_vec()));
                }
                Command::Beat { reply } => drop(reply.send(Ok(()))),
                Command::History { reply } => {
                    self.record(&mut batch, &mut acts).await;
                    let _ = reply.send(self.book.history().await);
                }
            }
        }
        self.record(&mut batch, &mut acts).await;
    }

    /// Decides about one posting: new, recorded before (then the first result stands), or not
    /// allowed. `together` are those that will be recorded in the same step.
    fn check(
        &self,
        posting: &Posting,
        together: &[&Posting],
    ) -> Result<Option<Recorded>, AgentError> {
        posting.check()?;
        let twin = together
            .iter()
            .find(|p| p.kind == posting.kind && p.event_key == posting.event_key);
        let before = twin
            .map(|p| p.amount)
            .or_else(|| self.book.recorded(posting));
        match before {
            Some(amount) if amount == posting.amount => {
                return Ok(Some(Recorded {
                    event_key: posting.event_key.clone(),
                    repeated: true,
                }));
            }
            // A refund is cumulative: a later one of the same debit is larger.
            Some(_) if posting.kind == Kind::Refund => {}
            Some(_) => return Err(AgentError::EventKeyConflict),
            None => {}
        }
        match posting.kind {
            Kind::Credit => {}
            Kind::Debit => {
                let together: u64 = together
                    .iter()
                    .filter(|p| p.kind == Kind::Debit)
                    .map(|p| p.amount)
                    .sum();
                let available = self.book.balance().available.saturating_sub(together);
                if posting.amount > available {
                    return Err(AgentError::NoFunds {
                        available,
                        asked: posting.amount,
                    });
                }
            }
            Kind::Refund => match self.book.debit(posting) {
                None => return Err(AgentError::NothingToRefund),
                Some(debit) => {
                    let refunded = before.unwrap_or(0);
                    if posting.amount < refunded || posting.amount > debit {
                        return Err(AgentError::RefundTotal {
                            debit,
                            refunded,
                            asked: posting.amount,
                        });
                    }
                }
            },
        }
        Ok(None)
    }

    /// Records a batch, as part of the acts of the application that it comes from.
    async fn record(&mut self, batch: &mut Vec<(Posting, Reply<Recorded>)>, acts: &mut Acts) {
        if !batch.is_empty() {
            let span = acts.take_span(batch.len());
            self.record_now(batch).instrument(span).await;
        }
    }

    /// Records a batch: as an entry if nothing that was sent is unanswered, else in the outbox.
    async fn record_now(&mut self, batch: &mut Vec<(Posting, Reply<Recorded>)>) {
        self.last_act = context::TraceParent::current();
        let (postings, replies): (Vec<Posting>, Vec<_>) = batch.drain(..).unzip();
        let at_once = !self.is_waiting()
            && self.book.outbox_first().is_none()
            && self.book.may_sign()
            && postings.len() == 1;
        let keys: Vec<EventKey> = postings.iter().map(|p| p.event_key.clone()).collect();
        let result = if at_once {
            match self.book.make_entry(self.clock.wall_ms(), postings).await {
                Ok(runs) => {
                    self.committed(runs).await;
                    Ok(())
                }
                Err(error) => Err(error),
            }
        } else {
            let recorded = self.book.record(postings).await;
            if recorded.is_ok() {
                self.close_entries(false).await;
            }
            recorded
        };
        self.publish();
        let failed = result.err().map(|error| error.to_string());
        for (event_key, reply) in keys.into_iter().zip(replies) {
            let answer = match &failed {
                None => Ok(Recorded {
                    event_key,
                    repeated: false,
                }),
                Some(why) => Err(edge_ledger_store::StoreError::Unavailable(why.clone()).into()),
            };
            let _ = reply.send(answer);
        }
        self.answer_ack_waiters();
    }

    async fn sync(&mut self, reply: Reply<()>) {
        let ping_id = self.next_ping;
        self.next_ping += 1;
        let open = self
            .connection
            .as_ref()
            .is_some_and(|c| c.session.is_open());
        self.syncs.push(SyncWaiter {
            ping_id: open.then_some(ping_id),
            rounds: 0,
            reply,
        });
        if open {
            self.feed(Via::Service, Input::Flush { ping_id }).await;
        } else {
            self.comeback.hurry(self.clock.monotonic_ms());
        }
    }

    pub(super) fn flushed(&mut self, ping_id: u64, equal: bool) -> Vec<Input> {
        if self.handover_ping == Some(ping_id) {
            self.handover_ping = None;
            self.paths.compared(equal);
            return Vec::new();
        }
        let Some(index) = self.syncs.iter().position(|w| w.ping_id == Some(ping_id)) else {
            return Vec::new();
        };
        let own_told = self.book.outbox_first().is_none() || !self.book.may_sign();
        if own_told && (equal || self.syncs[index].rounds >= SYNC_ROUNDS_MAX) {
            let waiter = self.syncs.swap_remove(index);
            self.synced_at_ms = Some(self.clock.monotonic_ms());
            self.publish();
            self.events.push(crate::event::Event::Synced {
                balance: self.book.fold().balance(),
            });
            let _ = waiter.reply.send(Ok(()));
            return Vec::new();
        }
        let ping_id = self.next_ping;
        self.next_ping += 1;
        self.syncs[index].rounds += 1;
        self.syncs[index].ping_id = Some(ping_id);
        vec![Input::Flush { ping_id }]
    }

    pub(super) fn answer_ack_waiters(&mut self) {
        let first_waiting = self.book.outbox_first();
        let tip = self.book.tip().map_or(0, |point| point.seq);
        let acked = self.acked;
        let mut waiting = Vec::new();
        for mut waiter in self.ack_waiters.drain(..) {
            if let Some(last) = waiter.outbox_up_to
                && first_waiting.is_none_or(|first| first > last)
            {
                waiter.outbox_up_to = None;
                waiter.seq = waiter.seq.max(tip);
            }
            let covered = acked
                .is_some_and(|(point, level)| point.seq >= waiter.seq && level >= waiter.level);
            if waiter.outbox_up_to.is_none() && (covered || waiter.seq == 0) {
                let _ = waiter.reply.send(Ok(()));
            } else if !waiter.reply.is_closed() {
                waiting.push(waiter);
            }
        }
        self.ack_waiters = waiting;
    }
}
