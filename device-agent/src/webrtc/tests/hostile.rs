//! The other end does what it should not.

use std::net::{Ipv4Addr, SocketAddr};

use str0m::Event;
use str0m::channel::{ChannelConfig, ChannelId, Reliability};
use tokio::net::UdpSocket;

use super::super::framing;
use super::*;

/// An end that says what it likes: the `Rtc` alone.
struct Raw {
    wire: Wire,
    channels: Vec<ChannelId>,
    ended: bool,
}

/// A raw end with the channel that it wants, and a link that answered it.
async fn raw(channel: ChannelConfig) -> (Raw, Connecting) {
    let (mut rtc, gathered) = prepare(&config()).await.expect("sockets");
    let mut change = rtc.sdp_api();
    change.add_channel_with_config(channel);
    let (offer, pending) = change.apply().expect("an offer");
    let (link, description) = answer(config(), &offer.to_sdp_string())
        .await
        .expect("an answer");
    // It does not keep to what the link says it takes.
    let sdp = description
        .sdp
        .replace("a=max-message-size:16384", "a=max-message-size:262144");
    assert_ne!(sdp, description.sdp);
    let answer = SdpAnswer::from_sdp_string(&sdp).expect("an answer");
    rtc.sdp_api()
        .accept_answer(pending, answer)
        .expect("it fits");
    let raw = Raw {
        wire: Wire::new(rtc, gathered.sockets, Vec::new(), Instant::now()),
        channels: Vec::new(),
        ended: false,
    };
    (raw, link)
}

async fn raw_and_link() -> (Raw, PeerLink) {
    let (mut raw, connecting) = raw(ours()).await;
    let link = tokio::select! {
        link = connecting.opened() => link.expect("a link"),
        () = raw.run() => panic!("the raw end ended"),
    };
    while raw.channels.is_empty() {
        raw.turn().await;
    }
    (raw, link)
}

fn ours() -> ChannelConfig {
    ChannelConfig {
        label: CHANNEL_LABEL.to_owned(),
        ..ChannelConfig::default()
    }
}

impl Raw {
    fn poll(&mut self) {
        while let Ok(Some(event)) = self.wire.poll(Instant::now()) {
            if let Event::ChannelOpen(id, _) = event {
                self.channels.push(id);
            } else if matches!(event, Event::Closed | Event::ChannelClose(_)) {
                self.ended = true;
            }
        }
    }

    async fn turn(&mut self) {
        self.poll();
        let wake_at = self.wire.next_turn();
        tokio::select! {
            arrived = self.wire.receive() => {
                self.wire.take(&arrived, Instant::now());
            }
            () = tokio::time::sleep_until(wake_at) => {
                self.wire.turn(Instant::now()).expect("time passes");
            }
        }
        self.poll();
    }

    /// Until the link closes it.
    async fn run(&mut self) {
        while !self.ended {
            self.turn().await;
        }
    }

    /// Sends a message as soon as there is room.
    async fn say(&mut self, binary: bool, message: &[u8]) {
        loop {
            let mut channel = self.wire.rtc.channel(self.channels[0]).expect("it is open");
            let is_taken = channel.write(binary, message).expect("it is open");
            self.poll();
            if is_taken {
                return;
            }
            self.turn().await;
        }
    }

    /// Sends from the address that the link sends to.
    fn datagram(&mut self, data: &[u8]) {
        let (source, to) = self.wire.path.expect("a path");
        self.wire.sockets.send(source, to, data, Instant::now());
    }
}

/// Why the link ended; the raw end goes on meanwhile.
async fn end(raw: &mut Raw, link: &mut PeerLink) -> LinkError {
    let ended = async {
        loop {
            match link.inbound.recv().await {
                Some(Err(why)) => break why,
                Some(Ok(_)) => {}
                None => panic!("it ended without a reason"),
            }
        }
    };
    tokio::select! {
        why = ended => why,
        () = async { loop { raw.turn().await } } => unreachable!(),
    }
}

#[tokio::test]
async fn what_is_no_message_closes_the_link() {
    let last_of_no_frame = [1, 0xff, 0xff, 0xff];
    let cases: [(&str, bool, &[u8]); 5] = [
        ("an unknown kind", true, &[9, 1, 2, 3]),
        ("an empty piece", true, &[0]),
        ("a frame without content", true, &[1]),
        ("no frame", true, &last_of_no_frame),
        ("text", false, b"\x02"),
    ];
    for (what, binary, message) in cases {
        let (mut raw, mut link) = raw_and_link().await;
        raw.say(binary, message).await;
        let why = end(&mut raw, &mut link).await;
        assert!(
            matches!(why, LinkError::Framing(_) | LinkError::Frame(_)),
            "{what}: {why:?}"
        );
        // The other end is told at once.
        raw.run().await;
    }
}

#[tokio::test]
async fn a_message_above_the_limit_closes_the_link() {
    let (mut raw, mut link) = raw_and_link().await;
    let mut message = vec![3; LINK_MESSAGE_BYTES_MAX];
    message[1] = 77;
    // At the limit it is read.
    raw.say(true, &message).await;
    assert!(matches!(
        end(&mut raw, &mut link).await,
        LinkError::Framing(FramingError::Kind(77))
    ));

    let (mut raw, mut link) = raw_and_link().await;
    raw.say(true, &vec![0; LINK_MESSAGE_BYTES_MAX + 1]).await;
    let why = end(&mut raw, &mut link).await;
    assert!(
        matches!(
            why,
            LinkError::Framing(FramingError::MessageTooLong(_)) | LinkError::Closed
        ),
        "{why:?}"
    );
    raw.run().await;
}

