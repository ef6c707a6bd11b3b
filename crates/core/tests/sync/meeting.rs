//! Two devices let each other in, or do not.

use std::sync::Arc;

use edge_ledger_core::identity::{IdentityLog, LogHead, Point};
use edge_ledger_core::ids::{IdentityId, LogHash};
use edge_ledger_core::ledger::Heads;
use edge_ledger_core::limits::PEER_OPENING_MS_MAX;
use edge_ledger_core::sync::{
    Close, Fingerprints, Frame, GoAwayReason, HandshakeError, Hello, HelloBody, Input, Output,
    PeerChannel, PeerGreeting,
};

use crate::chronicle::Chronicle;
use crate::hand::{
    Hand, close, greeting, hello, names, peer_hello, peer_hello_of, peer_welcome, seen_from_here,
    seen_from_there, standing, their_greeting, welcome,
};
use crate::network::Network;
use crate::pen::{chain, forest};
use crate::world::{AUDIENCE, Member, genesis, member, world};

/// Frames by which nothing of the ledger is told.
const BEFORE: [&str; 2] = ["PeerGreeting", "PeerHello"];

fn log() -> Arc<IdentityLog> {
    Chronicle::base().log().clone()
}

/// A session with member 1 that has said hello.
fn met(member: &Member, log: &Arc<IdentityLog>) -> (Hand, PeerGreeting) {
    let (mut hand, ours) = Hand::peer(member, crate::world::member(1), log, &Heads::default());
    let outputs = hand.frame(Frame::PeerGreeting(their_greeting()));
    assert_eq!(names(&outputs), ["PeerHello"]);
    (hand, ours)
}

/// What the session says to a hello.
fn answer(hello: impl FnOnce(&PeerGreeting) -> Hello) -> Option<Close> {
    let (mut hand, ours) = met(member(0), &log());
    let outputs = hand.frame(Frame::PeerHello(hello(&ours)));
    close(&outputs).cloned()
}

fn body(from: &Member) -> HelloBody {
    HelloBody {
        identity: world().identity(),
        key: from.public,
        log: log().head(),
        digest: Heads::default().digest(&log()),
        nonce: [32; 32],
    }
}

#[test]
fn a_hello_is_good_for_one_channel_and_nobody_in_between() {
    let proof = Some(Close::Handshake(HandshakeError::Proof));
    let heads = Heads::default();
    let said = |ours: &PeerGreeting| peer_hello(ours, member(1), &log(), &heads);
    assert_eq!(answer(said), None);
    let through = |fingerprints: Fingerprints| {
        answer(|ours| peer_hello_of(ours, member(1), fingerprints, &body(member(1))))
    };
    assert_eq!(through(seen_from_there()), None);
    // Both certificates are those of somebody in between, or one of them is.
    let between = [13; 32];
    let there = seen_from_there();
    let ours = |ours| Fingerprints { ours, ..there };
    let theirs = |theirs| Fingerprints { theirs, ..there };
    assert_eq!(through(ours(between)), proof);
    assert_eq!(through(theirs(between)), proof);
    assert_eq!(through(seen_from_here()), proof);
    // Said to another greeting: replayed.
    let other = PeerGreeting::new(world().ledger_id(), [99; 32]);
    assert_eq!(answer(|_| said(&other)), proof);
    // A hello to a service.
    let to_service = |_: &PeerGreeting| hello(&greeting(9, AUDIENCE), member(1), &log(), &heads);
    assert_eq!(answer(to_service), proof);
    // Another device's signature.
    let forged = |ours: &PeerGreeting| Hello {
        proof: peer_hello(ours, member(2), &log(), &heads).proof,
        ..said(ours)
    };
    assert_eq!(answer(forged), proof);
}

