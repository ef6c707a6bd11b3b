//! Statements of the identity log while a session is open, and the acks that name a place in it.

use edge_ledger_core::identity::Point;
use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_core::ledger::ack::AckBody;
use edge_ledger_core::ledger::{Ack, Heads, Level};
use edge_ledger_core::limits::{LOG_ASKS_MAX, WAITING_ACKS_MAX};
use edge_ledger_core::sync::{AckParts, Close, Frame, GoAwayReason, Input, Outcome, Output};

use crate::chronicle::Chronicle;
use crate::hand::{Hand, close, names};
use crate::network::{Network, SERVICE, Side};
use crate::pen::chain;
use crate::world::{STORE_EPOCH, key, member, world};

fn pair() -> Network {
    let mut network = Network::new(Chronicle::base(), 5);
    network.device(member(0), 5);
    network.device(member(2), 5);
    for device in network.devices() {
        network.dial(device);
    }
    network.settle();
    network.watch();
    network
}

fn sent(network: &Network, to: Side, name: &str) -> usize {
    let sent = network.traffic().iter();
    sent.filter(|sent| sent.to == to && sent.frame.name() == name)
        .count()
}

#[test]
fn a_revoked_device_is_told_and_gets_nothing_more() {
    let mut network = pair();
    network
        .chronicle
        .revoke(member(2).id, Vec::new(), Vec::new());
    network.service_learns();
    let later = chain(member(0), Point::START, 0..3);
    network.commit(SERVICE, &later);
    network.settle();
    let link = &network.links[2];
    assert!(link.told_revoked && link.stream.is_none());
    assert_eq!(link.closes, [Close::DeviceRevoked]);
    assert!(network.replicas[2].ever.is_empty());
    assert_eq!(sent(&network, Side::Device, "GoAway"), 1);
    assert_eq!(
        network.replicas[1].digest(),
        network.replicas[SERVICE].digest()
    );
}

#[test]
fn a_service_ends_the_session_of_an_ended_device_with_a_reason() {
    let mut chronicle = Chronicle::base();
    let mut hand = Hand::open_service(member(2), chronicle.log(), &Heads::default());
    chronicle.revoke(member(2).id, Vec::new(), Vec::new());
    let outputs = hand.input(Input::LogChanged(chronicle.log().clone()));
    assert_eq!(names(&outputs), ["GoAway", "close"]);
    let reason = GoAwayReason::DeviceRevoked;
    assert!(matches!(&outputs[0], Output::Send(Frame::GoAway { reason: r, .. }) if *r == reason));
    assert_eq!(close(&outputs), Some(&Close::DeviceRevoked));
}

#[test]
fn a_device_that_learns_of_its_own_end_stops() {
    let mut chronicle = Chronicle::base();
    let before = chronicle.log().clone();
    chronicle.revoke(member(2).id, Vec::new(), Vec::new());
    let mut open = Hand::open_device(member(2), &before, &Heads::default());
    let mut fresh = Hand::device(member(2), &before, &Heads::default());
    for hand in [&mut open, &mut fresh] {
        let outputs = hand.input(Input::LogChanged(chronicle.log().clone()));
        assert_eq!(names(&outputs), ["close"]);
        assert_eq!(close(&outputs), Some(&Close::DeviceRevoked));
    }
}

#[test]
fn statements_go_to_everybody_once_and_not_back() {
    let mut network = pair();
    // The first device heard it from the identity service, the service did not yet.
    network.chronicle.rename(member(0).id, "another name");
    network.learn(1, 6);
    network.settle();
    for replica in &network.replicas {
        assert_eq!(replica.position(), 6);
    }
    let traffic = network.traffic().iter();
    let statements: Vec<_> = traffic
        .filter(|sent| matches!(sent.frame, Frame::Statements(_)))
        .map(|sent| (sent.replica, sent.to))
        .collect();
    assert_eq!(statements, [(1, Side::Service), (2, Side::Device)]);
    network.pass(120, 1_000);
    assert_eq!(sent(&network, Side::Service, "Statements"), 1);
    assert_eq!(sent(&network, Side::Device, "Statements"), 1);
}

#[test]
fn statements_that_come_twice_change_nothing() {
    let chronicle = Chronicle::base();
    let mut hand = Hand::open_service(member(0), chronicle.log(), &Heads::default());
    for _ in 0..3 {
        let outputs = hand.frame(Frame::Statements(chronicle.receipts(0, 5)));
        assert_eq!(names(&outputs), ["LogWanted"], "it says where its log ends");
    }
    // The peer is not taken to have a longer log for that.
    let frame = runs_of_a_stranger(1);
    let outputs = hand.frame(frame);
    assert!(matches!(
        outputs[..],
        [Output::Judge {
            peer_ahead: false,
            ..
        }]
    ));
}

