//! End-to-end tests: one binary, one file per subject.

mod agents;
mod stream_bad_input;
mod stream_handshake;
mod stream_sync;
