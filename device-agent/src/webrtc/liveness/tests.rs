use super::*;

/// A link and its time: both clocks go on together, unless the machine sleeps.
struct Case {
    liveness: Liveness,
    now: Instant,
    awake: Duration,
}

impl Case {
    fn new() -> Self {
        let (now, awake) = (Instant::now(), Duration::from_secs(1_000));
        Self {
            liveness: Liveness::new(now, awake),
            now,
            awake,
        }
    }

    /// Time passes in steps of a turn; what was due on the way, without repeats.
    fn pass(&mut self, time: Duration) -> Vec<Due> {
        const STEP: Duration = Duration::from_millis(10);
        let mut seen = Vec::new();
        for _ in 0..time.as_millis() / STEP.as_millis() {
            self.now += STEP;
            self.awake += STEP;
            let due = self.liveness.turn(self.now, self.awake, true);
            if due == Due::Ping {
                self.liveness.sent(self.now);
            }
            if seen.last() != Some(&due) {
                seen.push(due);
            }
        }
        seen
    }

    /// The process stands still.
    fn stop(&mut self, time: Duration) {
        self.now += time;
        self.awake += time;
    }
}

const MS: Duration = Duration::from_millis(1);

#[test]
fn an_idle_link_pings_each_second_and_a_silent_one_dies_after_six() {
    let mut case = Case::new();
    assert_eq!(case.pass(990 * MS), [Due::Nothing]);
    assert_eq!(case.pass(10 * MS), [Due::Ping]);
    case.liveness.heard(case.now);
    let seen = case.pass(5_990 * MS);
    assert_eq!(seen.iter().filter(|&&due| due == Due::Ping).count(), 5);
    assert!(!seen.contains(&Due::Dead), "heard less than 6 s ago");
    assert_eq!(case.pass(10 * MS), [Due::Dead]);
}

#[test]
fn a_link_that_sends_does_not_ping() {
    let mut case = Case::new();
    for _ in 0..20 {
        case.liveness.sent(case.now);
        case.liveness.heard(case.now);
        assert_eq!(case.pass(900 * MS), [Due::Nothing]);
    }
}

#[test]
fn a_link_that_does_not_listen_holds_no_silence_against_the_other() {
    let mut case = Case::new();
    for _ in 0..20 {
        case.stop(1_000 * MS);
        let due = case.liveness.turn(case.now, case.awake, false);
        assert_ne!(due, Due::Dead);
    }
    let seen = case.pass(5_990 * MS);
    assert!(!seen.contains(&Due::Dead), "{seen:?}");
    assert_eq!(case.pass(10 * MS), [Due::Dead]);
}

#[test]
fn after_sleep_only_what_comes_fresh_is_a_sign_of_life() {
    let mut case = Case::new();
    case.stop(20_000 * MS);
    assert_eq!(case.pass(10 * MS), [Due::Ping], "it was idle");
    // This waited at the socket.
    case.liveness.heard(case.now);
    let seen = case.pass(990 * MS);
    assert!(!seen.contains(&Due::Dead), "{seen:?}");
    assert_eq!(case.pass(10 * MS), [Due::Dead]);
}

#[test]
fn after_sleep_an_answer_keeps_the_link() {
    let mut case = Case::new();
    case.stop(20_000 * MS);
    let seen = case.pass(150 * MS);
    assert_eq!(seen.last(), Some(&Due::Nothing));
    assert!(seen.contains(&Due::Ping), "it asks");
    case.liveness.heard(case.now);
    let seen = case.pass(5_990 * MS);
    assert!(!seen.contains(&Due::Dead), "{seen:?}");
}

#[test]
fn sleep_that_only_the_other_clock_sees_counts() {
    let mut case = Case::new();
    case.awake += Duration::from_secs(3_600);
    let seen = case.pass(1_020 * MS);
    assert_eq!(seen.last(), Some(&Due::Dead));
}

#[test]
fn the_next_turn_is_never_late() {
    let mut case = Case::new();
    for _ in 0..1_000 {
        let next = case.liveness.next_turn(case.now);
        assert!(next <= case.now + LINK_PING_EVERY);
        case.stop(7 * MS);
        if case.liveness.turn(case.now, case.awake, true) == Due::Ping {
            case.liveness.sent(case.now);
        }
    }
    // A turn at that time, and no earlier, finds a dead link.
    let mut case = Case::new();
    let mut turns = 0;
    loop {
        let next = case.liveness.next_turn(case.now);
        case.awake += next - case.now;
        case.now = next;
        turns += 1;
        match case.liveness.turn(case.now, case.awake, true) {
            Due::Dead => break,
            Due::Ping => case.liveness.sent(case.now),
            Due::Nothing => {}
        }
    }
    assert_eq!(case.now - case.liveness.heard_at(), LINK_DEAD_AFTER);
    assert!(turns < 20);
}

#[test]
fn the_clock_that_goes_on_goes_on() {
    let before = awake();
    assert!(awake() >= before);
}
