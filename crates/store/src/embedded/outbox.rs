//! A device's own room: its outbox, postings that were accepted and are in no entry yet, and the
//! tips of its journal.
//!
//! They are durable before the application is told so, and leave in the same step that appends
//! the entry which holds them: none is lost and none is in two entries.
//!
//! Value of a posting: version (1), its bytes, checksum (8).

use bytes::Bytes;
use edge_ledger_core::identity::SignedTip;
use edge_ledger_core::ids::{DeviceId, IdentityId};
use edge_ledger_core::ledger::Extended;
use edge_ledger_core::ledger::admission::Admissible;
use redb::{ReadableTable as _, ReadableTableMetadata as _};

use super::Embedded;
use super::fault::Fault;
use super::journal::signed_tips;
use super::layout::{Reading, Writing};
use super::ledger_store::append;
use super::tables::{OUTBOX, Snapshot, Tables};
use super::write::Decision;
use crate::ledger::AppendOutcome;
use crate::{LogVersion, Origin, StoreError};

/// Most postings in an outbox.
pub const OUTBOX_POSTINGS_MAX: u64 = 100_000;

const POSTING: &str = "a posting of the outbox";
const NEXT_ID: &str = "next outbox id";

impl Embedded {
    /// Puts postings, as bytes of the caller's, into the outbox; all or none. Returns their ids
    /// in order: they ascend, and none is ever given twice.
    ///
    /// # Errors
    /// [`StoreError::Full`] if there would be more than [`OUTBOX_POSTINGS_MAX`]; else any
    /// [`StoreError`].
    pub async fn record(&self, postings: Vec<Bytes>) -> Result<Vec<u64>, StoreError> {
        let bytes = postings.iter().map(Bytes::len).sum();
        self.write(bytes, move |tables| record(tables, &postings))
            .await?
    }

    /// The postings in the outbox with their ids, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn outbox(&self) -> Result<Vec<(u64, Bytes)>, StoreError> {
        self.read(outbox).await
    }

    /// The tips of one journal with their author's signatures, as a statement names them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn signed_tips(
        &self,
        identity: IdentityId,
        device: DeviceId,
    ) -> Result<Vec<SignedTip>, StoreError> {
        self.write(0, move |tables| {
            Ok(Decision::unchanged(signed_tips(tables, identity, device)?))
        })
        .await
    }

    /// Appends the entry that holds some postings, and takes these out of the outbox in the same
    /// step; only if the entry is kept by this very call. Ids that are not in the outbox are
    /// passed over.
    ///
    /// # Errors
    /// [`StoreError`]: whether it was carried out is for a later read to tell.
    pub async fn close_entry(
        &self,
        identity: IdentityId,
        seen: LogVersion,
        origin: Origin,
        run: Admissible,
        outbox_ids: Vec<u64>,
    ) -> Result<AppendOutcome, StoreError> {
        let bytes = run.run.payload_bytes();
        let runs = [run];
        self.write(bytes, move |tables| {
            let decision = append(tables, identity, seen, origin, &runs)?;
            if is_kept(&decision.reply) {
                for id in &outbox_ids {
                    tables.outbox.remove(id)?;
                }
            }
            Ok(decision)
        })
        .await
    }
}

fn is_kept(outcome: &AppendOutcome) -> bool {
    matches!(outcome, AppendOutcome::Appended(runs) if matches!(runs[..], [Extended::Kept { .. }]))
}

fn record(
    tables: &mut Tables<'_>,
    postings: &[Bytes],
) -> Result<Decision<Result<Vec<u64>, StoreError>>, Fault> {
    if tables.outbox.len()? + postings.len() as u64 > OUTBOX_POSTINGS_MAX {
        return Ok(Decision::unchanged(Err(StoreError::Full)));
    }
    let stored = tables.globals.get(NEXT_ID)?.map(|value| {
        let mut next = Reading::sealed(NEXT_ID, &[], value.value())?;
        next.u64()
    });
    let mut next = stored.transpose()?.unwrap_or(1);
    let mut ids = Vec::with_capacity(postings.len());
    for posting in postings {
        let value = Writing::with_capacity(posting.len()).field(posting);
        let value = value.sealed(POSTING, &next.to_be_bytes());
        tables.outbox.insert(next, &*value)?;
        ids.push(next);
        next += 1;
    }
    let value = Writing::with_capacity(8).field(&next.to_be_bytes());
    tables
        .globals
        .insert(NEXT_ID, &*value.sealed(NEXT_ID, &[]))?;
    Ok(Decision::wrote(Ok(ids)))
}

fn outbox(snapshot: &Snapshot) -> Result<Vec<(u64, Bytes)>, Fault> {
    let read = |row: Result<(redb::AccessGuard<'_, u64>, redb::AccessGuard<'_, &[u8]>), _>| {
        let (id, value) = row?;
        let posting = Reading::sealed(POSTING, &id.value().to_be_bytes(), value.value())?;
        Ok((id.value(), Bytes::copy_from_slice(posting.rest())))
    };
    snapshot.table(OUTBOX)?.iter()?.map(read).collect()
}
