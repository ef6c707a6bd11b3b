//! What devices of one identity know each other by on a network, before either has said who it is.

use crate::identity::IdentityLog;
use crate::tags::Tag;

/// The rendezvous of an identity; `None` while nothing was said in its log.
///
/// It is made of the log's hash at position 1, which covers the first statement with all its
/// signatures: nobody can guess it, and whoever was ever shown the log can make it. That includes
/// the services, and devices that were revoked since. It never changes. So it finds devices, and
/// proves none.
pub fn rendezvous(log: &IdentityLog) -> Option<[u8; 32]> {
    let first = log.hash_at(1)?;
    Some(Tag::Rendezvous.hash(log.ledger_id(), &[first.as_bytes()]))
}
