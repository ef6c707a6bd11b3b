//! The only place that reads a clock. Rules get the time as an argument; shells get a [`Clock`].

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Tells wall time and monotonic time. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System { started: Instant },
    Manual(Hands),
}

/// Sets a manual clock.
#[derive(Debug, Clone)]
pub struct Hands(Arc<Dial>);

#[derive(Debug)]
struct Dial {
    wall_ms: AtomicI64,
    monotonic_ms: AtomicU64,
}

impl Clock {
    /// The clock of the machine.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the clock"
    )]
    pub fn system() -> Self {
        Self(Source::System {
            started: Instant::now(),
        })
    }

    /// A clock that stands still until its hands are moved.
    pub fn manual(wall_ms: i64) -> (Self, Hands) {
        let hands = Hands(Arc::new(Dial {
            wall_ms: AtomicI64::new(wall_ms),
            monotonic_ms: AtomicU64::new(0),
        }));
        (Self(Source::Manual(hands.clone())), hands)
    }

    /// Milliseconds since 1970: for display, expiry and receipts.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the clock"
    )]
    pub fn wall_ms(&self) -> i64 {
        match &self.0 {
            Source::System { .. } => match SystemTime::now().duration_since(UNIX_EPOCH) {
                Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
                Err(before) => {
                    i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms)
                }
            },
            Source::Manual(hands) => hands.0.wall_ms.load(Ordering::Relaxed),
        }
    }

    /// Milliseconds since the clock was made, never going back.
    pub fn monotonic_ms(&self) -> u64 {
        match &self.0 {
            Source::System { started } => {
                u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
            }
            Source::Manual(hands) => hands.0.monotonic_ms.load(Ordering::Relaxed),
        }
    }
}

impl Hands {
    /// Lets time pass.
    pub fn advance_ms(&self, ms: u32) {
        self.0.wall_ms.fetch_add(ms.into(), Ordering::Relaxed);
        self.0.monotonic_ms.fetch_add(ms.into(), Ordering::Relaxed);
    }

    /// Sets the wall time, as an operator or a bad time server does; monotonic time stands.
    pub fn set_wall_ms(&self, wall_ms: i64) {
        self.0.wall_ms.store(wall_ms, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_goes_on() {
        let clock = Clock::system();
        let (wall, monotonic) = (clock.wall_ms(), clock.monotonic_ms());
        assert!(wall > 1_700_000_000_000, "{wall}");
        assert!(clock.wall_ms() >= wall);
        assert!(clock.monotonic_ms() >= monotonic);
    }

    #[test]
    fn a_manual_clock_moves_by_hand() {
        let (clock, hands) = Clock::manual(5);
        let copy = clock.clone();
        hands.advance_ms(10);
        assert_eq!((copy.wall_ms(), copy.monotonic_ms()), (15, 10));
        hands.set_wall_ms(-1);
        assert_eq!((clock.wall_ms(), clock.monotonic_ms()), (-1, 10));
    }
}
