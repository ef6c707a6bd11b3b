//! Entries on their way: what moves, and what does not.

use edge_ledger_core::identity::Point;
use edge_ledger_core::ledger::admission::Refusal;
use edge_ledger_core::ledger::gate::Reject;
use edge_ledger_core::ledger::{Heads, Run, Tip};
use edge_ledger_core::limits::{MISBEHAVED_RUNS_MAX, WINDOW_FRAMES_MAX};
use edge_ledger_core::sync::{Close, Frame, Input, Outcome, Output};

use crate::chronicle::Chronicle;
use crate::hand::{Hand, close, names};
use crate::network::{Network, SERVICE, Side};
use crate::pen::{chain, joined, long_chain, verified};
use crate::world::member;

/// A service and devices, all with the whole log; the traffic is written down.
pub(crate) fn network(devices: &[usize]) -> Network {
    let mut network = Network::new(Chronicle::base(), 5);
    for number in devices {
        network.device(member(*number), 5);
    }
    network.watch();
    network
}

pub(crate) fn dial_all(network: &mut Network) {
    for device in network.devices() {
        network.dial(device);
    }
    network.settle();
}

/// The runs that were sent to one end of a stream.
pub(crate) fn runs_to(network: &Network, replica: usize, to: Side) -> Vec<Run> {
    let sent = network.traffic().iter();
    let sent = sent.filter(|sent| sent.replica == replica && sent.to == to);
    let mut all = Vec::new();
    for sent in sent {
        if let Frame::Runs { runs, .. } = &sent.frame {
            all.extend(runs.iter().cloned());
        }
    }
    all
}

pub(crate) fn entries(runs: &[Run]) -> usize {
    runs.iter().map(|run| run.payloads.len()).sum()
}

pub(crate) fn count(network: &Network, name: &str) -> usize {
    network.names().iter().filter(|n| **n == name).count()
}

#[test]
fn a_long_catch_up_flows_in_a_window_of_eight_frames() {
    let mut network = network(&[0]);
    let long = long_chain(member(1), 5_000, &mut network.book);
    network.replicas[SERVICE].keep(&[long]);
    network.page_entries = 100;
    network.hold = vec![(1, Side::Device)];
    network.dial(1);
    // The device hears the greeting, the welcome and the tips, and answers nothing after that.
    for _ in 0..3 {
        network.settle();
        network.deliver(1, Side::Device);
    }
    network.settle();
    assert_eq!(network.stream(1).to_device.len(), WINDOW_FRAMES_MAX);
    assert_eq!(
        network.stream(1).service.session.unanswered(),
        WINDOW_FRAMES_MAX
    );
    network.pass(20, 1_000);
    assert_eq!(
        network.stream(1).service.session.unanswered(),
        WINDOW_FRAMES_MAX
    );

    network.hold.clear();
    while network.step() {
        assert!(network.stream(1).service.session.unanswered() <= WINDOW_FRAMES_MAX);
    }
    assert_eq!(
        network.replicas[1].digest(),
        network.replicas[SERVICE].digest()
    );
    let sent = runs_to(&network, 1, Side::Device);
    assert_eq!((sent.len(), entries(&sent)), (50, 5_000));
    assert!(network.is_idle());
}

#[test]
fn a_live_entry_goes_out_at_once_as_one_frame() {
    let mut network = network(&[0, 1]);
    dial_all(&mut network);
    let reads = |network: &mut Network| network.stream(2).service.seen.reads;
    let before = reads(&mut network);
    network.watch();
    network.commit(1, &chain(member(0), Point::START, 0..1));
    network.settle();
    assert_eq!(network.names(), ["Runs", "Taken", "Runs", "Taken"]);
    assert_eq!(reads(&mut network), before);
    assert_eq!(network.replicas[2].digest(), network.replicas[1].digest());
}

