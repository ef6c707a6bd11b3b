//! The rules of edge-ledger, and nothing else.
//!
//! Three rooms, read in this order:
//!
//! - [`identity`]: who may speak. Keys under one verification policy, the signed statements of an
//!   identity log, the log itself with its lineages and cuts, and the receipts of the service.
//! - [`ledger`]: what counts. Entries and runs, the gate that verifies them, journals that keep
//!   them, and the fold that counts their postings.
//! - [`sync`]: how two replicas agree. One session state machine, run by both ends.
//!
//! This crate does no I/O, spawns nothing, and reads neither clock nor random numbers: time and
//! random bytes are arguments, and effects are returned as values. `docs/protocol.md` describes
//! every byte that is signed here.

pub mod ids;
pub mod keys;
pub mod limits;
pub mod tags;
pub mod text;

pub mod identity;
pub mod ledger;
pub mod signal;
pub mod sync;

mod wire;
