//! The operator's seam, carried out by the rooms that know the tables.

use std::ops::Bound;

use async_trait::async_trait;
use edge_ledger_core::ids::IdentityId;

use super::tables::LOGS;
use super::{Embedded, log};
use crate::operator::{Cursor, IdentityPage, PAGE_IDENTITIES, Terms, TermsOutcome};
use crate::{OperatorStore, StoreError};

#[async_trait]
impl OperatorStore for Embedded {
    async fn set_terms(
        &self,
        identity: IdentityId,
        expected: Terms,
        terms: Terms,
    ) -> Result<TermsOutcome, StoreError> {
        let bytes = terms.encode().len();
        self.write(bytes, move |tables| {
            log::set_terms(tables, identity, &expected, &terms)
        })
        .await
    }

    async fn identities(&self, from: Option<Cursor>) -> Result<IdentityPage, StoreError> {
        let from = from.map(|Cursor(last)| <[u8; 32]>::try_from(&last[..]));
        let from = from.transpose();
        let from = from.map_err(|_| StoreError::Damaged("a cursor".to_owned()))?;
        self.read(move |snapshot| {
            let logs = snapshot.table(LOGS)?;
            let after = from.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            let rows = logs.range::<&[u8; 32]>((after, Bound::Unbounded))?;
            let mut identities = Vec::new();
            for row in rows.take(PAGE_IDENTITIES) {
                identities.push(IdentityId::from_bytes(*row?.0.value()));
            }
            let is_full = identities.len() == PAGE_IDENTITIES;
            let last = identities.last().filter(|_| is_full);
            let next = last.map(|last| Cursor(last.as_bytes().to_vec()));
            Ok(IdentityPage { identities, next })
        })
        .await
    }
}
