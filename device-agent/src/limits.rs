//! Every bound of the agent. Those of the protocol are in `edge_ledger_core::limits`.

use std::time::Duration;

use edge_ledger_core::limits::DEVICES_ACTIVE_MAX;

/// Calls of the application that wait for the engine.
pub(crate) const COMMANDS_MAX: usize = 1_024;
/// Frames between the engine and its stream.
pub(crate) const OUTBOUND_FRAMES_MAX: usize = 16;
/// Frames that wait for room in the stream; above this the stream is given up.
pub(crate) const HELD_FRAMES_MAX: usize = 1_024;
/// Events that are kept for readers that are behind.
pub(crate) const EVENTS_KEPT_MAX: usize = 1_024;
/// Time to connect to a service.
pub(crate) const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Time that an address has to say that it takes work while there are others to be tried.
pub(crate) const TRY_NEXT_AFTER: Duration = Duration::from_secs(2);
/// An address that was used this long, in milliseconds, worked: when it fails, all others are worth
/// a try again, at once.
pub(crate) const SETTLED_AFTER_MS: u64 = 10_000;
/// Time to find out whether a service speaks TLS that was dialled without, or what it has against
/// this device.
pub(crate) const PROBE_WITHIN: Duration = Duration::from_secs(1);
/// Time for one call of the identity service.
pub(crate) const CALL_WITHIN: Duration = Duration::from_secs(10);
/// Time from the opening of a stream to the end of its handshake.
pub(crate) const LIVE_WITHIN: Duration = Duration::from_secs(10);
/// gRPC keepalive: a ping after this much silence ...
pub(crate) const KEEPALIVE_EVERY: Duration = Duration::from_secs(20);
/// ... and a dead connection when it is not answered within this.
pub(crate) const KEEPALIVE_WITHIN: Duration = Duration::from_secs(10);
/// First and longest wait before a new connection; each is jittered.
pub(crate) const BACKOFF_FIRST: Duration = Duration::from_millis(100);
/// See [`BACKOFF_FIRST`].
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// Wait after a refusal that only a person can lift.
pub(crate) const BACKOFF_REFUSED: Duration = Duration::from_secs(60);
/// A device that another stream of it took the place of stays away for this long at least, so that
/// two copies do not take turns.
pub(crate) const SUPERSEDED_FOR: Duration = Duration::from_secs(60);
/// Wait before this device is replaced again, after that did not succeed.
pub(crate) const REPLACE_AGAIN: Duration = Duration::from_secs(5);
/// Wait before a service whose log is another one is asked for evidence again.
pub(crate) const SEEK_EVIDENCE_AGAIN: Duration = Duration::from_secs(5);
/// How often the session hears that time passed.
pub(crate) const TICK_EVERY: Duration = Duration::from_secs(1);
/// Longest life of a link session, as the service grants it.
pub(crate) const LINK_WITHIN: Duration = Duration::from_secs(120);
/// How often a person may type the number of a new device.
pub(crate) const NUMBER_TRIES_MAX: u32 = 3;
/// How often a link session is opened under another nameplate because one is in use.
pub(crate) const NAMEPLATE_TRIES_MAX: u32 = 4;
/// How often a statement is made again because the log moved under it: twice as often as devices
/// can join at once.
pub(crate) const STATEMENT_RETRIES_MAX: usize = 2 * DEVICES_ACTIVE_MAX;
/// First and longest wait before a statement is made again; each is jittered, so that machines that
/// join together do not go on meeting.
pub(crate) const STATEMENT_AGAIN_FIRST: Duration = Duration::from_millis(5);
/// See [`STATEMENT_AGAIN_FIRST`].
pub(crate) const STATEMENT_AGAIN_MAX: Duration = Duration::from_millis(100);
/// Longest text of an enrolment token.
pub(crate) const TOKEN_BYTES_MAX: usize = 4_096;
/// Longest list of addresses in an enrolment token.
pub(crate) const TOKEN_URL_BYTES_MAX: usize = 2_048;
/// Nothing was heard from the service for this long: what is shown is stale.
pub(crate) const STALE_AFTER_MS: u64 = 60_000;
