//! Identities made by hand: every statement is signed and put into the store as the identity
//! service would.

use anyhow::Context as _;
use bytes::Bytes;
use edge_ledger_core::identity::certificate::Description;
use edge_ledger_core::identity::genesis::next_key_hash;
use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{
    Act, Certificate, IdentityLog, Point, ReceiptedStatement, RevokeReason, Statement,
    StatementBody, StatementRecord,
};
use edge_ledger_core::ids::{DeviceId, StoreEpoch};
use edge_ledger_core::keys::SecretKey;
use edge_ledger_core::ledger::posting::EventKey;
use edge_ledger_core::ledger::{Draft, Kind, Posting, Run};
use edge_ledger_store::identity::{LogEnd, StatementAppend, StatementOutcome};
use edge_ledger_store::{IdentityStore, LedgerStore, OperatorStore};

use crate::Deployment;

/// A store of both services.
pub trait Store: IdentityStore + LedgerStore + OperatorStore + Clone + 'static {}

impl<S: IdentityStore + LedgerStore + OperatorStore + Clone + 'static> Store for S {}

/// A device with its key and the end of its journal.
#[expect(missing_debug_implementations, reason = "holds a key")]
pub struct TestDevice {
    /// Its key.
    pub key: SecretKey,
    /// The last entry that it made.
    pub tip: Point,
}

impl TestDevice {
    /// A device with a fresh key and an empty journal.
    pub fn fresh() -> Self {
        Self {
            key: SecretKey::from_seed(rand::random()),
            tip: Point::START,
        }
    }

    /// Its id.
    pub fn id(&self) -> DeviceId {
        self.key.public_key().device_id()
    }
}

/// Who signs a statement: devices by their place.
#[derive(Debug, Clone, Copy)]
enum By {
    Root,
    Admin,
    Both(usize, usize),
}

/// An identity with its log and devices.
#[expect(missing_debug_implementations, reason = "holds keys")]
pub struct Identity {
    /// The root key.
    pub root: SecretKey,
    /// The log as it is in the store.
    pub log: IdentityLog,
    /// The devices; the first is the admin.
    pub devices: Vec<TestDevice>,
}

impl Identity {
    /// Makes an identity with so many devices, and puts its log into the store.
    ///
    /// # Errors
    /// When a statement is refused.
    pub async fn create<S: Store>(
        deployment: &Deployment<S>,
        devices: usize,
    ) -> anyhow::Result<Self> {
        let root = SecretKey::from_seed(rand::random());
        let identity = root.public_key().identity_id();
        let log = IdentityLog::empty(deployment.genesis.clone(), identity);
        let mut this = Self {
            root,
            log,
            devices: vec![TestDevice::fresh()],
        };
        let certificate = Box::new(this.certificate(&this.devices[0].key, None)?);
        let next = SecretKey::from_seed(rand::random()).public_key();
        let genesis = Box::new(deployment.genesis.clone());
        let incept = Act::Incept {
            next_root_hash: next_key_hash(&next),
            genesis,
            certificate,
        };
        this.append(deployment, incept, By::Root).await?;
        for _ in 1..devices {
            this.add_device(deployment).await?;
        }
        Ok(this)
    }

    /// Links one more device.
    ///
    /// # Errors
    /// When the statement is refused.
    pub async fn add_device<S: Store>(
        &mut self,
        deployment: &Deployment<S>,
    ) -> anyhow::Result<usize> {
        let device = TestDevice::fresh();
        let certificate = Box::new(self.certificate(&device.key, None)?);
        self.devices.push(device);
        self.append(
            deployment,
            Act::AddDevice {
                certificate,
                admin: false,
            },
            By::Admin,
        )
        .await?;
        Ok(self.devices.len() - 1)
    }

    /// Revokes a device, naming no tips.
    ///
    /// # Errors
    /// When the statement is refused.
    pub async fn revoke<S: Store>(
        &mut self,
        deployment: &Deployment<S>,
        device: usize,
    ) -> anyhow::Result<()> {
        let revoke = self.act_of_revoking(device);
        self.append(deployment, revoke, By::Admin).await
    }

