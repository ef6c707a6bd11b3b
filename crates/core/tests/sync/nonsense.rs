//! Inputs that are well-formed and make no sense: no session panics at them, and none says more
//! than a few things at a time, or asks a second time before it was answered.

use std::collections::BTreeMap;

use edge_ledger_core::identity::Point;
use edge_ledger_core::ids::{Digest, EntryHash};
use edge_ledger_core::ledger::admission::Refusal;
use edge_ledger_core::ledger::{Heads, KeptRun, Run, Tip};
use edge_ledger_core::limits::WINDOW_FRAMES_MAX;
use edge_ledger_core::sync::{Frame, GoAwayReason, Input, Outcome, Output, PeerGreeting};

use crate::chronicle::Chronicle;
use crate::hand::{
    Hand, digest, greeting, hello, names, peer_hello, peer_welcome, standing, their_greeting,
    welcome,
};
use crate::pen::{chain, forest};
use crate::rng::Rng;
use crate::world::{AUDIENCE, member};

/// Sequences of each kind of session.
const SEQUENCES: u64 = 1_500;
/// The most that one input can make a session say: every answer of a full window, the answers
/// to as many flushes as the sequence asked for, and a few questions.
const OUTPUTS_MAX: usize = WINDOW_FRAMES_MAX + 64 + 12;

struct Nonsense {
    rng: Rng,
    chronicle: Chronicle,
    /// What a session between devices greeted with.
    ours: PeerGreeting,
}

impl Nonsense {
    fn number(&mut self) -> u64 {
        [0, 1, 2, 3, 5, 6, 9, u64::MAX - 1, u64::MAX][self.rng.below(9)]
    }

    fn point(&mut self) -> Point {
        let main = forest().main(self.rng.below(3), 6, false);
        match self.rng.below(3) {
            0 => Point::START,
            1 => Point {
                seq: self.number(),
                hash: EntryHash::from_bytes([self.rng.below(3) as u8; 32]),
            },
            _ => main[self.rng.below(6)].last(),
        }
    }

    fn tip(&mut self) -> Tip {
        Tip {
            device: member(self.rng.below(12)).id,
            point: self.point(),
        }
    }

    fn tips(&mut self) -> Vec<Tip> {
        (0..self.rng.below(6)).map(|_| self.tip()).collect()
    }

    fn heads(&mut self) -> Heads {
        Heads::new(self.tips())
    }

    fn digest(&mut self) -> Digest {
        match self.rng.below(2) {
            0 => digest(&Heads::default()),
            _ => digest(&self.heads()),
        }
    }

    fn run(&mut self) -> Run {
        let mut run = forest().main(self.rng.below(4), 5, false)[self.rng.below(5)].to_run();
        if self.rng.percent(30) {
            run.device = member(self.rng.below(12)).id;
            run.first_seq = self.number();
        }
        if self.rng.percent(10) {
            run.payloads.clear();
        }
        run
    }

    fn runs(&mut self) -> Vec<Run> {
        (0..self.rng.below(4)).map(|_| self.run()).collect()
    }

    fn outcomes(&mut self) -> Vec<Outcome> {
        let kinds = [
            Outcome::Kept,
            Outcome::Waiting,
            Outcome::Refused(Refusal::OutsideCut),
            Outcome::Refused(Refusal::ForeignEntry),
        ];
        let count = self.rng.below(4);
        (0..count).map(|_| kinds[self.rng.below(40) / 13]).collect()
    }

