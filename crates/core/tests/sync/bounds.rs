//! What a peer sends cannot make a session say, or keep, without bound.

use edge_ledger_core::identity::Point;
use edge_ledger_core::ids::EntryHash;
use edge_ledger_core::ledger::{Heads, Tip};
use edge_ledger_core::limits::{
    FRAME_RUNS_MAX, HAVE_POINTS_MAX, HEADS_TIPS_MAX, LOCATOR_FRAME_POINTS_MAX, PINGS_DUE_MAX,
    WINDOW_FRAMES_MAX,
};
use edge_ledger_core::sync::{Close, Frame, Input, Outcome, Output};

use crate::chronicle::Chronicle;
use crate::hand::{Hand, close, digest, names};
use crate::pen::chain;
use crate::world::member;

fn open() -> Hand {
    let log = Chronicle::base().log().clone();
    Hand::open_service(member(0), &log, &Heads::default())
}

/// Tips that nobody has.
fn tips(count: usize, salt: u8) -> Vec<Tip> {
    let tip = |seq: usize| Tip {
        device: member(seq % 5).id,
        point: Point {
            seq: seq as u64 + 1,
            hash: EntryHash::from_bytes([salt; 32]),
        },
    };
    (0..count).map(tip).collect()
}

#[test]
fn pings_are_bounded_and_an_honest_peer_repeats_the_same() {
    let ping = |ping_id| Frame::Ping {
        ping_id,
        digest: digest(&Heads::default()),
    };
    // The first is being answered; the others wait for it.
    let mut hand = open();
    assert_eq!(names(&hand.frame(ping(1))), ["read heads"]);
    for _ in 0..100 {
        assert!(hand.frame(ping(2)).is_empty());
    }
    for ping_id in 3..3 + PINGS_DUE_MAX as u64 - 1 {
        assert!(hand.frame(ping(ping_id)).is_empty());
    }
    let outputs = hand.frame(ping(99));
    assert_eq!(close(&outputs), Some(&Close::BadMessage("Ping")));
}

#[test]
fn pongs_that_nobody_asked_for_do_nothing() {
    let mut hand = open();
    for ping_id in 0..100 {
        let digest = digest(&Heads::new(tips(3, 1)));
        assert!(hand.frame(Frame::Pong { ping_id, digest }).is_empty());
    }
}

#[test]
fn tips_are_looked_for_once_at_a_time() {
    let mut hand = open();
    let mut outputs = Vec::new();
    for salt in 0..100 {
        outputs.extend(hand.frame(Frame::Heads(Heads::new(tips(40, salt)))));
    }
    assert_eq!(names(&outputs), ["locate", "read"]);
    // The last ones are looked for next, those between are out of date.
    assert_eq!(names(&hand.input(Input::Located(Vec::new()))), ["locate"]);
    assert!(hand.input(Input::Located(Vec::new())).is_empty());
    assert!(hand.input(Input::Located(tips(3, 1))).is_empty());
    let outputs = hand.frame(Frame::Heads(Heads::new(tips(HEADS_TIPS_MAX + 1, 7))));
    assert_eq!(close(&outputs), Some(&Close::BadMessage("Heads")));
}

#[test]
fn log_wanted_reads_once_at_a_time_and_not_what_was_confirmed() {
    let mut hand = open();
    for _ in 0..100 {
        assert!(
            hand.frame(Frame::LogWanted { after_position: 0 })
                .is_empty()
        );
        assert!(
            hand.frame(Frame::LogWanted {
                after_position: u64::MAX
            })
            .is_empty()
        );
    }
    let mut chronicle = Chronicle::base();
    let mut hand = Hand::open_service(member(0), chronicle.log(), &Heads::default());
    chronicle.rename(member(0).id, "another name");
    let outputs = hand.input(Input::LogChanged(chronicle.log().clone()));
    assert_eq!(names(&outputs), ["read receipts"]);
    let wanted = || Frame::LogWanted { after_position: 5 };
    for _ in 0..100 {
        assert!(hand.frame(wanted()).is_empty());
    }
    let outputs = hand.input(Input::Receipts(chronicle.receipts(5, 6)));
    assert_eq!(names(&outputs)[0], "Statements");
    // What is lacking is sent again, but not for every request.
    let mut reads = 0;
    for _ in 0..100 {
        reads += usize::from(!hand.frame(wanted()).is_empty());
        reads += usize::from(!hand.input(Input::Tick).is_empty());
    }
    assert_eq!(reads, 0);
    hand.now_ms += 1_000;
    assert_eq!(names(&hand.input(Input::Tick)), ["read receipts"]);
}

