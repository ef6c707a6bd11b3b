//! One end of one stream: a session with the shell that carries out what it says.

use std::collections::VecDeque;

use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::ledger::{Ack, KeptRun, Tip};
use edge_ledger_core::sync::{
    Close, Frame, GoAwayReason, Input, NewGreeting, Outcome, Output, Outputs, PeerChannel, Session,
    Standing, WhoWeAre, greet,
};

use crate::chronicle::Chronicle;
use crate::pen::Book;
use crate::replica::{Replica, Under};
use crate::rng::Rng;
use crate::world::{AUDIENCE, STORE_EPOCH, world};

/// An answer of the store, with the position of the log that it was read under.
struct Answer {
    position: u64,
    input: Input,
}

pub(crate) struct End {
    pub(crate) session: Session,
    answers: VecDeque<Answer>,
    /// Changes of the replica that the session has not been told of, in order.
    news: VecDeque<(u64, Input)>,
    /// The log position that it was told.
    told: u64,
    pub(crate) seen: Seen,
}

/// What a session said to its shell.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) live: bool,
    pub(crate) close: Option<Close>,
    pub(crate) goes_away: Option<GoAwayReason>,
    pub(crate) flushed: Vec<(u64, bool)>,
    pub(crate) taken: Vec<(Tip, Outcome)>,
    pub(crate) acked: Vec<Ack>,
    pub(crate) reads: usize,
    pub(crate) adopts: usize,
}

/// What an end needs to carry out what its session says.
pub(crate) struct Surroundings<'a> {
    pub(crate) now_ms: u64,
    pub(crate) chronicle: &'a Chronicle,
    pub(crate) book: &'a Book,
    pub(crate) replica: &'a mut Replica,
    /// Whom the service serves here, or which device a peer is.
    pub(crate) serves: Option<DeviceId>,
    /// Cuts pages at random, if given.
    pub(crate) rng: Option<&'a mut Rng>,
    /// Most entries of a page.
    pub(crate) page_entries: usize,
}

/// What other ends have to hear of.
#[derive(Default)]
pub(crate) struct Effects {
    pub(crate) frames: Vec<Frame>,
    pub(crate) news: Vec<News>,
}

pub(crate) enum News {
    /// Entries were committed: for all other sessions of the replica.
    Committed(std::sync::Arc<[edge_ledger_core::ledger::VerifiedRun]>),
    /// The log grew: for all sessions of the replica.
    Log,
}

