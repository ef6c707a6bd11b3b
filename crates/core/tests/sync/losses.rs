//! What is lost, dropped or in vain on the way: it is sent again, and nothing goes on for ever.

use edge_ledger_core::identity::Point;
use edge_ledger_core::ledger::Heads;
use edge_ledger_core::sync::{Frame, Input, Outcome, Output};

use crate::chronicle::Chronicle;
use crate::entries::{count, dial_all, entries, network, runs_to};
use crate::hand::{Hand, names};
use crate::network::{Network, SERVICE, Side};
use crate::pen::chain;
use crate::world::member;

#[test]
fn frames_are_answered_in_order_and_lost_ones_noticed() {
    let log = Chronicle::base().log().clone();
    let mut hand = Hand::open_service(member(0), &log, &Heads::default());
    let runs = chain(member(0), Point::START, 0..2);
    for (frame_id, run) in [(1, &runs[0]), (2, &runs[1])] {
        let runs = vec![run.to_run()];
        assert_eq!(
            names(&hand.frame(Frame::Runs { frame_id, runs })),
            ["judge"]
        );
    }
    let judged = |frame_id| Input::Judged {
        frame_id,
        outcomes: vec![Outcome::Kept],
        kept: Vec::new(),
        log_wanted: false,
        heads_wanted: false,
        acks: Vec::new(),
    };
    assert!(hand.input(judged(2)).is_empty());
    assert_eq!(names(&hand.input(judged(1))), ["Taken", "Taken"]);

    let sent = chain(member(1), Point::START, 0..2);
    hand.committed(&sent[..1]);
    hand.committed(&sent[1..]);
    let outputs = hand.frame(Frame::Taken {
        frame_id: 2,
        outcomes: vec![Outcome::Kept],
    });
    // The first counts as waiting, and a comparison tells whether the peer has it.
    assert_eq!(names(&outputs), ["taken", "taken", "read heads"]);
    let Output::Taken(lost) = &outputs[0] else {
        panic!("{outputs:?}");
    };
    assert_eq!(lost[0].1, Outcome::Waiting);
    assert_eq!(lost[0].0.point, sent[0].last());
}

/// A service that keeps a journal up to its cut, and a device that has nothing of it.
fn cut_journal(entries: u64, cut_at: usize) -> Network {
    let author = member(2);
    let mut network = network(&[0]);
    let whole = chain(author, Point::START, 0..entries);
    for run in &whole {
        network.book.add(run);
    }
    network.replicas[SERVICE].keep(&whole);
    let tip = network.book.signed(author.id, whole[cut_at - 1].last());
    network.chronicle.revoke(author.id, vec![tip], Vec::new());
    network.service_learns();
    network
}

#[test]
fn a_cut_journal_of_several_pages_arrives_once() {
    let mut network = cut_journal(60, 55);
    network.page_entries = 10;
    dial_all(&mut network);
    network.pass(40, 1_000);
    let sent = runs_to(&network, 1, Side::Device);
    assert_eq!((sent.len(), entries(&sent)), (6, 55));
    assert_eq!(
        network.replicas[1].heads(),
        network.replicas[SERVICE].heads()
    );
    assert_eq!(network.replicas[1].heads().of(&member(2).id)[0].seq, 55);
}

#[test]
fn a_comparison_in_the_middle_of_a_cut_journal_does_not_start_it_anew() {
    let mut network = cut_journal(60, 60);
    network.page_entries = 5;
    network.dial(1);
    // A slow link: a frame of entries takes 20 seconds, and waits for those before it.
    network.hold = vec![(1, Side::Device)];
    for _ in 0..60 {
        network.settle();
        let slow = |frame: Option<&Frame>| matches!(frame, Some(Frame::Runs { .. }));
        if slow(network.stream(1).to_device.front()) {
            network.pass(20, 1_000);
        }
        network.deliver(1, Side::Device);
    }
    network.hold.clear();
    network.settle();
    assert_eq!(entries(&runs_to(&network, 1, Side::Device)), 60);
    assert_eq!(
        network.replicas[1].heads(),
        network.replicas[SERVICE].heads()
    );
    assert!(network.links[1].closes.is_empty());
}

