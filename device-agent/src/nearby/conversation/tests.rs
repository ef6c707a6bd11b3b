use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;

const OURS: [u8; 32] = [7; 32];
const NONCE: [u8; 32] = [9; 32];
/// More than the longest message.
const ROOM: usize = 64 * 1024;

fn device() -> DeviceId {
    DeviceId::from_bytes([4; 16])
}

fn conversations() -> (Conversations, mpsc::Receiver<NearbyEvent>) {
    let (events, heard) = mpsc::channel(crate::limits::NEARBY_EVENTS_MAX);
    (Conversations::new(OURS, device(), events), heard)
}

/// The other end of a connection, of the same identity.
struct Other {
    stream: DuplexStream,
    sealer: Sealer,
    opener: Opener,
}

impl Other {
    async fn dial(mut stream: DuplexStream) -> Self {
        let (sealer, opener) = prove(&mut stream, Role::Dialler, &OURS).await.unwrap();
        Self {
            stream,
            sealer,
            opener,
        }
    }

    async fn tell(&mut self, message: Message) -> io::Result<()> {
        let message = Some(message);
        let message = pb::NearbyMessage { message }.encode_to_vec();
        let sealed = self.sealer.seal(&message).unwrap();
        write_message(&mut self.stream, &sealed).await
    }

    async fn hear(&mut self) -> Message {
        let sealed = read_message(&mut self.stream, NEARBY_MESSAGE_BYTES_MAX);
        let opened = self.opener.open(&sealed.await.unwrap()).unwrap();
        pb::NearbyMessage::decode(opened).unwrap().message.unwrap()
    }
}

fn signal(bytes: &'static [u8]) -> Message {
    Message::Signal(Bytes::from_static(bytes))
}

fn beacon_of(device: DeviceId, nonce: [u8; 32]) -> Message {
    Message::Beacon(pb::NearbyBeacon {
        device: Bytes::copy_from_slice(device.as_bytes()),
        nonce: Bytes::copy_from_slice(&nonce),
    })
}

/// Runs one connection and its other end, until the connection ends.
async fn with_other<T>(
    conversations: &Conversations,
    other: impl AsyncFnOnce(Other) -> T,
) -> (bool, T) {
    let (one, end) = duplex(ROOM);
    let carried = conversations.carry_on(end, Role::Listener, || {});
    let other = async { other(Other::dial(one).await).await };
    tokio::join!(carried, other)
}

#[tokio::test]
async fn beacons_and_signals_go_both_ways() {
    let (conversations, mut heard) = conversations();
    conversations.beacon(NONCE);
    let (carried, ()) = with_other(&conversations, async |mut other| {
        assert_eq!(other.hear().await, beacon_of(device(), NONCE));
        other
            .tell(beacon_of(DeviceId::from_bytes([5; 16]), [1; 32]))
            .await
            .unwrap();
        other.tell(signal(b"offer")).await.unwrap();
        let told = NearbyEvent::Beacon {
            connection: 1,
            device: DeviceId::from_bytes([5; 16]),
            nonce: [1; 32],
        };
        assert_eq!(heard.recv().await, Some(told));
        let connection = 1;
        let bytes = Bytes::from_static(b"offer");
        let offer = NearbyEvent::Signal { connection, bytes };
        assert_eq!(heard.recv().await, Some(offer));
        conversations
            .send(connection, Bytes::from_static(b"answer"))
            .unwrap();
        assert_eq!(other.hear().await, signal(b"answer"));
        conversations.beacon([2; 32]);
        assert_eq!(other.hear().await, beacon_of(device(), [2; 32]));
    })
    .await;
    assert!(carried);
    assert_eq!(
        heard.recv().await,
        Some(NearbyEvent::Gone { connection: 1 })
    );
    let late = conversations.send(1, Bytes::new());
    assert!(matches!(late, Err(NearbyError::Gone)));
}

