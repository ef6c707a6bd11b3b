//! The handshake: who is let in, who is not, and what it costs.

use edge_ledger_core::identity::{IdentityLog, Point};
use edge_ledger_core::ledger::Heads;
use edge_ledger_core::sync::{
    Close, Frame, GoAwayReason, HandshakeError, Hello, HelloBody, Input, NewGreeting, Welcome,
    greet,
};

use crate::chronicle::Chronicle;
use crate::hand::{Hand, close, digest, greeting, hello, hello_in, names, standing, welcome};
use crate::network::Network;
use crate::pen::{chain, forest};
use crate::world::{AUDIENCE, genesis, member, signer, world};

fn handshake(error: HandshakeError) -> Option<Close> {
    Some(Close::Handshake(error))
}

#[test]
fn a_reconnect_with_nothing_missing_moves_no_heads() {
    let mut network = Network::new(Chronicle::base(), 5);
    let device = network.device(member(0), 5);
    for number in 0..3 {
        for replica in &mut network.replicas {
            replica.keep(&forest().main(number, 9, false));
        }
    }
    network.watch();
    network.dial(device);
    network.settle();
    assert_eq!(network.names(), ["Greeting", "Hello", "Welcome"]);
    assert!(network.is_idle());
    network.pass(29, 1_000);
    assert_eq!(network.names().len(), 3, "an idle minute starts in silence");
    network.pass(31, 1_000);
    assert_eq!(network.names()[3..], ["Ping", "Pong", "Ping", "Pong"]);
}

#[test]
fn different_digests_cost_one_heads_each() {
    let mut network = Network::new(Chronicle::base(), 5);
    let device = network.device(member(0), 5);
    network.replicas[0].keep(&forest().main(1, 4, false));
    network.replicas[device].keep(&forest().main(0, 4, false));
    network.watch();
    network.dial(device);
    network.settle();
    let count = |name: &str| network.names().iter().filter(|n| **n == name).count();
    assert_eq!(
        (count("Heads"), count("Locator"), count("Runs")),
        (2, 0, 2),
        "{:?}",
        network.names()
    );
    assert_eq!(
        network.replicas[0].digest(),
        network.replicas[device].digest()
    );
}

#[test]
fn a_hello_of_another_stream_proves_nothing() {
    let log = Chronicle::base().log().clone();
    let (mut hand, _) = Hand::service();
    let other = greeting(1, AUDIENCE);
    let outputs = hand.frame(Frame::Hello(hello(
        &other,
        member(0),
        &log,
        &Heads::default(),
    )));
    assert_eq!(close(&outputs).cloned(), handshake(HandshakeError::Proof));
    assert_eq!(names(&outputs), ["close"]);
}

#[test]
fn a_hello_with_the_key_of_somebody_else_proves_nothing() {
    let log = Chronicle::base().log().clone();
    let (mut hand, greeting) = Hand::service();
    let body = HelloBody {
        identity: world().identity(),
        key: member(0).public,
        log: log.head(),
        digest: digest(&Heads::default()),
        nonce: [8; 32],
    };
    let forged = Hello::sign(world().ledger_id(), &greeting, &member(9).key, &body);
    let outputs = hand.frame(Frame::Hello(forged));
    assert_eq!(close(&outputs).cloned(), handshake(HandshakeError::Proof));
}

#[test]
fn a_device_answers_only_the_service_that_it_dialled() {
    let log = Chronicle::base().log().clone();
    let device = || Hand::device(member(0), &log, &Heads::default());
    let relayed = "mallory.example:443";
    let outputs = device().frame(Frame::Greeting(greeting(1, relayed)));
    let refused = HandshakeError::Audience(relayed.to_owned());
    assert_eq!(close(&outputs).cloned(), handshake(refused));

    let new = || NewGreeting {
        nonce: [1; 32],
        audience: AUDIENCE.to_owned(),
    };
    let other = genesis(2);
    let foreign = greet(&signer(&other, 252), other.ledger_id(), new());
    let outputs = device().frame(Frame::Greeting(foreign));
    assert_eq!(
        close(&outputs).cloned(),
        handshake(HandshakeError::Deployment)
    );

    let mut changed = greeting(1, AUDIENCE);
    changed.signature = greeting(2, AUDIENCE).signature;
    let outputs = device().frame(Frame::Greeting(changed));
    assert_eq!(close(&outputs).cloned(), handshake(HandshakeError::Proof));
}

