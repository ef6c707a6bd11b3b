//! A channel stays open on a dead path: the link does not.

use std::sync::atomic::Ordering;

use super::between::Between;
use super::*;
use crate::limits::{LINK_DEAD_AFTER, LINK_WAKES_WITHIN};

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

/// Both processes stand still, as long as both ends need to give each other up. Whether there is
/// still a path shows within a second.
#[tokio::test]
async fn sleep_ends_a_link_that_has_lost_its_path_and_no_other() {
    for swallows in [false, true] {
        let (between, tasks) = (Between::open().await, TaskTracker::new());
        let (mut one, mut other) = between.connected(&tasks).await;
        between.swallows.store(swallows, Ordering::Relaxed);
        tokio::time::pause();
        tokio::time::advance(LINK_DEAD_AFTER * 3).await;
        let woken_at = Instant::now();
        if swallows {
            for link in [&mut one, &mut other] {
                let end = link.inbound.recv().await;
                assert!(matches!(end, Some(Err(LinkError::Silent))), "{end:?}");
            }
            assert!(woken_at.elapsed() < LINK_WAKES_WITHIN * 2);
        } else {
            tokio::time::sleep(LINK_WAKES_WITHIN * 2).await;
            one.outbound.send(numbered(1)).await.expect("it is open");
            assert_eq!(encoded(&next(&mut other).await), encoded(&numbered(1)));
        }
        tokio::time::resume();
    }
}

#[tokio::test]
async fn an_idle_link_lives() {
    let (between, tasks) = (Between::open().await, TaskTracker::new());
    let (one, mut other) = between.connected(&tasks).await;
    tokio::time::pause();
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
        (local.kind.as_str(), remote.kind.as_str()),
        ("host", "host")
    );
    assert!(report.rtt.is_some() && report.bytes_sent > 0 && report.bytes_received > 0);
    assert!(one.inbound.is_empty());
}
