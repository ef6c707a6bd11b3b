//! Two devices let each other in, or do not.

use std::sync::Arc;

use edge_ledger_core::identity::{IdentityLog, Point};
use edge_ledger_core::ids::IdentityId;
use edge_ledger_core::ledger::Heads;
use edge_ledger_core::limits::PEER_OPENING_MS_MAX;
use edge_ledger_core::sync::{
    Close, Fingerprints, Frame, HandshakeError, Hello, HelloBody, Input, Output, PeerChannel,
    PeerGreeting,
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
pub(crate) const BEFORE: [&str; 2] = ["PeerGreeting", "PeerHello"];

pub(crate) fn log() -> Arc<IdentityLog> {
    Chronicle::base().log().clone()
}

/// A session with member 1 that has said hello.
pub(crate) fn met(member: &Member, log: &Arc<IdentityLog>) -> (Hand, PeerGreeting) {
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

pub(crate) fn body(from: &Member) -> HelloBody {
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
