//! Entries flow between devices while one of them wants them.

use edge_ledger_core::identity::Point;
use edge_ledger_core::ledger::{Heads, Run};
use edge_ledger_core::limits::{FRAME_RUNS_MAX, MISBEHAVED_RUNS_MAX};
use edge_ledger_core::sync::{Close, Frame, Input, Outcome, Output};

use crate::chronicle::Chronicle;
use crate::hand::{Hand, close, names};
use crate::network::Network;
use crate::pen::{chain, entry, forest};
use crate::world::member;

fn open() -> Hand {
    let log = Chronicle::base().log().clone();
    Hand::open_peer(member(0), member(1), &log, &Heads::default())
}

fn flowing() -> Hand {
    let log = Chronicle::base().log().clone();
    Hand::flowing_peer(member(0), member(1), &log, &Heads::default())
}

fn runs(count: usize) -> Vec<Run> {
    let chain = chain(member(1), Point::START, 0..count as u64);
    chain.iter().map(|run| run.to_run()).collect()
}

#[test]
fn without_a_wish_no_entry_is_sent_and_nothing_compared() {
    let mut hand = open();
    let own = chain(member(0), Point::START, 0..3);
    assert!(hand.committed(&own).is_empty());
    assert!(hand.input(Input::Missed).is_empty());
    for _ in 0..100 {
        hand.now_ms += 1_000;
        assert!(hand.input(Input::Tick).is_empty());
    }
    let outputs = hand.input(Input::Flush { ping_id: 7 });
    assert!(matches!(
        outputs[..],
        [Output::Flushed {
            ping_id: 7,
            equal: false
        }]
    ));
    assert!(hand.session.is_idle());
    assert!(hand.input(Input::Flow { wanted: false }).is_empty());
}

#[test]
fn what_arrives_without_a_wish_is_answered_all_the_same() {
    let mut hand = open();
    let (frame_id, runs) = (1, runs(1));
    let outputs = hand.frame(Frame::Runs { frame_id, runs });
    assert_eq!(names(&outputs), ["judge"]);
    let judged = Input::Judged {
        frame_id,
        outcomes: vec![Outcome::Waiting],
        kept: Vec::new(),
        log_wanted: false,
        heads_wanted: true,
        acks: Vec::new(),
    };
    assert_eq!(names(&hand.input(judged)), ["Taken"]);
    let digest = Heads::default().digest(Chronicle::base().log());
    let ping = Frame::Ping { ping_id: 1, digest };
    assert_eq!(names(&hand.frame(ping)), ["read heads"]);
    let other = Heads::new(chain(member(0), Point::START, 0..1).iter().map(|run| {
        edge_ledger_core::ledger::Tip {
            device: run.device(),
            point: run.last(),
        }
    }));
    assert_eq!(names(&hand.input(Input::Heads(other))), ["Pong"]);
}

#[test]
fn statements_are_told_without_a_wish() {
    let mut chronicle = Chronicle::base();
    let mut hand = Hand::open_peer(member(0), member(1), chronicle.log(), &Heads::default());
    chronicle.revoke(member(4).id, Vec::new(), Vec::new());
    let outputs = hand.input(Input::LogChanged(chronicle.log().clone()));
    assert_eq!(names(&outputs), ["read receipts"]);
    let outputs = hand.input(Input::Receipts(chronicle.receipts(5, 6)));
    assert_eq!(names(&outputs), ["Statements"]);
}

