//! S-71: how many devices there are, and what they send, adds no series.

use std::collections::BTreeSet;

use bytes::Bytes;
use edge_ledger_core::keys::SecretKey;
use edge_ledger_proto::identity::identity_service_client::IdentityServiceClient;
use edge_ledger_proto::identity::{ChallengePurpose, GetChallengeRequest};
use edge_ledger_telemetry::names::METRICS;
use http::uri::PathAndQuery;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use super::site::{Site, get};

/// Each series by its name and labels.
fn series(site: &Site) -> anyhow::Result<BTreeSet<String>> {
    let (_, metrics) = get(site.identity(), "/metrics")?;
    let lines = metrics.lines().filter(|line| !line.starts_with('#'));
    Ok(lines
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(series, _)| series.to_owned())
        .collect())
}

/// So many devices of identities of their own ask, and each calls something that is not there.
async fn devices_call(channel: &Channel, devices: usize) -> anyhow::Result<()> {
    let mut client = IdentityServiceClient::new(channel.clone());
    for _ in 0..devices {
        let key = SecretKey::from_seed(rand::random()).public_key();
        let root = SecretKey::from_seed(rand::random()).public_key();
        let identity = root.as_bytes();
        let request = GetChallengeRequest {
            identity: Bytes::copy_from_slice(identity),
            public_key: Bytes::copy_from_slice(key.as_bytes()),
            purpose: ChallengePurpose::Identity.into(),
        };
        client.get_challenge(request).await?;
        let mut other = tonic::client::Grpc::new(channel.clone());
        other.ready().await?;
        let path: String = identity.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = PathAndQuery::try_from(format!("/{path}.v1.Nothing/{path}"))?;
        let codec = tonic_prost::ProstCodec::<(), ()>::default();
        let refused = other.unary(tonic::Request::new(()), path, codec).await;
        assert_eq!(refused.unwrap_err().code(), Code::Unimplemented);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn s71_more_devices_are_no_more_series() -> anyhow::Result<()> {
    let site = Site::start(None, &[]).await?;
    let url = site.cluster.identity.balancer.url();
    let channel = Endpoint::from_shared(url)?.connect().await?;
    devices_call(&channel, 10).await?;
    let few = series(&site)?;
    devices_call(&channel, 1_000).await?;
    assert_eq!(series(&site)?, few);
    assert!(
        few.iter().any(|of| of.contains("rpc_method=\"_OTHER\"")),
        "{few:?}"
    );
    Ok(())
}

/// What is scraped has the names of the page, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn no_metric_has_a_name_of_its_own() -> anyhow::Result<()> {
    let site = Site::start(None, &[]).await?;
    site.device("phone", &["init"])?;
    site.device("phone", &["earn", "5"])?;
    let known: BTreeSet<String> = METRICS.iter().map(|metric| metric.prometheus()).collect();
    for service in [site.identity(), site.ledger()] {
        let (_, metrics) = get(service, "/metrics")?;
        for line in metrics.lines().filter(|line| line.starts_with("# TYPE ")) {
            let name = line.split(' ').nth(2).unwrap_or_default();
            assert!(known.contains(name) || name == "target_info", "{name}");
        }
    }
    Ok(())
}
