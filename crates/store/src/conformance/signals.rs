//! What devices say to each other: passed on once, in order, and kept nowhere. Other rules may run
//! on the same store: what is not of this rule's own identity is passed over.

use std::time::Duration;

use bytes::Bytes;
use edge_ledger_core::ids::{DeviceId, IdentityId};
use edge_ledger_core::limits::SIGNAL_BYTES_MAX;

use super::Stores;
use super::fixtures::fresh_identity;
use crate::{Change, ChangeFeed, DeviceSignal, SignalWord};

/// A long time for a store to pass something on.
const HEARD_WITHIN: Duration = Duration::from_secs(20);

/// What is heard next of an identity.
async fn next(feed: &mut ChangeFeed, of: IdentityId) -> DeviceSignal {
    let heard = async {
        loop {
            if let Change::Signal(signal) = feed.recv().await.unwrap()
                && signal.identity == of
            {
                return signal;
            }
        }
    };
    let heard = tokio::time::timeout(HEARD_WITHIN, heard).await;
    heard.expect("it is heard in time")
}

fn said(identity: IdentityId, to: Option<DeviceId>, word: SignalWord) -> DeviceSignal {
    DeviceSignal {
        identity,
        from: DeviceId::from_bytes([1; 16]),
        to,
        word,
    }
}

fn signal(bytes: impl Into<Bytes>) -> SignalWord {
    SignalWord::Signal(bytes.into())
}

/// By everybody who follows the changes, whoever said it, each word as it was said.
pub async fn what_a_device_says_is_heard_once_and_in_order(stores: &Stores) {
    let identity = fresh_identity();
    let mut feeds = [stores.identity.changes(), stores.identity.changes()];
    let to = Some(DeviceId::from_bytes([2; 16]));
    let mut all = vec![
        said(identity, None, SignalWord::Opened { place: (7, 1) }),
        said(identity, None, SignalWord::Beacon { nonce: [3; 32] }),
        said(identity, to, signal(vec![4; SIGNAL_BYTES_MAX])),
        // An id is any 16 bytes.
        said(identity, Some(DeviceId::from_bytes([0; 16])), signal("s")),
    ];
    all.extend((0..20_u8).map(|number| said(identity, to, signal(vec![number]))));
    all.push(said(identity, None, SignalWord::Left { place: (7, 1) }));
    for word in &all {
        stores.identity.tell_signal(word.clone()).await;
    }
    for feed in &mut feeds {
        for word in &all {
            assert_eq!(next(feed, identity).await, *word);
        }
    }
    let last = said(identity, None, SignalWord::Beacon { nonce: [9; 32] });
    stores.identity.tell_signal(last.clone()).await;
    for feed in &mut feeds {
        assert_eq!(next(feed, identity).await, last, "nothing was heard twice");
    }
}

/// One byte above the limit is lost, and nothing else.
pub async fn what_is_too_large_is_not_passed_on(stores: &Stores) {
    let identity = fresh_identity();
    let mut feed = stores.identity.changes();
    for bytes in [SIGNAL_BYTES_MAX + 1, 2 * SIGNAL_BYTES_MAX, SIGNAL_BYTES_MAX] {
        let word = signal(vec![5; bytes]);
        stores
            .identity
            .tell_signal(said(identity, None, word))
            .await;
    }
    let heard = next(&mut feed, identity).await;
    assert_eq!(heard.word, signal(vec![5; SIGNAL_BYTES_MAX]));
}

/// So that of two streams of a device the later one is known.
pub async fn streams_are_numbered_in_the_order_of_their_opening(stores: &Stores) {
    let mut last = None;
    for _ in 0..20 {
        let number = stores.identity.stream_number().await.unwrap();
        assert!(last < Some(number), "{last:?}, then {number}");
        last = Some(number);
    }
}
