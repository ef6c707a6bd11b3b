//! One deployment and one identity, with device keys made once for all cases.

use std::sync::{Arc, LazyLock};

use edge_ledger_core::identity::certificate::Description;
use edge_ledger_core::identity::genesis::{GenesisSpec, next_key_hash};
use edge_ledger_core::identity::service_key::ServiceSigner;
use edge_ledger_core::identity::{
    Certificate, CreditPolicy, Genesis, Periods, ServiceCertificate, ServiceRole,
};
use edge_ledger_core::ids::{DeviceId, IdentityId, LedgerId, StoreEpoch};
use edge_ledger_core::keys::{PublicKey, SecretKey};
use edge_ledger_core::ledger::entry::Author;

/// Devices that the base log knows from the start: the first two are admins.
pub(crate) const BASE_MEMBERS: usize = 5;
const MEMBERS: usize = 32;

/// The service's place in its store.
pub(crate) const STORE_EPOCH: StoreEpoch = StoreEpoch::from_bytes([7; 16]);
/// The service's address.
pub(crate) const AUDIENCE: &str = "ledger.example:443";

/// A device.
pub(crate) struct Member {
    pub(crate) key: Arc<SecretKey>,
    pub(crate) public: PublicKey,
    pub(crate) id: DeviceId,
}

impl Member {
    fn new(seed: u8) -> Self {
        let key = Arc::new(key(seed));
        let public = key.public_key();
        Self {
            key,
            public,
            id: public.device_id(),
        }
    }

    pub(crate) fn author(&self) -> Author<'_> {
        Author {
            ledger_id: world().ledger_id(),
            identity: world().identity(),
            key: &self.public,
        }
    }

    pub(crate) fn certificate(&self, replaces: Option<DeviceId>) -> Box<Certificate> {
        let description = Description {
            identity: world().identity(),
            name: "a device".to_owned(),
            platform: "test".to_owned(),
            replaces,
        };
        let certificate = Certificate::sign(world().ledger_id(), &self.key, &description);
        Box::new(certificate.expect("the description is within its limits"))
    }
}

pub(crate) struct World {
    pub(crate) genesis: Genesis,
    pub(crate) signer: Arc<ServiceSigner>,
    pub(crate) root: SecretKey,
    members: Vec<Member>,
}

impl World {
    pub(crate) fn ledger_id(&self) -> LedgerId {
        self.genesis.ledger_id()
    }

    pub(crate) fn identity(&self) -> IdentityId {
        self.root.public_key().identity_id()
    }
}

/// A key that depends on a number alone.
pub(crate) fn key(seed: u8) -> SecretKey {
    let mut bytes = [0x5a; 32];
    bytes[0] = seed;
    SecretKey::from_seed(bytes)
}

pub(crate) fn world() -> &'static World {
    static WORLD: LazyLock<World> = LazyLock::new(make);
    &WORLD
}

/// The member with this number.
pub(crate) fn member(number: usize) -> &'static Member {
    &world().members[number]
}

/// The member with this key.
pub(crate) fn member_of(id: DeviceId) -> &'static Member {
    let mut members = world().members.iter();
    members
        .find(|member| member.id == id)
        .expect("every device of a case is a member")
}

pub(crate) fn genesis(random: u8) -> Genesis {
    Genesis::create(GenesisSpec {
        service_root: key(250).public_key(),
        next_service_root_hash: next_key_hash(&key(251).public_key()),
        unit: "credit".to_owned(),
        decimals: 0,
        policy: CreditPolicy::SelfReported {
            posting_cap: 1_000,
            journal_cap: 20_000,
        },
        random: [random; 16],
        periods: Periods::NONE,
    })
    .expect("the specification is within its limits")
}

/// A service key that the deployment's root certified.
pub(crate) fn signer(genesis: &Genesis, seed: u8) -> ServiceSigner {
    let secret = key(seed);
    let certificate = ServiceCertificate::issue(
        &key(250),
        genesis.ledger_id(),
        &secret.public_key(),
        ServiceRole::Service,
        u64::from(seed),
    );
    ServiceSigner::new(secret, certificate).expect("the certificate is of this key")
}

fn make() -> World {
    let genesis = genesis(1);
    World {
        signer: Arc::new(signer(&genesis, 252)),
        genesis,
        root: key(253),
        members: (0..MEMBERS).map(|n| Member::new(n as u8)).collect(),
    }
}
