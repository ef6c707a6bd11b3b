//! The admin port of real services.

use super::site::{Site, ask, get};

#[tokio::test(flavor = "multi_thread")]
async fn probes_tell_what_health_tells() -> anyhow::Result<()> {
    let mut site = Site::start(None, &[]).await?;
    for service in [site.identity(), site.ledger()] {
        assert_eq!(get(service, "/livez")?, (200, "alive\n".to_owned()));
        assert_eq!(get(service, "/readyz")?, (200, "ready\n".to_owned()));
        let (status, metrics) = get(service, "/metrics")?;
        assert_eq!(status, 200);
        assert!(metrics.contains("edge_ledger_store_ready 1\n"), "{metrics}");
        let (status, version) = get(service, "/version")?;
        assert_eq!(status, 200);
        let version: serde_json::Value = serde_json::from_str(&version)?;
        assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(get(service, "/")?.0, 404);
        let address = service.admin_address().unwrap();
        let post =
            "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        assert_eq!(ask(&address, post)?.0, 405);
    }
    // Without its store it lives on, and takes no work.
    site.cluster.redis.kill();
    for service in [site.identity(), site.ledger()] {
        while get(service, "/readyz")?.0 != 503 {
            std::thread::yield_now();
        }
        assert_eq!(get(service, "/livez")?.0, 200);
    }
    Ok(())
}