    fn frame(&mut self) -> Frame {
        let log = self.chronicle.log_at(1 + self.rng.next() % 8).clone();
        let greeting = greeting(9, AUDIENCE);
        match self.rng.below(21) {
            15 => Frame::PeerGreeting(their_greeting()),
            16 => {
                let from = member(self.rng.below(12));
                Frame::PeerHello(peer_hello(&self.ours, from, &log, &Heads::default()))
            }
            17 => Frame::PeerWelcome(peer_welcome(&log, &self.heads())),
            18 | 19 => Frame::Flow {
                wanted: self.rng.percent(50),
            },
            20 => Frame::RelayedAcks(Vec::new()),
            0 => Frame::Greeting(greeting),
            1 => Frame::Hello(hello(
                &greeting,
                member(self.rng.below(12)),
                &log,
                &Heads::default(),
            )),
            2 => {
                let hello = hello(&greeting, member(0), &log, &Heads::default());
                Frame::Welcome(welcome(&hello, &log, &Heads::default()))
            }
            3 | 4 => Frame::Heads(self.heads()),
            5 => Frame::LogWanted {
                after_position: self.number(),
            },
            6 => Frame::Statements(self.parts()),
            7 | 8 => Frame::Runs {
                frame_id: self.number(),
                runs: self.runs(),
            },
            9 => Frame::Taken {
                frame_id: self.number(),
                outcomes: self.outcomes(),
            },
            10 => Frame::Acks(Vec::new()),
            11 => Frame::Locator(self.tips()),
            12 => Frame::Ping {
                ping_id: self.number(),
                digest: self.digest(),
            },
            13 => Frame::Pong {
                ping_id: self.number(),
                digest: self.digest(),
            },
            _ => Frame::GoAway {
                reason: GoAwayReason::Draining,
                retry_after_ms: self.number(),
            },
        }
    }

    fn parts(&mut self) -> Vec<edge_ledger_core::identity::receipt::ReceiptParts> {
        let after = self.rng.next() % 8;
        self.chronicle.receipts(after, after + self.rng.next() % 4)
    }

    fn kept_runs(&mut self) -> Vec<KeptRun> {
        let runs = self.runs().into_iter();
        let kept = runs.map(|run| KeptRun {
            run,
            last: self.point(),
        });
        kept.collect()
    }

    fn input(&mut self) -> Input {
        let log = self.chronicle.log_at(1 + self.rng.next() % 8).clone();
        match self.rng.below(30) {
            28 => Input::RelayAcks(Vec::new()),
            29 => Input::Flow {
                wanted: self.rng.percent(50),
            },
            0 => Input::Opened,
            1 => Input::Identified(
                self.rng
                    .percent(80)
                    .then(|| standing(&log, &Heads::default())),
            ),
            2 => Input::LogChanged(log),
            3..6 => Input::Judged {
                frame_id: self.number(),
                outcomes: self.outcomes(),
                kept: self
                    .tips()
                    .into_iter()
                    .map(|tip| (tip, self.point()))
                    .collect(),
                log_wanted: self.rng.percent(30),
                heads_wanted: self.rng.percent(30),
                acks: Vec::new(),
            },
            6 | 7 => {
                let runs = forest().main(self.rng.below(5), 6, false);
                let first = self.rng.below(6);
                Input::Committed(runs[first..].into())
            }
            8 => Input::Missed,
            9 | 10 => Input::Page {
                runs: self.kept_runs(),
                more: self.rng.percent(50),
            },
            11 => Input::Located(self.tips()),
            12..15 => Input::Heads(self.heads()),
            15 => Input::Receipts(self.parts()),
            16 => Input::Flush {
                ping_id: self.number(),
            },
            17 | 18 => Input::Tick,
            19 if self.rng.percent(5) => Input::GoAway(GoAwayReason::Draining),
            _ => Input::Frame(self.frame()),
        }
    }
}

