//! Where ledgers meet: one Sync stream per device, acks after the commit, fan-out.
