//! S-40 and S-41 through the services, and bad times of Redis under load: what cannot be committed
//! is said so and not acked, nothing acked is lost, nothing is written twice, and all is well
//! again by itself.

use std::time::Duration;

use device_agent::{Details, Level, within};
use edge_ledger_core::sync::{Frame, Outcome};
use edge_ledger_store::redis::proxy::{Proxy, Spoil};
use edge_ledger_store::redis::server::Server;
use edge_ledger_tests::load::Report;
use edge_ledger_tests::replicas::redis_server;
use edge_ledger_tests::{Identity, Load, Replicas, refusal};
use tokio::time::timeout;
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

const PATIENCE: Duration = Duration::from_secs(60);
const DEVICES: usize = 6;

/// What is wrong with a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Killed,
    Loads,
    StandsStill,
    ReadOnly,
    Full,
}

const TROUBLES: [Trouble; 5] = [
    Trouble::Killed,
    Trouble::Loads,
    Trouble::StandsStill,
    Trouble::ReadOnly,
    Trouble::Full,
];

impl Trouble {
    fn begin(self, redis: &mut Server) {
        match self {
            Self::Killed => redis.kill(),
            Self::Loads => redis.start_loading(),
            Self::StandsStill => redis.signal("STOP"),
            Self::ReadOnly => told(redis, "REPLICAOF 127.0.0.1 1"),
            Self::Full => told(redis, "CONFIG SET maxmemory 1mb"),
        }
    }

    fn end(self, redis: &mut Server) {
        match self {
            Self::Killed => redis.start_again(),
            Self::Loads => redis.finish_loading(),
            Self::StandsStill => redis.signal("CONT"),
            Self::ReadOnly => told(redis, "REPLICAOF NO ONE"),
            Self::Full => told(redis, "CONFIG SET maxmemory 0"),
        }
    }

    fn refusal(self) -> (Code, String) {
        match self {
            Self::Killed | Self::Loads | Self::StandsStill | Self::ReadOnly => {
                (Code::Unavailable, "STORE_UNAVAILABLE".to_owned())
            }
            Self::Full => (Code::ResourceExhausted, "STORAGE_FULL".to_owned()),
        }
    }
}

fn told(redis: &Server, command: &str) {
    let answer = redis.command(command);
    assert!(answer.starts_with("+OK"), "{command}: {answer}");
}

