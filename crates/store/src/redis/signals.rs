//! What devices say to each other, published and heard: by every process, this one too, so that all
//! hear all in one order.

use bytes::Bytes;
use edge_ledger_core::ids::{DeviceId, IdentityId};
use redis::cmd;

use super::RedisStore;
use super::keys::Keys;
use crate::{DeviceSignal, SignalWord};

/// The last byte of a message that is one of these.
pub(super) const SIGNAL: u8 = b's';

const OPENED: u8 = 1;
const BEACON: u8 = 2;
const SIGNALLED: u8 = 3;
const LEFT: u8 = 4;

impl RedisStore {
    pub(super) async fn publish_signal(&self, signal: &DeviceSignal) {
        let mut command = cmd("PUBLISH");
        let channel = Keys::of(signal.identity).channel();
        command.arg(channel).arg(encode(signal));
        let _: Option<i64> = self.open.reader.once(command).await;
    }
}

/// `from ‖ to, or zeros ‖ kind ‖ what it says ‖ 's'`.
fn encode(signal: &DeviceSignal) -> Vec<u8> {
    let mut message = Vec::with_capacity(64);
    message.extend_from_slice(signal.from.as_bytes());
    message.extend_from_slice(&signal.to.map_or([0; 16], |to| *to.as_bytes()));
    match &signal.word {
        SignalWord::Opened {
            place: (ms, number),
        } => {
            message.push(OPENED);
            message.extend_from_slice(&ms.to_be_bytes());
            message.extend_from_slice(&number.to_be_bytes());
        }
        SignalWord::Beacon { nonce } => {
            message.push(BEACON);
            message.extend_from_slice(nonce);
        }
        SignalWord::Signal(bytes) => {
            message.push(SIGNALLED);
            message.extend_from_slice(bytes);
        }
        SignalWord::Left => message.push(LEFT),
    }
    message.push(SIGNAL);
    message
}

/// Takes a message without its last byte; `None` for what a later version says.
pub(super) fn decode(identity: IdentityId, message: &[u8]) -> Option<DeviceSignal> {
    let (from, rest) = message.split_first_chunk::<16>()?;
    let (to, rest) = rest.split_first_chunk::<16>()?;
    let (kind, rest) = rest.split_first()?;
    let word = match *kind {
        OPENED => {
            let (ms, number) = rest.split_first_chunk::<8>()?;
            let place = (
                i64::from_be_bytes(*ms),
                u64::from_be_bytes(number.try_into().ok()?),
            );
            SignalWord::Opened { place }
        }
        BEACON => SignalWord::Beacon {
            nonce: rest.try_into().ok()?,
        },
        SIGNALLED => SignalWord::Signal(Bytes::copy_from_slice(rest)),
        LEFT if rest.is_empty() => SignalWord::Left,
        _ => return None,
    };
    Some(DeviceSignal {
        identity,
        from: DeviceId::from_bytes(*from),
        to: (*to != [0; 16]).then(|| DeviceId::from_bytes(*to)),
        word,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard() {
        let words = [
            SignalWord::Opened {
                place: (-5, u64::MAX),
            },
            SignalWord::Beacon { nonce: [7; 32] },
            SignalWord::Signal(Bytes::from_static(b"offer")),
            SignalWord::Signal(Bytes::new()),
            SignalWord::Left,
        ];
        let identity = IdentityId::from_bytes([1; 32]);
        for (word, to) in words
            .into_iter()
            .zip([None, Some([9; 16])].into_iter().cycle())
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
            for short in 0..33 {
                assert_eq!(decode(identity, &rest[..short.min(rest.len() - 1)]), None);
            }
        }
    }
}
