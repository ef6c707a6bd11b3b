//! ICE restart over the living channel.

use tokio_util::sync::CancellationToken;

use super::*;

/// Waits until both ends went through so many restarts.
async fn restarted(links: &mut [&mut PeerLink], times: u64) {
    for link in links {
        let done = link.report.wait_for(|report| report.restarts >= times);
        done.await.expect("it is open");
    }
}

#[tokio::test]
async fn nothing_is_lost_through_restarts() {
    const RESTARTS: u64 = 4;
    let (mut one, mut other) = connected().await;
    let (outbound, tasks, stop) = (
        one.outbound.clone(),
        TaskTracker::new(),
        CancellationToken::new(),
    );
    let stopped = stop.clone();
    tasks.spawn(async move {
        let mut number = 0;
        while !stopped.is_cancelled() {
            outbound
                .send(sized(number, 20_000))
                .await
                .expect("it is open");
            number += 1;
        }
        outbound.send(numbered(number)).await.expect("it is open");
    });
    let (mut report, mut report_there) = (one.report.clone(), other.report.clone());
    let restarters = [one.restarter.clone(), other.restarter.clone()];
    let restart = async {
        for times in 1..=RESTARTS {
            let before = report.borrow_and_update().local;
            // Either end may ask for it.
            restarters[times as usize % 2].restart();
            for report in [&mut report, &mut report_there] {
                let done = report.wait_for(|report| report.restarts >= times);
                done.await.expect("it is open");
            }
            let moved = report.wait_for(|report| report.local != before);
            moved.await.expect("it is open");
        }
        stop.cancel();
    };
    let read = async {
        let mut read = 0;
        loop {
            let frame = encoded(&next(&mut other).await);
            if frame == encoded(&numbered(read)) {
                break;
            }
            assert!(frame == encoded(&sized(read, 20_000)), "{read}");
            read += 1;
        }
    };
    tokio::join!(restart, read);
    assert!(one.inbound.try_recv().is_err());
}

#[tokio::test]
async fn both_may_restart_at_once() {
    let (mut one, mut other) = connected().await;
    for round in 0..5 {
        one.restarter.restart();
        other.restarter.restart();
        restarted(&mut [&mut one, &mut other], round + 1).await;
        one.outbound
            .send(numbered(round))
            .await
            .expect("it is open");
        other
            .outbound
            .send(numbered(round))
            .await
            .expect("it is open");
        for link in [&mut one, &mut other] {
            assert_eq!(encoded(&next(link).await), encoded(&numbered(round)));
        }
    }
}
