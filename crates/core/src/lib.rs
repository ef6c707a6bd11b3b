//! Identity, ledger and sync rules of edge-ledger: pure, without I/O, clock or randomness.
