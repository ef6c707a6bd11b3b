//! How often an address may ask for what needs no session. Calls with one are those of a device
//! that proved itself.

use edge_ledger_chassis::Rate;

use crate::limits::Limits;

/// One limit for each kind of call, so that none uses up another's.
#[derive(Debug)]
pub(crate) struct Rates {
    pub(crate) challenges: Rate,
    pub(crate) proofs: Rate,
    pub(crate) joins: Rate,
    pub(crate) registrations: Rate,
}

impl Rates {
    pub(crate) fn new(limits: &Limits) -> Self {
        let rate = |calls| Rate::per_minute(calls, limits.connections.trusted_proxies.clone());
        Self {
            challenges: rate(limits.challenges_per_minute),
            proofs: rate(limits.challenges_per_minute),
            joins: rate(limits.joins_per_minute),
            registrations: rate(limits.registrations_per_minute),
        }
    }
}
