//! The identity log as the identity service writes it: every state that it had, and every receipt.

use std::sync::{Arc, LazyLock};

use edge_ledger_core::identity::genesis::next_key_hash;
use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{
    Act, IdentityLog, LogError, ReceiptedStatement, RevokeReason, SignedTip, Statement,
    StatementBody, StatementRecord,
};
use edge_ledger_core::ids::DeviceId;

use crate::world::{BASE_MEMBERS, Member, key, member, world};

#[derive(Clone)]
pub(crate) struct Chronicle {
    /// The log at each position, from 0.
    logs: Vec<Arc<IdentityLog>>,
    receipts: Vec<ReceiptParts>,
    /// The service's clock.
    pub(crate) time_ms: i64,
}

impl Chronicle {
    pub(crate) fn empty() -> Self {
        let empty = IdentityLog::empty(world().genesis.clone(), world().identity());
        Self {
            logs: vec![Arc::new(empty)],
            receipts: Vec::new(),
            time_ms: 1_790_000_000_000,
        }
    }

    /// A log with the base members, the first two of them admins.
    pub(crate) fn base() -> Self {
        static BASE: LazyLock<Chronicle> = LazyLock::new(|| {
            let mut chronicle = Chronicle::empty();
            chronicle.incept(member(0));
            for number in 1..BASE_MEMBERS {
                chronicle.add(member(number), number == 1);
            }
            chronicle
        });
        BASE.clone()
    }

    /// The same, up to a position.
    pub(crate) fn truncated(mut self, position: u64) -> Self {
        self.logs.truncate(position as usize + 1);
        self.receipts.truncate(position as usize);
        self
    }

    pub(crate) fn position(&self) -> u64 {
        self.receipts.len() as u64
    }

    pub(crate) fn log_at(&self, position: u64) -> &Arc<IdentityLog> {
        &self.logs[position as usize]
    }

    pub(crate) fn log(&self) -> &Arc<IdentityLog> {
        self.log_at(self.position())
    }

    /// Receipts after a position, up to another, at most 64.
    pub(crate) fn receipts(&self, after: u64, up_to: u64) -> Vec<ReceiptParts> {
        let end = up_to.min(after.saturating_add(64)).min(self.position());
        let range = after as usize..end.max(after) as usize;
        self.receipts.get(range).unwrap_or_default().to_vec()
    }

    /// Where a log ends that ended at `position` and takes what follows of these statements. They
    /// were verified when they were made; whoever holds the same bytes need not do it again.
    pub(crate) fn follow(&self, mut position: u64, parts: &[ReceiptParts]) -> u64 {
        for parts in parts {
            let next = self.receipts.get(position as usize);
            let fits = next.is_some_and(|r| r.statement == parts.statement && r.body == parts.body);
            position += u64::from(fits);
        }
        position
    }

    pub(crate) fn incept(&mut self, admin: &Member) {
        let act = Act::Incept {
            next_root_hash: next_key_hash(&key(254).public_key()),
            genesis: Box::new(world().genesis.clone()),
            certificate: admin.certificate(None),
        };
        self.say(act, &[SigningAs::Root(&world().root)], Vec::new())
            .expect("an identity can be opened");
    }

    pub(crate) fn add(&mut self, new: &Member, admin: bool) {
        let certificate = new.certificate(None);
        self.by_root(Act::AddDevice { certificate, admin }, Vec::new());
    }

    pub(crate) fn rename(&mut self, device: DeviceId, name: &str) {
        let name = name.to_owned();
        self.by_root(Act::Rename { device, name }, Vec::new());
    }

    /// Ends a lineage with a cut of named tips and of those that the store keeps.
    pub(crate) fn revoke(&mut self, device: DeviceId, tips: Vec<SignedTip>, kept: Vec<SignedTip>) {
        let reason = RevokeReason::Lost;
        self.by_root(
            Act::Revoke {
                device,
                reason,
                tips,
            },
            kept,
        );
    }

    pub(crate) fn replace(
        &mut self,
        old: &Member,
        new: &Member,
        tips: Vec<SignedTip>,
        kept: Vec<SignedTip>,
    ) {
        let act = Act::Replace {
            old: old.id,
            certificate: new.certificate(Some(old.id)),
            tips,
        };
        let keys = [SigningAs::Device(&old.key), SigningAs::Device(&new.key)];
        self.say(act, &keys, kept)
            .expect("an active device can be replaced");
    }

    fn by_root(&mut self, act: Act, kept: Vec<SignedTip>) {
        self.say(act, &[SigningAs::Root(&world().root)], kept)
            .expect("the root may say it");
    }

    fn say(
        &mut self,
        act: Act,
        keys: &[SigningAs<'_>],
        mut tips: Vec<SignedTip>,
    ) -> Result<(), LogError> {
        tips.sort_unstable();
        let mut log = IdentityLog::clone(self.log());
        let head = log.head();
        let body = StatementBody {
            identity: world().identity(),
            position: head.position + 1,
            expected_head: head.hash,
            act,
        };
        let statement = Statement::sign(world().ledger_id(), &body, keys)?;
        let record = StatementRecord {
            statement,
            service_time_ms: self.time_ms,
            tips,
        };
        log.apply(record.clone())?;
        let receipt =
            ReceiptedStatement::sign(&world().signer, &world().genesis, record, log.head().hash);
        self.receipts.push(receipt.parts());
        self.logs.push(Arc::new(log));
        Ok(())
    }
}
