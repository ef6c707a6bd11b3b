//! How often an address may ask for what needs no session, and how much a device may say to others.
//! All else needs a session: those are calls of a device that proved itself.

use edge_ledger_chassis::{Pace, Rate};

use crate::limits::{Limits, SIGNALS_AT_ONCE, SIGNALS_PER_SECOND};

/// One limit for each kind of call, so that none uses up another's.
#[derive(Debug)]
pub(crate) struct Rates {
    pub(crate) challenges: Rate,
    pub(crate) proofs: Rate,
    pub(crate) joins: Rate,
    pub(crate) registrations: Rate,
    /// Of devices.
    pub(crate) signals: Pace,
}

impl Rates {
    pub(crate) fn new(limits: &Limits) -> Self {
        let rate = |calls| Rate::per_minute(calls, limits.connections.trusted_proxies.clone());
        Self {
            challenges: rate(limits.challenges_per_minute),
            proofs: rate(limits.challenges_per_minute),
            joins: rate(limits.joins_per_minute),
            registrations: rate(limits.registrations_per_minute),
            signals: Pace::per_second(SIGNALS_PER_SECOND, SIGNALS_AT_ONCE),
        }
    }
}
