//! Where identities live, and what the process is to them.

use std::sync::Arc;

use edge_ledger_chassis::status::store_refusal;
use edge_ledger_chassis::{Clock, Reason, Signing, Tasks, refusal};
use edge_ledger_core::identity::{Genesis, IdentityLog};
use edge_ledger_core::ids::IdentityId;
use edge_ledger_core::ledger::Heads;
use edge_ledger_store::log_view::read_log;
use edge_ledger_store::{At, IdentityStore, LedgerStore, LogView, OperatorStore};
use tonic::Status;

/// The store of a deployment, and the keys that sign for it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) genesis: Genesis,
    pub(crate) signer: Signing,
    pub(crate) identities: Arc<dyn IdentityStore>,
    pub(crate) ledgers: Arc<dyn LedgerStore>,
    pub(crate) terms: Arc<dyn OperatorStore>,
    pub(crate) clock: Clock,
    pub(crate) tasks: Tasks,
}

impl Place {
    /// The log of an identity, if there is one; only what came since `known` is replayed.
    pub(crate) async fn read(
        &self,
        identity: IdentityId,
        known: Option<&LogView>,
    ) -> Result<Option<LogView>, Status> {
        let read = read_log(&*self.identities, &self.genesis, identity, known).await;
        read.map_err(|error| store_refusal(&error))
    }

    /// The log of an identity that must be there.
    pub(crate) async fn known(&self, identity: IdentityId) -> Result<LogView, Status> {
        let unknown = || refusal(Reason::UnknownIdentity, "there is no such identity here");
        self.read(identity, None).await?.ok_or_else(unknown)
    }

    /// All tips of an identity.
    pub(crate) async fn heads(&self, identity: IdentityId) -> Result<At<Heads>, Status> {
        let heads = self.ledgers.heads(identity).await;
        heads.map_err(|error| store_refusal(&error))
    }

    /// A log without a statement.
    pub(crate) fn empty_log(&self, identity: IdentityId) -> Arc<IdentityLog> {
        Arc::new(IdentityLog::empty(self.genesis.clone(), identity))
    }
}