/// How many questions of each kind are open, and how many may be.
#[derive(Default)]
struct Questions(BTreeMap<&'static str, usize>);

impl Questions {
    fn asked(&mut self, outputs: &[Output]) {
        for name in names(outputs) {
            *self.0.entry(name).or_default() += 1;
        }
        let open = |name: &str| self.0.get(name).copied().unwrap_or(0);
        assert!(open("read") <= 1 && open("locate") <= 1 && open("read receipts") <= 1);
        assert!(open("read heads") <= 4 && open("identify") <= 1);
        assert!(open("judge") <= WINDOW_FRAMES_MAX);
    }

    /// An answer is given only to a question.
    fn answered(&mut self, input: &Input) -> bool {
        let name = match input {
            Input::Page { .. } => "read",
            Input::Located(_) => "locate",
            Input::Receipts(_) => "read receipts",
            Input::Heads(_) => "read heads",
            Input::Identified(_) => "identify",
            Input::Opened
            | Input::Frame(_)
            | Input::LogChanged(_)
            | Input::Judged { .. }
            | Input::Committed(_)
            | Input::Missed
            | Input::Acks(_)
            | Input::RelayAcks(_)
            | Input::Flow { .. }
            | Input::Flush { .. }
            | Input::Tick
            | Input::GoAway(_) => return true,
        };
        let open = self.0.entry(name).or_default();
        let asked = *open > 0;
        *open = open.saturating_sub(1);
        asked
    }
}

/// Feeds nonsense; `honest_shell` answers only what was asked, and judges what arrived.
fn feed(hand: &mut Hand, nonsense: &mut Nonsense, honest_shell: bool) {
    let mut questions = Questions::default();
    let mut judging = Vec::new();
    for _ in 0..nonsense.rng.between(5, 64) {
        let mut input = nonsense.input();
        if honest_shell && let Input::Judged { .. } = input {
            let Some(frame_id) = judging.pop() else {
                continue;
            };
            *questions.0.entry("judge").or_default() -= 1;
            input = Input::Judged {
                frame_id,
                outcomes: nonsense.outcomes(),
                kept: Vec::new(),
                log_wanted: nonsense.rng.percent(30),
                heads_wanted: nonsense.rng.percent(30),
                acks: Vec::new(),
            };
        }
        if honest_shell && !questions.answered(&input) {
            continue;
        }
        hand.now_ms += [0, 10, 1_000, 31_000][nonsense.rng.below(4)];
        let outputs = hand.input(input);
        assert!(outputs.len() <= OUTPUTS_MAX, "{outputs:?}");
        if honest_shell {
            questions.asked(&outputs);
        }
        for output in &outputs {
            if let Output::Judge { frame_id, .. } = output {
                judging.push(*frame_id);
            }
        }
        assert!(hand.session.unanswered() <= WINDOW_FRAMES_MAX);
    }
}

fn nonsense(seed: u64) -> Nonsense {
    let mut chronicle = Chronicle::base();
    chronicle.add(member(9), false);
    chronicle.revoke(member(4).id, Vec::new(), Vec::new());
    chronicle.rename(member(0).id, "another name");
    Nonsense {
        rng: Rng::new(seed),
        chronicle,
        ours: their_greeting(),
    }
}

fn try_all(start: impl Fn(&mut Nonsense) -> Hand) {
    let made = nonsense(0);
    for seed in 0..SEQUENCES {
        let mut nonsense = Nonsense {
            rng: Rng::new(seed),
            chronicle: made.chronicle.clone(),
            ours: made.ours.clone(),
        };
        let mut hand = start(&mut nonsense);
        feed(&mut hand, &mut nonsense, seed % 2 == 0);
    }
}

#[test]
fn a_session_in_the_handshake_survives_nonsense() {
    try_all(|nonsense| {
        let log = nonsense.chronicle.log_at(5);
        if nonsense.rng.percent(50) {
            Hand::service().0
        } else {
            Hand::device(member(0), log, &Heads::default())
        }
    });
}

#[test]
fn an_open_session_of_a_service_survives_nonsense() {
    try_all(|nonsense| {
        let log = nonsense.chronicle.log_at(6);
        Hand::open_service(member(0), log, &Heads::default())
    });
}

#[test]
fn an_open_session_of_a_device_survives_nonsense() {
    try_all(|nonsense| {
        let log = nonsense.chronicle.log_at(6);
        Hand::open_device(member(0), log, &Heads::default())
    });
}

#[test]
fn a_session_of_two_devices_survives_nonsense() {
    try_all(|nonsense| {
        let log = nonsense.chronicle.log_at(6).clone();
        let heads = Heads::default();
        match nonsense.rng.below(3) {
            0 => {
                let (hand, ours) = Hand::peer(member(0), member(1), &log, &heads);
                nonsense.ours = ours;
                hand
            }
            1 => Hand::open_peer(member(0), member(1), &log, &heads),
            _ => Hand::flowing_peer(member(0), member(1), &log, &heads),
        }
    });
}

#[test]
fn frames_of_each_kind_are_among_the_nonsense() {
    let mut nonsense = nonsense(1);
    let mut seen = BTreeMap::new();
    for _ in 0..2_000 {
        *seen.entry(nonsense.frame().name()).or_insert(0) += 1;
    }
    assert_eq!(seen.len(), 18, "{seen:?}");
    assert!(chain(member(0), Point::START, 0..1)[0].to_run().first_seq == 1);
}
