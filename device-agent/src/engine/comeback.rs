//! When the engine tries again after a connection ended.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

use super::connection::Meaning;
use super::millis;
use crate::limits::{BACKOFF_FIRST, BACKOFF_MAX, BACKOFF_REFUSED};

/// The time of the next attempt, by the monotonic clock.
pub(super) struct Comeback {
    backoff: ExponentialBackoff,
    retry_at_ms: u64,
    /// When the service wants to see this device again: nobody is too impatient for that.
    not_before_ms: u64,
}

fn new_backoff() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(BACKOFF_FIRST)
        .with_max_delay(BACKOFF_MAX)
        .without_max_times()
        .build()
}

impl Comeback {
    /// The first attempt, or one for a new reason: at once.
    pub(super) fn at_once(now_ms: u64) -> Self {
        Self {
            backoff: new_backoff(),
            retry_at_ms: now_ms,
            not_before_ms: now_ms,
        }
    }

    pub(super) fn is_due(&self, now_ms: u64) -> bool {
        now_ms >= self.retry_at_ms
    }

    /// Time until the next attempt.
    pub(super) fn left(&self, now_ms: u64) -> Duration {
        Duration::from_millis(self.retry_at_ms.saturating_sub(now_ms))
    }

    /// A connection ended, or none came about.
    pub(super) fn ended(&mut self, now_ms: u64, meaning: &Meaning) {
        let wait = match meaning.retry_after {
            // All its devices come back, to another replica or to the next process: not at once.
            Some(within) if meaning.moves => within.mul_f64(rand::random()),
            Some(wait) => wait,
            None if meaning.permanent => BACKOFF_REFUSED,
            None => self.backoff.next().unwrap_or(BACKOFF_MAX),
        };
        self.retry_at_ms = now_ms.saturating_add(millis(wait));
        self.not_before_ms = match meaning.retry_after {
            Some(_) => self.retry_at_ms,
            None => now_ms,
        };
    }

    /// Another address is tried at once: there is no wait before all were.
    pub(super) fn elsewhere(&mut self, now_ms: u64) {
        (self.retry_at_ms, self.not_before_ms) = (now_ms, now_ms);
    }

    /// Somebody waits: as soon as the service allows rather than when the back-off ends.
    pub(super) fn hurry(&mut self, now_ms: u64) {
        self.retry_at_ms = self.not_before_ms.max(now_ms);
    }

    /// A session is open: what fails next fails for the first time.
    pub(super) fn succeeded(&mut self) {
        self.backoff = new_backoff();
    }
}

#[cfg(test)]
mod tests {
    use tonic::{Code, Status};
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::super::connection::Ended;
    use super::*;

    const NOW_MS: u64 = 5_000;
    const URL: &str = "http://ledger.example:7420";

    fn status(code: Code, reason: &str, retry: Option<Duration>) -> Ended {
        let mut details = ErrorDetails::with_error_info(reason, "edge-ledger", []);
        if retry.is_some() {
            details.set_retry_info(retry);
        }
        Ended::Status(Status::with_error_details(code, "said", details))
    }

    /// When a device is back, in milliseconds from the end, however often somebody hurries it.
    fn back_after(meaning: &Meaning, hurries: bool) -> u64 {
        let mut comeback = Comeback::at_once(NOW_MS);
        comeback.ended(NOW_MS, meaning);
        (0..)
            .find(|after_ms| {
                if hurries {
                    comeback.hurry(NOW_MS + after_ms);
                }
                comeback.is_due(NOW_MS + after_ms)
            })
            .expect("it comes back")
    }

    #[test]
    fn s38_a_superseded_device_stays_away_for_a_minute_whatever_the_service_says() {
        for (said_s, expected_ms) in [
            (None, 60_000),
            (Some(0), 60_000),
            (Some(1), 60_000),
            (Some(59), 60_000),
            (Some(60), 60_000),
            (Some(61), 61_000),
        ] {
            let said = said_s.map(Duration::from_secs);
            let ended = status(Code::Aborted, "SUPERSEDED", said);
            let meaning = ended.meaning(URL, false, true);
            assert!(!meaning.permanent && !meaning.moves);
            for hurries in [false, true] {
                let back_ms = back_after(&meaning, hurries);
                assert_eq!(back_ms, expected_ms, "{said:?}, hurries: {hurries}");
            }
        }
    }

    #[test]
    fn s38_a_farewell_whose_status_never_came_counts_too() {
        let broken = Ended::Status(Status::unavailable("the connection broke"));
        let meaning = broken.meaning(URL, true, true);
        assert_eq!(back_after(&meaning, true), 60_000);
        let meaning = Ended::Closed.meaning(URL, true, true);
        assert_eq!(back_after(&meaning, true), 60_000);
    }

    #[test]
    fn a_failure_is_tried_again_at_once_for_whoever_waits_and_soon_for_others() {
        let meaning = Ended::Closed.meaning(URL, false, true);
        assert_eq!(back_after(&meaning, true), 0);
        let first_ms = millis(BACKOFF_FIRST);
        let back_ms = back_after(&meaning, false);
        assert!((first_ms..=2 * first_ms).contains(&back_ms), "{back_ms}");
    }

    #[test]
    fn another_address_is_tried_at_once_and_the_backoff_is_that_of_whole_rounds() {
        let meaning = Ended::Closed.meaning(URL, false, true);
        let mut comeback = Comeback::at_once(NOW_MS);
        for _ in 0..100 {
            comeback.elsewhere(NOW_MS);
            assert!(comeback.is_due(NOW_MS));
        }
        comeback.ended(NOW_MS, &meaning);
        let left = comeback.left(NOW_MS);
        assert!(
            (BACKOFF_FIRST..=2 * BACKOFF_FIRST).contains(&left),
            "{left:?}"
        );
        comeback.elsewhere(NOW_MS);
        comeback.ended(NOW_MS, &meaning);
        assert!(comeback.left(NOW_MS) >= 2 * BACKOFF_FIRST);
    }

    #[test]
    fn a_drained_device_comes_back_within_what_the_service_says() {
        let retry = Some(Duration::from_millis(500));
        let draining = || status(Code::Unavailable, "DRAINING", retry);
        let moves = draining().meaning(URL, false, true);
        assert!(moves.moves && back_after(&moves, true) <= 500);
        let failed = draining().meaning(URL, false, false);
        assert!(!failed.moves && back_after(&failed, true) == 500);
    }

    #[test]
    fn a_refusal_is_asked_about_again_after_a_minute() {
        let refused = status(Code::PermissionDenied, "DEVICE_REVOKED", None);
        let meaning = refused.meaning(URL, false, true);
        assert!(meaning.permanent);
        assert_eq!(back_after(&meaning, false), millis(BACKOFF_REFUSED));
    }
}
