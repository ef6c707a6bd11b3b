//! The same on Redis, where each replica has its own connections, and what only happens there.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../it/authenticate.rs"]
mod authenticate;
#[path = "../it/bad_input.rs"]
mod bad_input;
mod bad_times;
#[path = "../it/calls.rs"]
mod calls;
#[path = "../it/keys.rs"]
mod keys;
#[path = "../it/link.rs"]
mod link;
#[path = "../it/link_ends.rs"]
mod link_ends;
#[path = "../it/log.rs"]
mod log;
#[path = "../it/log_keys.rs"]
mod log_keys;
#[path = "../it/log_rules.rs"]
mod log_rules;
#[path = "../it/person.rs"]
mod person;
mod place;
#[path = "../it/rates.rs"]
mod rates;
#[path = "../it/registration.rs"]
mod registration;
#[path = "../it/session.rs"]
mod session;
#[path = "../it/signal.rs"]
mod signal;
#[path = "../it/signal_bounds.rs"]
mod signal_bounds;
#[path = "../it/watch.rs"]
mod watch;
#[path = "../it/world.rs"]
mod world;
