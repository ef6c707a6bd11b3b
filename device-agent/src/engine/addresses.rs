//! At which address of the ledger service this device syncs, and when it goes to another.

use std::time::Duration;

use super::Engine;
use super::connection::Meaning;
use crate::addresses::Addresses;
use crate::endpoints::{Endpoint, Endpoints, Round, Turn, is_of_the_address};
use crate::error::AgentError;
use crate::event::Event;

/// The addresses, and how far the walk through them is.
pub(super) struct Ledgers {
    endpoints: Endpoints,
    round: Round,
}

impl Ledgers {
    pub(super) fn new(addresses: Addresses) -> Self {
        Self {
            endpoints: Endpoints::new(addresses),
            round: Round::default(),
        }
    }

    /// The address in use, or to be tried next.
    pub(super) fn url(&self) -> &str {
        self.endpoints.url()
    }

    /// Within which time it must say that it takes work, if there are others.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.round.patience(self.endpoints.count())
    }

    pub(super) fn shown(&self, now_ms: u64) -> Vec<Endpoint> {
        self.endpoints.shown(now_ms)
    }

    /// What comes after a connection to the address in use ended, or none came about.
    fn ended(&mut self, meaning: &Meaning, now_ms: u64) -> Turn {
        let url = self.endpoints.url().to_owned();
        let wait = Turn::Wait {
            lasting: meaning.permanent,
        };
        if meaning.moves {
            // Who comes back to it finds another replica there, or is refused and goes on then.
            return wait;
        }
        if meaning.elsewhere {
            let why = meaning.error.why();
            self.endpoints.failed(&url, why, now_ms);
            let count = self.endpoints.count();
            return self.round.failed(count, meaning.permanent, now_ms);
        }
        if let AgentError::Refused(refusal) = &meaning.error {
            let reason = refusal.reason.clone();
            self.endpoints.refused(&url, reason, now_ms);
        } else if is_of_the_address(&meaning.error) {
            // For a while, and not for the sake of the address.
            self.endpoints.refused(&url, meaning.error.why(), now_ms);
        }
        wait
    }
}

impl Engine {
    /// A session is open at the address in use.
    pub(super) fn ledger_answered(&mut self) {
        let now = self.clock.monotonic_ms();
        let url = self.ledgers.url().to_owned();
        self.ledgers.round.answered(now);
        if self.ledgers.endpoints.answered(&url, now) {
            tracing::warn!(url, "the ledger service is used at another address");
            let service = "ledger";
            self.events.push(Event::AddressChanged { service, url });
        }
    }

    /// Sets the time of the next attempt, and says whether it is at another address at once.
    pub(super) async fn next_attempt(&mut self, mut meaning: Meaning) -> (Meaning, bool) {
        let now = self.clock.monotonic_ms();
        let turn = self.ledgers.ended(&meaning, now);
        meaning.permanent = turn == Turn::Wait { lasting: true };
        let meaning = self.remembered(meaning).await;
        let goes_on = turn == Turn::Another;
        if goes_on {
            let error = &meaning.error;
            tracing::info!(%error, "the ledger service is tried at another address");
            self.comeback.elsewhere(now);
        } else {
            self.comeback.ended(now, &meaning);
        }
        (meaning, goes_on)
    }
}

#[cfg(test)]
mod tests {
    use tonic::{Code, Status};
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::super::connection::Ended;
    use super::*;
    use crate::endpoints::Outcome;

    fn two() -> Ledgers {
        let urls = ["http://a:7420", "http://b:7420"].map(str::to_owned);
        Ledgers::new(Addresses::new(urls).unwrap())
    }

    fn ended(ledgers: &mut Ledgers, code: Code, reason: &str, was_open: bool) -> Turn {
        let details = ErrorDetails::with_error_info(reason, "edge-ledger", []);
        let status = Status::with_error_details(code, "said", details);
        let url = ledgers.url().to_owned();
        let meaning = Ended::Status(status).meaning(&url, false, was_open);
        ledgers.ended(&meaning, 0)
    }

    #[test]
    fn a_service_that_fails_is_left_for_the_next_address() {
        for (code, reason) in [
            (Code::Unavailable, "STORE_UNAVAILABLE"),
            (Code::ResourceExhausted, "OVERLOADED"),
            (Code::FailedPrecondition, "AUDIENCE_UNKNOWN"),
            // It was about to end when this device came.
            (Code::Unavailable, "DRAINING"),
        ] {
            let mut ledgers = two();
            let turn = ended(&mut ledgers, code, reason, false);
            assert_eq!(turn, Turn::Another, "{reason}");
            assert_eq!(ledgers.url(), "http://b:7420", "{reason}");
        }
        let mut ledgers = two();
        let broken = Ended::Closed.meaning("http://a:7420", false, true);
        assert_eq!(ledgers.ended(&broken, 0), Turn::Another);
    }

    #[test]
    fn a_refusal_is_heard_once_and_at_one_address() {
        for reason in ["DEVICE_REVOKED", "FORBIDDEN", "FORKED", "LOG_FORKED"] {
            let mut ledgers = two();
            let turn = ended(&mut ledgers, Code::PermissionDenied, reason, true);
            assert_eq!(turn, Turn::Wait { lasting: true }, "{reason}");
            assert_eq!(ledgers.url(), "http://a:7420", "{reason}");
            let outcome = ledgers.shown(0)[0].outcome.clone();
            assert_eq!(outcome, Some(Outcome::Refused(reason.to_owned())));
        }
    }

    #[test]
    fn what_a_service_has_against_this_device_is_no_reason_to_go_elsewhere() {
        for (code, reason) in [
            (Code::ResourceExhausted, "RATE_LIMITED"),
            (Code::ResourceExhausted, "SLOW_CONSUMER"),
            (Code::Aborted, "SUPERSEDED"),
        ] {
            let mut ledgers = two();
            let turn = ended(&mut ledgers, code, reason, true);
            assert_eq!(turn, Turn::Wait { lasting: false }, "{reason}");
            assert_eq!(ledgers.url(), "http://a:7420", "{reason}");
        }
        let mut ledgers = two();
        let own = Ended::Error(AgentError::Stopped).meaning("http://a:7420", false, true);
        assert_eq!(ledgers.ended(&own, 0), Turn::Wait { lasting: false });
    }

    #[test]
    fn a_drained_device_comes_back_to_where_it_was_and_goes_on_if_nobody_is_there() {
        let mut ledgers = two();
        let turn = ended(&mut ledgers, Code::Unavailable, "DRAINING", true);
        assert_eq!(turn, Turn::Wait { lasting: false });
        assert_eq!(ledgers.url(), "http://a:7420");
        let url = ledgers.url().to_owned();
        let why = "connection refused".to_owned();
        let nobody = super::super::connection::unreachable(&url, why);
        let nobody = Ended::Error(nobody).meaning(&url, false, false);
        assert_eq!(ledgers.ended(&nobody, 0), Turn::Another);
        assert_eq!(ledgers.url(), "http://b:7420");
    }
}