    /// Signs the revocation of a device as the admin, naming no tips, to be sent to an identity
    /// service.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn revocation(&self, device: usize) -> anyhow::Result<Statement> {
        self.sign(self.act_of_revoking(device), By::Admin)
    }

    fn act_of_revoking(&self, device: usize) -> Act {
        Act::Revoke {
            device: self.devices[device].id(),
            reason: RevokeReason::Lost,
            tips: Vec::new(),
        }
    }

    /// Follows the log by a statement that an identity service has receipted.
    ///
    /// # Errors
    /// When its receipt is not valid, or it does not follow.
    pub fn follow(&mut self, parts: ReceiptParts) -> anyhow::Result<()> {
        let (genesis, identity) = (self.log.genesis().clone(), self.log.identity());
        let prev = self.log.head().hash;
        let receipted = ReceiptedStatement::verify(&genesis, identity, prev, parts)?;
        self.log.apply(receipted.into_record())?;
        Ok(())
    }

    /// Puts a fresh device in the place of another, naming no tips.
    ///
    /// # Errors
    /// When the statement is refused.
    pub async fn replace<S: Store>(
        &mut self,
        deployment: &Deployment<S>,
        old: usize,
    ) -> anyhow::Result<usize> {
        let (device, id) = (TestDevice::fresh(), self.devices[old].id());
        let certificate = Box::new(self.certificate(&device.key, Some(id))?);
        self.devices.push(device);
        let new = self.devices.len() - 1;
        let act = Act::Replace {
            old: id,
            certificate,
            tips: Vec::new(),
        };
        self.append(deployment, act, By::Both(old, new)).await?;
        Ok(new)
    }

    fn certificate(
        &self,
        key: &SecretKey,
        replaces: Option<DeviceId>,
    ) -> anyhow::Result<Certificate> {
        let description = Description {
            identity: self.log.identity(),
            name: format!("device {}", self.devices.len()),
            platform: "test".to_owned(),
            replaces,
        };
        Ok(Certificate::sign(self.log.ledger_id(), key, &description)?)
    }

    fn sign(&self, act: Act, by: By) -> anyhow::Result<Statement> {
        let head = self.log.head();
        let body = StatementBody {
            identity: self.log.identity(),
            position: head.position + 1,
            expected_head: head.hash,
            act,
        };
        let device = |of: usize| SigningAs::Device(&self.devices[of].key);
        let signers = match by {
            By::Root => vec![SigningAs::Root(&self.root)],
            By::Admin => vec![device(0)],
            By::Both(old, new) => vec![device(old), device(new)],
        };
        Ok(Statement::sign(self.log.ledger_id(), &body, &signers)?)
    }

    async fn append<S: Store>(
        &mut self,
        deployment: &Deployment<S>,
        act: Act,
        by: By,
    ) -> anyhow::Result<()> {
        let statement = self.sign(act, by)?;
        let append = StatementAppend {
            expected: LogEnd::of(&self.log),
            statement: statement.bytes().clone(),
            service_time_ms: 1_700_000_000_000,
            ends: self.log.ends(&statement).into_iter().collect(),
            fresh_epoch: StoreEpoch::from_bytes(rand::random()),
        };
        let outcome = deployment
            .store
            .append_statement(self.log.identity(), append)
            .await?;
        let StatementOutcome::Appended(records) = outcome else {
            anyhow::bail!("the log moved")
        };
        let stored = records.into_iter().next().context("nothing was recorded")?;
        let (service_time_ms, tips) = (stored.service_time_ms, stored.tips);
        self.log.apply(StatementRecord {
            statement,
            service_time_ms,
            tips,
        })?;
        Ok(())
    }

    /// Makes the next entry of a device: one credit.
    ///
    /// # Errors
    /// When the posting is out of its limits.
    pub fn credit(&mut self, device: usize, key: &str, amount: u64) -> anyhow::Result<Run> {
        let posting = Posting::new(
            Kind::Credit,
            EventKey::new(Bytes::copy_from_slice(key.as_bytes()))?,
            amount,
        )?;
        self.entry(device, vec![posting])
    }

    /// Makes the next entry of a device.
    ///
    /// # Errors
    /// When a posting is out of its limits.
    pub fn entry(&mut self, device: usize, postings: Vec<Posting>) -> anyhow::Result<Run> {
        let (ledger_id, identity) = (self.log.ledger_id(), self.log.identity());
        let device = &mut self.devices[device];
        let run = Draft {
            wall_ms: 0,
            postings,
        }
        .sign(ledger_id, identity, &device.key, device.tip)?;
        device.tip = end(ledger_id, identity, &device.key, &run);
        Ok(run)
    }
}

/// The last entry of a run of a device.
pub fn end(
    ledger_id: edge_ledger_core::ids::LedgerId,
    identity: edge_ledger_core::ids::IdentityId,
    key: &SecretKey,
    run: &Run,
) -> Point {
    let key = key.public_key();
    let author = edge_ledger_core::ledger::entry::Author {
        ledger_id,
        identity,
        key: &key,
    };
    let mut at = run.parent();
    for (format, payload) in run.formats.iter().zip(&run.payloads) {
        let seq = at.seq + 1;
        let hash =
            edge_ledger_core::ledger::entry::entry_hash(author, *format, seq, at.hash, payload);
        at = Point { seq, hash };
    }
    at
}
