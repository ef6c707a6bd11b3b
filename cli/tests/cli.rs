//! The binary as people and scripts use it, against real services.

#[expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]
#[path = "cli/addresses.rs"]
mod addresses;
#[expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]
#[path = "cli/admin.rs"]
mod admin;
#[expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]
#[path = "cli/agent.rs"]
mod agent;
#[expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]
#[path = "cli/agent_socket.rs"]
mod agent_socket;
#[expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]
#[path = "cli/archive.rs"]
mod archive;
#[expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]
#[path = "cli/backup.rs"]
mod backup;
#[path = "cli/bad_input.rs"]
mod bad_input;
#[expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]
#[path = "cli/copies.rs"]
mod copies;
#[path = "cli/demo.rs"]
mod demo;
#[expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]
#[path = "cli/doctor.rs"]
mod doctor;
#[expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]
#[path = "cli/enrol_token.rs"]
mod enrol_token;
#[path = "cli/forked_log.rs"]
#[expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]
mod forked_log;
#[expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]
#[path = "cli/keys.rs"]
mod keys;
#[path = "cli/leaving.rs"]
mod leaving;
#[expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]
#[path = "cli/linking.rs"]
mod linking;
#[expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]
#[path = "cli/notices.rs"]
mod notices;
#[path = "cli/offline.rs"]
mod offline;
#[expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]
#[path = "cli/process.rs"]
mod process;
#[expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]
#[path = "cli/readme.rs"]
mod readme;
#[expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]
#[path = "cli/recovery.rs"]
mod recovery;
#[expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]
#[path = "cli/rotation.rs"]
mod rotation;
#[path = "cli/same.rs"]
mod same;
#[path = "cli/shell.rs"]
mod shell;
#[path = "cli/story.rs"]
mod story;
#[expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]
#[path = "cli/terminal.rs"]
mod terminal;
#[path = "cli/up.rs"]
mod up;
