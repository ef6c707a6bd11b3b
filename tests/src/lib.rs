//! End-to-end tests of edge-ledger through real services, agents and binaries.
