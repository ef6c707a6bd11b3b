//! Which way entries go: to the ledger service while it takes them, to peers while it does not, and
//! both ways until a service that came back has everything.

use crate::limits::{HANDOVER_ROUNDS_MAX, TAKEN_WITHIN_MS};
use crate::status::Path;

/// What the choice stands on.
#[derive(Debug)]
pub(super) struct Paths {
    path: Path,
    /// Whether there is a session with the service.
    open: bool,
    /// Since when frames of entries wait for the service without any progress.
    waiting_since_ms: Option<u64>,
    /// Comparisons with the service since it came back.
    rounds: u32,
}

impl Paths {
    /// Nobody has proved to be the service yet.
    pub(super) fn new() -> Self {
        Self {
            path: Path::Peers,
            open: false,
            waiting_since_ms: None,
            rounds: 0,
        }
    }

    pub(super) fn path(&self) -> Path {
        self.path
    }

    /// Whether peers shall send what they have, and are sent what is here.
    pub(super) fn peers_flow(&self) -> bool {
        self.path != Path::Service
    }

    /// Whether the service answers what it is sent.
    pub(super) fn service_answers(&self) -> bool {
        self.path != Path::Peers
    }

    /// Whether the service is to be asked whether it has everything.
    pub(super) fn is_handover(&self) -> bool {
        self.path == Path::Both
    }

    /// The handshake with the service is done.
    pub(super) fn service_opened(&mut self) {
        (self.open, self.waiting_since_ms) = (true, None);
        self.hand_over();
    }

    /// The stream to the service broke, or was ended.
    pub(super) fn service_ended(&mut self) {
        (self.open, self.waiting_since_ms) = (false, None);
        self.path = Path::Peers;
    }

    /// What waits for the service now; `progress`: it has answered something.
    pub(super) fn unanswered(&mut self, now_ms: u64, frames: usize, progress: bool) {
        if frames == 0 || !self.open {
            self.waiting_since_ms = None;
        } else if progress || self.waiting_since_ms.is_none() {
            self.waiting_since_ms = Some(now_ms);
        }
        if self.open && self.path == Path::Peers && (frames == 0 || progress) {
            self.hand_over();
        }
    }

    /// When the service counts as unreachable if it does not answer.
    pub(super) fn deadline_ms(&self) -> Option<u64> {
        let waits = self.waiting_since_ms.filter(|_| self.path != Path::Peers);
        waits.map(|since_ms| since_ms.saturating_add(TAKEN_WITHIN_MS))
    }

    /// Time passed.
    pub(super) fn tick(&mut self, now_ms: u64) {
        if self.deadline_ms().is_some_and(|at_ms| at_ms <= now_ms) {
            self.path = Path::Peers;
        }
    }

    /// A comparison with the service came back. While others go on writing the two may never be
    /// equal: after a number of rounds what was here at first is there.
    pub(super) fn compared(&mut self, equal: bool) {
        self.rounds += 1;
        if self.is_handover() && (equal || self.rounds >= HANDOVER_ROUNDS_MAX) {
            self.path = Path::Service;
        }
    }

    fn hand_over(&mut self) {
        (self.path, self.rounds) = (Path::Both, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_use() -> Paths {
        let mut paths = Paths::new();
        paths.service_opened();
        paths.compared(true);
        assert_eq!(paths.path(), Path::Service);
        paths
    }

    #[test]
    fn peers_carry_everything_until_a_service_has_it_all() {
        let mut paths = Paths::new();
        assert!(paths.peers_flow() && !paths.service_answers());
        paths.service_opened();
        assert_eq!(paths.path(), Path::Both);
        paths.compared(false);
        assert!(paths.peers_flow() && paths.service_answers());
        paths.compared(true);
        assert!(!paths.peers_flow());
    }

    #[test]
    fn a_broken_stream_is_noticed_at_once() {
        let mut paths = in_use();
        paths.service_ended();
        assert_eq!(paths.path(), Path::Peers);
        paths.unanswered(0, 0, false);
        assert_eq!(paths.path(), Path::Peers, "no stream, no service");
    }

    #[test]
    fn a_run_that_is_not_taken_for_a_second_leaves_the_service() {
        let mut paths = in_use();
        paths.unanswered(5_000, 1, false);
        paths.unanswered(5_900, 2, false);
        assert_eq!(paths.deadline_ms(), Some(6_000), "the first one counts");
        paths.tick(5_999);
        assert_eq!(paths.path(), Path::Service);
        paths.tick(6_000);
        assert_eq!(paths.path(), Path::Peers);
        assert_eq!(paths.deadline_ms(), None);
    }

    #[test]
    fn a_service_that_makes_progress_is_kept_however_much_waits() {
        let mut paths = in_use();
        for second in 0..100 {
            paths.unanswered(second * 900, 8, true);
            paths.tick(second * 900 + 899);
        }
        assert_eq!(paths.path(), Path::Service);
    }

    #[test]
    fn a_service_that_answers_again_gets_everything_before_peers_rest() {
        let mut paths = in_use();
        paths.unanswered(0, 1, false);
        paths.tick(1_000);
        paths.unanswered(1_500, 1, false);
        assert_eq!(paths.path(), Path::Peers, "still nothing");
        paths.unanswered(2_000, 0, true);
        assert_eq!(paths.path(), Path::Both);
        paths.compared(true);
        assert_eq!(paths.path(), Path::Service);
    }

    #[test]
    fn a_hand_over_ends_though_others_never_stop_writing() {
        let mut paths = Paths::new();
        paths.service_opened();
        for round in 1..HANDOVER_ROUNDS_MAX {
            paths.compared(false);
            assert!(paths.is_handover(), "round {round}");
        }
        paths.compared(false);
        assert_eq!(paths.path(), Path::Service);
        paths.compared(false);
        assert_eq!(paths.path(), Path::Service);
    }
}
