//! Everything that is kept of an identity, read back.

use edge_ledger_core::identity::IdentityLog;
use edge_ledger_core::ledger::entry::Author;
use edge_ledger_core::ledger::journals::Have;
use edge_ledger_core::ledger::{VerifiedEntry, gate};

use crate::{LedgerStore, StoreError};

/// Reads every entry that is kept of a log's identity, parents first, through the gate again: a
/// store is a place like any other.
///
/// # Errors
/// [`StoreError`]; [`StoreError::Damaged`] when what is stored does not pass the gate, or is of a
/// device that the log does not have.
pub async fn read_entries(
    store: &dyn LedgerStore,
    log: &IdentityLog,
) -> Result<Vec<VerifiedEntry>, StoreError> {
    let damaged = || StoreError::Damaged("an entry does not pass the gate".to_owned());
    let (mut have, mut entries) = (Have::new(), Vec::new());
    loop {
        let page = store.missing(log.identity(), &have).await?.value;
        for kept in &page.runs {
            let device = log.device(&kept.run.device).ok_or_else(damaged)?;
            let author = Author {
                ledger_id: log.ledger_id(),
                identity: log.identity(),
                key: &device.key,
            };
            let verified = gate::verify(author, &kept.run).map_err(|_| damaged())?;
            entries.extend_from_slice(verified.entries());
            let points = have.entry(kept.run.device).or_default();
            points.remove(&kept.run.parent());
            points.insert(kept.last);
        }
        if !page.more || page.runs.is_empty() {
            return Ok(entries);
        }
    }
}