#[test]
fn the_first_frame_is_hello_or_greeting() {
    let log = Chronicle::base().log().clone();
    let ping = || Frame::Ping {
        ping_id: 1,
        digest: digest(&Heads::default()),
    };
    let (mut service, greeting) = Hand::service();
    let outputs = service.frame(ping());
    assert_eq!(close(&outputs), Some(&Close::Expected("Hello")));
    let (mut service, _) = Hand::service();
    let outputs = service.frame(Frame::Greeting(greeting.clone()));
    assert_eq!(close(&outputs), Some(&Close::Expected("Hello")));

    let mut device = Hand::device(member(0), &log, &Heads::default());
    let outputs = device.frame(ping());
    assert_eq!(close(&outputs), Some(&Close::Expected("Greeting")));
    let mut device = Hand::device(member(0), &log, &Heads::default());
    let hello = hello(&greeting, member(0), &log, &Heads::default());
    let outputs = device.frame(Frame::Hello(hello));
    assert_eq!(close(&outputs), Some(&Close::Expected("Greeting")));
}

#[test]
fn a_second_hello_ends_the_session_and_nothing_has_an_effect_after_that() {
    let log = Chronicle::base().log().clone();
    let heads = Heads::default();
    let (mut hand, greeting) = Hand::service();
    let hello = hello(&greeting, member(0), &log, &heads);
    assert_eq!(
        names(&hand.frame(Frame::Hello(hello.clone()))),
        ["identify"]
    );
    let outputs = hand.frame(Frame::Hello(hello));
    assert_eq!(close(&outputs), Some(&Close::BadMessage("Hello")));

    let late = [
        Input::Identified(Some(standing(&log, &heads))),
        Input::Frame(Frame::Heads(heads)),
        Input::Frame(Frame::GoAway {
            reason: GoAwayReason::Draining,
            retry_after_ms: 0,
        }),
        Input::GoAway(GoAwayReason::Draining),
        Input::LogChanged(log),
        Input::Opened,
        Input::Tick,
    ];
    for input in late {
        assert!(hand.input(input).is_empty());
    }
    assert!(!hand.session.is_open() && hand.session.is_idle());
}

#[test]
fn an_ended_device_is_told_so_whatever_log_it_claims() {
    let mut chronicle = Chronicle::base();
    let before = chronicle.log().clone();
    chronicle.revoke(member(2).id, Vec::new(), Vec::new());
    let log = chronicle.log();
    for claimed in [&before, log] {
        let (mut hand, greeting) = Hand::service();
        let hello = hello(&greeting, member(2), claimed, &Heads::default());
        hand.frame(Frame::Hello(hello));
        let standing = standing(log, &Heads::default());
        let outputs = hand.input(Input::Identified(Some(standing)));
        assert_eq!(close(&outputs), Some(&Close::DeviceRevoked));
    }
}

#[test]
fn a_device_with_a_forked_journal_is_refused_and_others_are_not() {
    let log = Chronicle::base().log().clone();
    let main = forest().main(2, 8, false);
    let branch = forest().branch(2, 0, 3);
    let tip = |run: &edge_ledger_core::ledger::VerifiedRun| edge_ledger_core::ledger::Tip {
        device: run.device(),
        point: run.last(),
    };
    let heads = Heads::new([tip(&main[7]), tip(&branch[2])]);
    for (number, refused) in [(2, true), (1, false)] {
        let (mut hand, greeting) = Hand::service();
        hand.frame(Frame::Hello(hello(&greeting, member(number), &log, &heads)));
        let outputs = hand.input(Input::Identified(Some(standing(&log, &heads))));
        assert_eq!(close(&outputs) == Some(&Close::Forked), refused);
    }
}

#[test]
fn another_log_at_the_same_position_ends_the_session_on_both_ends() {
    let heads = Heads::default();
    let log = Chronicle::base().log().clone();
    let mut other = Chronicle::base().truncated(4);
    other.rename(member(0).id, "another name");
    let other = other.log();
    let (mut service, greeting) = Hand::service();
    service.frame(Frame::Hello(hello(&greeting, member(0), other, &heads)));
    let outputs = service.input(Input::Identified(Some(standing(&log, &heads))));
    assert_eq!(close(&outputs), Some(&Close::LogForked));

    let mut device = Hand::device(member(0), &log, &heads);
    let outputs = device.frame(Frame::Greeting(greeting));
    let answer = welcome(hello_in(&outputs), other, &heads);
    let outputs = device.frame(Frame::Welcome(answer));
    assert_eq!(close(&outputs), Some(&Close::LogForked));
}

