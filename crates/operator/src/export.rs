//! Export: what is kept, as the items of an archive.
//!
//! An identity is sent in an order in which it can be taken in: each statement with its receipt, then
//! runs, parents first. When its log changes meanwhile, what is new of that is sent, and the runs
//! again, so that what ends it is true of one moment.

use bytes::Bytes;
use edge_ledger_chassis::status::store_refusal;
use edge_ledger_chassis::{Reason, refusal};
use edge_ledger_core::identity::{ReceiptedStatement, StatementRecord};
use edge_ledger_core::ids::IdentityId;
use edge_ledger_core::ledger::journals::Have;
use edge_ledger_core::ledger::{Heads, Tip};
use edge_ledger_proto::admin as wire;
use edge_ledger_proto::admin::archive_item::Item;
use edge_ledger_store::{LogView, StoreError};
use tokio::sync::mpsc;
use tonic::Status;

use crate::identities::told;
use crate::limits::{ARCHIVE_FORMAT, EXPORT_ROUNDS_MAX, ITEMS_WAITING_MAX};
use crate::place::Place;

/// What an operator is sent.
pub(crate) type Sent = Result<wire::ExportResponse, Status>;

/// An export that goes on.
struct Export {
    place: Place,
    outbound: mpsc::Sender<Sent>,
}

/// Begins to export one identity, or all. Whoever does not read holds up nobody else.
pub(crate) fn start(place: Place, identity: Option<IdentityId>) -> mpsc::Receiver<Sent> {
    let (outbound, items) = mpsc::channel(ITEMS_WAITING_MAX);
    let tasks = place.tasks.clone();
    let export = Export { place, outbound };
    tasks.spawn_for_client(async move {
        let stopping = export.place.tasks.stopping();
        let done = stopping.run_until_cancelled(export.run(identity)).await;
        let stops = || Err(refusal(Reason::Draining, "this process stops"));
        if let Err(status) = done.unwrap_or_else(stops) {
            // Whoever left needs no reason.
            let _ = export.outbound.send(Err(status)).await;
        }
    });
    items
}

impl Export {
    async fn run(&self, identity: Option<IdentityId>) -> Result<(), Status> {
        let head = wire::ArchiveHead {
            format: ARCHIVE_FORMAT,
            genesis: self.place.genesis.bytes().clone(),
            made_ms: self.place.clock.wall_ms(),
        };
        if let Some(identity) = identity {
            let view = self.place.known(identity).await?;
            self.send(Item::Head(head)).await?;
            return self.identity(identity, view).await;
        }
        self.send(Item::Head(head)).await?;
        let mut from = None;
        loop {
            let page = self.place.terms.identities(from).await;
            let page = page.map_err(|error| store_refusal(&error))?;
            for identity in page.identities {
                if let Some(view) = self.place.read(identity, None).await? {
                    self.identity(identity, view).await?;
                }
            }
            from = page.next;
            if from.is_none() {
                return Ok(());
            }
        }
    }

    async fn identity(&self, identity: IdentityId, mut view: LogView) -> Result<(), Status> {
        let terms = view.terms.clone();
        self.send(Item::Identity(wire::ArchiveIdentity {
            identity: Bytes::copy_from_slice(identity.as_bytes()),
            store_epoch: Bytes::copy_from_slice(view.epoch.as_bytes()),
            block: terms.block.map(told),
            entries_max: terms.entries_max,
        }))
        .await?;
        let mut position = 0;
        for _ in 0..EXPORT_ROUNDS_MAX {
            for record in view.log.records_after(position) {
                self.statement(&view, record).await?;
            }
            position = view.log.head().position;
            let sent = self.runs(identity).await?;
            let heads = self.place.heads(identity).await?;
            if heads.version == view.version {
                return self.whole(&view, &heads.value, &sent).await;
            }
            let read = self.place.read(identity, Some(&view)).await?;
            view = read.ok_or_else(moving)?;
        }
        Err(moving())
    }

    async fn statement(&self, view: &LogView, record: &StatementRecord) -> Result<(), Status> {
        let position = record.statement.body().position;
        let log_hash = view.log.hash_at(position).ok_or_else(moving)?;
        let (signer, genesis) = (self.place.signer.current(), &self.place.genesis);
        let receipted = ReceiptedStatement::sign(&signer, genesis, record.clone(), log_hash);
        self.send(Item::Statement(receipted.parts().into())).await
    }

    /// Sends all runs; says which points end them.
    async fn runs(&self, identity: IdentityId) -> Result<Have, Status> {
        let mut have = Have::new();
        loop {
            let page = self.place.ledgers.missing(identity, &have).await;
            let page = page.map_err(|error| store_refusal(&error))?.value;
            let is_last = !page.more || page.runs.is_empty();
            for kept in page.runs {
                let points = have.entry(kept.run.device).or_default();
                points.remove(&kept.run.parent());
                points.insert(kept.last);
                self.send(Item::Run(kept.run.into())).await?;
            }
            if is_last {
                return Ok(have);
            }
        }
    }

    /// Ends an identity. Entries that came after they were read are not promised.
    async fn whole(&self, view: &LogView, heads: &Heads, sent: &Have) -> Result<(), Status> {
        let head = view.log.head();
        let is_sent = |tip: &Tip| {
            let sent = sent.get(&tip.device);
            sent.is_some_and(|sent| sent.contains(&tip.point))
        };
        let tips = heads.tips().filter(is_sent);
        self.send(Item::Whole(wire::ArchiveWhole {
            identity: Bytes::copy_from_slice(view.log.identity().as_bytes()),
            log_position: head.position,
            log_hash: Bytes::copy_from_slice(head.hash.as_bytes()),
            tips: tips.map(Into::into).collect(),
        }))
        .await
    }

    async fn send(&self, item: Item) -> Result<(), Status> {
        let item = wire::ArchiveItem { item: Some(item) };
        let response = wire::ExportResponse { item: Some(item) };
        let sent = self.outbound.send(Ok(response)).await;
        sent.map_err(|_| refusal(Reason::SlowConsumer, "nobody reads the archive"))
    }
}

fn moving() -> Status {
    store_refusal(&StoreError::Unavailable(
        "an identity log does not stand still".to_owned(),
    ))
}