#[test]
fn a_wish_of_either_end_makes_both_tell_their_tips() {
    let flow = |wanted| Frame::Flow { wanted };
    let mut wants = open();
    let outputs = wants.input(Input::Flow { wanted: true });
    assert_eq!(names(&outputs), ["Flow", "read heads"]);
    assert!(wants.input(Input::Flow { wanted: true }).is_empty());
    let mut hears = open();
    assert_eq!(names(&hears.frame(flow(true))), ["read heads"]);
    assert!(hears.frame(flow(true)).is_empty());
    // Now both want it: it goes on until neither does.
    assert_eq!(
        names(&hears.input(Input::Heads(Heads::default()))),
        ["Heads"]
    );
    let outputs = hears.input(Input::Flow { wanted: true });
    assert_eq!(names(&outputs), ["Flow", "read heads"]);
    hears.input(Input::Heads(Heads::default()));
    assert!(hears.frame(flow(false)).is_empty());
    hears.frame(Frame::Heads(Heads::default()));
    hears.input(Input::Located(Vec::new()));
    hears.nothing_to_send();
    let own = chain(member(0), Point::START, 0..2);
    assert_eq!(names(&hears.committed(&own[..1])), ["Runs"]);
    assert_eq!(names(&hears.input(Input::Flow { wanted: false })), ["Flow"]);
    assert!(hears.committed(&own[1..]).is_empty());
}

#[test]
fn a_flow_that_ends_answers_who_waits_and_drops_what_was_read() {
    let mut hand = flowing();
    let outputs = hand.input(Input::Flush { ping_id: 3 });
    assert_eq!(names(&outputs), ["read heads"]);
    assert_eq!(names(&hand.input(Input::Missed)), ["read"]);
    let outputs = hand.frame(Frame::Flow { wanted: false });
    assert!(matches!(
        outputs[..],
        [Output::Flushed {
            ping_id: 3,
            equal: false
        }]
    ));
    // The answers to what was asked before come to nothing.
    let run = forest().main(0, 1, false)[0].clone();
    let kept = edge_ledger_core::ledger::KeptRun {
        last: run.last(),
        run: run.to_run(),
    };
    let page = Input::Page {
        runs: vec![kept],
        more: false,
    };
    assert!(hand.input(page).is_empty());
    assert!(hand.input(Input::Heads(Heads::default())).is_empty());
    assert!(hand.session.is_idle());
}

/// The tips that were read for a comparison that was given up come when the next one has begun.
#[test]
fn a_flush_of_the_next_flow_is_answered_whatever_is_left_of_the_last() {
    let mut hand = flowing();
    let digest = Heads::default().digest(Chronicle::base().log());
    hand.input(Input::Flush { ping_id: 3 });
    hand.input(Input::Heads(Heads::default()));
    let outputs = hand.frame(Frame::Pong { ping_id: 1, digest });
    assert_eq!(names(&outputs), ["read heads"]);
    hand.frame(Frame::Flow { wanted: false });
    assert_eq!(
        names(&hand.frame(Frame::Flow { wanted: true })),
        ["read heads"]
    );
    hand.frame(Frame::Heads(Heads::default()));
    hand.input(Input::Located(Vec::new()));
    hand.nothing_to_send();
    hand.input(Input::Flush { ping_id: 4 });
    let mut outputs = Vec::new();
    for _ in 0..4 {
        outputs.extend(hand.input(Input::Heads(Heads::default())));
    }
    for ping_id in [2, 3] {
        outputs.extend(hand.frame(Frame::Pong { ping_id, digest }));
    }
    outputs.extend(hand.input(Input::Heads(Heads::default())));
    let flushed = |output: &Output| {
        matches!(
            output,
            Output::Flushed {
                ping_id: 4,
                equal: true
            }
        )
    };
    assert!(outputs.iter().any(flushed), "{outputs:?}");
}

/// A wish that ends crosses one that begins: both ends must come to the same, at once.
#[test]
fn wishes_that_cross_leave_nobody_waiting() {
    let mut network = Network::new(Chronicle::base(), 5);
    let places = [0, 1].map(|number| network.device(member(number), 5));
    let channel = network.join(places[0], places[1]);
    network.connect(channel);
    network.settle();
    network.channel_input(channel, 1, Input::Flow { wanted: false });
    network.settle();
    // Entries flow, for one end wants them; it stops when the other begins.
    network.channel_input(channel, 0, Input::Flow { wanted: false });
    network.channel_input(channel, 1, Input::Flow { wanted: true });
    network.settle();
    for (place, number) in places.into_iter().zip([0, 1]) {
        network.commit(place, &[entry(member(number), Point::START, 5)]);
    }
    network.settle();
    assert_eq!(
        network.replicas[places[0]].digest(),
        network.replicas[places[1]].digest()
    );
    assert_eq!(network.replicas[places[0]].heads().tips().count(), 2);
}

