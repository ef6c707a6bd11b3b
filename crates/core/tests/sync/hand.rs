//! One session, driven by hand: every input is given and every output is looked at.

use std::sync::Arc;

use edge_ledger_core::identity::IdentityLog;
use edge_ledger_core::ids::Digest;
use edge_ledger_core::ledger::{Heads, VerifiedRun};
use edge_ledger_core::sync::{
    Close, Fingerprints, Frame, Greeting, Greetings, Hello, HelloBody, Input, NewGreeting, Output,
    Outputs, PeerChannel, PeerGreeting, PeerWelcome, Session, Standing, Welcome, WelcomeBody,
    WhoWeAre, greet, say_hello,
};

use crate::world::{AUDIENCE, Member, STORE_EPOCH, world};

pub(crate) struct Hand {
    pub(crate) session: Session,
    pub(crate) now_ms: u64,
}

pub(crate) fn greeting(nonce: u8, audience: &str) -> Greeting {
    let new = NewGreeting {
        nonce: [nonce; 32],
        audience: audience.to_owned(),
    };
    greet(&world().signer, world().ledger_id(), new)
}

/// The digest of tips under a log in which nothing was ended.
pub(crate) fn digest(heads: &Heads) -> Digest {
    heads.digest(&IdentityLog::empty(
        world().genesis.clone(),
        world().identity(),
    ))
}

/// The hello of a device with a log and tips.
pub(crate) fn hello(
    greeting: &Greeting,
    member: &Member,
    log: &IdentityLog,
    heads: &Heads,
) -> Hello {
    let body = HelloBody {
        identity: world().identity(),
        key: member.public,
        log: log.head(),
        digest: digest(heads),
        nonce: [8; 32],
    };
    Hello::sign(world().ledger_id(), greeting, &member.key, &body)
}

/// The service's answer to a hello.
pub(crate) fn welcome(hello: &Hello, log: &IdentityLog, heads: &Heads) -> Welcome {
    let body = WelcomeBody {
        log: log.head(),
        digest: digest(heads),
        store_epoch: STORE_EPOCH,
    };
    Welcome::sign(&world().signer, world().ledger_id(), &hello.proof, &body)
}

/// The hello that a device sent.
pub(crate) fn hello_in(outputs: &Outputs) -> &Hello {
    match &outputs[..] {
        [Output::Send(Frame::Hello(hello))] => hello,
        other => panic!("no hello: {other:?}"),
    }
}

pub(crate) fn standing(log: &Arc<IdentityLog>, heads: &Heads) -> Standing {
    Standing {
        log: log.clone(),
        heads: heads.clone(),
        store_epoch: STORE_EPOCH,
    }
}

/// The certificates of a channel, as the session sees them that is driven by hand.
pub(crate) fn seen_from_here() -> Fingerprints {
    let (ours, theirs) = ([11; 32], [12; 32]);
    Fingerprints { ours, theirs }
}

/// The same, from the other end.
pub(crate) fn seen_from_there() -> Fingerprints {
    let Fingerprints { ours, theirs } = seen_from_here();
    Fingerprints {
        ours: theirs,
        theirs: ours,
    }
}

/// What the other end of a channel greets with.
pub(crate) fn their_greeting() -> PeerGreeting {
    PeerGreeting::new(world().ledger_id(), [31; 32])
}

/// What it says to a greeting.
pub(crate) fn peer_hello(
    answered: &PeerGreeting,
    member: &Member,
    log: &IdentityLog,
    heads: &Heads,
) -> Hello {
    let body = HelloBody {
        identity: world().identity(),
        key: member.public,
        log: log.head(),
        digest: heads.digest(log),
        nonce: [32; 32],
    };
    peer_hello_of(answered, member, seen_from_there(), &body)
}

/// The same, with everything given.
pub(crate) fn peer_hello_of(
    answered: &PeerGreeting,
    member: &Member,
    fingerprints: Fingerprints,
    body: &HelloBody,
) -> Hello {
    let greetings = Greetings {
        ours: their_greeting(),
        theirs: answered.clone(),
    };
    let ledger_id = world().ledger_id();
    say_hello(ledger_id, &member.key, &greetings, fingerprints, body)
}

/// What it lets in with.
pub(crate) fn peer_welcome(log: &IdentityLog, heads: &Heads) -> PeerWelcome {
    PeerWelcome {
        log: log.head(),
        digest: heads.digest(log),
    }
}

impl Hand {
    /// A service's session before `Hello`, and the greeting that it sent.
    pub(crate) fn service() -> (Self, Greeting) {
        let greeting = greeting(9, AUDIENCE);
        let ledger_id = world().ledger_id();
        let who = WhoWeAre::Service {
            ledger_id,
            greeting: greeting.clone(),
            signer: world().signer.clone(),
        };
        let mut hand = Self::new(who);
        let outputs = hand.input(Input::Opened);
        assert!(matches!(outputs[..], [Output::Send(Frame::Greeting(_))]));
        (hand, greeting)
    }

    /// A device's session before `Greeting`.
    pub(crate) fn device(member: &Member, log: &Arc<IdentityLog>, heads: &Heads) -> Self {
        Self::device_with(member, log, heads, [7; 32])
    }

    /// The same, with the nonce of its stream.
    pub(crate) fn device_with(
        member: &Member,
        log: &Arc<IdentityLog>,
        heads: &Heads,
        nonce: [u8; 32],
    ) -> Self {
        Self::new(WhoWeAre::Device {
            key: member.key.clone(),
            log: log.clone(),
            heads: heads.clone(),
            dialled: AUDIENCE.to_owned(),
            nonce,
        })
    }

