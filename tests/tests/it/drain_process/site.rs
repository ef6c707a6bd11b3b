//! A deployment whose Redis takes writes only when it may.

use std::time::Duration;

use anyhow::Context as _;
use edge_ledger_chassis::KeysFolder;
use edge_ledger_chassis::keys::Choices;
use edge_ledger_store::redis::commands::acl_settings;
use edge_ledger_store::redis::server::{DURABLE, Server};
use edge_ledger_store::redis::{RedisConfig, RedisStore};
use edge_ledger_tests::{Deployment, ServiceProcess};
use tokio::time::sleep;

const PAGE: &str = include_str!("../../../../docs/two-services.md");
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// A deployment on Redis, whose services are processes.
pub(super) struct Site {
    pub(super) deployment: Deployment<RedisStore>,
    redis: Server,
    settings: Vec<(&'static str, String)>,
    pub(super) folder: tempfile::TempDir,
}

impl Site {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let user = acl_settings(PAGE, "secret");
        let settings = DURABLE
            .iter()
            .copied()
            .chain(user.iter().map(String::as_str));
        let redis = Server::start_with(&settings.collect::<Vec<_>>());
        let folder = tempfile::tempdir()?;
        let dir = folder.path().join("keys");
        let keys = KeysFolder::open_or_init(&dir, &Choices::default())?;
        let store = RedisStore::connect(RedisConfig::new(redis.url())).await?;
        let mut deployment = Deployment::with_store(store)?;
        (deployment.genesis, deployment.signer) = (keys.genesis, keys.signer);
        let url = format!("redis://edge-ledger:secret@127.0.0.1:{}", redis.port());
        let settings = vec![
            ("server.listen", "127.0.0.1:0".to_owned()),
            ("keys.dir", dir.to_str().context("no text")?.to_owned()),
            ("store.kind", "redis".to_owned()),
            ("store.url", url),
            // As slow as the test makes it.
            ("store.response_timeout", "60s".to_owned()),
        ];
        Ok(Self {
            deployment,
            redis,
            settings,
            folder,
        })
    }

    pub(super) fn service(
        &self,
        name: &str,
        more: &[(&str, &str)],
    ) -> anyhow::Result<ServiceProcess> {
        let settings = self.settings.iter();
        let mut settings: Vec<_> = settings
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        settings.extend(more);
        ServiceProcess::start(name, &settings)
    }

    /// From now on Redis takes no write; reads that are scripts wait too.
    pub(super) fn pause(&self) -> anyhow::Result<()> {
        let said = self.redis.command("CLIENT PAUSE 60000 WRITE");
        anyhow::ensure!(said.starts_with("+OK"), "{said}");
        Ok(())
    }

    /// Waits until the service has handed in something that Redis does not carry out.
    pub(super) async fn waits_for_redis(&self) {
        let waits = |line: &str| {
            let parts = [" flags=b ", " cmd=evalsha ", " user=edge-ledger "];
            parts.iter().all(|part| line.contains(part))
        };
        while !self.redis.command("CLIENT LIST").lines().any(waits) {
            sleep(LOOK_EVERY).await;
        }
    }

    pub(super) fn go_on(&self) -> anyhow::Result<()> {
        let said = self.redis.command("CLIENT UNPAUSE");
        anyhow::ensure!(said.starts_with("+OK"), "{said}");
        Ok(())
    }
}
