//! The binary as people and scripts use it, against real services.

#[path = "cli/bad_input.rs"]
mod bad_input;
#[path = "cli/demo.rs"]
mod demo;
#[expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]
#[path = "cli/keys.rs"]
mod keys;
#[path = "cli/offline.rs"]
mod offline;
#[expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]
#[path = "cli/process.rs"]
mod process;
#[path = "cli/story.rs"]
mod story;
#[path = "cli/up.rs"]
mod up;
