//! Flush: somebody hears when both ends have told each other everything.

use edge_ledger_core::identity::Point;
use edge_ledger_core::ledger::{Heads, VerifiedRun};
use edge_ledger_core::limits::{FLUSHES_WAITING_MAX, WINDOW_FRAMES_MAX};
use edge_ledger_core::sync::{Frame, Input, Output};

use crate::chronicle::Chronicle;
use crate::hand::{Hand, digest, names};
use crate::network::{Network, SERVICE, Side};
use crate::pen::{chain, long_chain};
use crate::replica::Replica;
use crate::world::member;

fn pair() -> Network {
    let mut network = Network::new(Chronicle::base(), 5);
    network.device(member(0), 5);
    network
}

fn flush(network: &mut Network, ping_id: u64) {
    network.input(1, Side::Device, Input::Flush { ping_id });
}

fn flushed(network: &mut Network) -> Vec<(u64, bool)> {
    network.stream(1).device.seen.flushed.clone()
}

fn keeps(replica: &Replica, run: &VerifiedRun) -> bool {
    replica.journals.keeps(&edge_ledger_core::ledger::Tip {
        device: run.device(),
        point: run.last(),
    })
}

#[test]
fn a_flush_at_rest_is_one_ping() {
    let mut network = pair();
    network.dial(1);
    network.settle();
    network.watch();
    flush(&mut network, 5);
    network.settle();
    assert_eq!(network.names(), ["Ping", "Pong"]);
    assert_eq!(flushed(&mut network), [(5, true)]);
}

/// Delivers frame by frame until the flush is answered, and looks at what is there then.
fn everything_is_there_when_it_is_flushed(network: &mut Network, must_be_there: &[VerifiedRun]) {
    while flushed(network).is_empty() {
        assert!(network.step(), "the flush is not answered");
    }
    for run in must_be_there {
        assert!(keeps(&network.replicas[SERVICE], run));
        assert!(keeps(&network.replicas[1], run));
    }
    network.settle();
}

#[test]
fn a_flush_waits_for_a_window_that_is_full() {
    for seed in 0..50 {
        let mut network = pair();
        network.dial(1);
        network.settle();
        let long = long_chain(member(0), 300, &mut network.book);
        network.page_entries = 10;
        network.hold = vec![(1, Side::Service), (1, Side::Device)];
        network.commit(1, std::slice::from_ref(&long));
        let here = chain(member(1), Point::START, 0..9);
        network.commit(SERVICE, &here);
        network.input(1, Side::Device, Input::Missed);
        network.settle();
        flush(&mut network, 5);
        network.pass(3, 1_000);
        assert!(flushed(&mut network).is_empty());

        network.hold.clear();
        network.rng = Some(crate::rng::Rng::new(seed));
        network.input(1, Side::Device, Input::Missed);
        let last = [long, here[8].clone()];
        everything_is_there_when_it_is_flushed(&mut network, &last);
    }
}

#[test]
fn the_window_is_full_while_nobody_answers() {
    let mut network = pair();
    let long = long_chain(member(0), 300, &mut network.book);
    network.replicas[1].keep(&[long]);
    network.page_entries = 10;
    network.dial(1);
    network.hold = vec![(1, Side::Service)];
    while network.stream(1).device.session.unanswered() < WINDOW_FRAMES_MAX {
        network.settle();
        network.deliver(1, Side::Service);
    }
    flush(&mut network, 5);
    network.pass(20, 1_000);
    assert!(flushed(&mut network).is_empty());
    network.hold.clear();
    network.settle();
    assert_eq!(flushed(&mut network), [(5, true)]);
    assert_eq!(
        network.replicas[SERVICE].digest(),
        network.replicas[1].digest()
    );
}

#[test]
fn a_flush_right_at_the_start_waits_for_tips_and_locators() {
    for seed in 0..100 {
        let mut network = pair();
        let author = member(2);
        let common = chain(author, Point::START, 0..20);
        let here = chain(author, common[19].last(), 100..105);
        let there = chain(author, common[19].last(), 200..203);
        for run in common.iter().chain(&here).chain(&there) {
            network.book.add(run);
        }
        for (place, branch) in [(SERVICE, &here), (1, &there)] {
            network.replicas[place].keep(&common);
            network.replicas[place].keep(branch);
        }
        network.rng = Some(crate::rng::Rng::new(seed));
        network.dial(1);
        while !network.stream(1).device.seen.live {
            network.step();
        }
        flush(&mut network, 5);
        let last = [here[4].clone(), there[2].clone()];
        everything_is_there_when_it_is_flushed(&mut network, &last);
        flush(&mut network, 6);
        network.settle();
        assert_eq!(flushed(&mut network).last(), Some(&(6, true)));
    }
}

