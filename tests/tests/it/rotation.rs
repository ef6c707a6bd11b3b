//! F-21: service keys and certificates are replaced under devices that go on, and no call fails.

use std::time::Duration;

use device_agent::{Agent, Details, Event, Events, Level, Options, probe, within};
use edge_ledger_chassis::KeysFolder;
use edge_ledger_chassis::keys::Choices;
use edge_ledger_core::identity::ServiceCertificate;
use edge_ledger_core::ledger::Heads;
use edge_ledger_core::sync::Frame;
use edge_ledger_tests::{Deployment, Identity, RawStream};

use crate::tls_site::{Replica, TlsSite};

const PATIENCE: Duration = Duration::from_secs(60);
const ROUNDS: u64 = 4;
/// Postings of a device between two steps.
const POSTINGS: u64 = 12;

/// A device in use, and what went wrong with it.
struct InUse {
    agent: Agent,
    events: Events,
    failures: Vec<String>,
}

impl InUse {
    fn new(agent: Agent) -> Self {
        Self {
            events: agent.events(),
            agent,
            failures: Vec::new(),
        }
    }

    /// Earns and spends until the service has all of it, and then until another stream is open.
    async fn work(&mut self) -> anyhow::Result<()> {
        for _ in 0..POSTINGS / 2 {
            self.agent.earn(3, Details::default()).await?;
            self.agent.spend(1, Details::default()).await?;
            within(PATIENCE, self.agent.wait_acked(Level::Durable)).await?;
        }
        let moved = async {
            while let Some(event) = self.events.next().await {
                match event {
                    Event::Connected => break,
                    Event::SyncFailed { why, .. } | Event::Refused { why, .. } => {
                        self.failures.push(why);
                    }
                    _ => {}
                }
            }
            Ok(())
        };
        Ok(within(PATIENCE, moved).await?)
    }
}

/// Serials of the keys with which a replica's services sign.
async fn serials(site: &TlsSite, replica: &Replica) -> anyhow::Result<[u64; 2]> {
    let way = probe::way(site.folder.path(), &site.knows())?;
    let identity = probe::identity_service(&replica.identity_url(), &way).await?;
    let ledger = probe::ledger_service(&replica.ledger_url(), &way, &site.genesis).await?;
    Ok([identity.key_serial, ledger])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f21_no_call_fails_while_keys_and_certificates_are_replaced() -> anyhow::Result<()> {
    let site = TlsSite::start(2, None).await?;
    let phone = site.first_device("phone").await?;
    let laptop = site.link(&phone, "laptop").await?;
    let id = laptop.status().device;
    let (mut phone, mut laptop) = (InUse::new(phone), InUse::new(laptop));
    let mut steps = 0;
    for round in 1..=ROUNDS {
        let rotated = site.rotate()?;
        assert_eq!(rotated.serial, round + 1);
        for replica in &site.replicas {
            site.bring(replica, &rotated)?;
            assert!(replica.signing.reload().unwrap_or_default(), "{round}");
            site.authority.certify(&replica.folder, "127.0.0.1", true)?;
            assert!(replica.tls.reload().unwrap_or_default(), "{round}");
            // The other one has the old key for as long as this takes.
            let name = format!("laptop-{round}");
            let admin = phone.agent.clone();
            tokio::try_join!(phone.work(), laptop.work(), async {
                Ok(admin.rename(id, &name).await?)
            })?;
            steps += 1;
        }
        for replica in &site.replicas {
            assert_eq!(serials(&site, replica).await?, [rotated.serial; 2]);
        }
    }
    let expected = i128::from(steps * POSTINGS) * 2;
    for device in [&phone, &laptop] {
        within(PATIENCE, device.agent.sync()).await?;
    }
    for device in [&mut phone, &mut laptop] {
        within(PATIENCE, device.agent.sync()).await?;
        assert_eq!(device.agent.balance().balance, expected);
        assert_eq!(device.failures, Vec::<String>::new());
    }
    // What was acked is known again without any service, checked by the root alone.
    phone.agent.stop().await;
    let nowhere = Some("https://127.0.0.1:1".into());
    let options = Options {
        ledger_urls: nowhere,
        ..Options::default()
    };
    let phone = Agent::open(&site.home("phone"), options).await?;
    within(PATIENCE, phone.wait_acked(Level::Durable)).await?;
    Ok(())
}

/// Pushes an entry; says the serial in its ack, and that in the stream's greeting.
async fn acked(
    identity: &mut Identity,
    device: usize,
    stream: &mut RawStream,
    deployment: &Deployment,
) -> anyhow::Result<(u64, u64)> {
    let seq = identity.devices[device].tip.seq;
    let run = identity.credit(device, &format!("{device}/{seq}"), 1)?;
    stream.push(vec![run]).await?;
    let ack = stream
        .until(|frame| match frame {
            Frame::Acks(acks) => acks.first().copied(),
            _ => None,
        })
        .await?;
    let greeting = &stream.greeting;
    let (body, signature) = (&greeting.certificate_body, greeting.certificate_signature);
    let certificate = ServiceCertificate::verify(&deployment.genesis, body.clone(), signature)?;
    Ok((ack.key_serial, certificate.serial()))
}

#[tokio::test]
async fn a_stream_keeps_the_key_of_its_greeting() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path().join("keys");
    let keys = KeysFolder::open_or_init(&folder, &Choices::default())?;
    let mut deployment = Deployment::new()?;
    (deployment.genesis, deployment.signer) = (keys.genesis, keys.signer);
    let mut identity = Identity::create(&deployment, 2).await?;
    let server = deployment.ledger_service().await?;
    let url = format!("http://{}", server.local_addr());
    let mut old = RawStream::hello(&url, &identity, 0, &Heads::default()).await?;
    assert_eq!(
        acked(&mut identity, 0, &mut old, &deployment).await?,
        (1, 1)
    );
    KeysFolder::at(&folder).rotate(None)?;
    assert!(deployment.signer.reload().unwrap_or_default());
    let mut new = RawStream::hello(&url, &identity, 1, &Heads::default()).await?;
    assert_eq!(
        acked(&mut identity, 1, &mut new, &deployment).await?,
        (2, 2)
    );
    assert_eq!(
        acked(&mut identity, 0, &mut old, &deployment).await?,
        (1, 1)
    );
    Ok(())
}
