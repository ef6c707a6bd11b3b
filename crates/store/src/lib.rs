//! The two store seams of edge-ledger and the embedded implementation of both.