#[test]
fn what_came_by_the_service_is_not_sent_again() {
    let mut network = Network::new(Chronicle::base(), 5);
    let places = [0, 1].map(|number| network.device(member(number), 5));
    for place in places {
        network.dial(place);
    }
    network.settle();
    let channel = network.join(places[0], places[1]);
    network.connect(channel);
    network.settle();
    for run in chain(member(0), Point::START, 0..20) {
        network.commit(places[0], &[run]);
        network.settle();
    }
    let runs = |network: &Network| {
        let sent = network.channels[channel].sent.iter();
        sent.filter(|(_, frame)| matches!(frame, Frame::Runs { .. }))
            .count()
    };
    assert_eq!(runs(&network), 0);
    network.set_service(false);
    network.choose_paths();
    network.settle();
    assert_eq!(runs(&network), 0);
    network.commit(places[1], &[entry(member(1), Point::START, 1)]);
    network.settle();
    assert_eq!(runs(&network), 1);
    assert!(network.channels_are_idle());
}

#[test]
fn three_devices_of_which_only_neighbours_meet_come_to_hold_the_same() {
    let mut chronicle = Chronicle::base();
    chronicle.rename(member(0).id, "another name");
    chronicle.revoke(member(4).id, Vec::new(), Vec::new());
    let mut network = Network::new(chronicle, 5);
    let places = [(0, 7), (1, 5), (2, 6)].map(|(n, position)| network.device(member(n), position));
    for (place, number) in places.into_iter().zip([0, 1, 2]) {
        network.replicas[place].keep(&forest().main(number, 3 + number, false));
    }
    for pair in places.windows(2) {
        let channel = network.join(pair[0], pair[1]);
        network.connect(channel);
    }
    network.settle();
    let same = |network: &Network| {
        let first = &network.replicas[places[0]];
        let all = places.iter().map(|place| &network.replicas[*place]);
        all.clone()
            .all(|r| r.position() == 7 && r.digest() == first.digest())
    };
    assert!(same(&network));
    let at = network.replicas[places[2]].heads().of(&member(2).id)[0];
    network.commit(places[2], &[entry(member(2), at, 3)]);
    network.settle();
    assert!(same(&network));
    assert_eq!(network.replicas[places[0]].ever.len(), 3 + 4 + 5 + 1);
}

#[test]
fn a_peer_that_serves_invalid_entries_is_dropped_after_ten() {
    let mut network = Network::new(Chronicle::base(), 5);
    let places = [0, 1].map(|number| network.device(member(number), 5));
    let channel = network.join(places[0], places[1]);
    network.connect(channel);
    network.settle();
    for index in 0..MISBEHAVED_RUNS_MAX {
        assert!(network.channels[channel].is_open());
        let mut run = entry(member(2), Point::START, index as u64).to_run();
        run.payloads[0] = b"not what was signed".to_vec().into();
        let frame_id = index as u64 + 1;
        let runs = vec![run];
        network.channel_input(channel, 0, Input::Frame(Frame::Runs { frame_id, runs }));
        network.settle();
    }
    assert_eq!(network.channels[channel].closes[0], [Close::Misbehaved]);
    assert!(network.replicas[places[0]].ever.is_empty());
}

#[test]
fn frames_of_too_many_things_end_the_session() {
    let frames = [
        Frame::Runs {
            frame_id: 1,
            runs: vec![runs(1)[0].clone(); FRAME_RUNS_MAX + 1],
        },
        Frame::Statements(vec![Chronicle::base().receipts(0, 1)[0].clone(); 65]),
        Frame::RelayedAcks(crate::relayed::acks(65)),
    ];
    for frame in frames {
        let name = frame.name();
        let outputs = flowing().frame(frame);
        assert_eq!(close(&outputs), Some(&Close::BadMessage(name)));
    }
}
