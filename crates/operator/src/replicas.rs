//! The processes that answer operators: each says in the store that it is there, again and again, and
//! any of them lists all.

use std::sync::Arc;

use bytes::Bytes;
use edge_ledger_chassis::status::store_refusal;
use edge_ledger_chassis::{Signing, random};
use edge_ledger_proto::admin as wire;
use edge_ledger_store::OperatorStore;
use prost::Message as _;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::limits::{HEARD_WITHIN, LEAVES_WITHIN, TELL_EVERY};
use crate::server::Config;
use crate::streams::Streams;

/// What a process says of itself, and where.
pub(crate) struct Replica {
    id: [u8; 16],
    about: wire::Replica,
    signer: Signing,
    streams: Streams,
    store: Arc<dyn OperatorStore>,
}

impl Replica {
    pub(crate) fn new(config: &Config) -> Self {
        let about = &config.about;
        Self {
            id: random::bytes(),
            about: wire::Replica {
                services: about.services.iter().map(ToString::to_string).collect(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                address: about.address.clone(),
                since_ms: config.clock.wall_ms(),
                ..wire::Replica::default()
            },
            signer: config.signer.clone(),
            streams: config.streams.clone(),
            store: Arc::clone(&config.terms),
        }
    }

    /// Says that it is there until it stops, and then that it leaves.
    pub(crate) async fn tell(self, stopping: CancellationToken) {
        let mut every = tokio::time::interval(TELL_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stopping.run_until_cancelled(every.tick()).await.is_some() {
            let about = wire::Replica {
                key_serial: self.signer.serial(),
                streams: self.streams.count(),
                ..self.about.clone()
            };
            let about = about.encode_to_vec().into();
            let told = self.store.tell_replica(self.id, about, HEARD_WITHIN);
            // The store is looked after elsewhere; it is told again soon.
            let _ = stopping.run_until_cancelled(told).await;
        }
        let left = self.store.forget_replica(self.id);
        // It is forgotten anyway.
        let _ = tokio::time::timeout(LEAVES_WITHIN, left).await;
    }
}

/// All that are there.
pub(crate) async fn list(store: &dyn OperatorStore) -> Result<wire::ListReplicasResponse, Status> {
    let seen = store.replicas().await;
    let seen = seen.map_err(|error| store_refusal(&error))?;
    let replicas = seen.into_iter().filter_map(|seen| {
        // What a later version says in another form is left out.
        let about = wire::Replica::decode(seen.about).ok()?;
        Some(wire::Replica {
            id: Bytes::copy_from_slice(&seen.id),
            heard_ms_ago: u64::try_from(seen.ago.as_millis()).unwrap_or(u64::MAX),
            ..about
        })
    });
    Ok(wire::ListReplicasResponse {
        replicas: replicas.collect(),
    })
}