/// Waits until all services say that they serve, or that they do not.
async fn all_are(replicas: &Replicas, count: usize, expected: ServingStatus) -> anyhow::Result<()> {
    let ledger = (0..count).map(|replica| replicas.ledger_url(replica));
    let identity = (0..count).map(|replica| replicas.identity_url(replica));
    for url in ledger.chain(identity) {
        let channel = Endpoint::from_shared(url)?.connect().await?;
        let mut client = HealthClient::new(channel);
        let turned = async {
            loop {
                let said = client.check(HealthCheckRequest::default()).await?;
                if said.into_inner().status() == expected {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, turned).await??;
    }
    Ok(())
}

#[tokio::test]
async fn s40_what_cannot_be_committed_is_refused_and_not_acked() -> anyhow::Result<()> {
    let mut replicas = Replicas::start(2).await?;
    for trouble in TROUBLES {
        let mut identity = Identity::create(&replicas.deployment, 1).await?;
        let mut stream = replicas.raw(0, &identity, 0).await?;
        let run = identity.credit(0, "in bad times", 1)?;
        trouble.begin(&mut replicas.redis);
        stream.push(vec![run.clone()]).await?;
        let status = loop {
            match stream.next().await? {
                Ok(Frame::Taken { outcomes, .. }) => panic!("{trouble:?}: {outcomes:?}"),
                Ok(Frame::Acks(acks)) => panic!("{trouble:?}: {acks:?}"),
                Ok(_) => {}
                Err(status) => break status,
            }
        };
        assert_eq!(refusal(&status), trouble.refusal(), "{trouble:?}");
        all_are(&replicas, 2, ServingStatus::NotServing).await?;
        trouble.end(&mut replicas.redis);
        all_are(&replicas, 2, ServingStatus::Serving).await?;
        // At another replica: it is kept once, whether the first attempt did so or not.
        let mut stream = replicas.raw(1, &identity, 0).await?;
        assert_eq!(stream.push_taken(vec![run]).await?, [Outcome::Kept]);
        let acks = stream.acks().await?;
        assert_eq!(acks[0].point, identity.devices[0].tip, "{trouble:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s40_devices_go_on_and_mend_by_themselves() -> anyhow::Result<()> {
    let mut replicas = Replicas::start(2).await?;
    let phone = replicas.first_device("phone").await?;
    let laptop = replicas.link(&phone, "laptop").await?;
    for trouble in TROUBLES {
        within(PATIENCE, phone.wait_acked(Level::Durable)).await?;
        let before = phone.status().acked;
        trouble.begin(&mut replicas.redis);
        for device in [&phone, &laptop] {
            device.earn(1, Details::default()).await?;
        }
        let acked = within(Duration::from_millis(100), phone.wait_acked(Level::Durable));
        assert!(acked.await.is_err(), "{trouble:?}");
        assert_eq!(phone.status().acked, before, "{trouble:?}");
        trouble.end(&mut replicas.redis);
        for device in [&phone, &laptop, &phone] {
            within(PATIENCE, device.sync()).await?;
            within(PATIENCE, device.wait_acked(Level::Durable)).await?;
        }
        assert_eq!(phone.status().digest, laptop.status().digest);
    }
    let entries = i128::try_from(2 * TROUBLES.len())?;
    assert_eq!(phone.balance().balance, entries);
    Ok(())
}

fn assert_nothing_lost(report: Report) {
    assert_eq!((report.lost, report.duplicated), (0, 0), "{report:?}");
    assert!(report.acked > 0, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_times_of_redis_under_load_lose_and_repeat_nothing() -> anyhow::Result<()> {
    let mut replicas = Replicas::start(2).await?;
    let url = replicas.ledger_balancer.url();
    let mut load = Load::start(&replicas.deployment, DEVICES, &url).await?;
    for round in 0..2 {
        for trouble in TROUBLES {
            load.go_on(60).await?;
            let broken = load.broken();
            trouble.begin(&mut replicas.redis);
            while load.broken() == broken {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            trouble.end(&mut replicas.redis);
        }
        for _ in 0..10 {
            load.go_on(10).await?;
            told(&replicas.redis, "SCRIPT FLUSH");
            load.go_on(10).await?;
            // What is on the way is cut off.
            replicas.redis.command("CLIENT KILL TYPE normal");
        }
        assert!(load.broken() > round);
    }
    load.go_on(60).await?;
    assert_nothing_lost(load.stop_and_count(&replicas.deployment.store).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_swallows_replies_loses_and_repeats_nothing() -> anyhow::Result<()> {
    let redis = redis_server();
    let proxy = Proxy::before(redis.port()).await;
    let replicas = Replicas::behind(2, redis, Some(proxy.port())).await?;
    let url = replicas.ledger_balancer.url();
    let mut load = Load::start(&replicas.deployment, DEVICES, &url).await?;
    let late = Spoil::Late(Duration::from_millis(700));
    for _ in 0..6 {
        for spoil in [Spoil::Request, Spoil::Reply, Spoil::Silence, late] {
            load.go_on(20).await?;
            proxy.arm(spoil);
            proxy.spoiled().await;
        }
    }
    load.go_on(60).await?;
    assert_nothing_lost(load.stop_and_count(&replicas.deployment.store).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_notices_what_is_lost() -> anyhow::Result<()> {
    let replicas = Replicas::start(1).await?;
    let url = replicas.ledger_url(0);
    let mut load = Load::start(&replicas.deployment, 2, &url).await?;
    load.go_on(20).await?;
    let journals = "for _, key in ipairs(redis.call('KEYS', 'el:tips:*')) do \
                    redis.call('DEL', key) end return 'gone'";
    let gone = replicas.redis.command(&format!("EVAL \"{journals}\" 0"));
    assert!(gone.starts_with("gone"), "{gone}");
    let noticed = load.go_on(1_000).await.unwrap_err();
    assert_eq!(noticed.to_string(), "an acked entry was lost");
    Ok(())
}

/// A device that is moved from one replica to another at any moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_that_move_between_replicas_lose_and_repeat_nothing() -> anyhow::Result<()> {
    let mut replicas = Replicas::start(3).await?;
    let url = replicas.ledger_balancer.url();
    let mut load = Load::start(&replicas.deployment, DEVICES, &url).await?;
    let phone = replicas.first_device("phone").await?;
    let laptop = replicas.link(&phone, "laptop").await?;
    for cut in 0..20 {
        load.go_on(30).await?;
        for device in [&phone, &laptop] {
            device.earn(1, Details::default()).await?;
        }
        if cut == 10 {
            // One replica goes in good order, and the others serve its devices.
            replicas.stop_ledger(0).await?;
        } else {
            replicas.ledger_balancer.cut();
        }
    }
    load.go_on(30).await?;
    assert_nothing_lost(load.stop_and_count(&replicas.deployment.store).await?);
    for device in [&phone, &laptop, &phone] {
        within(PATIENCE, device.sync()).await?;
    }
    assert_eq!(phone.balance().balance, 40);
    assert_eq!(phone.status().digest, laptop.status().digest);
    assert_eq!(phone.history().await?.len(), 40);
    Ok(())
}