#[tokio::test]
async fn pieces_above_the_limit_of_a_frame_close_the_link() {
    let (mut raw, mut link) = raw_and_link().await;
    let mut piece = vec![0; LINK_MESSAGE_BYTES_MAX];
    piece[1] = 1;
    let over = FRAME_BYTES_MAX / framing::PIECE_BYTES_MAX + 1;
    for _ in 0..over {
        raw.say(true, &piece).await;
    }
    let why = end(&mut raw, &mut link).await;
    assert!(
        matches!(why, LinkError::Framing(FramingError::FrameTooLong)),
        "{why:?}"
    );
}

#[tokio::test]
async fn another_channel_is_refused() {
    let unreliable = Reliability::MaxRetransmits { retransmits: 0 };
    let others = [
        ChannelConfig {
            label: "chat".to_owned(),
            ..ours()
        },
        ChannelConfig {
            ordered: false,
            ..ours()
        },
        ChannelConfig {
            reliability: unreliable,
            ..ours()
        },
    ];
    for channel in others {
        let (mut raw, connecting) = raw(channel).await;
        let (opened, ()) = tokio::join!(connecting.opened(), raw.run());
        assert!(matches!(opened, Err(LinkError::OtherChannel)), "{opened:?}");
    }
    let (mut raw, mut link) = raw_and_link().await;
    let mut change = raw.wire.rtc.sdp_api();
    change.add_channel_with_config(ours());
    assert!(change.apply().is_none());
    let why = end(&mut raw, &mut link).await;
    assert!(matches!(why, LinkError::OtherChannel), "{why:?}");
}

#[tokio::test]
async fn another_certificate_is_refused() {
    let swap = |sdp: String| {
        let at = sdp.find("a=fingerprint:sha-256 ").expect("a fingerprint") + 22;
        let digit = if sdp[at..].starts_with('0') { "1" } else { "0" };
        format!("{}{digit}{}", &sdp[..at], &sdp[at + 1..])
    };
    let (offering, answering) = connecting(|sdp| sdp, swap).await;
    // The other end's wait is bounded.
    let opened = offering.opened().await;
    assert!(matches!(opened, Err(LinkError::Rtc(_))), "{opened:?}");
    tokio::time::pause();
    assert!(answering.opened().await.is_err());

    tokio::time::resume();
    let (offering, answering) = connecting(swap, |sdp| sdp).await;
    let opened = answering.opened().await;
    assert!(matches!(opened, Err(LinkError::Rtc(_))), "{opened:?}");
    tokio::time::pause();
    assert!(offering.opened().await.is_err());
}

#[tokio::test]
async fn descriptions_that_are_none_are_refused() {
    for sdp in [
        "",
        "v=0",
        "v=0\r\no=- 1 2 IN IP4 1.2.3.4\r\ns=-\r\nt=0 0\r\n",
        "\u{0}\u{1}",
    ] {
        assert!(answer(config(), sdp).await.is_err(), "{sdp:?}");
        let (offering, _) = Offering::start(config()).await.expect("an offer");
        assert!(offering.accept_answer(sdp).is_err(), "{sdp:?}");
    }
    let (_, offer) = Offering::start(config()).await.expect("an offer");
    let weak = offer.sdp.replace("sha-256", "sha-1");
    let without: String = offer
        .sdp
        .lines()
        .filter(|line| !line.starts_with("a=fingerprint"))
        .map(|line| format!("{line}\r\n"))
        .collect();
    for sdp in [weak, without] {
        let answered = answer(config(), &sdp).await;
        let opened = match answered {
            Ok((connecting, _)) => {
                tokio::time::pause();
                let opened = connecting.opened().await;
                tokio::time::resume();
                opened.map(|_| ())
            }
            Err(why) => Err(why),
        };
        assert!(opened.is_err());
    }
}

#[tokio::test]
async fn garbage_does_nothing() {
    let (mut raw, mut link) = raw_and_link().await;
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a socket");
    let targets: Vec<SocketAddr> = vec![raw.wire.path.expect("a path").1];
    let mut stun = vec![0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42];
    stun.resize(28, 7);
    for length in [0, 1, 2, 20, 100, 1_500, 2_500] {
        for first in [0, 1, 20, 22, 23, 63, 64, 128, 200, 255] {
            let mut data = vec![0xa5; length];
            if let Some(byte) = data.first_mut() {
                *byte = first;
            }
            raw.datagram(&data);
            for target in &targets {
                let _ = stranger.send_to(&data, target).await;
            }
        }
    }
    for target in &targets {
        let _ = stranger.send_to(&stun, target).await;
    }
    raw.datagram(&stun);
    let frame = pb::Frame::from(numbered(5)).encode_to_vec();
    for _ in 0..3 {
        raw.say(true, &[&[1], &frame[..]].concat()).await;
    }
    for _ in 0..3 {
        let next = async { encoded(&next(&mut link).await) };
        let next = tokio::select! {
            next = next => next,
            () = raw.run() => panic!("the link closed"),
        };
        assert_eq!(next, frame);
    }
}

#[tokio::test]
async fn a_flood_is_slowed_down_and_nothing_else() {
    const FRAMES: u64 = 20_000;
    let (mut raw, mut link) = raw_and_link().await;
    let flood = async {
        for number in 0..FRAMES {
            let frame = pb::Frame::from(numbered(number)).encode_to_vec();
            raw.say(true, &[&[1], &frame[..]].concat()).await;
            raw.say(true, &framing::ping()).await;
        }
        raw.run().await;
    };
    let read = async {
        for number in 0..FRAMES {
            assert_eq!(encoded(&next(&mut link).await), encoded(&numbered(number)));
        }
        drop(link);
    };
    tokio::join!(flood, read);
}
