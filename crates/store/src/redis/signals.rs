//! What devices say to each other, published and heard: by every process, this one too, so that all
//! hear all in one order.

use bytes::Bytes;
use edge_ledger_core::ids::{DeviceId, IdentityId};
use redis::cmd;

use super::RedisStore;
use super::keys::Keys;
use crate::{DeviceSignal, SignalWord, StreamPlace};

/// The last byte of a message that is one of these.
pub(super) const SIGNAL: u8 = b's';

const OPENED: u8 = 1;
const BEACON: u8 = 2;
const SIGNALLED: u8 = 3;
const LEFT: u8 = 4;

impl RedisStore {
    pub(super) async fn publish_signal(&self, signal: &DeviceSignal) {
        if !signal.fits() {
            return;
        }
        let mut command = cmd("PUBLISH");
        let channel = Keys::of(signal.identity).channel();
        command.arg(channel).arg(encode(signal));
        let _: Option<i64> = self.open.reader.once(command).await;
    }
}

/// `from ‖ whether it is for one device ‖ that device, or zeros ‖ kind ‖ what it says ‖ 's'`.
fn encode(signal: &DeviceSignal) -> Vec<u8> {
    let mut message = Vec::with_capacity(64);
    message.extend_from_slice(signal.from.as_bytes());
    message.push(signal.to.is_some().into());
    message.extend_from_slice(&signal.to.map_or([0; 16], |to| *to.as_bytes()));
    match &signal.word {
        SignalWord::Opened { place } => with_place(&mut message, OPENED, *place),
        SignalWord::Beacon { nonce } => {
            message.push(BEACON);
            message.extend_from_slice(nonce);
        }
        SignalWord::Signal(bytes) => {
            message.push(SIGNALLED);
            message.extend_from_slice(bytes);
        }
        SignalWord::Left { place } => with_place(&mut message, LEFT, *place),
    }
    message.push(SIGNAL);
    message
}

fn with_place(message: &mut Vec<u8>, kind: u8, (number, random): StreamPlace) {
    message.push(kind);
    message.extend_from_slice(&number.to_be_bytes());
    message.extend_from_slice(&random.to_be_bytes());
}

/// Takes a message without its last byte; `None` for what no process of this version says.
pub(super) fn decode(identity: IdentityId, message: &[u8]) -> Option<DeviceSignal> {
    let (from, rest) = message.split_first_chunk::<16>()?;
    let (is_for_one, rest) = rest.split_first()?;
    let (to, rest) = rest.split_first_chunk::<16>()?;
    let (kind, rest) = rest.split_first()?;
    let word = match *kind {
        OPENED => SignalWord::Opened {
            place: place(rest)?,
        },
        BEACON => SignalWord::Beacon {
            nonce: rest.try_into().ok()?,
        },
        SIGNALLED => SignalWord::Signal(Bytes::copy_from_slice(rest)),
        LEFT => SignalWord::Left {
            place: place(rest)?,
        },
        _ => return None,
    };
    let signal = DeviceSignal {
        identity,
        from: DeviceId::from_bytes(*from),
        to: (*is_for_one != 0).then(|| DeviceId::from_bytes(*to)),
        word,
    };
    signal.fits().then_some(signal)
}

fn place(bytes: &[u8]) -> Option<StreamPlace> {
    let (number, random) = bytes.split_first_chunk::<8>()?;
    let random = random.try_into().ok()?;
    Some((u64::from_be_bytes(*number), u64::from_be_bytes(random)))
}

#[cfg(test)]
mod tests {
    use edge_ledger_core::limits::SIGNAL_BYTES_MAX;

    use super::*;

    #[test]
    fn what_is_said_is_heard() {
        let words = [
            SignalWord::Opened {
                place: (5, u64::MAX),
            },
            SignalWord::Beacon { nonce: [7; 32] },
            SignalWord::Signal(Bytes::from_static(b"offer")),
            SignalWord::Signal(Bytes::from(vec![0; SIGNAL_BYTES_MAX])),
            SignalWord::Left {
                place: (u64::MAX, 0),
            },
        ];
        let identity = IdentityId::from_bytes([1; 32]);
        for (word, to) in words
            .into_iter()
            .zip([None, Some([9; 16]), Some([0; 16])].into_iter().cycle())
        {
            let signal = DeviceSignal {
                identity,
                from: DeviceId::from_bytes([2; 16]),
                to: to.map(DeviceId::from_bytes),
                word,
            };
            let message = encode(&signal);
            let (last, rest) = message.split_last().unwrap();
            assert_eq!(*last, SIGNAL);
            assert_eq!(decode(identity, rest), Some(signal));
            for short in 0..34 {
                assert_eq!(decode(identity, &rest[..short]), None);
            }
        }
    }

    #[test]
    fn what_is_too_large_or_of_no_kind_is_not_heard() {
        let identity = IdentityId::from_bytes([1; 32]);
        let message = |kind: u8, bytes: usize| [vec![0; 33], vec![kind], vec![0; bytes]].concat();
        let heard = |kind, bytes| decode(identity, &message(kind, bytes)).is_some();
        assert!(heard(SIGNALLED, SIGNAL_BYTES_MAX) && !heard(SIGNALLED, SIGNAL_BYTES_MAX + 1));
        assert!(heard(BEACON, 32) && !heard(BEACON, 33) && !heard(BEACON, 31));
        assert!(heard(OPENED, 16) && !heard(OPENED, 17) && !heard(LEFT, 15));
        assert!(!heard(0, 16) && !heard(5, 16));
    }
}