#[test]
fn digests_that_stay_different_are_told_so() {
    let log = Chronicle::base().log().clone();
    let mut hand = Hand::open_device(member(0), &log, &Heads::default());
    let theirs = chain(member(1), Point::START, 0..1);
    let other = Heads::new([edge_ledger_core::ledger::Tip {
        device: member(1).id,
        point: theirs[0].last(),
    }]);
    let mut told = 0;
    for ping_id in 1..=20 {
        assert_eq!(names(&hand.input(Input::Flush { ping_id })), ["read heads"]);
        assert_eq!(names(&hand.input(Input::Heads(Heads::default()))), ["Ping"]);
        let digest = digest(&other);
        let pong = Frame::Pong { ping_id, digest };
        assert_eq!(names(&hand.frame(pong)), ["read heads"]);
        let outputs = hand.input(Input::Heads(Heads::default()));
        let answer = |output: &Output| matches!(output, Output::Flushed { equal: false, .. });
        assert!(outputs.iter().any(answer), "{outputs:?}");
        if names(&outputs).contains(&"read heads") {
            told += 1;
            hand.input(Input::Heads(Heads::default()));
        }
        hand.now_ms += 100;
    }
    // The first attempt to mend it is not repeated at once, however often somebody asks.
    assert_eq!(told, 1);
}

#[test]
fn a_flush_ends_though_others_go_on_writing() {
    let mut network = pair();
    network.dial(1);
    network.settle();
    let runs = chain(member(1), Point::START, 0..400);
    let mut runs = runs.iter();
    network.rng = Some(crate::rng::Rng::new(1));
    for ping_id in [1, 2, 3] {
        network.commit(SERVICE, &[runs.next().expect("there are enough").clone()]);
        flush(&mut network, ping_id);
        for _ in 0..100 {
            // Something new whenever something arrives.
            network.commit(SERVICE, &[runs.next().expect("there are enough").clone()]);
            network.step();
            if flushed(&mut network).len() == ping_id as usize {
                break;
            }
        }
        assert_eq!(flushed(&mut network).len(), ping_id as usize);
    }
    network.settle();
    assert_eq!(
        network.replicas[SERVICE].digest(),
        network.replicas[1].digest()
    );
}

#[test]
fn a_lost_ping_or_pong_is_repeated() {
    for side in [Side::Service, Side::Device] {
        let mut network = pair();
        network.dial(1);
        network.settle();
        network.hold = vec![(1, side)];
        flush(&mut network, 5);
        network.settle();
        network.stream(1).inbox(side).clear();
        network.hold.clear();
        network.pass(40, 1_000);
        assert_eq!(flushed(&mut network), [(5, true)], "lost to {side:?}");
    }
}

#[test]
fn many_flushes_are_answered_by_few_pings_and_too_many_at_once() {
    let log = Chronicle::base().log().clone();
    let mut hand = Hand::open_device(member(0), &log, &Heads::default());
    hand.input(Input::Flush { ping_id: 0 });
    for ping_id in 1..=FLUSHES_WAITING_MAX as u64 {
        assert!(hand.input(Input::Flush { ping_id }).is_empty());
    }
    let outputs = hand.input(Input::Flush { ping_id: 9_999 });
    assert!(matches!(
        outputs[..],
        [Output::Flushed {
            ping_id: 9_999,
            equal: false
        }]
    ));
    let equal = digest(&Heads::default());
    for (ping_id, answers) in [(1, 1), (2, FLUSHES_WAITING_MAX)] {
        hand.input(Input::Heads(Heads::default()));
        let digest = equal;
        hand.frame(Frame::Pong { ping_id, digest });
        let outputs = hand.input(Input::Heads(Heads::default()));
        let flushed = |output: &&Output| matches!(output, Output::Flushed { equal: true, .. });
        assert_eq!(outputs.iter().filter(flushed).count(), answers);
    }
}

#[test]
fn a_slow_peer_is_not_stuck_and_a_silent_one_is() {
    let log = Chronicle::base().log().clone();
    let mut hand = Hand::open_device(member(0), &log, &Heads::default());
    let runs = chain(member(0), Point::START, 0..3);
    for run in &runs {
        hand.committed(std::slice::from_ref(run));
    }
    for frame_id in 1..=2 {
        hand.now_ms += 420_000;
        assert!(!names(&hand.input(Input::Tick)).contains(&"close"));
        let outcomes = vec![edge_ledger_core::sync::Outcome::Kept];
        hand.frame(Frame::Taken { frame_id, outcomes });
    }
    hand.now_ms += 600_001;
    let outputs = hand.input(Input::Tick);
    let stalled = edge_ledger_core::sync::Close::Stalled;
    assert_eq!(crate::hand::close(&outputs), Some(&stalled));
}
