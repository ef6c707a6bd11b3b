//! A deployment with one or more replicas of the service on one store.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use edge_ledger_chassis::status::reason_of;
use edge_ledger_chassis::{Clock, Hands, Reason, Sealing};
use edge_ledger_core::identity::genesis::{GenesisSpec, next_key_hash};
use edge_ledger_core::identity::service_key::ServiceSigner;
use edge_ledger_core::identity::{CreditPolicy, Genesis, Periods, ServiceCertificate, ServiceRole};
use edge_ledger_core::ids::LedgerId;
use edge_ledger_core::keys::SecretKey;
use edge_ledger_proto::identity::identity_service_client::IdentityServiceClient;
use identity_service::{Config, IceConfig, Limits, Server};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::place::{Place, Store};

pub(crate) type Client = IdentityServiceClient<Channel>;

/// Longer than anything takes on a slow machine; nothing waits for it when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The name that all replicas share.
pub(crate) const NAME: &str = "id.example:443";

pub(crate) struct World {
    pub(crate) genesis: Genesis,
    pub(crate) place: Place,
    pub(crate) store: Arc<Store>,
    pub(crate) hands: Hands,
    pub(crate) server: Server,
    clock: Clock,
    limits: Limits,
    ice: IceConfig,
}

pub(crate) fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with_limits(Limits::default()).await
    }

    pub(crate) async fn with_limits(limits: Limits) -> Self {
        Self::with(limits, IceConfig::default()).await
    }

    pub(crate) async fn with(limits: Limits, ice: IceConfig) -> Self {
        let genesis = Genesis::create(GenesisSpec {
            service_root: key(1).public_key(),
            next_service_root_hash: next_key_hash(&key(2).public_key()),
            unit: "credit".into(),
            decimals: 0,
            policy: CreditPolicy::Issued,
            random: [3; 16],
            periods: Periods::default(),
        });
        let genesis = genesis.unwrap();
        let place = Place::new().await;
        let store = place.store().await;
        let (clock, hands) = Clock::manual(1_800_000_000_000);
        let mut config = config(&genesis, store.clone(), &clock, &limits, [4; 32].into());
        config.ice = ice.clone();
        Self {
            server: Server::bind(config).await.unwrap(),
            genesis,
            place,
            store,
            hands,
            clock,
            limits,
            ice,
        }
    }

    /// One more replica in the same place.
    pub(crate) async fn replica(&self) -> Server {
        self.replica_with([4; 32].into()).await
    }

    /// One more replica, which seals and opens with other keys.
    pub(crate) async fn replica_with(&self, sealing: Sealing) -> Server {
        let store = self.place.store().await;
        let mut config = config(&self.genesis, store, &self.clock, &self.limits, sealing);
        config.ice = self.ice.clone();
        Server::bind(config).await.unwrap()
    }

    /// Lets the probation of all devices pass, and every session with it.
    pub(crate) fn pass_probation(&self) {
        let probation = u32::try_from(self.genesis.periods().probation_ms).unwrap();
        self.hands.advance_ms(probation);
    }

    pub(crate) fn ledger_id(&self) -> LedgerId {
        self.genesis.ledger_id()
    }

    pub(crate) async fn client(&self) -> Client {
        dial(&self.server, NAME).await
    }
}

fn config(
    genesis: &Genesis,
    store: Arc<Store>,
    clock: &Clock,
    limits: &Limits,
    sealing: Sealing,
) -> Config {
    let secret = key(5);
    let public = secret.public_key();
    let role = ServiceRole::Service;
    let certificate = ServiceCertificate::issue(&key(1), genesis.ledger_id(), &public, role, 1);
    Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        audiences: vec![NAME.to_owned()],
        ledger_urls: vec!["http://127.0.0.1:7420".to_owned()],
        identity_urls: vec!["http://127.0.0.2:7410".to_owned()],
        store,
        genesis: genesis.clone(),
        signer: Arc::new(ServiceSigner::new(secret, certificate).unwrap()).into(),
        sealing,
        clock: clock.clone(),
        limits: limits.clone(),
        tls: None,
        ice: IceConfig::default(),
        reflection: true,
    }
}

/// Dials a server under a name.
pub(crate) async fn dial(server: &Server, name: &str) -> Client {
    IdentityServiceClient::new(channel(server, name).await)
}

/// Dials a server from another address of this machine.
pub(crate) async fn dial_from(server: &Server, name: &str, from: IpAddr) -> Client {
    let endpoint = endpoint(server, name).local_address(Some(from));
    IdentityServiceClient::new(endpoint.connect().await.unwrap())
}

pub(crate) async fn channel(server: &Server, name: &str) -> Channel {
    endpoint(server, name).connect().await.unwrap()
}

/// Dials a server as somebody who takes no more than so many bytes that were not read.
pub(crate) async fn narrow_channel(server: &Server, name: &str, bytes: u32) -> Channel {
    let endpoint = endpoint(server, name).initial_stream_window_size(bytes);
    endpoint.connect().await.unwrap()
}

fn endpoint(server: &Server, name: &str) -> Endpoint {
    let endpoint = Endpoint::from_shared(format!("http://{}", server.local_addr())).unwrap();
    endpoint.origin(format!("http://{name}").parse().unwrap())
}

#[track_caller]
pub(crate) fn assert_refused(status: &Status, code: Code, reason: Reason) {
    assert_eq!(status.code(), code, "{status:?}");
    assert_eq!(
        reason_of(status).as_deref(),
        Some(reason.as_str()),
        "{status:?}"
    );
}