#[test]
fn waiting_runs_that_were_dropped_are_asked_for_again() {
    let mut network = cut_journal(40, 40);
    network.page_entries = 10;
    network.hold = vec![(1, Side::Device)];
    network.dial(1);
    // The device gets half of the journal and forgets it: a change of the log does that.
    for _ in 0..6 {
        network.settle();
        network.deliver(1, Side::Device);
    }
    network.settle();
    network.chronicle.rename(member(0).id, "another name");
    network.learn(1, network.chronicle.position());
    network.hold.clear();
    network.settle();
    assert_eq!(
        network.replicas[1].heads(),
        network.replicas[SERVICE].heads()
    );
    assert!(network.is_idle());
}

#[test]
fn a_lost_frame_is_sent_again() {
    for lost in 0..4 {
        let mut network = network(&[0]);
        dial_all(&mut network);
        network.hold = vec![(1, Side::Service)];
        for run in chain(member(0), Point::START, 0..4) {
            network.commit(1, &[run]);
            network.settle();
        }
        network.stream(1).to_service.remove(lost);
        network.hold.clear();
        network.settle();
        for _ in 0..70 {
            network.pass(1, 10_000);
            network.redial();
            network.settle();
        }
        let (service, device) = (&network.replicas[SERVICE], &network.replicas[1]);
        assert_eq!(service.digest(), device.digest(), "frame {lost} was lost");
        assert!(network.is_idle());
    }
}

#[test]
fn lost_tips_are_told_again_after_half_a_minute() {
    for side in [Side::Service, Side::Device] {
        let mut network = network(&[0]);
        network.replicas[SERVICE].keep(&chain(member(1), Point::START, 0..4));
        network.replicas[1].keep(&chain(member(0), Point::START, 0..4));
        network.hold = vec![(1, side)];
        network.dial(1);
        while !network.stream(1).service.session.is_open()
            || !network.stream(1).device.session.is_open()
        {
            network.settle();
            network.deliver(1, side);
        }
        network.settle();
        let inbox = network.stream(1).inbox(side);
        inbox.retain(|frame| !matches!(frame, Frame::Heads(_)));
        network.hold.clear();
        network.pass(40, 1_000);
        let (service, device) = (&network.replicas[SERVICE], &network.replicas[1]);
        assert_eq!(service.digest(), device.digest(), "to {side:?}");
    }
}

#[test]
fn a_heads_frame_that_comes_twice_is_not_answered_for_ever() {
    let mut network = network(&[0]);
    network.replicas[SERVICE].keep(&chain(member(1), Point::START, 0..4));
    dial_all(&mut network);
    let heads = network.replicas[SERVICE].heads();
    network.watch();
    for _ in 0..2 {
        network.input(1, Side::Device, Input::Frame(Frame::Heads(heads.clone())));
    }
    network.settle();
    assert_eq!(count(&network, "Heads"), 0);
}

#[test]
fn a_peer_that_cannot_help_is_not_asked_again_and_again() {
    let log = Chronicle::base().log().clone();
    let mut hand = Hand::open_service(member(0), &log, &Heads::default());
    let waiting = chain(member(0), Point::START, 0..9);
    let mut told = 0;
    for (frame_id, run) in (1..).zip(&waiting[1..]) {
        let runs = vec![run.to_run()];
        hand.frame(Frame::Runs { frame_id, runs });
        let outputs = hand.input(Input::Judged {
            frame_id,
            outcomes: vec![Outcome::Waiting],
            kept: Vec::new(),
            log_wanted: false,
            heads_wanted: true,
            acks: Vec::new(),
        });
        if names(&outputs).contains(&"read heads") {
            hand.input(Input::Heads(Heads::default()));
            told += 1;
        }
    }
    assert_eq!(told, 1);
}