/// A store that was put back has a shorter log than who saw more of it, and goes on from there.
#[test]
fn a_longer_log_that_does_not_follow_is_another_one() {
    let heads = Heads::default();
    let mut chronicle = Chronicle::base();
    chronicle.rename(member(0).id, "ours");
    let log = chronicle.log().clone();
    let mut other = Chronicle::base();
    for name in ["a", "b", "c"] {
        other.rename(member(0).id, name);
    }
    let (after, end) = (log.head().position, other.position());
    for (shown, ends) in [
        (other.receipts(after, end), Close::LogForked),
        (Vec::new(), Close::Forbidden),
    ] {
        let (mut hand, greeting) = Hand::service();
        let hello = hello(&greeting, member(0), other.log(), &heads);
        hand.frame(Frame::Hello(hello));
        let outputs = hand.input(Input::Identified(Some(standing(&log, &heads))));
        assert_eq!(names(&outputs), ["LogWanted"]);
        let outputs = hand.frame(Frame::Statements(shown.clone()));
        let next = if shown.is_empty() {
            "identify"
        } else {
            "adopt"
        };
        assert_eq!(names(&outputs), [next]);
        let outputs = hand.input(Input::Identified(Some(standing(&log, &heads))));
        assert_eq!(close(&outputs), Some(&ends));
    }
}

/// A greeting can be recorded and shown to the next who dials; the answer to its hello cannot.
#[test]
fn only_the_service_of_the_greeting_welcomes_and_only_this_hello() {
    let heads = Heads::default();
    let log = Chronicle::base().log().clone();
    let dial = |nonce: u8| {
        let mut device = Hand::device_with(member(0), &log, &heads, [nonce; 32]);
        let outputs = device.frame(Frame::Greeting(greeting(9, AUDIENCE)));
        (device, hello_in(&outputs).clone())
    };
    let (mut device, before) = dial(1);
    let recorded = welcome(&before, &log, &heads);
    let outputs = device.frame(Frame::Welcome(recorded.clone()));
    assert_eq!(names(&outputs)[0], "live");

    let refused = |answer: &dyn Fn(&Hello) -> Welcome| {
        let (mut device, hello) = dial(2);
        let outputs = device.frame(Frame::Welcome(answer(&hello)));
        assert_eq!(close(&outputs).cloned(), handshake(HandshakeError::Proof));
        assert_eq!(names(&outputs), ["close"]);
    };
    refused(&|_| recorded.clone());
    refused(&|hello| Welcome {
        body: welcome(hello, Chronicle::base().log_at(3), &heads).body,
        ..welcome(hello, &log, &heads)
    });
    let body = |hello: &Hello| {
        let (service, ledger_id) = (world().signer.certificate().key(), world().ledger_id());
        let sound = welcome(hello, &log, &heads);
        sound
            .check(ledger_id, &hello.proof, service)
            .expect("sound")
    };
    let other = signer(&world().genesis, 251);
    refused(&|hello| Welcome::sign(&other, world().ledger_id(), &hello.proof, &body(hello)));
}

/// What a service says to a hello, up to its first answer.
fn answer(known: Option<&std::sync::Arc<IdentityLog>>, claimed: &IdentityLog) -> Vec<String> {
    let (mut hand, greeting) = Hand::service();
    let heads = Heads::default();
    hand.frame(Frame::Hello(hello(&greeting, member(9), claimed, &heads)));
    let standing = known.map(|log| standing(log, &heads));
    let outputs = hand.input(Input::Identified(standing));
    outputs.iter().map(|output| format!("{output:?}")).collect()
}

#[test]
fn a_stranger_gets_the_same_answer_whether_the_identity_exists_or_not() {
    let log = Chronicle::base().log().clone();
    let empty = Chronicle::empty().log().clone();
    let mut long = Chronicle::base();
    for _ in 0..9 {
        long.rename(member(0).id, "another name");
    }
    let long = long.log();
    for claimed in [&empty, long] {
        assert_eq!(answer(Some(&log), claimed), answer(None, claimed));
    }
    assert!(answer(None, long)[0].contains("LogWanted { after_position: 0 }"));
    assert!(answer(None, &empty)[0].contains("Forbidden"));
}

#[test]
fn a_stranger_who_cannot_show_the_log_learns_nothing_of_it() {
    let chronicle = Chronicle::base();
    let heads = Heads::default();
    let mut other = Chronicle::empty();
    other.incept(member(20));
    for _ in 0..9 {
        other.rename(member(20).id, "a stranger");
    }
    let (mut hand, greeting) = Hand::service();
    let claim = hello(&greeting, member(20), other.log(), &heads);
    hand.frame(Frame::Hello(claim));
    hand.input(Input::Identified(Some(standing(chronicle.log(), &heads))));
    let outputs = hand.frame(Frame::Statements(other.receipts(0, 10)));
    assert_eq!(names(&outputs), ["close"]);
    assert_eq!(close(&outputs), Some(&Close::Forbidden));
}

