use super::*;
use crate::error::Refusal;

const A: &str = "http://a:7420";
const B: &str = "http://b:7420";
const C: &str = "http://c:7420";

fn three() -> Endpoints {
    let urls = [A, B, C].map(str::to_owned);
    Endpoints::new(Addresses::new(urls).unwrap())
}

fn fail(endpoints: &mut Endpoints, now_ms: u64) {
    let url = endpoints.url().to_owned();
    endpoints.failed(&url, "no answer".to_owned(), now_ms);
}

#[test]
fn a_device_stays_with_the_address_that_works() {
    let mut endpoints = three();
    assert_eq!(endpoints.url(), A);
    assert!(!endpoints.answered(A, 1), "it is the first");
    fail(&mut endpoints, 2);
    assert_eq!(endpoints.url(), B);
    assert!(endpoints.answered(B, 3));
    assert!(!endpoints.answered(B, 4), "it is the same");
    endpoints.refused(B, "DEVICE_REVOKED".to_owned(), 5);
    assert_eq!(endpoints.url(), B);
    // However well the first may be by now.
    fail(&mut endpoints, 6);
    assert_eq!(endpoints.url(), C);
    fail(&mut endpoints, 7);
    assert_eq!(endpoints.url(), A, "after the last comes the first");
    assert!(endpoints.answered(A, 8));
}

#[test]
fn a_failure_that_others_saw_too_moves_nobody_twice() {
    let mut endpoints = three();
    for _ in 0..2 {
        endpoints.failed(A, "no answer".to_owned(), 1);
    }
    assert_eq!(endpoints.url(), B);
    // One that nobody knows, such as that of a link.
    endpoints.failed("http://d:7420", "no answer".to_owned(), 2);
    assert!(!endpoints.answered("http://d:7420", 2));
    assert_eq!(endpoints.url(), B);
}

#[test]
fn each_address_is_shown_with_what_came_of_it_last() {
    let mut endpoints = three();
    fail(&mut endpoints, 10);
    endpoints.answered(B, 20);
    let shown = endpoints.shown(100);
    let expected = [
        (
            A,
            false,
            Some(Outcome::Failed("no answer".to_owned())),
            Some(90),
        ),
        (B, true, Some(Outcome::Answered), Some(80)),
        (C, false, None, None),
    ];
    for (shown, (url, in_use, outcome, ms_ago)) in shown.into_iter().zip(expected) {
        let url = url.to_owned();
        assert_eq!(
            shown,
            Endpoint {
                url,
                in_use,
                outcome,
                ms_ago
            }
        );
    }
}

#[test]
fn only_a_whole_round_that_failed_makes_a_device_wait() {
    let mut round = Round::default();
    for _ in 0..3 {
        assert_eq!(round.failed(3, false, 0), Turn::Another);
        assert_eq!(round.failed(3, false, 0), Turn::Another);
        assert_eq!(round.failed(3, false, 0), Turn::Wait { lasting: false });
    }
    let mut alone = Round::default();
    for lasting in [false, true] {
        assert_eq!(alone.failed(1, lasting, 0), Turn::Wait { lasting });
    }
}

#[test]
fn a_round_needs_a_person_only_if_every_address_does() {
    for (first, second) in [(true, false), (false, true), (false, false), (true, true)] {
        let mut round = Round::default();
        assert_eq!(round.failed(2, first, 0), Turn::Another);
        let lasting = first && second;
        assert_eq!(round.failed(2, second, 0), Turn::Wait { lasting });
        // The next round begins with nothing.
        assert_eq!(round.failed(2, true, 0), Turn::Another);
        assert_eq!(round.failed(2, true, 0), Turn::Wait { lasting: true });
    }
}

#[test]
fn an_address_that_was_used_for_a_while_begins_a_new_round() {
    let mut round = Round::default();
    assert_eq!(round.failed(2, false, 0), Turn::Another);
    round.answered(1);
    let settled_ms = 1 + SETTLED_AFTER_MS;
    assert_eq!(round.failed(2, false, settled_ms), Turn::Another);
    round.answered(settled_ms);
    // This one lost the device at once.
    let soon_ms = 2 * SETTLED_AFTER_MS;
    assert_eq!(
        round.failed(2, false, soon_ms),
        Turn::Wait { lasting: false }
    );
}

#[test]
fn addresses_that_lose_the_device_at_once_do_not_take_turns_without_a_wait() {
    let mut round = Round::default();
    let waits = (0..100).filter(|now_ms| {
        round.answered(*now_ms);
        round.failed(4, false, *now_ms) != Turn::Another
    });
    assert_eq!(waits.count(), 25);
}

#[test]
fn the_last_address_has_more_time_than_those_that_others_follow() {
    let mut round = Round::default();
    assert_eq!(round.patience(1), None);
    for _ in 0..2 {
        assert_eq!(round.patience(2), Some(TRY_NEXT_AFTER));
        round.failed(2, false, 0);
        assert_eq!(round.patience(2), Some(CONNECT_WITHIN));
        round.failed(2, false, 0);
    }
}

#[test]
fn a_refusal_of_the_service_is_the_same_at_every_address() {
    let refused = |reason: &str| {
        AgentError::Refused(Refusal {
            reason: reason.to_owned(),
            message: String::new(),
        })
    };
    for reason in ["DEVICE_REVOKED", "FORBIDDEN", "LOG_FORKED", "PROBATION"] {
        assert!(!is_of_the_address(&refused(reason)), "{reason}");
    }
    for reason in ["UNTRUSTED", "AUDIENCE_UNKNOWN"] {
        assert!(is_of_the_address(&refused(reason)), "{reason}");
    }
    assert!(is_of_the_address(&AgentError::Untrusted(String::new())));
    assert!(!is_of_the_address(&AgentError::Stopped));
}
