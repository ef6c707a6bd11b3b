//! The bounds of the command: what it waits for, and what is said on the socket of a running
//! agent.

use std::time::Duration;

/// Time that a command waits for the service.
pub(crate) const SYNC_WITHIN: Duration = Duration::from_secs(5);

/// For what still runs after a command has ended.
pub(crate) const ENDS_WITHIN: Duration = Duration::from_millis(500);

/// Time that a service has to answer an operator.
pub(crate) const OPERATOR_WITHIN: Duration = Duration::from_secs(10);

/// How often an operator is told how far something is, in milliseconds.
pub(crate) const PROGRESS_EVERY_MS: u64 = 2_000;
/// Longest line of an archive: a run as long as runs can be, in hex, and its commas.
pub(crate) const ARCHIVE_LINE_BYTES_MAX: u64 = 4 << 20;
/// Lines of an archive that wait to be sent.
pub(crate) const ARCHIVE_LINES_WAITING_MAX: usize = 16;

/// How often a person is told how long a code is good.
pub(crate) const COUNT_EVERY: Duration = Duration::from_secs(1);

/// A piece of what is printed, before it is a line of the socket.
pub(crate) const PIECE_BYTES_MAX: usize = 64 * 1024;
/// A line of the socket: a piece, each byte of it escaped, and its frame.
pub(crate) const LINE_BYTES_MAX: usize = 6 * PIECE_BYTES_MAX + 1024;
/// Pieces of one command that wait to be read.
pub(crate) const PIECES_WAITING_MAX: usize = 4;
/// Typed lines of one command that wait to be read.
pub(crate) const LINES_WAITING_MAX: usize = 1;
/// Commands that one agent serves at a time.
pub(crate) const ASKERS_MAX: usize = 64;
/// Time that an asker has to say what it wants, and an agent to take it on.
pub(crate) const TAKEN_WITHIN: Duration = Duration::from_secs(5);
/// Time that an asker may leave a piece unread, as somebody does who reads in a pager.
pub(crate) const READ_WITHIN: Duration = Duration::from_secs(600);
/// Time that askers have to hear the end when the agent stops.
pub(crate) const LEAVE_WITHIN: Duration = Duration::from_secs(1);
/// Wait after a connection that could not be taken, such as for want of files.
pub(crate) const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Time that the doctor waits for a name, and for a connection.
pub(crate) const REACH_WITHIN: Duration = Duration::from_secs(5);
/// Time in which a device can read all of its entries again.
pub(crate) const REREAD_WITHIN: Duration = Duration::from_secs(60);
/// A difference of clocks that nobody notices, in milliseconds.
pub(crate) const CLOCK_NEAR_MS: u64 = 5_000;
/// Days before the end of a certificate in which a person should see to a new one.
pub(crate) const CERTIFICATE_SOON_DAYS: i64 = 14;
/// Free space below which a person should make room.
pub(crate) const SPACE_LOW_BYTES: u64 = 256 << 20;
/// Free space below which nothing can be relied on.
pub(crate) const SPACE_NONE_BYTES: u64 = 8 << 20;
/// Time from an accepted offer to a link, while a person carries the answer.
pub(crate) const PEER_LINK_WITHIN: Duration = Duration::from_secs(600);