#[test]
fn entries_that_are_committed_together_go_out_together() {
    let log = Chronicle::base().log().clone();
    let mut hand = Hand::open_service(member(0), &log, &Heads::default());
    let runs = [
        chain(member(1), Point::START, 0..3),
        chain(member(2), Point::START, 0..2),
    ];
    let outputs = hand.committed(&runs.concat());
    assert_eq!(names(&outputs), ["Runs"]);
    // A gap is left to a read, which knows what is below it.
    let later = chain(member(3), Point::START, 0..4);
    assert_eq!(names(&hand.committed(&later[2..3])), ["read"]);
}

#[test]
fn nothing_is_sent_back_to_who_sent_it() {
    let mut network = network(&[0, 1]);
    dial_all(&mut network);
    network.watch();
    network.commit(1, &chain(member(0), Point::START, 0..5));
    network.settle();
    network.pass(70, 1_000);
    network.input(1, Side::Service, Input::Missed);
    network.settle();
    assert!(runs_to(&network, 1, Side::Device).is_empty());
    assert!(runs_to(&network, 2, Side::Service).is_empty());
    assert_eq!(entries(&runs_to(&network, 2, Side::Device)), 5);
}

#[test]
fn what_waited_for_somebody_elses_entries_is_told_to_them() {
    let mut network = network(&[0, 1]);
    dial_all(&mut network);
    let runs = chain(member(2), Point::START, 0..4);
    // The second device brings the end of a journal, of which nobody has the beginning.
    let frame = Frame::Runs {
        frame_id: 90,
        runs: vec![runs[3].to_run()],
    };
    network.input(2, Side::Service, Input::Frame(frame));
    network.settle();
    network.commit(1, &runs[..3]);
    network.settle();
    let end = Tip {
        device: member(2).id,
        point: runs[3].last(),
    };
    assert!(network.replicas[SERVICE].journals.keeps(&end));
    assert!(network.replicas[1].journals.keeps(&end));
}

#[test]
fn a_fork_moves_only_the_branches() {
    let mut network = network(&[0]);
    let author = member(2);
    let common = chain(author, Point::START, 0..100);
    let here = chain(author, common[99].last(), 1_000..1_010);
    let there = chain(author, common[99].last(), 2_000..2_005);
    for run in common.iter().chain(&here).chain(&there) {
        network.book.add(run);
    }
    for (place, branch) in [(SERVICE, &here), (1, &there)] {
        network.replicas[place].keep(&common);
        network.replicas[place].keep(branch);
    }
    dial_all(&mut network);
    assert_eq!(
        network.replicas[1].heads(),
        network.replicas[SERVICE].heads()
    );
    assert_eq!(network.replicas[1].heads().of(&author.id).len(), 2);
    assert_eq!(
        (count(&network, "Heads"), count(&network, "Locator")),
        (2, 2)
    );
    // A locator names 8 places below the tip, then 16: each side sends less than that too much.
    let to_device = entries(&runs_to(&network, 1, Side::Device));
    let to_service = entries(&runs_to(&network, 1, Side::Service));
    assert!((10..20).contains(&to_device), "{to_device}");
    assert!((5..15).contains(&to_service), "{to_service}");
}

#[test]
fn a_taken_of_another_length_ends_the_session() {
    let log = Chronicle::base().log().clone();
    let mut hand = Hand::open_service(member(0), &log, &Heads::default());
    hand.committed(&chain(member(1), Point::START, 0..2));
    let taken = |frame_id, count| Frame::Taken {
        frame_id,
        outcomes: vec![Outcome::Kept; count],
    };
    // To a frame that was never sent there is nothing to say.
    assert!(hand.frame(taken(7, 1)).is_empty());
    let outputs = hand.frame(taken(1, 1));
    assert_eq!(close(&outputs), Some(&Close::BadMessage("Taken")));
}

/// Runs of one entry each whose signatures do not fit.
fn invalid(count: usize) -> Vec<Run> {
    let run = chain(member(0), Point::START, 0..2);
    let mut bad = run[0].to_run();
    bad.signature = run[1].signature();
    vec![bad; count]
}

