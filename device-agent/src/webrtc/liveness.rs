//! Whether the other end is still there: a data channel stays "open" on a dead path.
//!
//! Pure: the driver says what happened and when, and is told what to do.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits::{
    LINK_DEAD_AFTER, LINK_PING_EVERY, LINK_SETTLES_AFTER, LINK_SLEPT_AFTER, LINK_WAKES_WITHIN,
};

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// A ping, which makes the other end answer if it is there.
    Ping,
    /// Nothing was heard for too long.
    Dead,
}

/// How far a link that slept has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waking {
    /// What is read now may have waited at the socket all the time.
    Settling { since: Instant },
    /// The other end was pinged, and nothing came since.
    Asked { since: Instant },
}

#[derive(Debug)]
pub(super) struct Liveness {
    heard_at: Instant,
    /// From when silence counts.
    silent_since: Instant,
    sent_at: Instant,
    /// The time of the last turn, by both clocks: the one goes on while the machine sleeps.
    turned_at: (Instant, Duration),
    waking: Option<Waking>,
}

impl Liveness {
    pub(super) fn new(now: Instant, awake: Duration) -> Self {
        Self {
            heard_at: now,
            silent_since: now,
            sent_at: now,
            turned_at: (now, awake),
            waking: None,
        }
    }

    /// A datagram came that belongs to this link.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard_at = now;
        self.silent_since = now;
        if matches!(self.waking, Some(Waking::Asked { .. })) {
            self.waking = None;
        }
    }

    /// A message went out.
    pub(super) fn sent(&mut self, now: Instant) {
        self.sent_at = now;
    }

    pub(super) fn heard_at(&self) -> Instant {
        self.heard_at
    }

    /// One turn of the driver, which must come at least every [`LINK_PING_EVERY`]. `awake` is the
    /// time of a clock that goes on in sleep; a link that is not `listening`, because its engine
    /// is behind, cannot tell who is silent.
    pub(super) fn turn(&mut self, now: Instant, awake: Duration, listening: bool) -> Due {
        let (turned_at, awake_then) = std::mem::replace(&mut self.turned_at, (now, awake));
        let stood_still = now.saturating_duration_since(turned_at);
        if stood_still.max(awake.saturating_sub(awake_then)) > LINK_SLEPT_AFTER {
            self.waking = Some(Waking::Settling { since: now });
            self.silent_since = now;
        }
        if !listening {
            self.waking = None;
            self.silent_since = now;
        }
        match self.waking {
            Some(Waking::Settling { since }) if now >= since + LINK_SETTLES_AFTER => {
                self.waking = Some(Waking::Asked { since });
                return Due::Ping;
            }
            Some(Waking::Asked { since }) if now >= since + LINK_WAKES_WITHIN => return Due::Dead,
            _ => {}
        }
        if now >= self.silent_since + LINK_DEAD_AFTER {
            Due::Dead
        } else if now >= self.sent_at + LINK_PING_EVERY {
            Due::Ping
        } else {
            Due::Nothing
        }
    }

    /// When the next turn is due at the latest.
    pub(super) fn next_turn(&self, now: Instant) -> Instant {
        let regular = now + LINK_PING_EVERY;
        let waking = match self.waking {
            Some(Waking::Settling { since }) => since + LINK_SETTLES_AFTER,
            Some(Waking::Asked { since }) => since + LINK_WAKES_WITHIN,
            None => regular,
        };
        let dead = self.silent_since + LINK_DEAD_AFTER;
        let ping = self.sent_at + LINK_PING_EVERY;
        // A ping that is due and cannot go out now is tried again by then.
        let ping = if ping > now { ping } else { regular };
        regular.min(waking).min(dead).min(ping)
    }
}

/// A clock that goes on while the machine sleeps, from an arbitrary start.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn awake() -> Duration {
    use rustix::time::{ClockId, clock_gettime};

    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// A clock that goes on while the machine sleeps, from an arbitrary start.
///
/// Here it is the wall clock: when somebody sets it forward, the other end is asked whether it is
/// there, no more.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[expect(
    clippy::disallowed_methods,
    reason = "only the step from one turn to the next is looked at"
)]
pub(super) fn awake() -> Duration {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