#[test]
fn what_this_end_said_itself_is_no_hello_of_the_other() {
    let (mut hand, ours) = Hand::peer(member(0), member(1), &log(), &Heads::default());
    let mut outputs = hand.frame(Frame::PeerGreeting(ours));
    let Some(Output::Send(Frame::PeerHello(echo))) = outputs.pop() else {
        panic!("no hello");
    };
    let outputs = hand.frame(Frame::PeerHello(echo));
    assert!(close(&outputs).is_some());
}

#[test]
fn another_device_or_identity_than_the_expected_one_is_refused() {
    let forbidden = Some(Close::Forbidden);
    let heads = Heads::default();
    let said = |from: &'static Member| answer(|ours| peer_hello(ours, from, &log(), &heads));
    assert_eq!(said(member(2)), forbidden);
    assert_eq!(said(member(20)), forbidden);
    let stranger = HelloBody {
        identity: IdentityId::from_bytes([7; 32]),
        ..body(member(1))
    };
    let of_stranger =
        |ours: &PeerGreeting| peer_hello_of(ours, member(1), seen_from_there(), &stranger);
    assert_eq!(answer(of_stranger), forbidden);
    // This device, expected of itself.
    let (mut hand, ours) = Hand::peer(member(0), member(0), &log(), &heads);
    hand.frame(Frame::PeerGreeting(their_greeting()));
    let outputs = hand.frame(Frame::PeerHello(peer_hello(
        &ours,
        member(0),
        &log(),
        &heads,
    )));
    assert_eq!(close(&outputs), Some(&Close::Forbidden));
}

#[test]
fn a_greeting_is_of_this_deployment_and_version() {
    let heads = Heads::default();
    let other = PeerGreeting::new(genesis(2).ledger_id(), [31; 32]);
    let mut changed = their_greeting();
    let version = changed.body.len() - 1;
    let mut bytes = changed.body.to_vec();
    bytes[version] = 2;
    changed.body = bytes.into();
    let mut longer = their_greeting();
    longer.body = [&longer.body[..], &[0x20, 1]].concat().into();
    let say = |greeting| {
        let (mut hand, _) = Hand::peer(member(0), member(1), &log(), &heads);
        let outputs = hand.frame(Frame::PeerGreeting(greeting));
        assert_eq!(names(&outputs), ["close"]);
        close(&outputs).cloned()
    };
    let handshake = |error| Some(Close::Handshake(error));
    assert_eq!(say(other), handshake(HandshakeError::Deployment));
    assert_eq!(say(changed), handshake(HandshakeError::Version(2)));
    assert!(say(longer).is_some());
    let empty = PeerGreeting {
        body: Vec::new().into(),
    };
    assert!(say(empty).is_some());
}

/// Every frame that may not come before the other end has said hello.
fn too_early() -> Vec<Frame> {
    let (log, heads) = (log(), Heads::default());
    let run = chain(member(1), Point::START, 0..1)[0].to_run();
    let to_service = hello(&greeting(9, AUDIENCE), member(1), &log, &heads);
    let digest = heads.digest(&log);
    vec![
        Frame::Heads(heads.clone()),
        Frame::Runs {
            frame_id: 1,
            runs: vec![run],
        },
        Frame::Taken {
            frame_id: 1,
            outcomes: Vec::new(),
        },
        Frame::LogWanted { after_position: 0 },
        Frame::Statements(Chronicle::base().receipts(0, 5)),
        Frame::Locator(Vec::new()),
        Frame::Ping { ping_id: 1, digest },
        Frame::Pong { ping_id: 1, digest },
        Frame::Acks(Vec::new()),
        Frame::RelayedAcks(Vec::new()),
        Frame::Flow { wanted: true },
        Frame::PeerWelcome(peer_welcome(&log, &heads)),
        Frame::Greeting(greeting(9, AUDIENCE)),
        Frame::Welcome(welcome(&to_service, &log, &heads)),
        Frame::Hello(to_service),
    ]
}

