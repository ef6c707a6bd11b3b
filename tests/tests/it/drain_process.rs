//! S-39 through real processes on a Redis of their own: told to end, a service is gone within five
//! seconds, with a thousand open streams, with acks that it owes, with clients that never read, and
//! with some that never got as far as a request.

mod devices;
mod frozen;
mod site;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use edge_ledger_chassis::limits::EXIT_WITHIN;
use edge_ledger_core::ledger::Heads;
use edge_ledger_core::sync::Outcome;
use edge_ledger_store::LedgerStore as _;
use edge_ledger_tests::service::Ended;
use edge_ledger_tests::{Identity, RawStream, refusal};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use tonic::{Code, Streaming};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_types::StatusExt as _;

use crate::certificates::Authority;
use devices::{DEVICES, Device, ENTRIES, Seen, identity, read_to_the_end};
use frozen::{Frozen, ask_for_all, heavy};
use site::Site;

const PATIENCE: Duration = Duration::from_secs(60);
const IDENTITIES: usize = 100;
/// Identities whose streams share a connection.
const TOGETHER: usize = 20;

async fn watch_health(url: &str) -> anyhow::Result<Streaming<HealthCheckResponse>> {
    let channel = Endpoint::from_shared(url.to_owned())?.connect().await?;
    let mut client = HealthClient::new(channel);
    let mut watch = client
        .watch(HealthCheckRequest::default())
        .await?
        .into_inner();
    assert_eq!(next_health(&mut watch).await?, Ok(ServingStatus::Serving));
    Ok(watch)
}

async fn next_health(
    watch: &mut Streaming<HealthCheckResponse>,
) -> anyhow::Result<Result<ServingStatus, (Code, String)>> {
    match timeout(PATIENCE, watch.message()).await? {
        Ok(said) => Ok(Ok(said.context("it ended OK")?.status())),
        Err(status) => Ok(Err(refusal(&status))),
    }
}

