//! Every bound of the formats and of the protocol, in one place.
//!
//! Those of the entry format are constants: two replicas that disagree about them would diverge.

/// Most postings in one entry.
pub const ENTRY_POSTINGS_MAX: usize = 1_000;
/// Longest payload of one entry, in bytes.
pub const ENTRY_PAYLOAD_BYTES_MAX: usize = 256 * 1024;
/// Longest memo, in bytes of UTF-8.
pub const MEMO_BYTES_MAX: usize = 128;
/// Longest event key, in bytes.
pub const EVENT_KEY_BYTES_MAX: usize = 128;
/// Longest encoded issuer proof, in bytes.
pub const ISSUER_PROOF_BYTES_MAX: usize = 512;
/// Largest amount of one posting, in minor units: 2^53 − 1, so that JSON numbers hold it.
pub const AMOUNT_MAX: u64 = (1 << 53) - 1;
/// Largest sum of credits, or of debits, along the ancestors of one entry: 2^63 − 1.
pub const JOURNAL_TOTAL_MAX: u128 = (1 << 63) - 1;
/// Most tips of one journal outside a cut.
pub const JOURNAL_TIPS_MAX: usize = 8;

/// Longest frame, in encoded bytes.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;
/// Heaviest run: it fits into a frame of its own, whoever sends it on.
pub const RUN_BYTES_MAX: usize = FRAME_BYTES_MAX - 4 * 1024;
/// Payload bytes that a sender puts into one frame: leaves room for the envelope.
pub const PAGE_BYTES_MAX: usize = 512 * 1024;
/// Most runs in one frame.
pub const FRAME_RUNS_MAX: usize = 256;
/// Most `Runs` frames of one direction without an answer.
pub const WINDOW_FRAMES_MAX: usize = 8;
/// Most points of one journal in a locator.
pub const LOCATOR_POINTS_MAX: usize = 512;
/// Most points in one `Locator` frame.
pub const LOCATOR_FRAME_POINTS_MAX: usize = 16 * LOCATOR_POINTS_MAX;
/// Most points that a session remembers of what its peer has: a `Heads` and a `Locator` frame.
/// Forgetting one costs a repeated run at worst.
pub const HAVE_POINTS_MAX: usize = HEADS_TIPS_MAX + LOCATOR_FRAME_POINTS_MAX;
/// Most statements in one frame.
pub const FRAME_STATEMENTS_MAX: usize = 64;
/// Most tips of an identity, which all fit into one `Heads` frame. A device has 8 until it is
/// ended; each statement that ends it can name 8 more, and it is replaced once before it is revoked.
pub const HEADS_TIPS_MAX: usize =
    DEVICES_EVER_MAX * JOURNAL_TIPS_MAX * (2 + REVOKES_PER_LINEAGE_MAX) + FORK_TIPS_MAX;
/// Most acks in one frame.
pub const FRAME_ACKS_MAX: usize = 2_048;
/// Most acks in one frame that a device passes on.
pub const FRAME_RELAYED_ACKS_MAX: usize = 64;

/// Most bytes of runs that wait for something below them, per identity.
pub const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most runs that wait for something below them, per identity.
pub const WAITING_RUNS_MAX: usize = 4_096;

/// Most active devices of an identity.
pub const DEVICES_ACTIVE_MAX: usize = 16;
/// Active devices that the root key may add beyond [`DEVICES_ACTIVE_MAX`]: whoever fills all places
/// by another key, and fills each anew that is freed, does not shut out the owner.
pub const DEVICES_ACTIVE_BY_ROOT: usize = 4;
/// Most devices that ever enter one log.
pub const DEVICES_EVER_MAX: usize = 256;
/// Those of [`DEVICES_EVER_MAX`] that are kept for devices that the root key adds.
pub const DEVICES_BY_ROOT_MIN: usize = 16;
/// Longest device name, in bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest platform text, in bytes of UTF-8.
pub const PLATFORM_BYTES_MAX: usize = 64;
/// Most renamings of one device. With the limit of devices, and of revocations, it bounds a log.
pub const RENAMES_PER_DEVICE_MAX: usize = 32;
/// Most revocations of one lineage: all but the first can only name what the others forgot.
pub const REVOKES_PER_LINEAGE_MAX: usize = 4;
/// Most rotations of the root key since the last recovery; only who holds the next key rotates.
pub const ROTATIONS_MAX: usize = 16;
/// Most recoveries of an identity that ever take effect.
pub const RECOVERIES_MAX: usize = 8;
/// Most recoveries that one key ever asks for, so that a key that was stolen and replaced leaves the
/// places of its successor alone.
pub const RECOVERS_PER_KEY_MAX: usize = 4;
/// Most recovery keys that one root key sets.
pub const RECOVERY_KEYS_PER_ROOT_MAX: usize = 4;
/// Most branches of a log that are taken over, one after the other.
pub const FORKS_MAX: usize = 4;
/// Most tips that the branches of a log bring beside its own: each fits into a statement, and none is
/// encoded in fewer than 122 bytes.
pub const FORK_TIPS_MAX: usize = FORKS_MAX * STATEMENT_BYTES_MAX / 122;
/// Most enrolment keys that one root key, or the devices of one lineage, ever make.
pub const ENROLMENT_KEYS_PER_SIGNER_MAX: usize = 32;
/// Most devices that one enrolment key adds.
pub const ENROLMENT_USES_MAX: u32 = 64;
/// Longest life of an enrolment key, in milliseconds: 366 days.
pub const ENROLMENT_LIFE_MS_MAX: u64 = 366 * 24 * 3_600_000;
/// Longest probation that a deployment asks for, in milliseconds: 30 days.
pub const PROBATION_MS_MAX: u64 = 30 * 24 * 3_600_000;
/// Longest veto time that a deployment, or an identity for itself, asks for, in milliseconds: 30 days.
pub const VETO_MS_MAX: u64 = 30 * 24 * 3_600_000;
/// Most tips that one statement names.
pub const STATEMENT_TIPS_MAX: usize = 64;
/// Most tips of one device that one statement names: as many as its journal has before it ends.
pub const STATEMENT_DEVICE_TIPS_MAX: usize = JOURNAL_TIPS_MAX;
/// Most signatures of one statement: a key that enters signs beside who lets it in.
pub const STATEMENT_SIGNATURES_MAX: usize = 2;
/// Most tips in one receipt. A lineage can have as many devices as its identity, each with its own
/// tips and those that its replacement named, and it must be possible to end any lineage, also
/// again.
pub const RECEIPT_TIPS_MAX: usize = DEVICES_EVER_MAX * 2 * JOURNAL_TIPS_MAX
    + REVOKES_PER_LINEAGE_MAX * STATEMENT_TIPS_MAX
    + FORK_TIPS_MAX;