#[test]
fn nothing_of_the_ledger_is_taken_or_told_before_both_have_said_hello() {
    let expected = |hand: &mut Hand, frame: Frame, first: &'static str| {
        let outputs = hand.frame(frame);
        assert_eq!(names(&outputs), ["close"]);
        assert_eq!(close(&outputs), Some(&Close::Expected(first)));
    };
    for frame in too_early() {
        let (mut hand, _) = Hand::peer(member(0), member(1), &log(), &Heads::default());
        expected(&mut hand, frame.clone(), "PeerGreeting");
        let (mut hand, _) = met(member(0), &log());
        expected(&mut hand, frame, "PeerHello");
    }
    let (mut hand, ours) = Hand::peer(member(0), member(1), &log(), &Heads::default());
    let early = peer_hello(&ours, member(1), &log(), &Heads::default());
    expected(&mut hand, Frame::PeerHello(early), "PeerGreeting");
}

#[test]
fn a_peer_that_has_not_let_this_end_in_is_told_nothing_of_the_ledger() {
    let (log, heads) = (log(), Heads::default());
    for frame in too_early() {
        let (mut hand, ours) = met(member(0), &log);
        let said = peer_hello(&ours, member(1), &log, &heads);
        hand.frame(Frame::PeerHello(said));
        hand.input(Input::Identified(Some(standing(&log, &heads))));
        let may_come = matches!(frame, Frame::PeerWelcome(_) | Frame::LogWanted { .. });
        assert!(may_come || names(&hand.frame(frame)) == ["close"]);
    }
    // Everything that the shell says in the meantime, too, comes to nothing.
    let (mut hand, ours) = met(member(0), &log);
    hand.frame(Frame::PeerHello(peer_hello(&ours, member(1), &log, &heads)));
    hand.input(Input::Identified(Some(standing(&log, &heads))));
    assert!(!hand.session.is_open() && !hand.session.is_idle());
    assert!(
        hand.committed(&chain(member(0), Point::START, 0..2))
            .is_empty()
    );
    assert!(hand.input(Input::Missed).is_empty());
    assert!(hand.input(Input::Flow { wanted: true }).is_empty());
    assert!(hand.input(Input::Tick).is_empty());
    // Said to a service, frames of devices make no sense.
    for frame in [
        Frame::PeerGreeting(their_greeting()),
        Frame::PeerHello(peer_hello(&ours, member(1), &log, &heads)),
        Frame::PeerWelcome(peer_welcome(&log, &heads)),
        Frame::Flow { wanted: true },
        Frame::RelayedAcks(Vec::new()),
    ] {
        for mut hand in [
            Hand::open_service(member(0), &log, &heads),
            Hand::open_device(member(0), &log, &heads),
            Hand::service().0,
            Hand::device(member(0), &log, &heads),
        ] {
            assert_eq!(names(&hand.frame(frame.clone())), ["close"]);
        }
    }
}

#[test]
fn what_was_wanted_before_the_session_is_open_is_said_then() {
    let (log, heads) = (log(), Heads::default());
    let (mut hand, ours) = met(member(0), &log);
    assert!(hand.input(Input::Flow { wanted: true }).is_empty());
    hand.frame(Frame::PeerHello(peer_hello(&ours, member(1), &log, &heads)));
    hand.input(Input::Identified(Some(standing(&log, &heads))));
    let outputs = hand.frame(Frame::PeerWelcome(peer_welcome(&log, &heads)));
    assert_eq!(names(&outputs), ["live", "Flow", "read heads"]);
}

#[test]
fn a_peer_that_goes_silent_before_the_session_is_open_is_given_up() {
    let (mut hand, _) = met(member(0), &log());
    hand.now_ms += PEER_OPENING_MS_MAX;
    assert!(hand.input(Input::Tick).is_empty());
    hand.now_ms += 1;
    assert_eq!(close(&hand.input(Input::Tick)), Some(&Close::Stalled));
}

