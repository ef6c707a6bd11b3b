//! The operator's seam.

use async_trait::async_trait;
use edge_ledger_core::ids::IdentityId;
use redis::Pipeline;

use super::RedisStore;
use super::answer::{bytes, list, next};
use super::committer::Answer;
use super::keys::{Keys, LOGS, of_log};
use super::script::{Loaded, Script};
use crate::operator::{Cursor, IdentityPage, PAGE_IDENTITIES, Terms, TermsOutcome};
use crate::{Change, OperatorStore, StoreError};

#[async_trait]
impl OperatorStore for RedisStore {
    async fn set_terms(
        &self,
        identity: IdentityId,
        expected: Terms,
        terms: Terms,
    ) -> Result<TermsOutcome, StoreError> {
        let keys = Keys::of(identity);
        let call = self
            .log_call(Script::Terms, &keys, [keys.log()])
            .arg(expected.encode())
            .arg(terms.encode());
        self.write(call, move |answer: Answer| match &*answer.said.word {
            b"done" => Ok((TermsOutcome::Set, Some(Change::Log { identity }))),
            b"same" => Ok((TermsOutcome::Set, None)),
            b"conflict" => Ok((TermsOutcome::Conflict, None)),
            b"unknown" => Ok((TermsOutcome::Unknown, None)),
            _ => answer.said.unknown(),
        })
        .await
    }

    async fn identities(&self, from: Option<Cursor>) -> Result<IdentityPage, StoreError> {
        let at = from.map_or_else(|| b"0".to_vec(), |Cursor(at)| at);
        let commands = |_: &Loaded| {
            let mut pipeline = Pipeline::new();
            let scan = pipeline.cmd("SCAN").arg(&at[..]).arg("MATCH").arg(LOGS);
            scan.arg("COUNT").arg(PAGE_IDENTITIES);
            pipeline
        };
        let mut answers = self.open.reader.ask(commands).await?.into_iter();
        let mut parts = list(next(&mut answers)?)?.into_iter();
        let at = bytes(next(&mut parts)?)?;
        let mut identities = Vec::new();
        for key in list(next(&mut parts)?)? {
            // What else lies in the database is not ours.
            identities.extend(of_log(&bytes(key)?));
        }
        Ok(IdentityPage {
            identities,
            next: (&at[..] != b"0").then(|| Cursor(at.to_vec())),
        })
    }
}
