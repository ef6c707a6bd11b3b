//! Tests of the rules of identity and ledger, through the crate's public API.
//!
//! The properties run 10,000 random cases each, on generators that make the interesting cases
//! (forks, cuts, void postings, keys used twice) common; each counts them and fails when they
//! become rare, because a property that meets none of them says nothing.

mod fixture;

mod admission;
mod arrival;
mod evidence;
mod exchange;
mod gate_form;
mod gate_limits;
mod heads;
mod incremental;
mod journal_model;
mod key_policy;
mod log_acts;
mod log_cuts;
mod log_enrolment;
mod log_forks;
mod log_matrix;
mod log_probation;
mod log_receipts;
mod log_roots;
mod log_signers;
mod log_walk;
mod merge;
mod no_panic;
mod pages;
mod pikey;
mod protocol_vectors;
mod separation;
mod signal;
mod statement_form;
mod totals;
mod wycheproof;
