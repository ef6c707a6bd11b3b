//! Every bound of the operator listener.

use std::num::NonZeroU32;

use edge_ledger_core::limits::FRAME_BYTES_MAX;

/// Connections of operators that are open at once.
pub(crate) const CONNECTIONS_MAX: usize = 64;
/// Calls without the token that an address may make in a minute, before it is told no more than to
/// come back later. Whoever has the token is never kept out.
pub(crate) const WRONG_TOKENS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(20).unwrap();
/// Longest reason of a block, in bytes.
pub(crate) const REASON_BYTES_MAX: usize = 200;
/// How often terms are tried to be set while others set them too.
pub(crate) const TERMS_TRIES_MAX: usize = 8;
/// The format of archives.
pub(crate) const ARCHIVE_FORMAT: u32 = 1;
/// Items of an archive, or words about it, that wait to be read.
pub(crate) const ITEMS_WAITING_MAX: usize = 16;
/// Longest item: a run and its envelope.
pub(crate) const ITEM_BYTES_MAX: usize = FRAME_BYTES_MAX + 64 * 1024;
/// How often the export of an identity begins anew because its log changed meanwhile.
pub(crate) const EXPORT_ROUNDS_MAX: usize = 16;
/// Items after which an import says how far it is.
pub(crate) const IMPORT_TELLS_EVERY: u64 = 256;
/// How often a step of an import is tried again because the log changed under it.
pub(crate) const LOG_MOVED_RETRIES_MAX: usize = 16;
