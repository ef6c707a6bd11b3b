//! Frames arrive as they were sent.

use super::super::framing::PIECE_BYTES_MAX;
use super::*;

#[tokio::test]
async fn frames_of_all_sizes_go_both_ways() {
    let (mut one, mut other) = connected().await;
    assert_eq!((one.ours, one.theirs), (other.theirs, other.ours));
    let sizes = [
        300,
        PIECE_BYTES_MAX - 1,
        PIECE_BYTES_MAX,
        PIECE_BYTES_MAX + 1,
        5 * PIECE_BYTES_MAX,
        512 * 1024,
        FRAME_BYTES_MAX - 1,
        FRAME_BYTES_MAX,
    ];
    let frames: Vec<_> = (1..)
        .zip(sizes)
        .map(|(number, size)| sized(number, size))
        .collect();
    let exchange = async |link: &mut PeerLink| {
        let outbound = link.outbound.clone();
        let send = async {
            for frame in &frames {
                outbound.send(frame.clone()).await.expect("it is open");
                outbound.send(numbered(0)).await.expect("it is open");
            }
        };
        let receive = async {
            for frame in &frames {
                assert!(encoded(&next(link).await) == encoded(frame));
                assert_eq!(encoded(&next(link).await), encoded(&numbered(0)));
            }
        };
        tokio::join!(send, receive);
    };
    tokio::join!(exchange(&mut one), exchange(&mut other));
}

#[tokio::test]
async fn what_was_given_to_a_link_arrives_before_its_end() {
    let (one, mut other) = connected().await;
    for number in 0..10 {
        let frame = sized(number, 100_000);
        one.outbound.send(frame).await.expect("it is open");
    }
    drop(one);
    for number in 0..10 {
        assert!(encoded(&next(&mut other).await) == encoded(&sized(number, 100_000)));
    }
    let end = other.inbound.recv().await;
    assert!(matches!(end, Some(Err(LinkError::Closed))), "{end:?}");
    assert!(other.inbound.recv().await.is_none());
}