/// Nothing, or a byte now and then.
#[tokio::test(start_paused = true)]
async fn who_is_slow_to_prove_itself_is_left() {
    for drip in [None, Some(Duration::from_secs(1))] {
        let (conversations, mut heard) = conversations();
        let (mut stranger, end) = duplex(ROOM);
        let began = Instant::now();
        // A greeting, but slowly.
        let greeting = [&[0, 34, 10, 32][..], &[1; 32]].concat();
        let dripping = async {
            if let Some(pause) = drip {
                for byte in greeting {
                    stranger.write_all(&[byte]).await.unwrap();
                    tokio::time::sleep(pause).await;
                }
            }
            std::future::pending().await
        };
        tokio::select! {
            carried = conversations.carry_on(end, Role::Listener, || {}) => assert!(!carried),
            () = dripping => {}
        }
        assert_eq!(began.elapsed(), NEARBY_PROVE_WITHIN);
        drop(conversations);
        assert_eq!(heard.recv().await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn who_falls_silent_is_left_and_beacons_are_heard() {
    let (conversations, mut heard) = conversations();
    let (_, silent) = with_other(&conversations, async |mut other| {
        let beacon = beacon_of(device(), NONCE);
        for _ in 0..3 {
            tokio::time::sleep(NEARBY_IDLE - Duration::from_secs(1)).await;
            other.tell(beacon.clone()).await.unwrap();
            assert!(matches!(
                heard.recv().await,
                Some(NearbyEvent::Beacon { .. })
            ));
        }
        let silent = Instant::now();
        assert_eq!(other.stream.read(&mut [0]).await.unwrap(), 0);
        silent.elapsed()
    })
    .await;
    assert!(
        silent.abs_diff(NEARBY_IDLE) < Duration::from_secs(1),
        "{silent:?}"
    );
    assert_eq!(
        heard.recv().await,
        Some(NearbyEvent::Gone { connection: 1 })
    );
}

/// Messages that are too long, not sealed, no messages, or lack something.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_understood_ends_the_connection() {
    let short = Message::Beacon(pb::NearbyBeacon {
        device: Bytes::from_static(&[0; 15]),
        nonce: Bytes::from_static(&[0; 32]),
    });
    for case in 0..5 {
        let (conversations, mut heard) = conversations();
        let began = Instant::now();
        with_other(&conversations, async |mut other| {
            match case {
                0 => {
                    let longer = u16::try_from(NEARBY_MESSAGE_BYTES_MAX + 1).unwrap();
                    other.stream.write_u16(longer).await.unwrap();
                }
                1 => write_message(&mut other.stream, &[0; 40]).await.unwrap(),
                2 => write_message(&mut other.stream, &[]).await.unwrap(),
                3 => other.tell(short.clone()).await.unwrap(),
                _ => {
                    let sealed = other.sealer.seal(&[0xff; 8]).unwrap();
                    write_message(&mut other.stream, &sealed).await.unwrap();
                }
            }
            let mut rest = Vec::new();
            other.stream.read_to_end(&mut rest).await.unwrap();
        })
        .await;
        assert_eq!(began.elapsed(), Duration::ZERO, "case {case}: at once");
        let gone = NearbyEvent::Gone { connection: 1 };
        assert_eq!(heard.recv().await, Some(gone), "case {case}");
    }
}

#[tokio::test]
async fn the_longest_signal_fits_and_no_longer_one_is_sent() {
    let (conversations, mut heard) = conversations();
    conversations.beacon(NONCE);
    with_other(&conversations, async |mut other| {
        other.hear().await;
        let longest = Bytes::from(vec![1; NEARBY_SIGNAL_BYTES_MAX]);
        conversations.send(1, longest.clone()).unwrap();
        assert_eq!(other.hear().await, Message::Signal(longest.clone()));
        other.tell(Message::Signal(longest.clone())).await.unwrap();
        let same = NearbyEvent::Signal {
            connection: 1,
            bytes: longest,
        };
        assert_eq!(heard.recv().await, Some(same));
        let longer = Bytes::from(vec![1; NEARBY_SIGNAL_BYTES_MAX + 1]);
        let refused = conversations.send(1, longer);
        assert!(matches!(refused, Err(NearbyError::TooLong)));
    })
    .await;
}

/// A flood is slowed down, and nothing of it is lost.
#[tokio::test(start_paused = true)]
async fn a_flood_is_read_at_its_rate() {
    const MORE: u32 = 160;
    let (conversations, mut heard) = conversations();
    let began = Instant::now();
    let flood = with_other(&conversations, async |mut other| {
        for _ in 0..NEARBY_BURST + MORE {
            other.tell(signal(b"again")).await.unwrap();
        }
        // Until all is read: it closes when this end has.
        other.stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        other.stream.read_to_end(&mut rest).await.unwrap();
    });
    let counting = async {
        let mut count = 0;
        while !matches!(heard.recv().await, Some(NearbyEvent::Gone { .. })) {
            count += 1;
        }
        count
    };
    let (_, count) = tokio::join!(flood, counting);
    assert_eq!(count, NEARBY_BURST + MORE);
    let least = NEARBY_MESSAGE_EVERY * MORE;
    let took = began.elapsed();
    assert!(took >= least && took < 2 * least, "{took:?}");
}

/// What is not taken here waits there, and is bounded.
#[tokio::test(start_paused = true)]
async fn events_that_are_not_taken_hold_up_who_says_them() {
    let (conversations, mut heard) = conversations();
    let (_, told) = with_other(&conversations, async |mut other| {
        let large = Message::Signal(Bytes::from(vec![1; NEARBY_SIGNAL_BYTES_MAX]));
        let mut told = 0_usize;
        let telling = async {
            loop {
                other.tell(large.clone()).await.unwrap();
                told += 1;
            }
        };
        assert!(timeout(Duration::from_secs(60), telling).await.is_err());
        heard.close();
        told
    })
    .await;
    // What fits into the queue, the connection, and both hands.
    let fits = crate::limits::NEARBY_EVENTS_MAX + ROOM / NEARBY_SIGNAL_BYTES_MAX + 2;
    assert!(told <= fits, "{told}");
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_is_left_and_its_queue_is_bounded() {
    let (conversations, mut heard) = conversations();
    let large = Bytes::from(vec![1; NEARBY_SIGNAL_BYTES_MAX]);
    let (_, sent) = with_other(&conversations, async |other| {
        // The connection is there when its first event is.
        tokio::task::yield_now().await;
        let mut sent = 0_usize;
        loop {
            match conversations.send(1, large.clone()) {
                Ok(()) => sent += 1,
                Err(NearbyError::Busy) if sent > NEARBY_OUTGOING_MAX => {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(NearbyError::Busy) => tokio::task::yield_now().await,
                Err(_) if sent == 0 => tokio::task::yield_now().await,
                Err(_) => break,
            }
        }
        drop(other);
        sent
    })
    .await;
    let fits = NEARBY_OUTGOING_MAX + ROOM / NEARBY_SIGNAL_BYTES_MAX + 2;
    assert!(sent <= fits, "{sent}");
    assert_eq!(
        heard.recv().await,
        Some(NearbyEvent::Gone { connection: 1 })
    );
}

/// Own devices in too great a number are left, too; who goes makes room.
#[tokio::test]
async fn connections_are_bounded() {
    let (conversations, _heard) = conversations();
    let mut held = Vec::new();
    for _ in 0..NEARBY_CONNECTIONS_MAX {
        held.push(conversations.enter().unwrap());
    }
    let (carried, ()) = with_other(&conversations, async |mut other| {
        assert_eq!(other.stream.read(&mut [0]).await.unwrap(), 0);
    })
    .await;
    assert!(!carried);
    held.pop();
    assert!(conversations.enter().is_some());
}