impl End {
    pub(crate) fn service(nonce: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&nonce.to_be_bytes());
        let new = NewGreeting {
            nonce: bytes,
            audience: AUDIENCE.to_owned(),
        };
        let greeting = greet(&world().signer, world().ledger_id(), new);
        let ledger_id = world().ledger_id();
        Self::new(WhoWeAre::Service {
            ledger_id,
            greeting,
            signer: world().signer.clone(),
        })
    }

    pub(crate) fn device(replica: &Replica) -> Self {
        let member = replica.member.expect("only a device dials");
        Self::new(WhoWeAre::Device {
            key: member.key.clone(),
            log: replica.log.clone(),
            heads: replica.heads(),
            dialled: AUDIENCE.to_owned(),
            nonce: [7; 32],
        })
    }

    /// One end of a channel between two devices.
    pub(crate) fn peer(replica: &Replica, channel: PeerChannel) -> Self {
        let member = replica.member.expect("only devices are peers");
        Self::new(WhoWeAre::Peer {
            key: member.key.clone(),
            log: replica.log.clone(),
            heads: replica.heads(),
            channel,
        })
    }

    fn new(who: WhoWeAre) -> Self {
        Self {
            session: Session::new(who),
            answers: VecDeque::new(),
            news: VecDeque::new(),
            told: 0,
            seen: Seen::default(),
        }
    }

    /// Tells the session of a change of its replica.
    pub(crate) fn announce(&mut self, position: u64, input: Input) {
        self.news.push_back((position, input));
    }

    pub(crate) fn has_input(&self) -> bool {
        !self.answers.is_empty() || !self.news.is_empty()
    }

    /// Whether the session has nothing left to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.session.is_idle() && !self.has_input()
    }

    /// Delivers one of the inputs that wait: any answer, or the next news. With `first`, the one
    /// that waited longest.
    pub(crate) fn step(&mut self, pick: Option<usize>, around: &mut Surroundings<'_>) -> Effects {
        let mut effects = Effects::default();
        let count = self.answers.len() + usize::from(!self.news.is_empty());
        let index = pick.map_or(0, |pick| pick % count.max(1));
        if index < self.answers.len() {
            let index = self.in_order(index);
            if let Some(answer) = self.answers.remove(index) {
                // Nothing is delivered before the log that it was read under.
                while self.told < answer.position && !self.news.is_empty() {
                    self.next_news(around, &mut effects);
                }
                self.input(answer.input, around, &mut effects);
            }
        } else {
            self.next_news(around, &mut effects);
        }
        effects
    }

    /// The tips that were read come in the order of asking.
    fn in_order(&self, index: usize) -> usize {
        let is_heads = |answer: &Answer| matches!(answer.input, Input::Heads(_));
        if is_heads(&self.answers[index]) {
            self.answers.iter().position(is_heads).unwrap_or(index)
        } else {
            index
        }
    }

    fn next_news(&mut self, around: &mut Surroundings<'_>, effects: &mut Effects) {
        if let Some((position, input)) = self.news.pop_front() {
            self.told = self.told.max(position);
            self.input(input, around, effects);
        }
    }

    /// Feeds one input and carries out what comes of it.
    pub(crate) fn input(
        &mut self,
        input: Input,
        around: &mut Surroundings<'_>,
        effects: &mut Effects,
    ) {
        let closed = self.seen.close.is_some();
        let mut outputs = Outputs::new();
        self.session.handle(around.now_ms, input, &mut outputs);
        assert!(
            !closed || outputs.is_empty(),
            "a closed session says nothing: {outputs:?}"
        );
        for output in outputs {
            self.perform(output, around, effects);
        }
    }

    fn perform(&mut self, output: Output, around: &mut Surroundings<'_>, effects: &mut Effects) {
        let answer = match output {
            Output::Send(frame) => return effects.frames.push(frame),
            Output::Identify { device, .. } => {
                assert_eq!(Some(device), around.serves);
                standing(around.replica)
            }
            Output::Adopt(parts) => {
                self.seen.adopts += 1;
                if around.replica.adopt_parts(around.chronicle, &parts) {
                    effects.news.push(News::Log);
                }
                if self.session.is_open() {
                    return;
                }
                standing(around.replica)
            }
            Output::Judge {
                frame_id,
                runs,
                peer_ahead,
            } => judged(frame_id, &runs, peer_ahead, around, effects),
            Output::Read(have) => {
                self.seen.reads += 1;
                let (runs, more) = around.replica.journals.missing(&have);
                let (runs, more) = cut_page(runs, more, around);
                Input::Page { runs, more }
            }
            Output::Locate(heads) => Input::Located(around.replica.journals.locate(&heads)),
            Output::ReadHeads => Input::Heads(around.replica.heads()),
            Output::ReadReceipts { after_position } => {
                let end = around.replica.position();
                Input::Receipts(around.chronicle.receipts(after_position, end))
            }
            Output::Taken(taken) => return self.seen.taken.extend(taken),
            Output::Acked { acks, .. } => return self.seen.acked.extend(acks),
            Output::Live { .. } => return self.seen.live = true,
            Output::Flushed { ping_id, equal } => return self.seen.flushed.push((ping_id, equal)),
            Output::PeerGoesAway { reason, .. } => return self.seen.goes_away = Some(reason),
            Output::Close(close) => return self.seen.close = Some(close),
        };
        let is_page = matches!(answer, Input::Page { .. });
        self.answers.push_back(Answer {
            position: if is_page {
                around.replica.position()
            } else {
                0
            },
            input: answer,
        });
    }
}

fn standing(replica: &Replica) -> Input {
    if replica.position() == 0 {
        return Input::Identified(None);
    }
    Input::Identified(Some(Standing {
        log: replica.log.clone(),
        heads: replica.heads(),
        store_epoch: STORE_EPOCH,
    }))
}

fn judged(
    frame_id: u64,
    runs: &[edge_ledger_core::ledger::Run],
    peer_ahead: bool,
    around: &mut Surroundings<'_>,
    effects: &mut Effects,
) -> Input {
    let forked = |device: &DeviceId| around.replica.heads().of(device).len() > 1;
    let refuse = around.serves.filter(forked);
    let under = Under { peer_ahead, refuse };
    let ingested = around.replica.ingest(under, runs);
    if !ingested.committed.is_empty() {
        let committed = News::Committed(ingested.committed.into());
        effects.news.push(committed);
    }
    Input::Judged {
        frame_id,
        outcomes: ingested.outcomes,
        kept: ingested.kept,
        log_wanted: ingested.log_wanted,
        heads_wanted: ingested.heads_wanted,
        acks: Vec::new(),
    }
}

/// Cuts a page at any entry, so that small journals too take several pages.
fn cut_page(runs: Vec<KeptRun>, more: bool, around: &mut Surroundings<'_>) -> (Vec<KeptRun>, bool) {
    let entries = |run: &KeptRun| run.run.payloads.len();
    let total: usize = runs.iter().map(entries).sum();
    let mut room = around.page_entries;
    if let Some(rng) = around.rng.as_deref_mut()
        && rng.percent(20)
    {
        room = rng.between(1, total.max(1));
    }
    let cut = room < total;
    let mut page = Vec::new();
    for run in runs {
        let take = room.min(entries(&run));
        room -= take;
        match take {
            0 => break,
            _ if take == entries(&run) => page.push(run),
            _ => page.push(around.book.beginning(&run, take)),
        }
    }
    (page, more || cut)
}
