//! A reader that is behind stops who sends to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

#[tokio::test]
async fn a_silent_reader_stops_its_sender_and_loses_nothing() {
    const FRAMES: u64 = 100;
    const BYTES: usize = 512 * 1024;
    let (one, mut other) = connected().await;
    let (sent, tasks) = (Arc::new(AtomicU64::new(0)), TaskTracker::new());
    let (counter, outbound) = (sent.clone(), one.outbound.clone());
    tasks.spawn(async move {
        for number in 0..FRAMES {
            outbound
                .send(sized(number, BYTES))
                .await
                .expect("it is open");
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    // It stands still: nothing was taken between two reports, nor between those before.
    let mut reports = one.report.clone();
    let mut still = 0;
    let mut before = 0;
    while still < 2 {
        reports.changed().await.expect("it is open");
        let now = sent.load(Ordering::Relaxed);
        still = if now == before && now > 0 {
            still + 1
        } else {
            0
        };
        before = now;
    }
    let queues = OUTBOUND_FRAMES_MAX + LINK_INBOUND_FRAMES_MAX;
    // A frame on each side that is being cut or joined, one that waits, and what SCTP holds.
    let held = queues + 3 + 3 * LINK_UNSENT_BYTES_MAX / BYTES;
    assert!(before <= held as u64, "{before} frames are held");

    for number in 0..FRAMES {
        assert!(
            encoded(&next(&mut other).await) == encoded(&sized(number, BYTES)),
            "{number}"
        );
    }
}