#[test]
fn log_wanted_in_the_handshake_reads_once_at_a_time() {
    let log = Chronicle::base().log().clone();
    let mut hand = Hand::device(member(0), &log, &Heads::default());
    let greeting = crate::hand::greeting(1, crate::world::AUDIENCE);
    assert_eq!(names(&hand.frame(Frame::Greeting(greeting))), ["Hello"]);
    let wanted = || Frame::LogWanted { after_position: 0 };
    assert_eq!(names(&hand.frame(wanted())), ["read receipts"]);
    assert!(hand.frame(wanted()).is_empty());
    assert_eq!(
        names(&hand.input(Input::Receipts(Vec::new()))),
        ["Statements"]
    );
    assert!(hand.input(Input::Receipts(Vec::new())).is_empty());
    assert_eq!(names(&hand.frame(wanted())), ["read receipts"]);
}

#[test]
fn points_of_the_peer_are_bounded() {
    let mut hand = open();
    for salt in 0..20 {
        hand.frame(Frame::Locator(tips(LOCATOR_FRAME_POINTS_MAX, salt)));
    }
    let read = |outputs: Vec<Output>| match outputs.into_iter().next() {
        Some(Output::Read(have)) => have.values().map(|points| points.len()).sum::<usize>(),
        other => panic!("{other:?}"),
    };
    hand.nothing_to_send();
    let outputs = hand.input(Input::Missed);
    let points = match outputs.is_empty() {
        true => read(hand.nothing_to_send()),
        false => read(outputs),
    };
    assert!(points <= HAVE_POINTS_MAX, "{points}");
    let outputs = hand.frame(Frame::Locator(tips(LOCATOR_FRAME_POINTS_MAX + 1, 1)));
    assert_eq!(close(&outputs), Some(&Close::BadMessage("Locator")));
}

#[test]
fn frames_of_entries_are_judged_eight_at_a_time() {
    let run = chain(member(0), Point::START, 0..1)[0].to_run();
    let frame = |frame_id, count| Frame::Runs {
        frame_id,
        runs: vec![run.clone(); count],
    };
    let mut hand = open();
    for frame_id in 1..=WINDOW_FRAMES_MAX as u64 {
        assert_eq!(names(&hand.frame(frame(frame_id, 1))), ["judge"]);
    }
    let outputs = hand.frame(frame(9, 1));
    assert_eq!(close(&outputs), Some(&Close::BadMessage("Runs")));
    for count in [0, FRAME_RUNS_MAX + 1] {
        let outputs = open().frame(frame(1, count));
        assert_eq!(close(&outputs), Some(&Close::BadMessage("Runs")));
    }
    let outcomes = vec![Outcome::Kept; FRAME_RUNS_MAX + 1];
    let outputs = open().frame(Frame::Taken {
        frame_id: 1,
        outcomes,
    });
    assert_eq!(close(&outputs), Some(&Close::BadMessage("Taken")));
}

#[test]
fn frames_of_the_handshake_have_no_place_later() {
    let log = Chronicle::base().log().clone();
    let greeting = crate::hand::greeting(1, crate::world::AUDIENCE);
    let hello = crate::hand::hello(&greeting, member(0), &log, &Heads::default());
    let frames = [
        Frame::Welcome(crate::hand::welcome(&hello, &log, &Heads::default())),
        Frame::Greeting(greeting),
        Frame::Hello(hello),
    ];
    for frame in frames {
        let name = frame.name();
        let mut service = open();
        assert_eq!(
            close(&service.frame(frame.clone())),
            Some(&Close::BadMessage(name))
        );
        let mut device = Hand::open_device(member(0), &log, &Heads::default());
        assert_eq!(close(&device.frame(frame)), Some(&Close::BadMessage(name)));
    }
}
