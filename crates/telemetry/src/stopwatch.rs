//! How long something took, for people: nothing is decided by it.

use std::time::{Duration, Instant};

/// A time that runs.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts it.
    #[expect(
        clippy::disallowed_methods,
        reason = "what is measured decides nothing, so no test sets it"
    )]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// The same in seconds, as metrics have it.
    pub fn seconds(&self) -> f64 {
        self.elapsed().as_secs_f64()
    }
}
