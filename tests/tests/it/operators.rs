//! What operators do to identities, at whatever replica their devices are; and the listener of
//! services that run apart.

use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use device_agent::{Agent, Details, Event, Events, within};
use edge_ledger_chassis::OperatorToken;
use edge_ledger_core::identity::LogHead;
use edge_ledger_core::ids::IdentityId;
use edge_ledger_core::keys::SecretKey;
use edge_ledger_core::ledger::Heads;
use edge_ledger_store::operator::{Block, Terms, TermsOutcome};
use edge_ledger_store::redis::server::Server;
use edge_ledger_store::{OperatorStore as _, StoreError};
use edge_ledger_tests::{RawStream, Replicas, ServiceProcess, refusal};
use serde_json::Value;
use tonic::Code;

use crate::two_services::{cli, path, spread_keys};

const PATIENCE: Duration = Duration::from_secs(30);

fn blocked() -> Terms {
    let block = Block {
        reason: "trial".to_owned(),
        since_ms: 0,
    };
    Terms {
        block: Some(block),
        entries_max: None,
    }
}

async fn set(replicas: &Replicas, of: IdentityId, from: Terms, to: Terms) -> anyhow::Result<()> {
    let set = replicas.deployment.store.set_terms(of, from, to).await?;
    anyhow::ensure!(set == TermsOutcome::Set, "{set:?}");
    Ok(())
}

/// Waits until a device says why it is not synced.
async fn hears(events: &mut Events, reason: &str) -> anyhow::Result<()> {
    let heard = async {
        while let Some(event) = events.next().await {
            if let Event::SyncFailed { why, .. } = event
                && why.contains(reason)
            {
                return Ok(());
            }
        }
        Err(device_agent::AgentError::Stopped)
    };
    Ok(within(PATIENCE, heard).await?)
}

async fn earn(agent: &Agent, amount: u64) -> anyhow::Result<()> {
    agent.earn(amount, Details::default()).await?;
    Ok(())
}

#[tokio::test]
async fn a_block_ends_the_streams_at_every_replica_and_loses_nothing() -> anyhow::Result<()> {
    let replicas = Replicas::start(2).await?;
    let phone = replicas.first_device("phone").await?;
    let laptop = replicas.link(&phone, "laptop").await?;
    let identity = phone.status().identity;
    phone.stop().await;
    laptop.stop().await;
    let phone = replicas.open("phone", Some(0)).await?;
    let laptop = replicas.open("laptop", Some(1)).await?;
    for agent in [&phone, &laptop] {
        earn(agent, 1).await?;
        within(PATIENCE, agent.sync()).await?;
    }
    let mut events = [phone.events(), laptop.events()];
    set(&replicas, identity, Terms::default(), blocked()).await?;
    for events in &mut events {
        hears(events, "IDENTITY_BLOCKED").await?;
    }
    for agent in [&phone, &laptop] {
        earn(agent, 10).await?;
        let refused = within(PATIENCE, agent.sync()).await;
        let refused = refused.expect_err("it is blocked").to_string();
        assert!(refused.contains("IDENTITY_BLOCKED"), "{refused}");
    }
    // Whoever does not belong to it is told what every stranger is told.
    let stranger = SecretKey::from_seed(rand::random());
    let mut stream = RawStream::open(&replicas.ledger_url(0)).await?;
    let (ledger_id, heads) = (replicas.deployment.genesis.ledger_id(), Heads::default());
    let nothing = edge_ledger_core::identity::IdentityLog::empty(
        replicas.deployment.genesis.clone(),
        identity,
    );
    let digest = heads.digest(&nothing);
    let hello = stream.sign_hello_of(ledger_id, identity, LogHead::EMPTY, &stranger, digest);
    stream
        .send(edge_ledger_core::sync::Frame::Hello(hello))
        .await?;
    let ended = refusal(&stream.end().await?);
    assert_eq!(ended, (Code::PermissionDenied, "FORBIDDEN".to_owned()));

    set(&replicas, identity, blocked(), Terms::default()).await?;
    for agent in [&phone, &laptop, &phone] {
        within(PATIENCE, agent.sync()).await?;
    }
    for agent in [&phone, &laptop] {
        assert_eq!(agent.balance().balance, 22);
    }
    Ok(())
}

/// Also at a replica that does not hear of it: the append compares it.
#[tokio::test]
async fn a_replica_that_hears_nothing_takes_nothing_of_a_blocked_identity() -> anyhow::Result<()> {
    let replicas = Replicas::start(2).await?;
    let phone = replicas.first_device("phone").await?;
    let identity = phone.status().identity;
    phone.stop().await;
    let phone = replicas.open("phone", Some(0)).await?;
    earn(&phone, 1).await?;
    within(PATIENCE, phone.sync()).await?;
    replicas.deafen_ledger(0)?;
    set(&replicas, identity, Terms::default(), blocked()).await?;
    let mut events = phone.events();
    earn(&phone, 10).await?;
    hears(&mut events, "IDENTITY_BLOCKED").await?;
    let store = &replicas.deployment.store;
    let kept = edge_ledger_store::LedgerStore::heads(store, identity).await;
    let kept: Result<Vec<u64>, StoreError> =
        kept.map(|heads| heads.value.tips().map(|tip| tip.point.seq).collect());
    assert_eq!(kept?, [1]);
    Ok(())
}

/// A port that was free a moment ago.
fn free_port() -> anyhow::Result<String> {
    let held = TcpListener::bind("127.0.0.1:0")?;
    Ok(held.local_addr()?.to_string())
}

#[test]
fn services_that_run_apart_answer_their_operator() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    spread_keys(folder.path())?;
    let token = folder.path().join("operator.token");
    OperatorToken::make(&token)?;
    let redis = Server::start();
    let url = redis.url();
    for service in ["ledger-service", "identity-service"] {
        let (keys, address) = (folder.path().join(service), free_port()?);
        let settings = [
            ("server.listen", "127.0.0.1:0"),
            ("keys.dir", path(&keys)?),
            ("store.kind", "redis"),
            ("store.url", &url),
            ("operator.listen", &address),
            ("operator.token_file", path(&token)?),
        ];
        let running = ServiceProcess::start(service, &settings)?;
        let address = format!("http://{address}");
        let admin = |args: &[&str]| -> anyhow::Result<Value> {
            let opened = [
                "admin",
                "--address",
                &address,
                "--token-file",
                path(&token)?,
            ];
            let output = cli(&[&opened[..], args].concat())?.output()?;
            Ok(serde_json::from_slice(&output.stdout)?)
        };
        let health = admin(&["health"])?;
        assert_eq!(health["services"], serde_json::json!([service]));
        assert_eq!(
            (&health["store"], &health["ack"]),
            (&"redis".into(), &"durable".into())
        );
        let limits = admin(&["limits"])?.to_string();
        let has_joins = limits.contains("identity.joins_per_minute");
        assert_eq!(has_joins, service == "identity-service", "{limits}");
        let keys = admin(&["keys"])?;
        assert_eq!(keys["rotates"], false, "{keys}");
        let refused = admin(&["keys", "rotate"])?;
        assert_eq!(refused["error"]["reason"], "ROTATES_ELSEWHERE", "{refused}");
        let message = refused["error"]["message"].to_string();
        assert!(message.contains("edge-ledger keys rotate"), "{message}");
        let ended = running.drain()?;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let secret = fs::read_to_string(&token)?;
        assert!(!ended.log.concat().contains(secret.trim()));
    }
    Ok(())
}