/// Longest encoded statement, in bytes.
pub const STATEMENT_BYTES_MAX: usize = 64 * 1024;
/// Longest unit name of a deployment, in bytes of UTF-8.
pub const UNIT_BYTES_MAX: usize = 16;
/// Most decimal places of a unit.
pub const DECIMALS_MAX: u32 = 18;

/// Life of a challenge, in milliseconds.
pub const CHALLENGE_LIFE_MS: i64 = 60_000;
/// Longest audience, in bytes.
pub const AUDIENCE_BYTES_MAX: usize = 255;
/// Most addresses of one service that a device keeps, and that it is told.
pub const ADDRESSES_MAX: usize = 8;
/// The protocol version that this code speaks.
pub const PROTOCOL_VERSION: u32 = 1;
/// The entry format that this code writes.
pub const ENTRY_FORMAT: u16 = 1;

/// How often a live session compares digests, in milliseconds.
pub const DIGEST_EVERY_MS: u64 = 30_000;
/// How much longer a service waits for the device's comparison before it makes its own.
pub const DIGEST_SLACK_MS: u64 = 5_000;
/// Refused runs within [`MISBEHAVED_WINDOW_MS`] that end a session.
pub const MISBEHAVED_RUNS_MAX: usize = 10;
/// See [`MISBEHAVED_RUNS_MAX`], in milliseconds.
pub const MISBEHAVED_WINDOW_MS: u64 = 60_000;
/// A session ends when entries are unanswered and no answer came for this long, in milliseconds.
/// The longest frame takes 7 minutes at 20 kbit/s, which is slow and not stuck; whether anybody
/// is there at all is found out by the transport, far sooner.
pub const STALLED_AFTER_MS: u64 = 600_000;
/// A session between devices ends when nothing arrives for this long before it is open, in
/// milliseconds.
pub const PEER_OPENING_MS_MAX: u64 = 10_000;
/// Most acks that wait for the statements that they name; the oldest give way.
pub const WAITING_ACKS_MAX: usize = 64;
/// Statements that a peer lacks are not sent to it again within this time, in milliseconds.
pub const STATEMENTS_AGAIN_MS: u64 = 1_000;
/// Most pings of a peer that wait for their pong; an honest peer has one.
pub const PINGS_DUE_MAX: usize = 8;
/// Most flushes that wait in one session.
pub const FLUSHES_WAITING_MAX: usize = 1_024;
/// Comparisons that entries on the way may make useless, one after the other.
pub const UNSURE_COMPARISONS_MAX: u32 = 3;
/// Longest time between two attempts to mend the same difference, in milliseconds.
pub const MEND_WAIT_MS_MAX: u64 = 32 * DIGEST_EVERY_MS;
/// Requests for statements that may come to nothing before a run of an unknown device counts as
/// foreign.
pub const LOG_ASKS_MAX: u32 = 8;
/// Longest signal between devices, in bytes.
pub const SIGNAL_BYTES_MAX: usize = 16_384;
/// Longest description of an end of a channel in a signal, in bytes.
pub const SIGNAL_SDP_BYTES_MAX: usize = 12_288;
/// Life of an offer that is carried by hand, in milliseconds. The clocks of two devices may differ
/// by as much, either way.
pub const SIGNAL_BY_HAND_MS_MAX: i64 = 600_000;
/// Attempts to get a channel that are remembered, so that none is followed twice.
pub const SIGNALS_SEEN_MAX: usize = 1_024;