fn refuse(hand: &mut Hand, frame_id: u64, count: usize) -> Vec<Output> {
    let runs = invalid(count);
    hand.frame(Frame::Runs { frame_id, runs });
    let refused = Outcome::Refused(Refusal::Gate(Reject::BadSignature));
    hand.input(Input::Judged {
        frame_id,
        outcomes: vec![refused; count],
        kept: Vec::new(),
        log_wanted: false,
        heads_wanted: false,
        acks: Vec::new(),
    })
}

#[test]
fn ten_invalid_runs_within_a_minute_end_the_session() {
    let log = Chronicle::base().log().clone();
    let heads = Heads::default();
    let mut hand = Hand::open_service(member(0), &log, &heads);
    let outputs = refuse(&mut hand, 1, MISBEHAVED_RUNS_MAX - 1);
    assert_eq!(names(&outputs), ["Taken"]);
    hand.now_ms += 60_000;
    let outputs = refuse(&mut hand, 2, 1);
    assert_eq!(names(&outputs), ["Taken", "close"]);
    assert_eq!(close(&outputs), Some(&Close::Misbehaved));

    let mut hand = Hand::open_service(member(0), &log, &heads);
    refuse(&mut hand, 1, MISBEHAVED_RUNS_MAX - 1);
    hand.now_ms += 60_001;
    let outputs = refuse(&mut hand, 2, MISBEHAVED_RUNS_MAX - 1);
    assert_eq!(names(&outputs), ["Taken"]);
}

#[test]
fn what_is_remembered_of_the_peer_does_not_grow_with_time() {
    let log = Chronicle::base().log().clone();
    let mut hand = Hand::open_service(member(0), &log, &Heads::default());
    let (mine, theirs) = (member(1), member(0));
    let mut at = (Point::START, Point::START);
    for number in 0..1_000 {
        let sent = &chain(mine, at.0, number..number + 1);
        hand.committed(sent);
        hand.frame(Frame::Taken {
            frame_id: number + 1,
            outcomes: vec![Outcome::Kept],
        });
        let got = &chain(theirs, at.1, number..number + 1)[0];
        let runs = vec![got.to_run()];
        hand.frame(Frame::Runs {
            frame_id: number + 1,
            runs,
        });
        let tip = Tip {
            device: theirs.id,
            point: got.last(),
        };
        hand.input(Input::Judged {
            frame_id: number + 1,
            outcomes: vec![Outcome::Kept],
            kept: vec![(tip, got.parent())],
            log_wanted: false,
            heads_wanted: false,
            acks: Vec::new(),
        });
        at = (sent[0].last(), got.last());
    }
    let outputs = hand.input(Input::Missed);
    let Some(Output::Read(have)) = outputs.first() else {
        panic!("{outputs:?}");
    };
    assert_eq!(have.values().map(|points| points.len()).sum::<usize>(), 2);
}

#[test]
fn a_run_that_was_cut_short_here_counts_as_shown() {
    let log = Chronicle::base().log().clone();
    let mut hand = Hand::open_service(member(0), &log, &Heads::default());
    let runs = chain(member(1), Point::START, 0..4);
    let frame = Frame::Runs {
        frame_id: 1,
        runs: vec![joined(&runs)],
    };
    hand.frame(frame);
    let tip = Tip {
        device: member(1).id,
        point: runs[2].last(),
    };
    let outputs = hand.input(Input::Judged {
        frame_id: 1,
        outcomes: vec![Outcome::Kept],
        kept: vec![(tip, Point::START)],
        log_wanted: false,
        heads_wanted: false,
        acks: Vec::new(),
    });
    assert_eq!(names(&outputs), ["Taken"], "nothing of it has to be read");
    assert_eq!(verified(member(1), &joined(&runs)).last(), runs[3].last());
}