#[test]
fn a_device_that_the_service_does_not_know_yet_brings_the_log_along() {
    for statements in [1_u64, 60, 130] {
        let mut chronicle = Chronicle::base();
        for number in 1..statements as usize {
            chronicle.rename(member(number % 5).id, &format!("name {number}"));
        }
        chronicle.add(member(9), false);
        let end = chronicle.position();
        let mut network = Network::new(chronicle, 5);
        let device = network.device(member(9), end);
        network.watch();
        network.dial(device);
        network.settle();
        assert_eq!(
            network.replicas[0].position(),
            end,
            "{:?}",
            network.links[device].closes
        );
        assert!(network.is_idle());
        for sent in network.traffic() {
            if let Frame::Statements(parts) = &sent.frame {
                assert!(parts.len() <= 64);
            }
        }
    }
}

#[test]
fn a_wiped_service_takes_the_log_back() {
    let mut chronicle = Chronicle::base();
    for number in 0..130_usize {
        chronicle.rename(member(number % 5).id, &format!("name {number}"));
    }
    let mut network = Network::new(chronicle, 0);
    let device = network.device(member(3), 135);
    network.replicas[device].keep(&forest().main(3, 10, false));
    network.watch();
    network.dial(device);
    network.settle();
    assert_eq!(network.replicas[0].position(), 135);
    assert_eq!(
        network.replicas[0].digest(),
        network.replicas[device].digest()
    );
    let asked = network
        .names()
        .iter()
        .filter(|n| **n == "LogWanted")
        .count();
    assert_eq!(asked, 3, "once for each 64 statements");
}

#[test]
fn a_device_far_behind_gets_the_log_in_several_frames() {
    let mut chronicle = Chronicle::base();
    for number in 0..130_usize {
        chronicle.rename(member(number % 5).id, &format!("name {number}"));
    }
    let mut network = Network::new(chronicle, 135);
    let device = network.device(member(0), 1);
    network.watch();
    network.dial(device);
    network.settle();
    assert_eq!(network.replicas[device].position(), 135);
    let mut frames = Vec::new();
    for sent in network.traffic() {
        if let Frame::Statements(parts) = &sent.frame {
            frames.push(parts.len());
        }
    }
    assert_eq!(frames, [64, 64, 6]);
}

#[test]
fn a_log_that_changes_while_somebody_is_identified_is_read_again() {
    let mut chronicle = Chronicle::base();
    let before = chronicle.log().clone();
    chronicle.revoke(member(2).id, Vec::new(), Vec::new());
    let heads = Heads::default();
    let (mut hand, greeting) = Hand::service();
    hand.frame(Frame::Hello(hello(&greeting, member(2), &before, &heads)));
    assert!(
        hand.input(Input::LogChanged(chronicle.log().clone()))
            .is_empty()
    );
    let outputs = hand.input(Input::Identified(Some(standing(&before, &heads))));
    assert_eq!(names(&outputs), ["identify"]);
    let outputs = hand.input(Input::Identified(Some(standing(chronicle.log(), &heads))));
    assert_eq!(close(&outputs), Some(&Close::DeviceRevoked));
}

#[test]
fn a_peer_that_claims_a_log_without_end_is_refused() {
    let chronicle = Chronicle::base();
    let heads = Heads::default();
    let (mut hand, greeting) = Hand::service();
    let mut body = HelloBody {
        identity: world().identity(),
        key: member(1).public,
        log: chronicle.log().head(),
        digest: digest(&heads),
        nonce: [8; 32],
    };
    body.log.position = u64::MAX;
    let hello = Hello::sign(world().ledger_id(), &greeting, &member(1).key, &body);
    hand.frame(Frame::Hello(hello));
    let found = || Input::Identified(Some(standing(chronicle.log(), &heads)));
    assert_eq!(names(&hand.input(found())), ["LogWanted"]);
    let outputs = hand.frame(Frame::Statements(chronicle.receipts(0, 5)));
    assert_eq!(names(&outputs), ["adopt"]);
    assert_eq!(close(&hand.input(found())), Some(&Close::Forbidden));
}

#[test]
fn a_session_that_is_told_to_end_says_so_and_ends() {
    let log = Chronicle::base().log().clone();
    let mut hand = Hand::open_service(member(0), &log, &Heads::default());
    let outputs = hand.input(Input::GoAway(GoAwayReason::Superseded));
    assert_eq!(names(&outputs), ["GoAway", "close"]);
    assert!(
        hand.committed(&chain(member(0), Point::START, 0..1))
            .is_empty()
    );
}
