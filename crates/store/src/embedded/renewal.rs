//! A device's log that another branch takes the place of: the service gave out two.

use bytes::Bytes;
use edge_ledger_core::ids::IdentityId;

use super::{Embedded, facts, log};
use crate::StoreError;
use crate::identity::{Adoption, StatementOutcome};

/// Another end of a log, and the facts that belong to it.
#[derive(Debug, Clone)]
pub struct Renewal {
    /// How many statements of the log stay.
    pub keep: u64,
    /// Where the log ends until then, what comes after those that stay, and what remains of the
    /// journals of devices that are ended afterwards.
    pub adoption: Adoption,
    /// Facts that are kept in the same step, each in the place of the one before.
    pub facts: Vec<(String, Bytes)>,
}

impl Embedded {
    /// Puts another end in the place of a log's, and raises its version. No statement of a service
    /// is ever taken back: this is for a device alone, when it is shown another branch.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn renew(
        &self,
        identity: IdentityId,
        renewal: Renewal,
    ) -> Result<StatementOutcome, StoreError> {
        let records = &renewal.adoption.records;
        let bytes = records.iter().map(|record| record.statement.len()).sum();
        self.write(bytes, move |tables| {
            let decision = log::renew(tables, identity, renewal.keep, &renewal.adoption)?;
            if matches!(decision.reply, StatementOutcome::Appended(_)) {
                for (key, value) in &renewal.facts {
                    facts::put(tables, key, value)?;
                }
            }
            Ok(decision)
        })
        .await
    }
}
