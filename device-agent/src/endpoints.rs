//! Which address of a service is used, and when another is: rules alone, which dial nobody.
//!
//! A device stays with the address that works. When it fails, the next in the list is tried at
//! once, if it says that it takes work; only when a whole round failed does the device wait. A
//! refusal is the service's word, which another address of it would not change.

use std::time::Duration;

use crate::addresses::Addresses;
use crate::error::{AUDIENCE_UNKNOWN, AgentError, UNTRUSTED};
use crate::limits::{CONNECT_WITHIN, SETTLED_AFTER_MS, TRY_NEXT_AFTER};

/// What came of an address, when it was used last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was used.
    Answered,
    /// It answered with a refusal, for this reason.
    Refused(String),
    /// It could not be used, for this reason.
    Failed(String),
}

/// One address of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The address.
    pub url: String,
    /// Whether it is the one that the device uses, or goes to next.
    pub in_use: bool,
    /// What came of it last; none if it was not tried since the agent was opened.
    pub outcome: Option<Outcome>,
    /// Milliseconds since then.
    pub ms_ago: Option<u64>,
}

/// The addresses of one service, the one in use, and what came of each.
#[derive(Debug)]
pub(crate) struct Endpoints {
    addresses: Addresses,
    current: usize,
    /// The one that was used last.
    used: usize,
    /// By the monotonic clock.
    last: Vec<Option<(Outcome, u64)>>,
}

impl Endpoints {
    pub(crate) fn new(addresses: Addresses) -> Self {
        Self {
            last: vec![None; addresses.len()],
            addresses,
            current: 0,
            used: 0,
        }
    }

    /// The address in use, or to be tried next.
    pub(crate) fn url(&self) -> &str {
        self.addresses
            .iter()
            .nth(self.current)
            .unwrap_or_else(|| self.addresses.first())
    }

    pub(crate) fn count(&self) -> usize {
        self.addresses.len()
    }

    /// An address is used. Says whether it is another one than before.
    pub(crate) fn answered(&mut self, url: &str, now_ms: u64) -> bool {
        let Some(index) = self.note(url, Outcome::Answered, now_ms) else {
            return false;
        };
        let is_another = index != self.used;
        (self.current, self.used) = (index, index);
        is_another
    }

    /// An address answered with a refusal: the device stays with it.
    pub(crate) fn refused(&mut self, url: &str, why: String, now_ms: u64) {
        self.note(url, Outcome::Refused(why), now_ms);
    }

    /// An address cannot be used: if it was in use, the next one is.
    pub(crate) fn failed(&mut self, url: &str, why: String, now_ms: u64) {
        let noted = self.note(url, Outcome::Failed(why), now_ms);
        if noted == Some(self.current) {
            self.current = (self.current + 1) % self.count();
        }
    }

    fn note(&mut self, url: &str, outcome: Outcome, now_ms: u64) -> Option<usize> {
        let index = self.addresses.iter().position(|known| known == url)?;
        self.last[index] = Some((outcome, now_ms));
        Some(index)
    }

    /// All of them, to be shown.
    pub(crate) fn shown(&self, now_ms: u64) -> Vec<Endpoint> {
        let each = self.addresses.iter().zip(&self.last).enumerate();
        each.map(|(index, (url, last))| Endpoint {
            url: url.to_owned(),
            in_use: index == self.current,
            outcome: last.as_ref().map(|(outcome, _)| outcome.clone()),
            ms_ago: last.as_ref().map(|(_, at)| now_ms.saturating_sub(*at)),
        })
        .collect()
    }
}

/// What comes after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Another address, at once.
    Another,
    /// None: all were tried. `lasting`: all of them for reasons that only a person can change.
    Wait { lasting: bool },
}

/// A walk through the addresses, in which each is tried once.
#[derive(Debug, Default)]
pub(crate) struct Round {
    failed: usize,
    /// Whether a failure of this round may pass by itself.
    passing: bool,
    answered_at_ms: Option<u64>,
}

impl Round {
    /// An address is used.
    pub(crate) fn answered(&mut self, now_ms: u64) {
        self.answered_at_ms = Some(now_ms);
    }

    /// One of so many addresses failed.
    pub(crate) fn failed(&mut self, count: usize, lasting: bool, now_ms: u64) -> Turn {
        let settled = self
            .answered_at_ms
            .take()
            .is_some_and(|at| now_ms.saturating_sub(at) >= SETTLED_AFTER_MS);
        if settled {
            // Addresses that lose the device again at once would otherwise take turns without end.
            (self.failed, self.passing) = (0, false);
        }
        self.failed += 1;
        self.passing |= !lasting;
        if self.failed < count {
            return Turn::Another;
        }
        let lasting = !self.passing;
        (self.failed, self.passing) = (0, false);
        Turn::Wait { lasting }
    }

    /// Within which time one of so many addresses must say that it takes work; none if there is no
    /// other, which is asked nothing. The last has longer: the line may be slow.
    pub(crate) fn patience(&self, count: usize) -> Option<Duration> {
        match count {
            ..=1 => None,
            _ if self.failed + 1 < count => Some(TRY_NEXT_AFTER),
            _ => Some(CONNECT_WITHIN),
        }
    }
}

/// Whether an error is about the address, so that another one may do better.
pub(crate) fn is_of_the_address(error: &AgentError) -> bool {
    let of_refusal = |reason: &str| [UNTRUSTED, AUDIENCE_UNKNOWN].contains(&reason);
    matches!(
        error,
        AgentError::Unreachable { .. } | AgentError::Tls { .. } | AgentError::Untrusted(_)
    ) || matches!(error, AgentError::Refused(refusal) if of_refusal(&refusal.reason))
}

#[cfg(test)]
mod tests;
