//! The identity service, called through gRPC by a real client. Rows `S-nn` are those of the
//! error table; each refusal is checked by code and reason, and a good call passes afterwards.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod authenticate;
mod bad_input;
mod calls;
mod keys;
mod link;
mod link_ends;
mod log;
mod log_keys;
mod log_rules;
mod person;
mod place;
mod rates;
mod registration;
mod root_session;
mod sealing;
mod session;
mod signal;
mod signal_bounds;
mod watch;
mod world;
