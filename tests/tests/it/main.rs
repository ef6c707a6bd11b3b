//! End-to-end tests: one binary, one file per subject.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test waits for one frame among many"
)]

mod agents;
mod certificates;
mod clones;
mod config_check;
mod configuration_page;
mod drain;
mod drain_process;
mod enrolment;
mod failover;
mod flood_run;
mod health;
mod kill;
mod life;
mod link_race;
mod moving;
mod mutual_tls;
mod operators;
mod peers;
mod place;
mod replicas;
mod replicas_bad_times;
mod replicas_killed;
mod revocation;
mod revocation_run;
mod revocation_thief;
mod rotation;
mod rotation_process;
mod service_ends;
mod start_refused;
mod stream_bad_input;
mod stream_bad_messages;
mod stream_handshake;
mod stream_sync;
mod supersede;
mod threat_model_page;
mod tls;
mod tls_site;
mod two_services;
