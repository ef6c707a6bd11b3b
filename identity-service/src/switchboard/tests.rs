use bytes::Bytes;
use futures::FutureExt as _;

use super::*;

const OURS: IdentityId = IdentityId::from_bytes([1; 32]);

fn id(device: u8) -> DeviceId {
    DeviceId::from_bytes([device; 16])
}

fn signal(from: u8, to: Option<u8>, word: SignalWord) -> DeviceSignal {
    DeviceSignal {
        identity: OURS,
        from: id(from),
        to: to.map(id),
        word,
    }
}

fn opened(from: u8, place: StreamPlace) -> DeviceSignal {
    signal(from, None, SignalWord::Opened { place })
}

fn left(from: u8, place: StreamPlace) -> DeviceSignal {
    signal(from, None, SignalWord::Left { place })
}

fn beacon(from: u8) -> DeviceSignal {
    signal(from, None, SignalWord::Beacon { nonce: [from; 32] })
}

fn line_of(switchboard: &Switchboard, identity: IdentityId, device: u8, number: u64) -> Line {
    let session = Session {
        identity,
        device: id(device),
        expires_ms: 0,
    };
    switchboard.line(&session, (number, 0))
}

fn line(switchboard: &Switchboard, device: u8, number: u64) -> Line {
    line_of(switchboard, OURS, device, number)
}

impl Line {
    fn next(&mut self) -> Option<DeviceSignal> {
        self.heard.try_recv().ok()
    }

    fn is_cut(&self) -> Option<Cut> {
        self.cut().now_or_never()
    }
}

#[test]
fn others_hear_it_or_the_one_it_is_for_and_nobody_else() {
    let switchboard = Switchboard::default();
    let (mut one, mut two) = (line(&switchboard, 1, 0), line(&switchboard, 2, 0));
    let foreign = IdentityId::from_bytes([9; 32]);
    let mut other = line_of(&switchboard, foreign, 2, 0);
    switchboard.pass_on(beacon(1));
    assert_eq!(two.next(), Some(beacon(1)));
    let word = SignalWord::Signal(Bytes::from_static(b"offer"));
    switchboard.pass_on(signal(3, Some(1), word.clone()));
    assert_eq!(one.next(), Some(signal(3, Some(1), word)));
    for line in [&mut one, &mut two, &mut other] {
        assert_eq!(line.next(), None);
    }
    drop((one, two, other));
    assert!(lock(&switchboard.groups).is_empty());
}

#[test]
fn the_stream_that_was_opened_last_stays_whatever_is_heard_first() {
    let switchboard = Switchboard::default();
    let (old, mut new) = (line(&switchboard, 1, 5), line(&switchboard, 1, 6));
    assert_eq!(old.is_cut(), Some(Cut::Superseded));
    let late = line(&switchboard, 1, 4);
    assert_eq!(late.is_cut(), Some(Cut::Superseded));
    for number in [6, 5, 4] {
        switchboard.pass_on(opened(1, (number, 0)));
    }
    drop((old, late));
    switchboard.pass_on(beacon(2));
    assert_eq!((new.next(), new.is_cut()), (Some(beacon(2)), None));
    // At another process.
    switchboard.pass_on(opened(1, (6, 1)));
    assert_eq!(new.is_cut(), Some(Cut::Superseded));
    assert_eq!(new.next(), None);
}

#[test]
fn who_does_not_read_is_cut_off_and_the_others_go_on() {
    let switchboard = Switchboard::default();
    let (mut slow, mut fast) = (line(&switchboard, 1, 0), line(&switchboard, 2, 0));
    for _ in 0..SIGNALS_WAITING_MAX {
        switchboard.pass_on(beacon(3));
        assert!(fast.next().is_some());
    }
    assert_eq!(slow.is_cut(), None);
    switchboard.pass_on(beacon(3));
    assert!(fast.next().is_some());
    assert_eq!((slow.is_cut(), fast.is_cut()), (Some(Cut::Slow), None));
    switchboard.pass_on(beacon(4));
    let heard = std::iter::from_fn(|| slow.next()).count();
    assert_eq!(heard, SIGNALS_WAITING_MAX);
}

#[test]
fn a_device_that_comes_back_is_heard_of_as_a_new_one() {
    let switchboard = Switchboard::default();
    let mut other = line(&switchboard, 9, 0);
    // The first time nobody knew it; what opened before it is old.
    for signal in [opened(1, (5, 0)), beacon(1), opened(1, (4, 0))] {
        switchboard.pass_on(signal);
    }
    assert_eq!(other.next(), Some(beacon(1)));
    assert_eq!(other.next(), None);
    // Again, before anybody noticed that the first stream is dead.
    for signal in [opened(1, (6, 0)), beacon(1), left(1, (5, 0))] {
        switchboard.pass_on(signal);
    }
    assert_eq!(other.next(), Some(left(1, (6, 0))));
    assert_eq!(other.next(), Some(beacon(1)));
    assert_eq!(other.next(), None, "the first one has not left by now");
    switchboard.pass_on(left(1, (6, 0)));
    assert_eq!(other.next(), Some(left(1, (6, 0))));
}
