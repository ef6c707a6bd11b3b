//! A link of an agent to a real browser: another implementation of ICE, DTLS and SCTP.
//!
//! The browser is Debian's `chromium`, without a window. Its page is served by the test, which
//! brings both descriptions from one end to the other and has the page send and receive bytes: here
//! straight to a link, in `meeting` through signalling to an agent, as a device of its identity.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test waits for one thing among many"
)]

mod browser;
mod meeting;
mod page_device;

use bytes::Bytes;
use device_agent::testing::peer_link::{self, Link};
use edge_ledger_core::sync::Frame;
use edge_ledger_proto::ledger as pb;
use prost::Message as _;

use browser::{Browser, Role};

/// The kinds of messages, as the documentation of the protocol has them.
const LAST: u8 = 1;
const PING: u8 = 2;

fn frame(number: u64) -> Frame {
    Frame::LogWanted {
        after_position: number,
    }
}

fn encoded(frame: Frame) -> Vec<u8> {
    pb::Frame::from(frame).encode_to_vec()
}

fn message(frame: Frame) -> Bytes {
    [&[LAST], &encoded(frame)[..]].concat().into()
}

/// A frame each way, and the end.
async fn exchange(browser: &mut Browser, mut link: Link) -> anyhow::Result<()> {
    browser.say(message(frame(7))).await?;
    assert_eq!(encoded(link.next().await?), encoded(frame(7)));

    link.send(frame(8)).await?;
    let mut heard = browser.heard().await?;
    while heard[..] == [PING] {
        heard = browser.heard().await?;
    }
    assert_eq!(heard, message(frame(8)));

    drop(link);
    browser.closed().await.map(drop)
}

#[tokio::test]
async fn a_browser_offers() -> anyhow::Result<()> {
    let mut browser = Browser::open(Role::Offers).await?;
    let (opening, answer) = peer_link::answer(&browser.offer().await?).await?;
    browser.answer_with(answer).await?;
    let link = opening.opened().await?;
    exchange(&mut browser, link).await
}

#[tokio::test]
async fn a_browser_answers() -> anyhow::Result<()> {
    let mut browser = Browser::open(Role::Answers).await?;
    let (offered, offer) = peer_link::offer().await?;
    browser.offer_to(offer).await?;
    let link = offered.answered(&browser.answer().await?)?.opened().await?;
    exchange(&mut browser, link).await
}
