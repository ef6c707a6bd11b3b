//! How an edge-ledger service lives: accept loop, limits, statuses, clock, tasks.