/// Two devices with logs, connected; the frames that each got.
fn meet(
    chronicle: &Chronicle,
    one: (&'static Member, u64),
    other: (&'static Member, u64),
) -> Network {
    let mut network = Network::new(chronicle.clone(), chronicle.position());
    let places = [one, other].map(|(member, position)| network.device(member, position));
    let channel = network.join(places[0], places[1]);
    network.connect(channel);
    network.settle();
    network
}

#[test]
fn the_shorter_log_learns_of_the_longer_one() {
    let mut chronicle = Chronicle::base();
    for number in 0..130_usize {
        chronicle.rename(member(number % 5).id, &format!("name {number}"));
    }
    let end = chronicle.position();
    for (one, other) in [(5, end), (end, 5), (1, end), (end, end), (70, 70)] {
        // At position 1 the log knows member 0 alone.
        let network = meet(&chronicle, (member(0), one), (member(1), other.max(2)));
        assert!(
            network.channels[0].is_open(),
            "{:?}",
            network.channels[0].closes
        );
        for place in [1, 2] {
            assert_eq!(network.replicas[place].position(), one.max(other));
        }
        for (_, frame) in &network.channels[0].sent {
            if let Frame::Statements(parts) = frame {
                assert!(parts.len() <= 64);
            }
        }
    }
}

#[test]
fn a_newly_linked_device_that_the_other_does_not_know_brings_the_log_along() {
    let mut chronicle = Chronicle::base();
    chronicle.add(member(9), false);
    let network = meet(&chronicle, (member(9), 6), (member(1), 5));
    assert!(network.channels[0].is_open());
    assert_eq!(network.replicas[2].position(), 6);
}

#[test]
fn a_device_that_the_log_does_not_have_gets_nothing() {
    // It knows the name of the identity and claims a log as long, or longer.
    let mut chronicle = Chronicle::base();
    let before = chronicle.position();
    chronicle.add(member(9), false);
    for claimed in [before, before + 4] {
        let log = chronicle.log_at(before).clone();
        let (mut hand, ours) = Hand::peer(member(0), member(20), &log, &Heads::default());
        hand.frame(Frame::PeerGreeting(their_greeting()));
        let hello = HelloBody {
            log: LogHead {
                position: claimed,
                hash: LogHash::from_bytes([1; 32]),
            },
            ..body(member(20))
        };
        let hello = peer_hello_of(&ours, member(20), seen_from_there(), &hello);
        hand.frame(Frame::PeerHello(hello));
        assert!(
            hand.frame(Frame::LogWanted { after_position: 0 })
                .is_empty()
        );
        let outputs = hand.input(Input::Identified(Some(standing(&log, &Heads::default()))));
        if claimed == before {
            assert_eq!(close(&outputs), Some(&Close::Forbidden));
            continue;
        }
        assert_eq!(names(&outputs), ["LogWanted"]);
        assert_eq!(
            names(&hand.frame(Frame::Statements(Vec::new()))),
            ["identify"]
        );
        let outputs = hand.input(Input::Identified(Some(standing(&log, &Heads::default()))));
        assert_eq!(close(&outputs), Some(&Close::Forbidden));
    }
}

/// Each end that knows of the revocation closes; the device that was ended gets no more than the
/// hello of the other, whatever it says of its own log.
#[test]
fn a_device_that_was_revoked_while_it_was_away_gets_nothing() {
    let mut chronicle = Chronicle::base();
    chronicle.revoke(member(2).id, Vec::new(), Vec::new());
    let mut network = Network::new(chronicle, 6);
    let knows = network.device(member(1), 6);
    let revoked = network.device(member(2), 5);
    network.replicas[knows].keep(&forest().main(1, 4, false));
    let channel = network.join(knows, revoked);
    network.connect(channel);
    network.settle();
    let channel = &network.channels[channel];
    assert!(channel.open.is_none());
    assert_eq!(channel.closes[0], [Close::DeviceRevoked]);
    assert_eq!(channel.names_to(1), [&BEFORE[..], &["GoAway"]].concat());
    assert_eq!(network.replicas[revoked].position(), 5);
    assert!(network.replicas[revoked].ever.is_empty());

    let (mut hand, ours) = Hand::peer(
        member(1),
        member(2),
        network.chronicle.log(),
        &Heads::default(),
    );
    hand.frame(Frame::PeerGreeting(their_greeting()));
    let mut lie = HelloBody {
        key: member(2).public,
        ..body(member(2))
    };
    lie.log.position = 99;
    let lie = peer_hello_of(&ours, member(2), seen_from_there(), &lie);
    hand.frame(Frame::PeerHello(lie));
    assert!(
        hand.frame(Frame::LogWanted { after_position: 0 })
            .is_empty()
    );
    let found = standing(network.chronicle.log(), &Heads::default());
    let outputs = hand.input(Input::Identified(Some(found)));
    assert_eq!(names(&outputs), ["GoAway", "close"]);
    assert_eq!(close(&outputs), Some(&Close::DeviceRevoked));
}

#[test]
fn a_device_that_learns_in_the_handshake_that_it_was_ended_closes() {
    let mut chronicle = Chronicle::base();
    let before = chronicle.log().clone();
    chronicle.revoke(member(0).id, Vec::new(), Vec::new());
    let heads = Heads::default();
    let (mut hand, ours) = met(member(0), &before);
    hand.frame(Frame::PeerHello(peer_hello(
        &ours,
        member(1),
        &before,
        &heads,
    )));
    let outputs = hand.input(Input::Identified(Some(standing(chronicle.log(), &heads))));
    assert_eq!(names(&outputs), ["close"]);
    assert_eq!(close(&outputs), Some(&Close::DeviceRevoked));
    let (mut hand, _) = met(member(0), &before);
    let outputs = hand.input(Input::LogChanged(chronicle.log().clone()));
    assert_eq!(close(&outputs), Some(&Close::DeviceRevoked));
}

#[test]
fn a_revocation_ends_a_session_at_every_step() {
    let mut chronicle = Chronicle::base();
    let before = chronicle.log().clone();
    chronicle.revoke(member(1).id, Vec::new(), Vec::new());
    let changed = || Input::LogChanged(chronicle.log().clone());
    let heads = Heads::default();
    // Before the hello nobody has proved to be that device; then it is not let in.
    let (mut hand, ours) = met(member(0), &before);
    let outputs = hand.input(changed());
    assert!(outputs.is_empty());
    hand.frame(Frame::PeerHello(peer_hello(
        &ours,
        member(1),
        &before,
        &heads,
    )));
    let stale = hand.input(Input::Identified(Some(standing(&before, &heads))));
    assert_eq!(names(&stale), ["identify"]);
    let outputs = hand.input(Input::Identified(Some(standing(chronicle.log(), &heads))));
    assert_eq!(names(&outputs), ["GoAway", "close"]);
    // After it was let in, and when the session is open.
    let (mut hand, ours) = met(member(0), &before);
    hand.frame(Frame::PeerHello(peer_hello(
        &ours,
        member(1),
        &before,
        &heads,
    )));
    hand.input(Input::Identified(Some(standing(&before, &heads))));
    let mut open = Hand::open_peer(member(0), member(1), &before, &heads);
    for hand in [&mut hand, &mut open] {
        let outputs = hand.input(changed());
        assert_eq!(names(&outputs), ["GoAway", "close"]);
        assert!(matches!(
            outputs[0],
            Output::Send(Frame::GoAway {
                reason: GoAwayReason::DeviceRevoked,
                ..
            })
        ));
    }
    // A peer's word that this device was ended is only its word.
    let mut open = Hand::open_peer(member(0), member(1), &before, &heads);
    let reason = GoAwayReason::DeviceRevoked;
    let outputs = open.frame(Frame::GoAway {
        reason,
        retry_after_ms: 0,
    });
    assert_eq!(names(&outputs), ["peer goes away"]);
    assert!(open.session.is_open());
}

#[test]
fn a_device_whose_own_journal_is_forked_is_refused_and_others_pass_it_on() {
    let chronicle = Chronicle::base();
    let mut network = Network::new(chronicle, 5);
    let places = [0, 1, 2].map(|number| network.device(member(number), 5));
    let keep = |network: &mut Network, place: usize| {
        network.replicas[place].keep(&forest().main(0, 6, false));
        network.replicas[place].keep(&forest().branch(0, 1, 2));
    };
    keep(&mut network, places[1]);
    let own = network.join(places[0], places[1]);
    let others = network.join(places[1], places[2]);
    network.connect(own);
    network.connect(others);
    network.settle();
    assert!(network.channels[own].closes[1].contains(&Close::Forked));
    assert_eq!(network.channels[own].names_to(0), BEFORE);
    assert_eq!(
        network.replicas[places[2]].digest(),
        network.replicas[places[1]].digest()
    );
}

#[test]
fn two_logs_that_differ_are_told_apart() {
    let mut one = Chronicle::base();
    let mut other = Chronicle::base();
    one.rename(member(0).id, "one name");
    other.rename(member(0).id, "another name");
    let (mut hand, ours) = met(member(0), one.log());
    let heads = Heads::default();
    hand.frame(Frame::PeerHello(peer_hello(
        &ours,
        member(1),
        other.log(),
        &heads,
    )));
    let outputs = hand.input(Input::Identified(Some(standing(one.log(), &heads))));
    assert_eq!(close(&outputs), Some(&Close::LogForked));
    // A welcome can tell too.
    let before = log();
    let (mut hand, ours) = met(member(0), one.log());
    hand.frame(Frame::PeerHello(peer_hello(
        &ours,
        member(1),
        &before,
        &heads,
    )));
    hand.input(Input::Identified(Some(standing(one.log(), &heads))));
    let outputs = hand.frame(Frame::PeerWelcome(peer_welcome(other.log(), &heads)));
    assert_eq!(close(&outputs), Some(&Close::LogForked));
}

#[test]
fn news_that_is_older_than_what_was_found_changes_nothing() {
    let mut chronicle = Chronicle::base();
    let before = chronicle.log().clone();
    chronicle.rename(member(0).id, "another name");
    let heads = Heads::default();
    let (mut hand, ours) = met(member(0), chronicle.log());
    let said = peer_hello(&ours, member(1), &before, &heads);
    hand.frame(Frame::PeerHello(said));
    let found = standing(chronicle.log(), &heads);
    hand.input(Input::Identified(Some(found)));
    assert!(hand.input(Input::LogChanged(before.clone())).is_empty());
    let outputs = hand.frame(Frame::PeerWelcome(peer_welcome(&before, &heads)));
    assert_eq!(names(&outputs), ["live", "read receipts"]);
}

#[test]
fn a_swapped_certificate_is_noticed_by_both_ends() {
    let mut network = Network::new(Chronicle::base(), 5);
    let places = [0, 1].map(|number| network.device(member(number), 5));
    network.replicas[places[0]].keep(&forest().main(0, 6, false));
    let channel = network.join(places[0], places[1]);
    let seen = |expected: usize, theirs: u8| PeerChannel {
        expected: member(expected).id,
        fingerprints: Fingerprints {
            ours: [expected as u8; 32],
            theirs: [theirs; 32],
        },
        greeting_nonce: [theirs; 32],
        hello_nonce: [theirs; 32],
    };
    network.connect_as(channel, [seen(1, 66), seen(0, 67)]);
    network.settle();
    let channel = &network.channels[channel];
    let proof = [Close::Handshake(HandshakeError::Proof)];
    assert!(channel.closes.iter().any(|closes| *closes == proof));
    for end in [0, 1] {
        assert_eq!(channel.names_to(end), BEFORE);
    }
}