    /// A device's session with another one before anything arrived, and its greeting.
    pub(crate) fn peer(
        member: &Member,
        other: &Member,
        log: &Arc<IdentityLog>,
        heads: &Heads,
    ) -> (Self, PeerGreeting) {
        let mut hand = Self::new(WhoWeAre::Peer {
            key: member.key.clone(),
            log: log.clone(),
            heads: heads.clone(),
            channel: PeerChannel {
                expected: other.id,
                fingerprints: seen_from_here(),
                greeting_nonce: [21; 32],
                hello_nonce: [22; 32],
            },
        });
        let mut outputs = hand.input(Input::Opened);
        match outputs.pop() {
            Some(Output::Send(Frame::PeerGreeting(greeting))) => (hand, greeting),
            other => panic!("no greeting: {other:?}"),
        }
    }

    /// The same, open and at rest: both hold the same, and entries do not flow.
    pub(crate) fn open_peer(
        member: &Member,
        other: &Member,
        log: &Arc<IdentityLog>,
        heads: &Heads,
    ) -> Self {
        let (mut hand, ours) = Self::peer(member, other, log, heads);
        hand.frame(Frame::PeerGreeting(their_greeting()));
        let hello = peer_hello(&ours, other, log, heads);
        assert_eq!(names(&hand.frame(Frame::PeerHello(hello))), ["identify"]);
        let found = Input::Identified(Some(standing(log, heads)));
        assert_eq!(names(&hand.input(found)), ["PeerWelcome"]);
        let outputs = hand.frame(Frame::PeerWelcome(peer_welcome(log, heads)));
        assert_eq!(names(&outputs), ["live"]);
        hand
    }

    /// The same, while entries flow because the peer wants them.
    pub(crate) fn flowing_peer(
        member: &Member,
        other: &Member,
        log: &Arc<IdentityLog>,
        heads: &Heads,
    ) -> Self {
        let mut hand = Self::open_peer(member, other, log, heads);
        let outputs = hand.frame(Frame::Flow { wanted: true });
        assert_eq!(names(&outputs), ["read heads"]);
        assert_eq!(names(&hand.input(Input::Heads(heads.clone()))), ["Heads"]);
        let outputs = hand.frame(Frame::Heads(heads.clone()));
        assert_eq!(names(&outputs), ["locate", "read"]);
        hand.input(Input::Located(Vec::new()));
        hand.nothing_to_send();
        hand
    }

    fn new(who: WhoWeAre) -> Self {
        Self {
            session: Session::new(who),
            now_ms: 1_000,
        }
    }

    /// A service's session with a device, open and at rest: both hold the same.
    pub(crate) fn open_service(member: &Member, log: &Arc<IdentityLog>, heads: &Heads) -> Self {
        let (mut hand, greeting) = Self::service();
        hand.frame(Frame::Hello(hello(&greeting, member, log, heads)));
        let outputs = hand.input(Input::Identified(Some(standing(log, heads))));
        assert!(matches!(outputs[0], Output::Send(Frame::Welcome(_))));
        hand.nothing_to_send();
        hand
    }

    /// A device's session with the service, open and at rest: both hold the same.
    pub(crate) fn open_device(member: &Member, log: &Arc<IdentityLog>, heads: &Heads) -> Self {
        let mut hand = Self::device(member, log, heads);
        let outputs = hand.frame(Frame::Greeting(greeting(9, AUDIENCE)));
        hand.frame(Frame::Welcome(welcome(hello_in(&outputs), log, heads)));
        hand.nothing_to_send();
        hand
    }

    pub(crate) fn input(&mut self, input: Input) -> Outputs {
        let mut outputs = Outputs::new();
        self.session.handle(self.now_ms, input, &mut outputs);
        outputs
    }

    pub(crate) fn frame(&mut self, frame: Frame) -> Outputs {
        self.input(Input::Frame(frame))
    }

    /// Answers a read of the store: nothing is lacking at the peer.
    pub(crate) fn nothing_to_send(&mut self) -> Outputs {
        let runs = Vec::new();
        self.input(Input::Page { runs, more: false })
    }

    pub(crate) fn committed(&mut self, runs: &[VerifiedRun]) -> Outputs {
        self.input(Input::Committed(runs.into()))
    }
}

/// Why a session closed: the last that it says.
pub(crate) fn close(outputs: &[Output]) -> Option<&Close> {
    if let Some(Output::Close(close)) = outputs.last() {
        Some(close)
    } else {
        None
    }
}

/// The names of what was put out, in order; frames by their own.
pub(crate) fn names(outputs: &[Output]) -> Vec<&'static str> {
    let name = |output: &Output| match output {
        Output::Send(frame) => frame.name(),
        Output::Identify { .. } => "identify",
        Output::Adopt(_) => "adopt",
        Output::Judge { .. } => "judge",
        Output::Read(_) => "read",
        Output::Locate(_) => "locate",
        Output::ReadHeads => "read heads",
        Output::ReadReceipts { .. } => "read receipts",
        Output::Taken(_) => "taken",
        Output::Acked { .. } => "acked",
        Output::Live { .. } => "live",
        Output::Flushed { .. } => "flushed",
        Output::PeerGoesAway { .. } => "peer goes away",
        Output::Close(_) => "close",
    };
    outputs.iter().map(name).collect()
}