/// Whether somebody had to be cut off when the grace was over.
fn was_cut_off(ended: &Ended) -> bool {
    ended
        .log
        .iter()
        .any(|line| line.contains("what is left is ended"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s39_a_thousand_streams_get_what_they_are_owed_and_who_never_reads_holds_up_nobody()
-> anyhow::Result<()> {
    let site = Site::start().await?;
    let mut service = site.service("ledger-service", &[])?;
    let url = service.url();
    let heavy = heavy(&site, &url).await?;
    let (mut channels, mut identities, mut devices) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..IDENTITIES / TOGETHER {
        let channel = Endpoint::from_shared(url.clone())?.connect().await?;
        let opened = (0..TOGETHER).map(|_| identity(&site.deployment, channel.clone()));
        for (identity, streams) in futures::future::try_join_all(opened).await? {
            identities.push(identity);
            devices.extend(streams);
        }
        channels.push(channel);
    }
    assert_eq!(devices.len(), IDENTITIES * DEVICES);
    let mut watch = watch_health(&url).await?;
    let mut half = TcpStream::connect(service.address()).await?;
    half.write_all(b"PRI * HT").await?;
    let reader = Endpoint::from_shared(url.clone())?.connect().await?;
    let reader = ask_for_all(reader, &heavy, 1).await?;
    let frozen = Frozen::start(url, heavy)?;

    site.pause()?;
    for device in &mut devices {
        device.stream.push(vec![device.runs[1].clone()]).await?;
    }
    for channel in channels {
        // Greeted after what came before it was received.
        RawStream::open_on(channel).await?;
    }
    timeout(PATIENCE, site.waits_for_redis()).await?;
    let (not_serving, mut reading) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
    for device in devices {
        reading.spawn(read_to_the_end(device, Arc::clone(&not_serving)));
    }
    let told = Instant::now();
    service.signal("TERM")?;
    service.wait_for("drains")?;
    let ending = tokio::task::spawn_blocking(move || {
        let ended = service.end_within(EXIT_WITHIN.saturating_sub(told.elapsed()));
        (ended, told.elapsed())
    });
    assert_eq!(
        next_health(&mut watch).await?,
        Ok(ServingStatus::NotServing)
    );
    not_serving.store(true, Ordering::SeqCst);
    site.go_on()?;
    let draining = (Code::Unavailable, "DRAINING".to_owned());
    assert_eq!(next_health(&mut watch).await?, Err(draining.clone()));
    let mut seen = Vec::new();
    while let Some(ended) = timeout(PATIENCE, reading.join_next()).await? {
        seen.push(ended??);
    }
    let (ended, took) = ending.await?;
    let ended = ended?;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(was_cut_off(&ended), "somebody read for those who do not");
    drop((reader, half));
    frozen.thaw()?;

    for seen in &seen {
        assert_eq!(refusal(&seen.status), draining);
        assert!(seen.farewell && seen.status.get_details_retry_info().is_some());
        let kept_seq = kept_seq(&site, &seen.device).await?;
        assert_eq!((seen.acked_seq, seen.taken), (kept_seq, kept_seq));
    }
    let owed = seen.iter().filter(|seen| seen.acked_seq > 1).count();
    assert!(owed > 0, "nothing was owed");
    println!(
        "{owed} of {} streams were owed an ack, and got it; the process was gone after {took:?}",
        seen.len()
    );
    push_the_rest(&site, &identities, seen).await
}

/// How far the store keeps a device's journal.
async fn kept_seq(site: &Site, device: &Device) -> anyhow::Result<u64> {
    let heads = site.deployment.store.heads(device.identity).await?.value;
    let [tip] = heads.of(&device.id) else {
        anyhow::bail!("no end of a journal, or several");
    };
    Ok(tip.seq)
}

/// What was not acked is taken by the next process.
async fn push_the_rest(
    site: &Site,
    identities: &[Identity],
    seen: Vec<Seen>,
) -> anyhow::Result<()> {
    let service = site.service("ledger-service", &[])?;
    let channel = Endpoint::from_shared(service.url())?.connect().await?;
    for seen in seen.into_iter().filter(|seen| seen.acked_seq < ENTRIES) {
        let device = &seen.device;
        let is_its = |identity: &&Identity| identity.log.identity() == device.identity;
        let identity = identities.iter().find(is_its).context("no identity")?;
        let mut stream = RawStream::open_on(channel.clone()).await?;
        stream
            .say_hello(identity, device.place, &Heads::default())
            .await?;
        for run in &device.runs[usize::try_from(seen.acked_seq)?..] {
            let outcomes = stream.push_taken(vec![run.clone()]).await?;
            assert_eq!(outcomes, [Outcome::Kept]);
        }
        assert_eq!(kept_seq(site, device).await?, ENTRIES);
    }
    let ended = service.drain()?;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s39_who_stalls_before_a_request_does_not_use_up_the_grace() -> anyhow::Result<()> {
    let site = Site::start().await?;
    let authority = Authority::new()?;
    let certified = authority.certify(site.folder.path(), "127.0.0.1", true)?;
    let authority = std::fs::read(authority.file(site.folder.path())?)?;
    let path = |path: &std::path::Path| path.to_str().map(ToOwned::to_owned).context("no text");
    let files = (path(&certified.certificate)?, path(&certified.key)?);
    let tls = [
        ("tls.certificate_file", files.0.as_str()),
        ("tls.key_file", files.1.as_str()),
    ];
    let ledger_url = ("identity.ledger_urls", "http://127.0.0.1:1");
    let trusted = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority));
    // The beginning of HTTP/2, and of a handshake.
    let (preface, hello) = (&b"PRI * HT"[..], &[22, 3, 1, 0, 200, 1][..]);
    for (name, settings, half) in [
        ("ledger-service", &[][..], preface),
        ("ledger-service", &tls, hello),
        ("identity-service", &[ledger_url], preface),
        ("identity-service", &[ledger_url, tls[0], tls[1]], hello),
    ] {
        let service = site.service(name, settings)?;
        let mut stalled = Vec::new();
        for said in [&b""[..], half] {
            let mut tcp = TcpStream::connect(service.address()).await?;
            tcp.write_all(said).await?;
            stalled.push(tcp);
        }
        // Served only after those were accepted.
        let mut endpoint = Endpoint::from_shared(service.url())?;
        if half == hello {
            endpoint = endpoint.tls_config(trusted.clone())?;
        }
        let mut client = HealthClient::new(endpoint.connect().await?);
        let said = client.check(HealthCheckRequest::default()).await?;
        assert_eq!(said.into_inner().status(), ServingStatus::Serving);
        let ended = service.drain()?;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(!was_cut_off(&ended), "{ended:?}");
        drop(stalled);
    }
    Ok(())
}
