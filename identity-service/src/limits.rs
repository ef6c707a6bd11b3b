//! Every bound of the identity service, in one place.

use std::num::NonZeroU32;
use std::time::Duration;

use edge_ledger_core::limits::{FRAME_BYTES_MAX, SIGNAL_BYTES_MAX, STATEMENT_BYTES_MAX};

use crate::registration::Registration;

/// Longest request: a statement and its envelope.
pub(crate) const REQUEST_BYTES_MAX: usize = STATEMENT_BYTES_MAX + 1024;
/// Longest sealed challenge.
pub(crate) const SEALED_BYTES_MAX: usize = 1024;
/// Life of a session, in milliseconds.
pub(crate) const SESSION_LIFE_MS: i64 = 600_000;
/// Most statements of one page of a log.
pub(crate) const PAGE_STATEMENTS_MAX: usize = 256;
/// Bytes after which a page of a log ends.
pub(crate) const PAGE_BYTES_MAX: usize = FRAME_BYTES_MAX;
/// How often an append is tried while the log moves under it.
pub(crate) const APPEND_TRIES_MAX: usize = 4;
/// Most logs that are kept replayed.
pub(crate) const LOGS_CACHED_MAX: usize = 1_024;
/// How often a watcher looks at the log although nothing was announced: announcements are hints.
pub(crate) const WATCH_EVERY: Duration = Duration::from_secs(5);

/// Life of a link session.
pub(crate) const LINK_LIFE: Duration = Duration::from_secs(120);
/// Time to say whether a link is opened or joined.
pub(crate) const LINK_FIRST_MESSAGE: Duration = Duration::from_secs(5);
/// Longest message that a link relays.
pub(crate) const LINK_MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// How often a link looks at its session although nothing was announced.
pub(crate) const LINK_LOOK_EVERY: Duration = Duration::from_secs(1);
/// Messages to a device of a link that wait to be sent.
pub(crate) const LINK_OUTBOUND_MAX: usize = 4;
/// Time that the last word of a link has to be sent.
pub(crate) const LINK_LAST_WORD: Duration = Duration::from_secs(1);

/// Challenges that an address may ask for in a minute, and proofs that it may send.
pub(crate) const CHALLENGES_PER_MINUTE: NonZeroU32 = NonZeroU32::new(600).unwrap();
/// Link sessions that an address may join in a minute: guesses of codes among them.
pub(crate) const JOINS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(20).unwrap();
/// Identities that an address may register in a minute.
pub(crate) const REGISTRATIONS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(60).unwrap();

/// Longest request of signalling: a signal and its envelope.
pub(crate) const SIGNAL_REQUEST_BYTES_MAX: usize = SIGNAL_BYTES_MAX + 64;
/// What a device does in signalling in a second, at one replica: messages, and calls.
pub(crate) const SIGNALS_PER_SECOND: NonZeroU32 = NonZeroU32::new(16).unwrap();
/// What it does at once.
pub(crate) const SIGNALS_AT_ONCE: NonZeroU32 = NonZeroU32::new(64).unwrap();
/// Words of others that wait for a device; one that does not take them is cut off.
pub(crate) const SIGNALS_WAITING_MAX: usize = 64;
/// What a device is told that another stream of it took the place of: when to come back.
pub(crate) const SUPERSEDED_FOR: Duration = Duration::from_secs(60);
/// Life of an account at a TURN server, in seconds.
pub(crate) const TURN_LIFE_S: i64 = 3_600;
/// Longest secret that is shared with TURN servers.
pub(crate) const TURN_SECRET_BYTES_MAX: usize = 1_024;

/// Longest text of an invite.
pub(crate) const INVITE_BYTES_MAX: usize = 256;

/// The bounds that a deployment, or a test, may change.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Those of connections.
    pub connections: edge_ledger_chassis::Limits,
    /// Life of a link session, at most 120 s.
    pub link_life: Duration,
    /// Time to say whether a link is opened or joined.
    pub link_first_message: Duration,
    /// Challenges that an address may ask for in a minute, and proofs that it may send.
    pub challenges_per_minute: NonZeroU32,
    /// Link sessions that an address may join in a minute.
    pub joins_per_minute: NonZeroU32,
    /// Identities that an address may register in a minute.
    pub registrations_per_minute: NonZeroU32,
    /// Who may register an identity.
    pub registration: Registration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: edge_ledger_chassis::Limits::default(),
            link_life: LINK_LIFE,
            link_first_message: LINK_FIRST_MESSAGE,
            challenges_per_minute: CHALLENGES_PER_MINUTE,
            joins_per_minute: JOINS_PER_MINUTE,
            registrations_per_minute: REGISTRATIONS_PER_MINUTE,
            registration: Registration::Open,
        }
    }
}
