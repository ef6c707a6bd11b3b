//! A channel stays open on a dead path: the link does not.

use std::sync::atomic::Ordering;

use super::between::Between;
use super::*;
use crate::limits::LINK_DEAD_AFTER;

#[tokio::test]
async fn a_dead_path_is_found() {
    let (between, tasks) = (Between::open().await, TaskTracker::new());
    let (mut one, mut other) = between.connected(&tasks).await;
    one.outbound.send(numbered(1)).await.expect("it is open");
    assert_eq!(encoded(&next(&mut other).await), encoded(&numbered(1)));

    between.swallows.store(true, Ordering::Relaxed);
    // From here on time passes as soon as everybody waits for it.
    tokio::time::pause();
    one.outbound.send(numbered(2)).await.expect("it is open");
    for link in [&mut one, &mut other] {
        let end = link.inbound.recv().await;
        assert!(matches!(end, Some(Err(LinkError::Silent))), "{end:?}");
        let heard = link.report.borrow().heard_at;
        assert!(heard.elapsed() >= LINK_DEAD_AFTER);
    }
    // Nobody waited for the other one's goodbye.
    let heard = [&one, &other].map(|link| link.report.borrow().heard_at.elapsed());
    assert!(
        heard.iter().all(|&ago| ago < LINK_DEAD_AFTER * 2),
        "{heard:?}"
    );
}

#[tokio::test]
async fn an_idle_link_lives() {
    let (between, tasks) = (Between::open().await, TaskTracker::new());
    let (one, mut other) = between.connected(&tasks).await;
    // Longer than a dead one would.
    for number in 0..4 {
        tokio::time::sleep(LINK_DEAD_AFTER / 2).await;
        one.outbound
            .send(numbered(number))
            .await
            .expect("it is open");
        assert_eq!(encoded(&next(&mut other).await), encoded(&numbered(number)));
    }
    let report = one.report.borrow().clone();
    let (local, remote) = (
        report.local.expect("a path"),
        report.remote.expect("a path"),
    );
    assert_eq!(
        (local.kind, remote.kind),
        (CandidateKind::Host, CandidateKind::Host)
    );
    assert!(report.rtt.is_some() && report.bytes_sent > 0 && report.bytes_received > 0);
    assert!(one.inbound.is_empty());
}
