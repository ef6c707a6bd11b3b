//! Links of this process to each other, over loopback.

mod between;
mod dead;
mod frames;
mod hostile;
mod pressure;
mod relayed;
mod restart;
mod turn_server;

use bytes::Bytes;
use edge_ledger_core::ids::{DeviceId, EntryHash};
use edge_ledger_core::keys::Signature;
use edge_ledger_core::ledger::Run;
use edge_ledger_core::limits::FRAME_BYTES_MAX;
use edge_ledger_proto::ledger as pb;
use prost::Message as _;

use super::*;

fn config() -> LinkConfig {
    LinkConfig {
        servers: IceServers::default(),
        reach: Reach::LoopbackToo,
        open_within: crate::limits::LINK_OPEN_WITHIN,
        tasks: TaskTracker::new(),
    }
}

/// Two links that wait for each other, after somebody between them has had a look at what they
/// say.
async fn connecting(
    between_offer: impl FnOnce(String) -> String,
    between_answer: impl FnOnce(String) -> String,
) -> (Connecting, Connecting) {
    let (offering, offer) = Offering::start(config()).await.expect("an offer");
    let (answering, answer) = answer(config(), &between_offer(offer.sdp))
        .await
        .expect("an answer");
    let offering = offering.accept_answer(&between_answer(answer.sdp));
    (offering.expect("it fits"), answering)
}

async fn connected() -> (PeerLink, PeerLink) {
    let (offering, answering) = connecting(|sdp| sdp, |sdp| sdp).await;
    let (offering, answering) = tokio::join!(offering.opened(), answering.opened());
    (offering.expect("a link"), answering.expect("a link"))
}

/// A small frame that can be told from others.
fn numbered(number: u64) -> Frame {
    Frame::LogWanted {
        after_position: number,
    }
}

/// A frame of exactly so many encoded bytes, at least a few hundred.
fn sized(number: u64, bytes: usize) -> Frame {
    let frame = |payload| Frame::Runs {
        frame_id: number,
        runs: vec![Run {
            device: DeviceId::from_bytes([7; 16]),
            first_seq: 1,
            first_prev: EntryHash::from_bytes([0; 32]),
            formats: vec![1],
            payloads: vec![Bytes::from(vec![number as u8; payload])],
            signature: Signature::from_bytes([9; 64]),
        }],
    };
    let encoded = |payload| pb::Frame::from(frame(payload)).encoded_len();
    let over = encoded(bytes) - bytes;
    let fits = (bytes - over - 8..=bytes).find(|&payload| encoded(payload) == bytes);
    frame(fits.expect("a length in between"))
}

fn encoded(frame: &Frame) -> Vec<u8> {
    pb::Frame::from(frame.clone()).encode_to_vec()
}

async fn next(link: &mut PeerLink) -> Frame {
    link.inbound
        .recv()
        .await
        .expect("a frame")
        .expect("a frame")
}