/// Entries of a device that the base log does not know.
fn runs_of_a_stranger(frame_id: u64) -> Frame {
    let run = &chain(member(9), Point::START, 0..1)[0];
    Frame::Runs {
        frame_id,
        runs: vec![run.to_run()],
    }
}

#[test]
fn a_run_of_an_unknown_device_asks_for_statements_and_is_sent_again_after_them() {
    let mut network = pair();
    network.hold = vec![(1, Side::Device)];
    network.chronicle.add(member(9), false);
    network.service_learns();
    network.commit(SERVICE, &chain(member(9), Point::START, 0..2));
    network.settle();
    // The statements are lost, the entries arrive; the log's length is known from another frame.
    let stream = network.stream(1);
    stream
        .to_device
        .retain(|frame| !matches!(frame, Frame::Statements(_)));
    let later = {
        network.chronicle.rename(member(0).id, "another name");
        network.chronicle.receipts(6, 7)
    };
    network.input(1, Side::Device, Input::Frame(Frame::Statements(later)));
    network.hold.clear();
    network.settle();
    assert!(sent(&network, Side::Service, "LogWanted") > 0);
    assert!(network.replicas[1].heads().is_empty());
    network.service_learns();
    network.pass(3, 1_000);
    assert_eq!(network.replicas[1].position(), 7);
    assert_eq!(
        network.replicas[1].heads(),
        network.replicas[SERVICE].heads()
    );
    assert!(network.links[1].closes.is_empty());
}

#[test]
fn a_run_of_an_unknown_device_is_foreign_when_no_longer_log_is_known() {
    let mut network = pair();
    network.input(1, Side::Service, Input::Frame(runs_of_a_stranger(1)));
    network.settle();
    let [answer] = network.traffic() else {
        panic!("{:?}", network.names());
    };
    let Frame::Taken { outcomes, .. } = &answer.frame else {
        panic!("{:?}", answer.frame);
    };
    let foreign = edge_ledger_core::ledger::admission::Refusal::ForeignEntry;
    assert_eq!(outcomes[..], [Outcome::Refused(foreign)]);
    assert_eq!(sent(&network, Side::Device, "LogWanted"), 0);
}

#[test]
fn a_peer_that_only_claims_a_longer_log_is_asked_a_few_times() {
    let chronicle = Chronicle::base();
    let mut longer = chronicle.clone();
    longer.rename(member(0).id, "one");
    longer.rename(member(0).id, "two");
    let mut hand = Hand::open_service(member(0), chronicle.log(), &Heads::default());
    // It skips a statement, so nothing can be adopted.
    hand.frame(Frame::Statements(longer.receipts(6, 7)));
    let mut ahead = 0;
    for frame_id in 1..100 {
        let outputs = hand.frame(runs_of_a_stranger(frame_id));
        ahead += u32::from(matches!(
            outputs[..],
            [Output::Judge {
                peer_ahead: true,
                ..
            }]
        ));
        hand.input(Input::Judged {
            frame_id,
            outcomes: vec![Outcome::Waiting],
            kept: Vec::new(),
            log_wanted: true,
            heads_wanted: false,
            acks: Vec::new(),
        });
        hand.now_ms += 31_000;
    }
    assert!(ahead <= LOG_ASKS_MAX, "{ahead}");
}

#[test]
fn statements_that_make_no_sense_end_the_session() {
    let mut chronicle = Chronicle::base();
    let mut other = chronicle.clone();
    chronicle.rename(member(0).id, "one");
    other.rename(member(0).id, "two");
    let mut recorded_again = Chronicle::base();
    recorded_again.time_ms += 1;
    recorded_again.rename(member(0).id, "one");
    let forged = |change: &dyn Fn(&mut ReceiptParts)| {
        let mut parts = chronicle.receipts(5, 6);
        change(&mut parts[0]);
        Frame::Statements(parts)
    };
    let twice = [chronicle.receipts(4, 5), chronicle.receipts(4, 5)].concat();
    let bad = Close::BadMessage("Statements");
    let frames = [
        (
            forged(&|parts| parts.body = b"\xff\xff".as_slice().into()),
            &bad,
        ),
        (forged(&|parts| parts.body = Vec::new().into()), &bad),
        (Frame::Statements(twice), &bad),
        (
            Frame::Statements(vec![chronicle.receipts(0, 1)[0].clone(); 65]),
            &bad,
        ),
        (Frame::Statements(other.receipts(5, 6)), &Close::LogForked),
        (
            Frame::Statements(recorded_again.receipts(5, 6)),
            &Close::LogForked,
        ),
    ];
    for (frame, expected) in frames {
        let mut hand = Hand::open_service(member(0), chronicle.log(), &Heads::default());
        assert_eq!(close(&hand.frame(frame)), Some(expected));
    }
}

