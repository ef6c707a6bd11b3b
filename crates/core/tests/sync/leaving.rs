//! A session that is told to end answers what it has taken, and does nothing else.

use edge_ledger_core::identity::Point;
use edge_ledger_core::ledger::ack::AckBody;
use edge_ledger_core::ledger::{Ack, Heads, Level, Tip};
use edge_ledger_core::sync::{Close, Frame, GoAwayReason, Input, Outcome, Output};

use crate::chronicle::Chronicle;
use crate::hand::{Hand, close, names};
use crate::pen::chain;
use crate::world::{STORE_EPOCH, member, world};

const DRAINED: Close = Close::GoAway(GoAwayReason::Draining);

fn service() -> (Hand, Chronicle) {
    let chronicle = Chronicle::base();
    let hand = Hand::open_service(member(0), chronicle.log(), &Heads::default());
    (hand, chronicle)
}

fn push(hand: &mut Hand, frame_id: u64) {
    let run = &chain(member(0), Point::START, 0..frame_id)[frame_id as usize - 1];
    let runs = vec![run.to_run()];
    assert_eq!(
        names(&hand.frame(Frame::Runs { frame_id, runs })),
        ["judge"]
    );
}

fn judged(frame_id: u64, chronicle: &Chronicle) -> Input {
    let run = &chain(member(0), Point::START, 0..frame_id)[frame_id as usize - 1];
    let point = run.last();
    let device = member(0).id;
    let head = chronicle.log().head();
    let body = AckBody {
        identity: world().identity(),
        device,
        point,
        log_position: head.position,
        log_hash: head.hash,
        level: Level::Durable,
        store_epoch: STORE_EPOCH,
        service_time_ms: 0,
        key_serial: world().signer.certificate().serial(),
    };
    Input::Judged {
        frame_id,
        outcomes: vec![Outcome::Kept],
        kept: vec![(Tip { device, point }, run.parent())],
        log_wanted: false,
        heads_wanted: true,
        acks: vec![Ack::sign(&world().signer, world().ledger_id(), body)],
    }
}

#[test]
fn owed_answers_and_their_acks_come_before_the_farewell() {
    let (mut hand, chronicle) = service();
    push(&mut hand, 1);
    push(&mut hand, 2);
    assert!(hand.input(Input::GoAway(GoAwayReason::Draining)).is_empty());
    assert!(hand.session.is_leaving() && hand.session.is_open());
    assert_eq!(names(&hand.input(judged(1, &chronicle))), ["Taken", "Acks"]);
    let outputs = hand.input(judged(2, &chronicle));
    assert_eq!(names(&outputs), ["Taken", "Acks", "GoAway", "close"]);
    assert_eq!(close(&outputs), Some(&DRAINED));
}

#[test]
fn who_leaves_takes_and_asks_for_nothing() {
    let (mut hand, chronicle) = service();
    push(&mut hand, 1);
    hand.input(Input::GoAway(GoAwayReason::Draining));
    let next = chain(member(0), Point::START, 1..2);
    let ignored = [
        Input::Frame(Frame::Runs {
            frame_id: 2,
            runs: vec![next[0].to_run()],
        }),
        Input::Frame(Frame::Heads(Heads::default())),
        Input::Frame(Frame::LogWanted { after_position: 0 }),
        Input::Committed(chain(member(1), Point::START, 0..1).into()),
        Input::Missed,
        Input::Tick,
        Input::GoAway(GoAwayReason::Superseded),
    ];
    for input in ignored {
        assert!(hand.input(input).is_empty());
    }
    // Whoever waits for a flush is told that there was none.
    let outputs = hand.input(Input::Flush { ping_id: 7 });
    let flushed = Output::Flushed {
        ping_id: 7,
        equal: false,
    };
    assert_eq!(format!("{outputs:?}"), format!("{:?}", [flushed]));
    assert_eq!(close(&hand.input(judged(1, &chronicle))), Some(&DRAINED));
}

#[test]
fn a_device_that_is_ended_meanwhile_hears_that_instead() {
    let (mut hand, mut chronicle) = service();
    push(&mut hand, 1);
    hand.input(Input::GoAway(GoAwayReason::Draining));
    chronicle.revoke(member(0).id, Vec::new(), Vec::new());
    let outputs = hand.input(Input::LogChanged(chronicle.log().clone()));
    assert_eq!(names(&outputs), ["GoAway", "close"]);
    assert_eq!(close(&outputs), Some(&Close::DeviceRevoked));
}
