//! A collector that is not there, or that takes connections and never answers: nobody waits for it,
//! and nothing piles up.

use edge_ledger_proto::identity::GetDeploymentRequest;
use edge_ledger_proto::identity::identity_service_client::IdentityServiceClient;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use super::site::Site;

/// Many more than the queue of spans holds (2,048).
const CALLS: usize = 20_000;
/// Room for queues of all signals: without a bound the spans alone would take more.
const GROWS_KIB_MAX: u64 = 24 * 1024;

async fn calls_go_on(endpoint: &str) -> anyhow::Result<()> {
    let mut site = Site::start(Some(endpoint), &[]).await?;
    let url = site.cluster.identity.balancer.url();
    let mut client = IdentityServiceClient::connect(url).await?;
    for _ in 0..CALLS / 10 {
        client.get_deployment(GetDeploymentRequest {}).await?;
    }
    let before = site.identity().memory_kib("VmRSS")?;
    for _ in 0..CALLS {
        client.get_deployment(GetDeploymentRequest {}).await?;
    }
    let grew = site.identity().memory_kib("VmRSS")?.saturating_sub(before);
    assert!(grew < GROWS_KIB_MAX, "{grew} KiB");
    drop(client);
    // It ends in time, and ends well: what was not sent is a line of the log.
    let service = site.cluster.identity.running.remove(0);
    let ended = service.drain()?;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_never_answers_holds_up_nothing() -> anyhow::Result<()> {
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = format!("http://{}", silent.local_addr()?);
    TaskTracker::new().spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = silent.accept().await {
            held.push(stream);
        }
    });
    calls_go_on(&endpoint).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_not_there_holds_up_nothing() -> anyhow::Result<()> {
    let gone = TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = format!("http://{}", gone.local_addr()?);
    drop(gone);
    calls_go_on(&endpoint).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_endpoint_nothing_is_said_of_it() -> anyhow::Result<()> {
    let mut site = Site::start(None, &[]).await?;
    site.device("phone", &["init"])?;
    let ended = site.cluster.identity.running.remove(0).drain()?;
    let of_it =
        |line: &&String| line.to_lowercase().contains("opentelemetry") || line.contains("OTEL_");
    assert_eq!(ended.log.iter().find(of_it), None);
    Ok(())
}