#[test]
fn lost_statements_are_sent_again() {
    let mut network = pair();
    network.hold = vec![(1, Side::Device)];
    network.chronicle.rename(member(0).id, "another name");
    network.service_learns();
    network.settle();
    network.stream(1).to_device.clear();
    network.hold.clear();
    network.pass(32, 1_000);
    assert_eq!(network.replicas[1].position(), 6);
    let frames = sent(&network, Side::Device, "Statements");
    network.pass(120, 1_000);
    assert_eq!(
        sent(&network, Side::Device, "Statements"),
        frames,
        "then no more"
    );
}

#[test]
fn a_device_without_receipts_is_asked_for_them_once() {
    let mut chronicle = Chronicle::base();
    let mut hand = Hand::open_device(member(0), chronicle.log(), &Heads::default());
    chronicle.rename(member(0).id, "another name");
    let outputs = hand.input(Input::LogChanged(chronicle.log().clone()));
    assert_eq!(names(&outputs), ["read receipts"]);
    let outputs = hand.input(Input::Receipts(Vec::new()));
    // With nothing to tell, entries need not wait for it.
    assert_eq!(names(&outputs), ["read"]);
}

/// An ack under a log, as it travels.
fn ack(chronicle: &Chronicle, position: u64) -> AckParts {
    let body = AckBody {
        identity: world().identity(),
        device: member(0).id,
        point: Point {
            seq: position,
            ..Point::START
        },
        log_position: position,
        log_hash: chronicle.log_at(position).head().hash,
        level: Level::Durable,
        store_epoch: STORE_EPOCH,
        service_time_ms: 5,
        key_serial: world().signer.certificate().serial(),
    };
    AckParts::from(&Ack::sign(&world().signer, world().ledger_id(), body))
}

fn acked(outputs: &[Output]) -> usize {
    let mut count = 0;
    for output in outputs {
        if let Output::Acked { acks, .. } = output {
            count += acks.len();
        }
    }
    count
}

#[test]
fn acks_are_checked_and_a_wrong_one_ends_the_session() {
    let chronicle = Chronicle::base();
    let device = || Hand::open_device(member(0), chronicle.log(), &Heads::default());
    let outputs = device().frame(Frame::Acks(vec![ack(&chronicle, 5), ack(&chronicle, 2)]));
    assert_eq!(acked(&outputs), 2);

    let mut better = ack(&chronicle, 5);
    better.level = Level::Replicated;
    let mut further = ack(&chronicle, 5);
    further.point.seq += 1;
    let mut other_place = ack(&chronicle, 5);
    other_place.log_position = 4;
    let mut other_key = ack(&chronicle, 5);
    other_key.signature = key(99).sign(&[0; 32]);
    let mut other_serial = ack(&chronicle, 5);
    other_serial.key_serial += 1;
    for wrong in [better, further, other_place, other_key, other_serial] {
        let outputs = device().frame(Frame::Acks(vec![ack(&chronicle, 5), wrong]));
        assert_eq!(names(&outputs), ["close"]);
        assert_eq!(close(&outputs), Some(&Close::BadMessage("Acks")));
    }

    let mut service = Hand::open_service(member(0), chronicle.log(), &Heads::default());
    let outputs = service.frame(Frame::Acks(vec![ack(&chronicle, 5)]));
    assert_eq!(close(&outputs), Some(&Close::BadMessage("Acks")));
}

#[test]
fn acks_that_name_a_newer_log_wait_for_it() {
    let mut chronicle = Chronicle::base();
    let before = chronicle.log().clone();
    chronicle.rename(member(0).id, "another name");
    let mut hand = Hand::open_device(member(0), &before, &Heads::default());
    let many = 3 * WAITING_ACKS_MAX;
    for _ in 0..many {
        assert!(hand.frame(Frame::Acks(vec![ack(&chronicle, 6)])).is_empty());
    }
    let outputs = hand.input(Input::LogChanged(chronicle.log().clone()));
    assert_eq!(acked(&outputs), WAITING_ACKS_MAX);

    let mut hand = Hand::open_device(member(0), &before, &Heads::default());
    let mut wrong = ack(&chronicle, 6);
    wrong.point.seq += 1;
    hand.frame(Frame::Acks(vec![wrong]));
    let outputs = hand.input(Input::LogChanged(chronicle.log().clone()));
    assert_eq!(close(&outputs), Some(&Close::BadMessage("Acks")));
}
