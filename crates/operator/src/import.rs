//! Import: the items of an archive, taken in as if devices brought them.
//!
//! Nothing of an archive is believed: statements are adopted by their receipts, entries go through
//! the gate and the log's rules, and what ends an identity must be true of what is here then. What
//! is here already stays as it is, so an import that broke off is simply begun anew.

mod identity;

use bytes::Bytes;
use edge_ledger_chassis::status::from_decode;
use edge_ledger_chassis::{Reason, refusal};
use edge_ledger_core::ids::{IdentityId, StoreEpoch};
use edge_ledger_proto::ConvertError;
use edge_ledger_proto::admin as wire;
use edge_ledger_proto::admin::archive_item::Item;
use edge_ledger_store::operator::{Block, Terms};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use crate::limits::{ARCHIVE_FORMAT, IMPORT_TELLS_EVERY, ITEMS_WAITING_MAX};
use crate::place::Place;
use identity::Arriving;

/// What an operator hears.
pub(crate) type Told = Result<wire::ImportResponse, Status>;

/// What was taken in so far.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    items: u64,
    identities: u64,
    statements: u64,
    entries: u64,
    cut_off: u64,
}

/// An import that goes on.
struct Import {
    place: Place,
    counts: Counts,
    has_head: bool,
    arriving: Option<Arriving>,
}

/// Begins an import. What was committed stays, however it ends.
pub(crate) fn start(place: Place, inbound: Streaming<wire::ImportRequest>) -> mpsc::Receiver<Told> {
    let (outbound, told) = mpsc::channel(ITEMS_WAITING_MAX);
    let tasks = place.tasks.clone();
    tasks.spawn_for_client(async move {
        let stopping = place.tasks.stopping();
        let mut import = Import {
            place,
            counts: Counts::default(),
            has_head: false,
            arriving: None,
        };
        let done = stopping
            .run_until_cancelled(import.run(inbound, &outbound))
            .await;
        let stops = || Err(refusal(Reason::Draining, "this process stops"));
        // Whoever left needs no reason.
        let last = done.unwrap_or_else(stops).map(|()| import.counts.into());
        let _ = outbound.send(last).await;
    });
    told
}

impl Import {
    async fn run(
        &mut self,
        mut inbound: Streaming<wire::ImportRequest>,
        outbound: &mpsc::Sender<Told>,
    ) -> Result<(), Status> {
        while let Some(request) = inbound.message().await.map_err(from_decode)? {
            let item = request.item.and_then(|item| item.item);
            let number = self.counts.items + 1;
            let item = item.ok_or_else(|| damaged(number, "there is nothing in it"))?;
            self.take(number, item).await?;
            self.counts.items = number;
            if number.is_multiple_of(IMPORT_TELLS_EVERY) {
                // Whoever does not listen may still want it done.
                let _ = outbound.try_send(Ok(self.counts.into()));
            }
        }
        match &self.arriving {
            Some(_) => Err(damaged(self.counts.items, "it ends within an identity")),
            None if !self.has_head => Err(damaged(0, "it is empty")),
            None => Ok(()),
        }
    }

    async fn take(&mut self, number: u64, item: Item) -> Result<(), Status> {
        let misplaced = || damaged(number, "it is not where it belongs");
        match item {
            Item::Head(head) if !self.has_head => {
                self.has_head = true;
                self.head(number, &head)
            }
            _ if !self.has_head => Err(misplaced()),
            Item::Head(_) => Err(misplaced()),
            Item::Identity(begins) if self.arriving.is_none() => {
                let arriving = self.begin(number, begins).await?;
                self.arriving = Some(arriving);
                Ok(())
            }
            Item::Identity(_) => Err(misplaced()),
            Item::Statement(statement) => {
                let arriving = self.arriving.as_mut().ok_or_else(misplaced)?;
                let parts = statement.try_into().map_err(|e| malformed(number, e))?;
                arriving.statement(&self.place, number, parts).await
            }
            Item::Run(run) => {
                let arriving = self.arriving.as_mut().ok_or_else(misplaced)?;
                let run = run.try_into().map_err(|e| malformed(number, e))?;
                arriving.run(&self.place, number, run).await
            }
            Item::Whole(whole) => {
                let arriving = self.arriving.take().ok_or_else(misplaced)?;
                let came = arriving.whole(&self.place, number, whole).await?;
                self.counts.identities += 1;
                self.counts.statements += came.statements;
                self.counts.entries += came.entries;
                self.counts.cut_off += came.cut_off;
                Ok(())
            }
        }
    }

    fn head(&self, number: u64, head: &wire::ArchiveHead) -> Result<(), Status> {
        if head.format != ARCHIVE_FORMAT {
            return Err(damaged(number, "it is of a format that is not known here"));
        }
        if head.genesis != self.place.genesis.bytes() {
            let what = "the archive is of another deployment";
            return Err(refusal(Reason::ArchiveForeign, what));
        }
        Ok(())
    }

    async fn begin(&self, number: u64, begins: wire::ArchiveIdentity) -> Result<Arriving, Status> {
        let odd = |_| damaged(number, "an id has a wrong length");
        let identity = IdentityId::try_from(&begins.identity[..]).map_err(odd)?;
        let epoch = StoreEpoch::try_from(&begins.store_epoch[..]).map_err(odd)?;
        let block = begins.block.map(|block| Block {
            reason: block.reason,
            since_ms: block.since_ms,
        });
        let terms = Terms {
            block,
            entries_max: begins.entries_max,
        };
        if !crate::identities::are_fit(&terms) {
            return Err(damaged(number, "its block or quota is out of its limits"));
        }
        Arriving::new(&self.place, identity, epoch, terms).await
    }
}

impl From<Counts> for wire::ImportResponse {
    fn from(counts: Counts) -> Self {
        Self {
            items: counts.items,
            identities: counts.identities,
            statements: counts.statements,
            entries: counts.entries,
            cut_off: counts.cut_off,
        }
    }
}

/// Refuses an item, by its number: the line of the file.
fn damaged(number: u64, what: &str) -> Status {
    refusal(Reason::ArchiveDamaged, &format!("line {number}: {what}"))
}

fn malformed(number: u64, error: ConvertError) -> Status {
    damaged(number, &error.to_string())
}

/// An id on the wire, to be compared.
fn same(bytes: &Bytes, id: &[u8]) -> bool {
    bytes == id
}
