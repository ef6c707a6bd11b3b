//! What the logs of two devices make of their meeting: who lets whom in, and who learns what.

use edge_ledger_core::identity::LogHead;
use edge_ledger_core::ids::LogHash;
use edge_ledger_core::ledger::Heads;
use edge_ledger_core::sync::{Close, Frame, GoAwayReason, HelloBody, Input, Output};

use crate::chronicle::Chronicle;
use crate::hand::{
    Hand, close, names, peer_hello, peer_hello_of, peer_welcome, seen_from_there, standing,
    their_greeting,
};
use crate::meeting::{BEFORE, body, log, met};
use crate::network::Network;
use crate::pen::forest;
use crate::world::{Member, member};

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
