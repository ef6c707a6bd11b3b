//! Every bound of the ledger service. Those of the protocol are in `edge_ledger_core::limits`.

use std::time::Duration;

/// Time for a device to say hello, from the opening of the stream.
pub(crate) const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// How often a session hears that time passed.
pub(crate) const TICK_EVERY: Duration = Duration::from_secs(1);
/// Frames between a session and its stream.
pub(crate) const OUTBOUND_FRAMES_MAX: usize = 8;
/// Frames that wait for room in the stream; above this the session stops reading.
pub(crate) const HELD_FRAMES_MAX: usize = 32;
/// A reader that takes nothing for this long, with frames waiting for it, is cut off.
pub(crate) const SLOW_AFTER: Duration = Duration::from_secs(10);
/// Time that what is left at the end of a stream has to go out.
pub(crate) const FAREWELL_WITHIN: Duration = Duration::from_secs(3);
/// Jobs that wait for one identity's ledger.
pub(crate) const LEDGER_JOBS_MAX: usize = 256;
/// Announcements that a session may be behind before it reads the store instead.
pub(crate) const NOTICES_MAX: usize = 64;
/// How often an append is tried again because the log moved under it.
pub(crate) const LOG_MOVED_RETRIES_MAX: usize = 16;
/// Statements in one answer to a request for the log.
pub(crate) const RECEIPTS_PER_FRAME: usize = edge_ledger_core::limits::FRAME_STATEMENTS_MAX;
