//! The operator's seam.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use edge_ledger_core::ids::IdentityId;
use redis::Pipeline;

use super::RedisStore;
use super::answer::{bytes, list, next, number};
use super::committer::Answer;
use super::keys::{Keys, LOGS, REPLICAS, of_log};
use super::script::{Call, Loaded, Script};
use crate::operator::{
    Cursor, IdentityPage, PAGE_IDENTITIES, REPLICAS_MAX, ReplicaSeen, Terms, TermsOutcome,
};
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

    async fn tell_replica(
        &self,
        id: [u8; 16],
        about: Bytes,
        life: Duration,
    ) -> Result<(), StoreError> {
        let call = self.replica_call(id).number(life.as_millis());
        self.write(call.number(REPLICAS_MAX).arg(about), replica_told)
            .await
    }

    async fn forget_replica(&self, id: [u8; 16]) -> Result<(), StoreError> {
        self.write(self.replica_call(id), replica_told).await
    }

    async fn replicas(&self) -> Result<Vec<ReplicaSeen>, StoreError> {
        let call = Call::new(Script::Replicas, [REPLICAS.to_owned()]);
        let mut answer = list(self.ask(&call).await?)?.into_iter();
        let now_ms: u64 = number(&bytes(next(&mut answer)?)?)?;
        let mut seen = Vec::new();
        while let Some(id) = answer.next() {
            let (id, said) = (bytes(id)?, bytes(next(&mut answer)?)?);
            seen.extend(replica(&id, &said, now_ms));
        }
        seen.sort_unstable_by_key(|replica| replica.id);
        Ok(seen)
    }
}

impl RedisStore {
    fn replica_call(&self, id: [u8; 16]) -> Call {
        let call = Call::new(Script::Replica, [REPLICAS.to_owned()]);
        call.arg(self.open.stamps.write()).arg(id)
    }
}

fn replica_told(answer: Answer) -> Result<((), Option<Change>), StoreError> {
    match &*answer.said.word {
        b"done" | b"full" => Ok(((), None)),
        _ => answer.said.unknown(),
    }
}

/// What a process said, if it is still to be believed: when it ends (8), when it was said (8), what.
fn replica(id: &Bytes, said: &Bytes, now_ms: u64) -> Option<ReplicaSeen> {
    let (ends_ms, rest) = said.split_first_chunk()?;
    let (said_ms, about) = rest.split_first_chunk()?;
    let ago_ms = now_ms.saturating_sub(u64::from_be_bytes(*said_ms));
    let is_there = u64::from_be_bytes(*ends_ms) > now_ms;
    is_there.then_some(ReplicaSeen {
        id: id[..].try_into().ok()?,
        about: said.slice_ref(about),
        ago: Duration::from_millis(ago_ms),
    })
}
