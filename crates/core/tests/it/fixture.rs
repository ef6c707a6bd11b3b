//! What the tests share: deterministic keys, a deployment, identity logs and entries.

pub(crate) mod entries;
pub(crate) mod forest;
pub(crate) mod hands;
pub(crate) mod line;
pub(crate) mod original;
pub(crate) mod protobuf;
pub(crate) mod replica;
pub(crate) mod tally;

use std::sync::LazyLock;

use edge_ledger_core::identity::certificate::Description;
use edge_ledger_core::identity::genesis::{GenesisSpec, next_key_hash};
use edge_ledger_core::identity::service_key::ServiceSigner;
use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{
    Act, Certificate, CreditPolicy, Genesis, IdentityLog, LogError, Periods, Point,
    ServiceCertificate, ServiceRole, SignedTip, Statement, StatementBody, StatementRecord,
};
use edge_ledger_core::ids::{DeviceId, IdentityId, LedgerId};
use edge_ledger_core::keys::SecretKey;
use proptest::test_runner::Config as ProptestConfig;
use sha2::{Digest as _, Sha256};

/// The service time of every record that does not say otherwise.
pub(crate) const SERVICE_TIME_MS: i64 = 1_790_000_000_000;

/// The number of cases of every property. What fails is printed, not kept in a file.
pub(crate) fn cases() -> ProptestConfig {
    ProptestConfig {
        cases: 10_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// A part of the cases of a property that takes long: the parts are tests that run side by side.
pub(crate) fn cases_of_part(parts: u32) -> ProptestConfig {
    ProptestConfig {
        cases: cases().cases / parts,
        ..cases()
    }
}

/// The seed that belongs to a name.
pub(crate) fn seed(name: &str) -> [u8; 32] {
    Sha256::digest(format!("edge-ledger test key: {name}")).into()
}

/// The secret key that belongs to a name.
pub(crate) fn key(name: &str) -> SecretKey {
    SecretKey::from_seed(seed(name))
}

/// The id of the device whose key belongs to a name.
pub(crate) fn device_id(name: &str) -> DeviceId {
    key(name).public_key().device_id()
}

/// One deployment with its service keys, and one identity with its root key.
pub(crate) struct World {
    pub(crate) genesis: Genesis,
    pub(crate) service_root: SecretKey,
    pub(crate) service: ServiceSigner,
    pub(crate) issuer: ServiceSigner,
    pub(crate) root: SecretKey,
}

impl World {
    /// A deployment with a policy; the same policy gives the same deployment.
    pub(crate) fn new(policy: CreditPolicy) -> Self {
        Self::named("deployment", policy)
    }

    /// A deployment whose random bytes depend on a name.
    pub(crate) fn named(name: &str, policy: CreditPolicy) -> Self {
        Self::made(name, policy, Periods::NONE)
    }

    /// A deployment in which new devices and recoveries wait, and devices credit themselves.
    pub(crate) fn waiting(periods: Periods) -> Self {
        Self::made("deployment", uncapped(), periods)
    }

    /// A deployment out of all that can be chosen.
    pub(crate) fn made(name: &str, policy: CreditPolicy, periods: Periods) -> Self {
        let service_root = key("service root");
        let mut random = [0; 16];
        random.copy_from_slice(&seed(name)[..16]);
        let genesis = Genesis::create(GenesisSpec {
            service_root: service_root.public_key(),
            next_service_root_hash: next_key_hash(&key("next service root").public_key()),
            unit: "credit".to_owned(),
            decimals: 2,
            policy,
            random,
            periods,
        })
        .expect("the specification is within its limits");
        let signer = |name: &str, role, serial| {
            let secret = key(name);
            let certificate = ServiceCertificate::issue(
                &service_root,
                genesis.ledger_id(),
                &secret.public_key(),
                role,
                serial,
            );
            ServiceSigner::new(secret, certificate).expect("the certificate is of this key")
        };
        Self {
            service: signer("service", ServiceRole::Service, 1),
            issuer: signer("issuer", ServiceRole::Issuer, 2),
            genesis,
            service_root,
            root: key("root"),
        }
    }

    /// A deployment in which devices credit themselves, with caps that do not bite.
    pub(crate) fn uncapped() -> Self {
        Self::new(uncapped())
    }

    pub(crate) fn ledger_id(&self) -> LedgerId {
        self.genesis.ledger_id()
    }

    pub(crate) fn identity(&self) -> IdentityId {
        self.root.public_key().identity_id()
    }

    /// A log without statements.
    pub(crate) fn empty_log(&self) -> IdentityLog {
        IdentityLog::empty(self.genesis.clone(), self.identity())
    }

    /// A log that was opened with one device, which is an admin.
    pub(crate) fn log_of(&self, admin: &str) -> IdentityLog {
        let mut log = self.empty_log();
        self.say(&mut log, self.incept(admin), &[SigningAs::Root(&self.root)])
            .expect("an identity can be opened");
        log
    }

    /// A log with one admin and several other devices, added by it in this order.
    pub(crate) fn log_with(&self, admin: &str, others: &[&str]) -> IdentityLog {
        let mut log = self.log_of(admin);
        for other in others {
            self.say(
                &mut log,
                self.add(other, false),
                &[SigningAs::Device(&key(admin))],
            )
            .expect("an admin can add a device");
        }
        log
    }

    /// A device's certificate.
    pub(crate) fn certificate(&self, name: &str, replaces: Option<DeviceId>) -> Box<Certificate> {
        let description = Description {
            identity: self.identity(),
            name: format!("the {name}"),
            platform: "test".to_owned(),
            replaces,
        };
        let certificate = Certificate::sign(self.ledger_id(), &key(name), &description);
        Box::new(certificate.expect("the description is within its limits"))
    }

    pub(crate) fn incept(&self, admin: &str) -> Act {
        Act::Incept {
            next_root_hash: next_key_hash(&key("next root").public_key()),
            genesis: Box::new(self.genesis.clone()),
            certificate: self.certificate(admin, None),
        }
    }

    pub(crate) fn add(&self, name: &str, admin: bool) -> Act {
        Act::AddDevice {
            certificate: self.certificate(name, None),
            admin,
        }
    }

    /// A link that takes the place of another device.
    pub(crate) fn add_in_place_of(&self, name: &str, old: &str, admin: bool) -> Act {
        Act::AddDevice {
            certificate: self.certificate(name, Some(device_id(old))),
            admin,
        }
    }

    pub(crate) fn replace(&self, old: &str, new: &str, tips: Vec<SignedTip>) -> Act {
        Act::Replace {
            old: device_id(old),
            certificate: self.certificate(new, Some(device_id(old))),
            tips,
        }
    }

    /// Signs an act as the next statement of a log.
    pub(crate) fn sign(&self, log: &IdentityLog, act: Act, keys: &[SigningAs<'_>]) -> Statement {
        let head = log.head();
        let body = StatementBody {
            identity: self.identity(),
            position: head.position + 1,
            expected_head: head.hash,
            act,
        };
        Statement::sign(self.ledger_id(), &body, keys).expect("the act is within its limits")
    }

    /// Signs an act and applies it with a receipt that holds no tips.
    pub(crate) fn say(
        &self,
        log: &mut IdentityLog,
        act: Act,
        keys: &[SigningAs<'_>],
    ) -> Result<(), LogError> {
        self.say_with(log, act, keys, Vec::new())
    }

    /// Signs an act and applies it with a receipt that holds these tips.
    pub(crate) fn say_with(
        &self,
        log: &mut IdentityLog,
        act: Act,
        keys: &[SigningAs<'_>],
        tips: Vec<SignedTip>,
    ) -> Result<(), LogError> {
        let statement = self.sign(log, act, keys);
        log.apply(record(statement, tips))
    }
}

fn uncapped() -> CreditPolicy {
    CreditPolicy::SelfReported {
        posting_cap: u64::MAX,
        journal_cap: u64::MAX,
    }
}

/// What a store records of a statement.
pub(crate) fn record(statement: Statement, mut tips: Vec<SignedTip>) -> StatementRecord {
    tips.sort_unstable();
    StatementRecord {
        statement,
        service_time_ms: SERVICE_TIME_MS,
        tips,
    }
}

/// A revocation of one lineage.
pub(crate) fn revoke(device: &str, tips: Vec<SignedTip>) -> Act {
    Act::Revoke {
        device: device_id(device),
        reason: edge_ledger_core::identity::RevokeReason::Lost,
        tips,
    }
}

/// A renaming.
pub(crate) fn rename(device: &str, name: &str) -> Act {
    Act::Rename {
        device: device_id(device),
        name: name.to_owned(),
    }
}

/// The signed tip of a device at a point, in the deployment of [`World::uncapped`].
pub(crate) fn tip(name: &str, point: Point) -> SignedTip {
    static LEDGER_ID: LazyLock<LedgerId> = LazyLock::new(|| World::uncapped().ledger_id());
    let key = key(name);
    SignedTip {
        device: key.public_key().device_id(),
        point,
        signature: point.sign(*LEDGER_ID, &key),
    }
}
